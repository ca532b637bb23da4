"""A remote's words made harmless: one line for logs and errors, and JSON that Airflow and any database can hold.

Airflow's triggerer sends events as MessagePack, which has no number beyond 64 bits, its XComs and PostgreSQL have no
NUL and no halves of surrogate pairs, and its deserializer takes some names for its own (3.3.2). One such value in an
event would end the triggerer with all its triggers, so whatever comes from a remote goes through here.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .plain import members

LINE_CHARACTERS = 500
TEXT_CHARACTERS = 4000
"""What is left of a longer text where the whole value is too long."""
VALUE_CHARACTERS = 100_000
"""What all texts of one value may have together; each member counts as some, too."""
EVENTS_CHARACTERS = 1_000_000
"""The same for what holds the events of a feed."""
VALUE_DEPTH = 20
WHOLE_DEPTH = 100
"""The same for a value that is not bounded otherwise."""

_MEMBER_CHARACTERS = 10
_INTEGER_LIMIT = 2**63
_NUMBER_DIGITS = 4000
"""Python refuses to read or write whole numbers with more than 4,300."""
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


_RESERVED = frozenset({"__classname__", "__id__", "__var"})
"""Names by which Airflow's deserializer takes a dict for an object of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """A JSON value that a row of a database can hold, and a message to it can carry.

    :param loss: what is not in it, in words; empty where nothing is missing.
    """

    value: Any
    loss: str = ""


def bounded(value: Any, limit: int = VALUE_CHARACTERS, shown: Callable[[Any], Any] | None = None) -> Bounded:
    """A remote's value within so many characters and :data:`VALUE_DEPTH`, safe as of :func:`safe`.

    What fits stays whole. Else texts are cut in their middle, as a beginning and an end tell most, and what comes after
    the limit is left out.

    :param shown: masks a value. It is slow, so it sees only what is kept: megabytes would hold the event loop for
        seconds.
    """
    pass_ = _Pass(limit, text_limit=limit)
    kept = pass_.of(value, VALUE_DEPTH)
    if pass_.cut or pass_.is_over:
        pass_ = _Pass(limit, text_limit=TEXT_CHARACTERS, shown=shown)
        kept = pass_.of(value, VALUE_DEPTH)
    elif shown is not None:
        kept = shown(kept)
    return Bounded(value=kept, loss=pass_.loss)


def shortened(value: Any) -> Any:
    """The value of :func:`bounded`."""
    return bounded(value).value


def safe(value: Any) -> Any:
    """A remote's value as JSON that Airflow's encoders and any database take; however long, but not endlessly deep.

    A text is without NUL and halves of surrogate pairs. A number beyond 64 bits is a text, one that is none in JSON
    is None. Names that mean something to Airflow begin with ``remote``; names that become equal get a number.
    """
    return _Pass().of(value, WHOLE_DEPTH)


def stored(value: Any) -> Any:
    """The same for an inbox, with the remote's own names, by which users match it."""
    return _Pass(reserved=frozenset()).of(value, WHOLE_DEPTH)


def storable(text: str) -> str:
    """Without NUL, which PostgreSQL refuses, and without halves of surrogate pairs, which no encoding has."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isprintable() else text.encode("utf-8", "replace").decode()


def distinct(text: str, limit: int = LINE_CHARACTERS) -> str:
    """An id of a remote as one line; where that is not the id itself, with a hash of it, so that ids stay different.

    Longer ones would not fit into an index of PostgreSQL.
    """
    kept = line(text, limit)
    if kept == text:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{kept[: limit - len(digest) - 1]} {digest}"


def read_json(text: str | bytes) -> Any:
    """A remote's JSON; a whole number with thousands of digits, which Python refuses to read, stays a text.

    :raises ValueError: where it is no JSON.
    :raises RecursionError: where it is nested without end.
    """
    try:
        return json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:
        return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= _NUMBER_DIGITS else digits)


class _Pass:
    """One value on its way through the door.

    :param limit: how much it may be; None: however much.
    :param text_limit: how long a text may be.
    :param reserved: names that are not kept.
    :param shown: masks a single value.
    """

    def __init__(
        self,
        limit: int | None = None,
        *,
        text_limit: int = TEXT_CHARACTERS,
        reserved: Collection[str] = _RESERVED,
        shown: Callable[[Any], Any] | None = None,
    ) -> None:
        self._shown = shown or _as_it_is
        self._is_bounded = limit is not None
        self._text_limit = text_limit
        self._reserved = reserved
        self._left = limit or 0
        self.cut = 0
        self.missing = 0

    @property
    def loss(self) -> str:
        """What is not in the value, in words."""
        told = (f"{self.cut} long texts are cut",) if self.cut else ()
        return " and ".join((*told, *((f"{self.missing} values are left out",) if self.missing else ())))

    @property
    def is_over(self) -> bool:
        """Whether it is longer than it may be, or would be if nothing were left out."""
        return self._left < 0 or (self._left == 0 and self.missing > 0)

    @property
    def _is_full(self) -> bool:
        return self._is_bounded and self._left <= 0

    def of(self, value: Any, depth: int) -> Any:
        many = None if value is None or isinstance(value, str) else members(value)
        if many is None and not isinstance(value, Mapping):
            plain = _plain(value)
            return self._text(plain) if isinstance(plain, str) else self._shown(plain)
        if depth == 0 or self._is_full:
            self.missing += 1
            return _LEFT_OUT
        return self._mapping(value, depth) if many is None else self._list(list(many), depth)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        kept = _Names()
        for name, one in value.items():
            more = len(value) - len(kept)
            if self._is_full and not (more == 1 and _is_note(name, one)):
                self.missing += more
                kept[kept.free(_MORE)] = _more(more)
                break
            self._left -= _MEMBER_CHARACTERS
            kept[kept.free(self._name(name))] = self.of(one, depth - 1)
        return dict(kept)

    def _list(self, value: list[Any], depth: int) -> list[Any]:
        kept: list[Any] = []
        for one in value:
            more = len(value) - len(kept)
            if self._is_full:
                self.missing += more if more > 1 else 0
                kept.append(_more(more) if more > 1 else self.of(one, 0))
                break
            self._left -= _MEMBER_CHARACTERS
            kept.append(self.of(one, depth - 1))
        return kept

    def _name(self, name: Any) -> str:
        text = self._text(name if isinstance(name, str) else str(_plain(name)))
        return f"remote{text}" if text in self._reserved else text

    def _text(self, text: str) -> str:
        kept = storable(text)
        if self._is_bounded and len(kept) > self._text_limit:
            kept = cut(kept, shown=self._shown)
            self.cut += 1
        else:
            kept = self._shown(kept)
        self._left -= len(kept)
        return kept


class _Names(dict[str, Any]):
    """A dict that remembers which numbers it has given to names, lest each is searched for among thousands."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[str, int] = {}

    def free(self, name: str) -> str:
        """The name, or with a number where one that was another has become the same."""
        free = name
        while free in self:
            self._numbers[name] = self._numbers.get(name, 1) + 1
            free = f"{name} ({self._numbers[name]})"
        return free


def _is_note(name: Any, value: Any) -> bool:
    """Whether it is what we have put in the place of more."""
    return isinstance(name, str) and name.startswith(_MORE) and isinstance(value, str) and value.endswith(_more(0)[2:])


def _more(count: int) -> str:
    return f"({count} more left out)"


def _as_it_is(value: Any) -> Any:
    return value


def cut(text: str, limit: int = TEXT_CHARACTERS, shown: Callable[[str], str] = _as_it_is) -> str:
    """A text of so many characters at most, without its middle where it is longer.

    :param shown: masks a text. It sees what lies around the cuts, too, lest half of a secret is left there.
    """
    if len(text) <= limit:
        return shown(text)
    half = limit // 2 - 30  # with the words between them it stays below the limit
    begins, ends = shown(text[: 2 * half])[:half], shown(text[-2 * half :])[-half:]
    return f"{begins}\n... ({len(text) - 2 * half} characters left out) ...\n{ends}"


def _plain(value: Any) -> Any:
    """A single value as JSON has it; what JSON does not have is a text."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, int):
        return _whole(value)
    return bytes(value).decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else str(value)


def _number(number: float) -> float | str | None:
    """PostgreSQL gives a large one back as a whole number, which is then beyond 64 bits."""
    if not math.isfinite(number):
        return None
    return number if abs(number) < _INTEGER_LIMIT else str(number)


def _whole(number: int) -> int | str:
    if -_INTEGER_LIMIT <= number < _INTEGER_LIMIT:
        return int(number)
    digits = int(number.bit_length() * math.log10(2))
    return str(number) if digits < _NUMBER_DIGITS else f"(a number of about {digits} digits {_LEFT_OUT[1:]}"
