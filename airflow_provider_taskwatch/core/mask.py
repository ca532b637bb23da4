"""Secrets in what is shown: texts, replies and results of a remote, however it spells what it was sent.

What is used (an id, a token, a status, a position) is never masked; what is shown (an error, a log line, a result)
always is. So a reply stays as it came, carries its mask, and is masked where a text is made of it.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

SECRET_CHARACTERS = 5
"""What is shorter could be a part of any word; Airflow's own masking begins there, too."""
DATA_SECRET_CHARACTERS = 12
"""The same for results that are data: there a weak password may be an ordinary value."""
END_CHARACTERS = 8
"""At the end of a text that was cut, this much of a secret counts as the secret."""
DATA_DEPTH = 100
DECODED_TIMES = 3
SPELT_WAYS = 10
MASKED = "***"


@dataclass(frozen=True, slots=True)
class Mask:
    """The secrets of one exchange.

    :param secrets: as they are; their spellings are found out here.
    """

    secrets: tuple[str, ...] = field(default=(), repr=False)

    def also(self, *secrets: str) -> Mask:
        """The mask with more secrets."""
        more = [one for one in secrets if one and one not in self.secrets]
        return Mask((*more, *self.secrets)) if more else self

    def text(self, text: str) -> str:
        """A text for people without any of the secrets."""
        return _masked(text, _worth(self.secrets, SECRET_CHARACTERS))

    def beginning(self, text: str, size: int) -> str:
        """The beginning of a text, at least so many characters of it, without any of the secrets."""
        return self.text(text[: size + _ESCAPED_BYTES * max(map(len, self.secrets), default=0)])

    def head(self, body: bytes, size: int) -> str:
        """The beginning of a body as text, at least so many bytes of it, without any of the secrets."""
        wide = 4 if b"\0" in body[:size] else 1  # UTF-16 or UTF-32
        margin = wide * _ESCAPED_BYTES * max(map(len, self.secrets), default=0)
        begins = body[: size + margin]
        for spelling in _packed_spellings(_worth(self.secrets, SECRET_CHARACTERS)) if b"\0" in begins else ():
            begins = begins.replace(spelling, MASKED.encode())
        text = self.text(_decoded(begins))
        return text if len(body) <= size + margin or not margin else text[:-margin] or text[:size]

    def data(self, value: Any, keep: str = "") -> Any:
        """A JSON value without any of the secrets that are long enough to be no ordinary value.

        :param keep: the id that the value is about, which is used and therefore stays.
        """
        secrets = _worth(self.secrets, DATA_SECRET_CHARACTERS)
        return _masked_data(value, secrets, keep, DATA_DEPTH) if secrets else value


NO_MASK = Mask()


def is_secret_name(name: str) -> bool:
    """Whether the value of a parameter of that name is a secret; that of a type or a hint says what is asked for."""
    word = name.lower().replace("-", "_")
    return bool(_SECRET_NAME.search(word)) and not word.endswith(_PUBLIC_ENDS)


_SECRET_NAME = re.compile(r"pass|pwd|secret|token|assertion|key|credential|signature|jwt|saml|cookie|otp|pin$|code$")
_PUBLIC_ENDS = ("_type", "_hint", "_format", "_method", "_url", "_uri", "_id", "_name")

_ESCAPED_BYTES = 6
"""A character as an escape of JSON."""


def clean(error: BaseException, mask: Mask) -> None:
    """Mask what an error shows, in words and in attributes, and what has caused it."""
    one: BaseException | None = error
    while one is not None and mask.secrets:
        one.args = tuple(mask.text(value) if isinstance(value, str) else value for value in one.args)
        for name, value in vars(one).items():
            if isinstance(value, str):
                setattr(one, name, mask.text(value))
        below = one.__cause__ or one.__context__
        if below is not None and _shows(below, mask):
            one.__cause__ = one.__context__ = below = None
        one = below


def _shows(error: BaseException, mask: Mask) -> bool:
    """Whether an error holds a secret in something else than a text of its own, as those of libraries do."""
    held = (one for one in error.args if not isinstance(one, str))
    return any(mask.text(text) != text for text in map(str, held))


@functools.lru_cache(maxsize=256)
def _worth(secrets: tuple[str, ...], shortest: int) -> tuple[str, ...]:
    """The secrets that are long enough, what holds another one first."""
    return tuple(sorted({one for one in secrets if len(one) >= shortest}, key=lambda one: (-len(one), one)))


def _masked(text: str, secrets: tuple[str, ...]) -> str:
    if not text or not secrets:
        return text
    pattern = _pattern(secrets)
    masked = pattern.sub(MASKED, text)
    for _ in range(SPELT_WAYS):
        shown = next(filter(pattern.search, _decodings(masked)), None)
        if shown is None:
            break
        masked = pattern.sub(MASKED, shown)
    else:
        return MASKED
    for secret in secrets:
        masked = _without_rest(masked, secret)
    return masked


@functools.lru_cache(maxsize=256)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the secrets, however its letters and blanks came back, and as a part of a base64 text."""
    decoded = (one for secret in secrets for one in _decodings(secret) if len(one) >= END_CHARACTERS)
    forms = (*secrets, *decoded)  # a text that is decoded to find one secret may hold another that looks encoded
    spelt = sorted({one for form in forms for one in _plain_spellings(form)}, key=lambda one: (-len(one), one))
    return re.compile("|".join(re.sub(r"(\\?\s)+", r"\\s+", re.escape(one)) for one in spelt), re.IGNORECASE)


def _plain_spellings(secret: str) -> Iterator[str]:
    yield from (secret, secret.upper(), secret.lower())
    if unpadded := secret.rstrip("="):
        yield unpadded
    for encoded in {secret.encode(errors="replace"), secret.encode("latin-1", "replace")}:
        yield encoded.hex()
        yield encoded.decode("utf-8", "replace")
        yield encoded.decode("latin-1")
        for shift in range(3):
            packed = _packed(encoded, shift)
            if len(packed) >= END_CHARACTERS:
                yield packed
                yield packed.translate(_URL_SAFE)


_URL_SAFE = str.maketrans("+/", "-_")


def _packed(secret: bytes, shift: int) -> str:
    """What of a base64 text is the secret's own, where so many bytes modulo 3 come before it."""
    first = shift + 1 if shift else 0
    return base64.b64encode(bytes(shift) + secret).decode()[first : (shift + len(secret)) * 8 // 6]


def _decodings(text: str) -> Iterator[str]:
    """What a text says where it is a form, a JSON text or a page, or one of them in another one, in any order."""
    if not _ENCODED.search(text):
        return
    known = texts = {text}
    for _ in range(DECODED_TIMES):
        texts = {decode(one) for one in texts for decode in _DECODERS} - known
        yield from texts
        known = known | texts


def _from_json(text: str) -> str:
    return _JSON_ESCAPE.sub(_unescaped, text)


def _unescaped(hit: re.Match[str]) -> str:
    return "'" if hit[0] == "\\'" else str(json.loads(f'"{hit[0]}"'.replace("\\x", "\\u00")))


_JSON_ESCAPE = re.compile(r'(?:\\u[0-9a-fA-F]{4})+|\\x[0-9a-fA-F]{2}|\\["\'\\/bfnrt]')
_DECODERS: tuple[Callable[[str], str], ...] = (unquote, unquote_plus, html.unescape, _from_json)
_ENCODED = re.compile(r"%[0-9a-fA-F]{2}|&#?\w+;?|\\|\+")


def _without_rest(text: str, secret: str) -> str:
    """The text without the beginning of a secret at its end, or the end of one at its beginning: it was cut there."""
    if len(secret) <= END_CHARACTERS:
        return text
    start = text.rfind(secret[:END_CHARACTERS])
    if start >= 0 and secret.startswith(text[start:]):
        text = text[:start] + MASKED
    stop = text.find(secret[-END_CHARACTERS:]) + END_CHARACTERS
    return MASKED + text[stop:] if stop >= END_CHARACTERS and secret.endswith(text[:stop]) else text


def _masked_data(value: Any, secrets: tuple[str, ...], keep: str, depth: int) -> Any:
    if isinstance(value, str):
        return value if value == keep else _masked(value, secrets)
    if isinstance(value, (Mapping, list, tuple)) and depth == 0:
        return MASKED
    if isinstance(value, Mapping):
        return {_masked(name, secrets): _masked_data(one, secrets, keep, depth - 1) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked_data(one, secrets, keep, depth - 1) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and str(value) != keep and str(value) in secrets:
        return MASKED
    return value


def _decoded(body: bytes) -> str:
    """UTF-8, as nearly all is; what was meant as Latin-1 keeps its other letters."""
    return body.decode("utf-8", "replace")


ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
"""All that a JSON text may have."""


@functools.lru_cache(maxsize=256)
def spellings(secret: str, encodings: tuple[str, ...] = ENCODINGS) -> tuple[bytes, ...]:
    """How a secret may come back in bytes: as it is, or as a form, a JSON text, a page or a header would have it.

    Some escape the slashes of a JSON text, too (PHP does), and some spell a form in lower case.
    """
    forms = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    lower = {_ESCAPE.sub(lambda hit: hit[0].lower(), one) for one in forms}
    texts = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    slashed = {one.replace("/", "\\/") for one in texts}
    written = {secret, html.escape(secret), *forms, *lower, *texts, *slashed}
    encoded = {one.encode(encoding) for one in written for encoding in encodings}
    packed = base64.b64encode(secret.encode()).rstrip(b"=")
    return tuple(sorted({*encoded, secret.encode("latin-1", "replace"), packed}, key=len, reverse=True))


_ESCAPE = re.compile("%..")


@functools.lru_cache(maxsize=64)
def _packed_spellings(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(one for secret in secrets for one in spellings(secret))
