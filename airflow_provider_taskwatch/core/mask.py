"""Hides secrets in texts, replies and results of a remote, in any spelling in which the remote returns them.

Values in use (an id, a token, a status, a position) are never masked. Values on display (an error, a log line, a
result) always are. So a reply stays unchanged and carries its mask, which is applied when a text is made of it.
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
"""Shorter secrets could be part of any word. Airflow's own masking has the same limit."""
DATA_SECRET_CHARACTERS = 12
"""The same for results: a weak password may be an ordinary value there."""
END_CHARACTERS = 8
"""At the end of a cut text, this many characters of a secret count as the secret."""
DATA_DEPTH = 100
DECODED_TIMES = 3
SPELT_WAYS = 10
MASKED = "***"


@dataclass(frozen=True, slots=True)
class Mask:
    """The secrets of one exchange.

    :param secrets: plain; the mask also finds their encoded spellings.
    """

    secrets: tuple[str, ...] = field(default=(), repr=False)

    def also(self, *secrets: str) -> Mask:
        """This mask with more secrets."""
        more = [one for one in secrets if one and one not in self.secrets]
        return Mask((*more, *self.secrets)) if more else self

    def text(self, text: str) -> str:
        """A text for people, without the secrets."""
        return _masked(text, _long_enough(self.secrets, SECRET_CHARACTERS))

    def beginning(self, text: str, size: int) -> str:
        """The beginning of a text, at least ``size`` characters, without the secrets."""
        return self.text(text[: size + _ESCAPED_BYTES * max(map(len, self.secrets), default=0)])

    def head(self, body: bytes, size: int) -> str:
        """The beginning of a body as text, at least ``size`` bytes, without the secrets."""
        wide = 4 if b"\0" in body[:size] else 1  # UTF-16 or UTF-32
        margin = wide * _ESCAPED_BYTES * max(map(len, self.secrets), default=0)
        start = body[: size + margin]
        for spelling in _all_spellings(_long_enough(self.secrets, SECRET_CHARACTERS)) if b"\0" in start else ():
            start = start.replace(spelling, MASKED.encode())
        text = self.text(start.decode("utf-8", "replace"))
        return text if len(body) <= size + margin or not margin else text[:-margin] or text[:size]

    def data(self, value: Any, keep: str = "") -> Any:
        """A JSON value without the secrets that are too long to be ordinary values.

        :param keep: the id of the result, which is in use and stays.
        """
        secrets = _long_enough(self.secrets, DATA_SECRET_CHARACTERS)
        return _masked_data(value, secrets, keep, DATA_DEPTH) if secrets else value


NO_MASK = Mask()


def is_secret_name(name: str) -> bool:
    """Whether a parameter of that name has a secret value. Names such as ``token_type`` do not."""
    normal = name.lower().replace("-", "_")
    return bool(_SECRET_NAME.search(normal)) and not normal.endswith(_PUBLIC_SUFFIXES)


_SECRET_NAME = re.compile(r"pass|pwd|secret|token|assertion|key|credential|signature|jwt|saml|cookie|otp|pin$|code$")
_PUBLIC_SUFFIXES = ("_type", "_hint", "_format", "_method", "_url", "_uri", "_id", "_name")

_ESCAPED_BYTES = 6
"""The length of a character as a JSON escape."""


def mask_error(error: BaseException, mask: Mask) -> None:
    """Mask the message and the attributes of an error, and those of its causes."""
    one: BaseException | None = error
    while one is not None and mask.secrets:
        one.args = tuple(mask.text(value) if isinstance(value, str) else value for value in one.args)
        for name, value in vars(one).items():
            if isinstance(value, str):
                setattr(one, name, mask.text(value))
        cause = one.__cause__ or one.__context__
        if cause is not None and _has_secret_object(cause, mask):
            one.__cause__ = one.__context__ = cause = None
        one = cause


def _has_secret_object(error: BaseException, mask: Mask) -> bool:
    """Whether an argument that is not a string contains a secret, as in errors of libraries. It cannot be masked."""
    objects = (one for one in error.args if not isinstance(one, str))
    return any(mask.text(text) != text for text in map(str, objects))


@functools.lru_cache(maxsize=256)
def _long_enough(secrets: tuple[str, ...], shortest: int) -> tuple[str, ...]:
    """The secrets that are long enough, longest first, as one may contain another."""
    return tuple(sorted({one for one in secrets if len(one) >= shortest}, key=lambda one: (-len(one), one)))


def _masked(text: str, secrets: tuple[str, ...]) -> str:
    if not text or not secrets:
        return text
    pattern = _pattern(secrets)
    masked = pattern.sub(MASKED, text)
    for _ in range(SPELT_WAYS):
        decoded = next(filter(pattern.search, _decodings(masked)), None)
        if decoded is None:
            break
        masked = pattern.sub(MASKED, decoded)
    else:
        return MASKED
    for secret in secrets:
        masked = _without_cut_secret(masked, secret)
    return masked


@functools.lru_cache(maxsize=256)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str]:
    """Finds the secrets in any case, with any white space, and within a base64 text."""
    decoded = (one for secret in secrets for one in _decodings(secret) if len(one) >= END_CHARACTERS)
    forms = (*secrets, *decoded)  # a text decoded for one secret may contain another one that looks encoded
    spellings = sorted({one for form in forms for one in _text_spellings(form)}, key=lambda one: (-len(one), one))
    return re.compile("|".join(re.sub(r"(\\?\s)+", r"\\s+", re.escape(one)) for one in spellings), re.IGNORECASE)


def _text_spellings(secret: str) -> Iterator[str]:
    yield from (secret, secret.upper(), secret.lower())
    if unpadded := secret.rstrip("="):
        yield unpadded
    for encoded in {secret.encode(errors="replace"), secret.encode("latin-1", "replace")}:
        yield encoded.hex()
        yield encoded.decode("utf-8", "replace")
        yield encoded.decode("latin-1")
        for shift in range(3):
            part = _base64_part(encoded, shift)
            if len(part) >= END_CHARACTERS:
                yield part
                yield part.translate(_URL_SAFE)


_URL_SAFE = str.maketrans("+/", "-_")


def _base64_part(secret: bytes, shift: int) -> str:
    """The characters of a base64 text that depend on the secret alone.

    :param shift: bytes before the secret, modulo 3.
    """
    first = shift + 1 if shift else 0
    return base64.b64encode(bytes(shift) + secret).decode()[first : (shift + len(secret)) * 8 // 6]


def _decodings(text: str) -> Iterator[str]:
    """The text decoded as a form, as JSON and as HTML, also if one is inside the other, in any order."""
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


def _without_cut_secret(text: str, secret: str) -> str:
    """The text without a part of a secret at its end or its beginning, where the text was cut."""
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


ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
"""The encodings of JSON."""


@functools.lru_cache(maxsize=256)
def spellings(secret: str, encodings: tuple[str, ...] = ENCODINGS) -> tuple[bytes, ...]:
    """The bytes in which a remote may return a secret: plain, in a form, in JSON, in HTML, or in a header.

    Some remotes escape slashes in JSON (PHP does), and some write the escapes of a form in lower case.
    """
    forms = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    lower = {_ESCAPE.sub(lambda hit: hit[0].lower(), one) for one in forms}
    texts = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    slashed = {one.replace("/", "\\/") for one in texts}
    strings = {secret, html.escape(secret), *forms, *lower, *texts, *slashed}
    encoded = {one.encode(encoding) for one in strings for encoding in encodings}
    base64_form = base64.b64encode(secret.encode()).rstrip(b"=")
    return tuple(sorted({*encoded, secret.encode("latin-1", "replace"), base64_form}, key=len, reverse=True))


_ESCAPE = re.compile("%..")


@functools.lru_cache(maxsize=64)
def _all_spellings(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(one for secret in secrets for one in spellings(secret))
