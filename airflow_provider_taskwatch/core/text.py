"""A remote's words made harmless: one line for logs and errors, and what a row of Airflow's database can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

LINE_CHARACTERS = 500
TEXT_CHARACTERS = 4000
VALUE_CHARACTERS = 100_000
"""What all texts of one value may have together; each member counts as some, too."""
VALUE_DEPTH = 20

_MEMBER_CHARACTERS = 10
_INTEGER_LIMIT = 2**63
_MORE = "..."
_LEFT_OUT = "(left out)"


def line(text: str, limit: int = LINE_CHARACTERS) -> str:
    """``text`` on one line, cut at ``limit``, without anything that a terminal or a log would obey."""
    return printable(" ".join(text[: limit * 4].split()))[:limit]


def place(url: str) -> str:
    """Host, port and path of an address, for messages.

    Without the scheme, as Airflow masks the value of ``token_url`` as a whole, for the ``token`` in its name, and
    without a query, which may hold a secret.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return line(url, 200)
    host = parts.netloc.rpartition("@")[2]
    return line(f"{host}{parts.path.rstrip('/')}", 200)


def printable(text: str) -> str:
    """``text`` with its tabs and line breaks, blanks for blanks of other kinds, and nothing else that does not show."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable() or character in "\t\n":
        return character
    return " " if character.isspace() else "\ufffd"


def shortened(value: Any) -> Any:
    """A JSON value as a row of a database can hold it, and a message to it can carry it.

    Texts are cut in their middle, as a beginning and an end tell most; what is too deep, and what comes after
    :data:`VALUE_CHARACTERS`, is left out. A number that is none in JSON is None, a huge one a text.
    """
    return _Shortening().of(value, VALUE_DEPTH)


class _Shortening:
    """One value on its way, and how many characters it may still have."""

    def __init__(self) -> None:
        self._left = VALUE_CHARACTERS

    def of(self, value: Any, depth: int) -> Any:
        if isinstance(value, (Mapping, list)) and (depth == 0 or self._left <= 0):
            return _LEFT_OUT
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list):
            return self._list(value, depth)
        plain = _plain(value)
        return self._text(plain) if isinstance(plain, str) else plain

    def _mapping(self, value: Mapping[str, Any], depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, one in value.items():
            if self._left <= 0 and name != _MORE:
                kept[_MORE] = _more(len(value) - len(kept))
                break
            self._left -= _MEMBER_CHARACTERS
            kept[self._text(name)] = self.of(one, depth - 1)
        return kept

    def _list(self, value: list[Any], depth: int) -> list[Any]:
        kept: list[Any] = []
        for one in value:
            if self._left <= 0:
                kept.append(_more(len(value) - len(kept)) if len(value) - len(kept) > 1 else self.of(one, 0))
                break
            self._left -= _MEMBER_CHARACTERS
            kept.append(self.of(one, depth - 1))
        return kept

    def _text(self, text: str) -> str:
        kept = _cut(_storable(text))
        self._left -= len(kept)
        return kept


def _more(count: int) -> str:
    return f"({count} more left out)"


def _cut(text: str) -> str:
    if len(text) <= TEXT_CHARACTERS:
        return text
    half = TEXT_CHARACTERS // 2 - 30  # with the words between them it stays below the limit
    return f"{text[:half]}\n... ({len(text) - 2 * half} characters left out) ...\n{text[-half:]}"


def _storable(text: str) -> str:
    """Without NUL, which PostgreSQL refuses, and without halves of surrogate pairs, which no encoding has."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isprintable() else text.encode("utf-8", "replace").decode()


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    is_huge = isinstance(value, int) and not -_INTEGER_LIMIT <= value < _INTEGER_LIMIT
    return str(value) if is_huge else value
