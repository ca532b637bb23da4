"""Placeholders in the strings of a profile: ``{ref}``, ``{inputs.repo}``, ``{start.id}``.

| form | meaning |
|---|---|
| ``{name}`` | the value; percent-encoded in a path |
| ``{+name}`` | in a path: the value with its slashes and its query |
| ``{name?}`` | leaves the field out where there is no value, or it is null |
| ``{name:int}`` | the value as a number, in a JSON body |
| ``{{name}}`` | the text ``{name}`` |

A string that is one placeholder keeps the type of the value. A value is never searched for placeholders.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.pattern import PLACEHOLDER
from airflow_provider_taskwatch.core.wire import quoted, segment

_NAMES: Final = {
    "ref": None,
    "refs": None,
    "marker": None,
    "start": ("id", "uuid"),
    "callback": ("url",),
    "inputs": (),
    "secret": (),
}
"""The roots of placeholders, each with the names that it has; None: it has none; empty: any."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One placeholder of a text.

    :param name: the whole name, such as ``inputs.repo``.
    :param keeps_slashes: it is written with ``+``.
    :param is_optional: the field is left out where there is no value.
    :param is_int: the value is sent as a number.
    """

    name: str
    keeps_slashes: bool = False
    is_optional: bool = False
    is_int: bool = False

    @property
    def root(self) -> str:
        return self.name.partition(".")[0]

    def value(self, values: Mapping[str, Any]) -> Any:
        """The value, by its root and then by the names of objects in it.

        :raises ConfigurationError: there is none, and the placeholder is not optional.
        """
        found: Any = values
        for name in self.name.split("."):
            found = found.get(name, _ABSENT) if isinstance(found, Mapping) else _ABSENT
        if found is _ABSENT or (found is None and self.is_optional):
            if self.is_optional:
                return _ABSENT
            raise ConfigurationError(self._missing())
        return self._number(found) if self.is_int else found

    def _missing(self) -> str:
        if self.root == "secret":
            name = self.name.partition(".")[2]
            return (
                f"the connection has no secret {name!r}; add it to the extra 'secrets', an object of names and values"
            )
        if self.root == "inputs":
            return f"inputs has no {self.name.partition('.')[2]!r}, which {{{self.name}}} needs"
        return f"there is no {{{self.name}}} here"

    def _number(self, value: Any) -> int:
        if isinstance(value, Hidden):
            return 0
        if isinstance(value, bool) or not _WHOLE.fullmatch(str(value)):
            shown = "" if self.root == "secret" else f", not {value!r:.80}"
            raise ConfigurationError(f"{{{self.name}:int}} needs a whole number{shown}")
        return int(value)


_ABSENT: Final = object()
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,4000}\s*", re.ASCII)


class Hidden(str):
    """Stands for a secret where a request is shown."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed text.

    :param source: the text as the profile has it.
    :param parts: texts and placeholders, in order.
    """

    source: str
    parts: tuple[str | Placeholder, ...]

    @property
    def placeholders(self) -> Iterator[Placeholder]:
        return (one for one in self.parts if isinstance(one, Placeholder))

    def value(self, values: Mapping[str, Any]) -> Any:
        """The value of a string in a JSON body: of any type if it is one placeholder, else text."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Placeholder):
            return self.parts[0].value(values)
        return self.text(values)

    def text(self, values: Mapping[str, Any]) -> Any:
        """The text, or :data:`_ABSENT` where an optional value is absent."""
        texts = []
        for part in self.parts:
            if isinstance(part, Placeholder):
                value = part.value(values)
                if value is _ABSENT:
                    return _ABSENT
                texts.append(_as_text(part, value))
            else:
                texts.append(part)
        return "".join(texts)

    def path(self, values: Mapping[str, Any]) -> str:
        """The text with each value percent-encoded.

        :raises ConfigurationError: an empty value would lead to another path.
        """
        path = ""
        for part in self.parts:
            if isinstance(part, Placeholder):
                value = part.value(values)
                text = "" if value is _ABSENT else _as_path(part, _as_text(part, value))
                if not text and not part.is_optional and "?" not in path:
                    raise ConfigurationError(f"{{{part.name}}} is empty, so that the path would be another one")
                path += text
            else:
                path += part
        return path


def _as_text(placeholder: Placeholder, value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        raise ConfigurationError(
            f"{{{placeholder.name}}} is null; give a value, or write {{{placeholder.name}?}} to leave the field out"
        )
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return str(value)
    if placeholder.root == "refs":
        return ",".join(value)
    raise ConfigurationError(
        f"{{{placeholder.name}}} is {'a list' if isinstance(value, list) else 'an object'} in the middle of a text; "
        "give a text or a number, or let the string be the placeholder alone"
    )


def _as_path(placeholder: Placeholder, text: str) -> str:
    if not placeholder.keeps_slashes:
        return segment(text)
    if _LEAVES_PATH.search(text):
        raise ConfigurationError(f"{{+{placeholder.name}}} is {text[:80]!r}, which would leave the path")
    return quoted(text, _RESERVED)


_LEAVES_PATH = re.compile(r"[\\\s#\x00-\x1f\x7f]|(?:^|/)\.{1,2}(?:[/?]|$)")
_RESERVED = "/?:@!$&'()*+,;=~%[]"


def parsed(text: str) -> Template:
    """The template of a text.

    :raises ConfigurationError: names an unknown placeholder.
    """
    parts: list[str | Placeholder] = []
    at = 0
    for found in PLACEHOLDER.finditer(text):
        if found.start() > at:
            parts.append(text[at : found.start()])
        at = found.end()
        parts.append("{" + found["escaped"] + "}" if found["escaped"] else _placeholder(found))
    if at < len(text) or not parts:
        parts.append(text[at:])
    return Template(text, tuple(parts))


def _placeholder(found: re.Match[str]) -> Placeholder:
    name, cast = found["name"], found["cast"]
    root, _, rest = name.partition(".")
    known = _NAMES.get(root, ...)
    fits = not rest if known is None else bool(rest) and known is not ... and (not known or rest in known)
    if not fits or cast not in (None, "int"):
        raise ConfigurationError(
            f"unknown placeholder {found[0]}; known are {_KNOWN}; write {{{found[0]}}} for the text"
        )
    return Placeholder(name, bool(found["plus"]), bool(found["optional"]), cast == "int")


_KNOWN = "{ref}, {refs}, {marker}, {start.id}, {start.uuid}, {callback.url}, {inputs.NAME}, {secret.NAME}"


def filled(content: Any, values: Mapping[str, Any]) -> Any:
    """A JSON value with each :class:`Template` in it filled. Members whose optional value is absent are left out."""
    if isinstance(content, Template):
        return content.value(values)
    if isinstance(content, dict):
        made = {name: filled(one, values) for name, one in content.items()}
        return {name: one for name, one in made.items() if one is not _ABSENT}
    if isinstance(content, list):
        return [one for one in (filled(item, values) for item in content) if one is not _ABSENT]
    return content


def filled_texts(content: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str]:
    """The same for headers and form fields: each value is text."""
    made = {name: one.text(values) if isinstance(one, Template) else one for name, one in content.items()}
    return {name: one for name, one in made.items() if one is not _ABSENT}


def is_left_out(value: object) -> bool:
    """Whether :func:`filled` has found no value for a whole body."""
    return value is _ABSENT


def sources(content: Any) -> Any:
    """The JSON value that :func:`with_templates` was given."""
    if isinstance(content, Template):
        return content.source
    if isinstance(content, dict):
        return {name: sources(one) for name, one in content.items()}
    return [sources(one) for one in content] if isinstance(content, list) else content


def with_templates(content: Any) -> Any:
    """A JSON value with each string in it parsed."""
    if isinstance(content, str):
        return parsed(content)
    if isinstance(content, dict):
        return {name: with_templates(one) for name, one in content.items()}
    if isinstance(content, list):
        return [with_templates(one) for one in content]
    return content
