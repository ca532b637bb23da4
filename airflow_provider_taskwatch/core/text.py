"""Makes a remote's values safe: one line for logs and errors, and JSON that Airflow and any database accept.

Every value of a remote passes through here, as one unsafe value in an event would end the triggerer with all its
triggers. Airflow's triggerer sends events as MessagePack, which has no integers above 64 bits. XComs and PostgreSQL
accept neither NUL nor half a surrogate pair. Airflow's deserializer reserves some names (3.3.2).
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
"""The length to which a string is cut if its value is too long."""
VALUE_CHARACTERS = 100_000
"""The total length of the strings of one value. Each member counts too."""
EVENTS_CHARACTERS = 1_000_000
"""The same for a value that contains events of a feed."""
VALUE_DEPTH = 20
WHOLE_DEPTH = 100
"""The same for a value without a limit of length."""

_MEMBER_CHARACTERS = 10
_INTEGER_LIMIT = 2**63
_NUMBER_DIGITS = 4000
"""Python refuses to read or write integers with more than 4,300 digits."""
_MORE = "..."
_LEFT_OUT = "(left out)"


def line(text: str, limit: int = LINE_CHARACTERS) -> str:
    """``text`` on one line, cut at ``limit``, without control characters for a terminal or a log."""
    return printable(" ".join(text[: limit * 4].split()))[:limit]


def shown_ref(ref: str) -> str:
    """A ref, or a path, for people: without its query, which may be signed."""
    bare, mark, query = ref.partition("?")
    stage = query.partition("#")[2]
    return ref if not mark else f"{bare}?..." + (f"#{stage}" if stage else "")


def place(url: str) -> str:
    """Host, port and path of a URL, for messages.

    The scheme is omitted, as Airflow masks the complete value of ``token_url`` for the ``token`` in its name. The query
    is omitted, as it may contain a secret.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return line(url, 200)
    host = parts.netloc.rpartition("@")[2]
    return line(f"{host}{parts.path.rstrip('/')}", 200)


def printable(text: str) -> str:
    """``text`` without invisible characters. Tabs and line breaks stay; other white space becomes a space."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isprintable() or character in "\t\n":
        return character
    return " " if character.isspace() else "\ufffd"


_RESERVED = frozenset({"__classname__", "__id__", "__var"})
"""Names by which Airflow's deserializer recognizes an object of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """A JSON value that fits into a database row and into a message to the database.

    :param loss: what was cut or omitted, such as ``2 long texts are cut``; empty if nothing was.
    """

    value: Any
    loss: str = ""


def bounded(value: Any, limit: int = VALUE_CHARACTERS, shown: Callable[[Any], Any] | None = None) -> Bounded:
    """A remote's value within ``limit`` characters and :data:`VALUE_DEPTH`, safe as of :func:`safe`.

    A value that fits stays whole. Otherwise long strings lose their middle, as beginning and end say most, and members
    beyond the limit are omitted.

    :param shown: masks a value. It is slow, so it is called only for what is kept: megabytes would block the event loop
        for seconds.
    """
    cleaner = _Cleaner(limit, text_limit=limit)
    kept = cleaner.of(value, VALUE_DEPTH)
    if cleaner.cut or cleaner.is_over:
        cleaner = _Cleaner(limit, text_limit=TEXT_CHARACTERS, shown=shown)
        kept = cleaner.of(value, VALUE_DEPTH)
    elif shown is not None:
        kept = shown(kept)
    return Bounded(value=kept, loss=cleaner.loss)


def shortened(value: Any) -> Any:
    """The value of :func:`bounded`."""
    return bounded(value).value


def safe(value: Any) -> Any:
    """A remote's value as JSON that Airflow's encoders and any database accept, of any length, to :data:`WHOLE_DEPTH`.

    Strings contain neither NUL nor half a surrogate pair. A number above 64 bits becomes a string, NaN and infinity
    become None. Names that Airflow reserves get the prefix ``remote``. Names that become equal get a number.
    """
    return _Cleaner().of(value, WHOLE_DEPTH)


def stored(value: Any) -> Any:
    """The same for an inbox. Reserved names stay, as users match events by the remote's names."""
    return _Cleaner(reserved=frozenset()).of(value, WHOLE_DEPTH)


def storable(text: str) -> str:
    """``text`` without NUL, which PostgreSQL refuses, and without half surrogate pairs, which cannot be encoded."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isprintable() else text.encode("utf-8", "replace").decode()


def distinct(text: str, limit: int = LINE_CHARACTERS) -> str:
    """An id of a remote as one line. If that changes the id, a hash of it is added, so that ids stay different.

    ``limit`` keeps it short enough for an index of PostgreSQL.
    """
    kept = line(text, limit)
    if kept == text:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{kept[: limit - len(digest) - 1]} {digest}"


def read_json(text: str | bytes) -> Any:
    """A remote's JSON. An integer with thousands of digits, which Python refuses to read, becomes a string.

    :raises ValueError: ``text`` is not JSON.
    :raises RecursionError: ``text`` is nested too deeply.
    """
    try:
        return json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:
        return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= _NUMBER_DIGITS else digits)


class _Cleaner:
    """Makes one value safe, and counts what it omits.

    :param limit: total characters; None: no limit.
    :param text_limit: characters of one string.
    :param reserved: names that get a prefix.
    :param shown: masks a string or a number.
    """

    def __init__(
        self,
        limit: int | None = None,
        *,
        text_limit: int = TEXT_CHARACTERS,
        reserved: Collection[str] = _RESERVED,
        shown: Callable[[Any], Any] | None = None,
    ) -> None:
        self._shown = shown or _unchanged
        self._is_bounded = limit is not None
        self._text_limit = text_limit
        self._reserved = reserved
        self._left = limit or 0
        self.cut = 0
        self.missing = 0

    @property
    def loss(self) -> str:
        """What was cut or omitted, as a sentence."""
        cut = (f"{self.cut} long texts are cut",) if self.cut else ()
        return " and ".join((*cut, *((f"{self.missing} values are left out",) if self.missing else ())))

    @property
    def is_over(self) -> bool:
        """Whether the value is longer than the limit, counting what was omitted."""
        return self._left < 0 or (self._left == 0 and self.missing > 0)

    @property
    def _is_full(self) -> bool:
        return self._is_bounded and self._left <= 0

    def of(self, value: Any, depth: int) -> Any:
        held = None if value is None or isinstance(value, str) else members(value)
        if held is None and not isinstance(value, Mapping):
            plain = _plain(value)
            return self._text(plain) if isinstance(plain, str) else self._shown(plain)
        if depth == 0 or self._is_full:
            self.missing += 1
            return _LEFT_OUT
        return self._mapping(value, depth) if held is None else self._list(list(held), depth)

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
    """A dict that remembers the numbers of equal names, so that thousands of them stay fast."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[str, int] = {}

    def free(self, name: str) -> str:
        """The name, or the name with a number if it is taken."""
        free = name
        while free in self:
            self._numbers[name] = self._numbers.get(name, 1) + 1
            free = f"{name} ({self._numbers[name]})"
        return free


def _is_note(name: Any, value: Any) -> bool:
    """Whether a member is the note that :meth:`_Cleaner._mapping` puts in the place of omitted members."""
    return isinstance(name, str) and name.startswith(_MORE) and isinstance(value, str) and value.endswith(_more(0)[2:])


def _more(count: int) -> str:
    return f"({count} more left out)"


def _unchanged(value: Any) -> Any:
    return value


def cut(text: str, limit: int = TEXT_CHARACTERS, shown: Callable[[str], str] = _unchanged) -> str:
    """A text of at most ``limit`` characters. A longer one loses its middle.

    :param shown: masks a text. It also gets the characters around the cuts, so that no half of a secret stays there.
    """
    if len(text) <= limit:
        return shown(text)
    half = limit // 2 - 30  # leaves room for the note between them
    start, end = shown(text[: 2 * half])[:half], shown(text[-2 * half :])[-half:]
    return f"{start}\n... ({len(text) - 2 * half} characters left out) ...\n{end}"


def _plain(value: Any) -> Any:
    """A single value in JSON. A value that JSON does not have becomes a string."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, int):
        return _whole(value)
    return bytes(value).decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else str(value)


def _number(number: float) -> float | str | None:
    """A large float becomes a string: PostgreSQL returns it as an integer, which is then above 64 bits."""
    if not math.isfinite(number):
        return None
    return number if abs(number) < _INTEGER_LIMIT else str(number)


def _whole(number: int) -> int | str:
    if -_INTEGER_LIMIT <= number < _INTEGER_LIMIT:
        return int(number)
    digits = int(number.bit_length() * math.log10(2))
    return str(number) if digits < _NUMBER_DIGITS else f"(a number of about {digits} digits {_LEFT_OUT[1:]}"
