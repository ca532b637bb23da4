"""The one form in which a path and a query go over the wire: what is signed is what is sent, by either driver.

It is the normal form of RFC 3986 (6.2.2): what may not stand there is encoded as UTF-8, once; what needs no encoding
has none; hexadecimal digits are in upper case. What could mean two things is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from .error import ConfigurationError


def canonical_path(path: str) -> str:
    """A path in normal form. Empty segments stay; ``.`` and ``..`` are refused, as a server might follow them."""
    if _PLAIN_PATH.fullmatch(path):
        return path
    normal = _canonical(path, _IN_PATH, "path")
    if dots := next((one for one in normal.split("/") if one in (".", "..")), None):
        raise ConfigurationError(f"the path {path[:200]!r} must not hold the segment {dots!r}: it would lead elsewhere")
    return normal


def canonical_query(given: str, pairs: Iterable[tuple[str, str]] = ()) -> str:
    """One query of what is already encoded and of pairs that are not."""
    parts = [_canonical(given, _IN_QUERY, "query")] if given else []
    return "&".join([*parts, *(f"{quoted(name)}={quoted(value)}" for name, value in pairs)])


def canonical_target(path: str, pairs: Iterable[tuple[str, str]] = ()) -> str:
    """Path and query, where the path may have a query of its own."""
    if not pairs and _PLAIN_PATH.fullmatch(path):
        return path
    if "#" in path:
        raise ConfigurationError(f"the path {path[:200]!r} holds '#', which begins what is never sent; write %23")
    bare, _, given = path.partition("?")
    query = canonical_query(given, pairs)
    return f"{canonical_path(bare)}?{query}" if query else canonical_path(bare)


_PLAIN_PATH = re.compile(r"(?!.*/\.{1,2}(?:/|\Z))[A-Za-z0-9\-._~!$&'()*+,;=:@/]*")
_UNRESERVED = "-._~"
_UNRESERVED_TEXT = re.compile(r"[A-Za-z0-9\-._~]*")
_IN_PATH = _UNRESERVED + "!$&'()*+,;=:@/"
_IN_QUERY = _IN_PATH + "?"
_PIECE = re.compile("%(?:([0-9A-Fa-f]{2})|)|[^%]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _canonical(text: str, safe: str, what: str) -> str:
    if _CONTROL.search(text):
        raise ConfigurationError(f"the {what} {text[:200]!r} holds a control character; encode or remove it")
    return "".join(_normal(found, safe, text, what) for found in _PIECE.finditer(text))


def _normal(found: re.Match[str], safe: str, text: str, what: str) -> str:
    if not found[0].startswith("%"):
        return quoted(found[0], safe)
    if found[1] is None:
        raise ConfigurationError(f"the {what} {text[:200]!r} holds a '%' that begins no encoding; write %25")
    character = chr(int(found[1], 16))
    is_plain = character.isascii() and (character.isalnum() or character in _UNRESERVED)
    return character if is_plain else found[0].upper()


def quoted(text: str, safe: str = "") -> str:
    """A text in ASCII, percent-encoded but for what is safe."""
    if _UNRESERVED_TEXT.fullmatch(text):
        return text
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError:
        raise ConfigurationError(f"{text[:200]!r} holds half of a character (a lone surrogate)") from None
