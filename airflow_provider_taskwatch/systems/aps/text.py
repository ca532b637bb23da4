"""Texts of the APS platform in the languages of its users.

* https://docs.cloudblue.com/cbc/sdk/21.0/concepts/frontend/ux1/notifications
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError

LANGUAGE = "en"
"""The language of a text that is missing in the reader's language."""

_KEY = re.compile(r"__([^\W_](?:[_.-]?[^\W_])*)__")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalizedMessage:
    """A text with places for other texts.

    :param message: the text; ``__key__`` in it is replaced.
    :param keys: the text of a key in all languages.
    :param multilang_keys: the text of a key by language code (``en``, ``de``).
    """

    message: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    multilang_keys: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def literal(cls, text: str) -> LocalizedMessage:
        """A text that is shown unchanged, even with ``__name__`` in it: the platform replaces no key inside a key."""
        return cls(message="__text__", keys={"text": text}) if _KEY.search(text) else cls(message=text)


Text = str | Mapping[str, Any] | LocalizedMessage
"""What a user may give for a text."""


def localized(name: str, value: object, *, literal: bool = False) -> LocalizedMessage | None:
    """The text in an argument: a :class:`LocalizedMessage`, a dict in the vendor's form, or a string; None if empty.

    :param name: of the argument, for the error.
    :param literal: whether the text has no keys; see :meth:`LocalizedMessage.literal`.
    """
    text = _localized(name, value)
    return LocalizedMessage.literal(text.message) if literal and text else text


def _localized(name: str, value: object) -> LocalizedMessage | None:
    if value is None or value == "":
        return None
    if isinstance(value, LocalizedMessage):
        return value
    if isinstance(value, str):
        return LocalizedMessage(message=value)
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} must be a string, a dict or a LocalizedMessage, not {value!r:.80}")
    if unknown := sorted(map(str, set(value) - set(_WRITTEN))):
        raise ConfigurationError(f"{name} has no {', '.join(unknown)}; it has {', '.join(_WRITTEN)}")
    if not isinstance(value.get("message"), str):
        raise ConfigurationError(f"{name} has the message {value.get('message')!r:.80}, which must be a string")
    return read_text(value)


_WRITTEN = ("message", "keys", "multilangKeys")


def read_text(value: object) -> LocalizedMessage | None:
    """The text in a reply; values of a wrong type are left out."""
    if isinstance(value, str):
        return LocalizedMessage(message=value)
    if not isinstance(value, Mapping):
        return None
    languages = {key: _texts(texts) for key, texts in _members(value.get("multilangKeys"))}
    message = value.get("message")
    return LocalizedMessage(
        message=message if isinstance(message, str) else "",
        keys=_texts(value.get("keys")),
        multilang_keys=languages,
    )


def write_text(text: LocalizedMessage) -> dict[str, Any]:
    """The text in the form that is sent."""
    languages = {key: dict(texts) for key, texts in text.multilang_keys.items()}
    content = dict(zip(_WRITTEN, (text.message, dict(text.keys), languages), strict=True))
    return {name: value for name, value in content.items() if value or name == "message"}


def placeholders(text: LocalizedMessage) -> set[str]:
    """The keys in a text."""
    return set(_KEY.findall(text.message))


def text_problems(text: LocalizedMessage) -> list[str]:
    """The problems of a text: keys without a text, texts without a key, languages with missing texts."""
    wanted, given = placeholders(text), {*text.keys, *text.multilang_keys}
    languages = {language for texts in text.multilang_keys.values() for language in texts}
    problems = [f"__{key}__ is not among its keys" for key in sorted(wanted - given)]
    problems += [f"key {key!r} is not in the text" for key in sorted(given - wanted)]
    problems += [f"key {key!r} is given twice" for key in sorted(set(text.keys) & set(text.multilang_keys))]
    return problems + [
        f"key {key!r} has no text in {', '.join(sorted(missing))}"
        for key, texts in sorted(text.multilang_keys.items())
        if (missing := (languages or {LANGUAGE}) - {language for language, translation in texts.items() if translation})
    ]


def render(text: LocalizedMessage | None, locale: str = LANGUAGE) -> str:
    """The text in the language of ``locale`` (``de``, ``de_DE``). An unknown key stays in the text."""
    if text is None:
        return ""
    known = {key: _in_language(texts, locale) for key, texts in text.multilang_keys.items()} | dict(text.keys)
    return _KEY.sub(lambda found: known.get(found[1], found[0]), text.message)


def _in_language(texts: Mapping[str, str], locale: str) -> str:
    wanted = (locale, re.split("[_-]", locale)[0], LANGUAGE)
    return next((texts[one] for one in wanted if one in texts), next(iter(texts.values()), ""))


def _members(value: object) -> Iterator[tuple[str, object]]:
    return ((str(key), one) for key, one in value.items()) if isinstance(value, Mapping) else iter(())


def _texts(value: object) -> dict[str, str]:
    """The texts by key. Numbers count, too, as a public client sends one."""
    return {key: str(one) for key, one in _members(value) if isinstance(one, (str, int, float))}
