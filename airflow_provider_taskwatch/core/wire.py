"""What goes over the wire, as values: a call, its reply and a pause; and the one form of a path and a query.

A path and a query are sent in the normal form of RFC 3986 (6.2.2), so that both drivers send what was signed. Each
character that may not stand there is encoded once, as UTF-8. Unreserved characters are not encoded. Hexadecimal digits
are in upper case. A path with two possible meanings is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote

from .decoding import decoded, in_utf8
from .error import ConfigurationError, ReplyError
from .mask import NO_MASK, Mask
from .plain import members, plain
from .text import line, shown_ref

MAX_REPLY_BYTES = 8 * 1024 * 1024
MAX_JSON_MARKS = 500_000
"""Commas and opening brackets in a JSON text. Each may cost a hundred bytes of memory."""
SMALL_BYTES = 65536
SHOWN_CHARACTERS = 200

QueryValue = str | int | float | bool | None
Query = Mapping[str, QueryValue | Iterable[QueryValue]]
"""None is left out, as the value of a name or as one of several values."""


_READING = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to a remote.

    :param path: starts with ``/``, relative to the connection's base URL. It may have a query. Encoded characters stay
        encoded; others are encoded where necessary.
    :param query: pairs in order, not encoded. A name may occur more than once.
    :param headers: without credentials, which the driver adds.
    :param quota: the rate limit of the remote that the call counts against, if the remote has more than one. A 429 for
        one quota does not delay the others.
    :param is_consuming: whether the remote deletes what it returns, although the method is one that reads.
    :param is_replayable: whether a repeat has no further effect: it reads, or it carries a key. None: by the method.
    :param origin: scheme and host of another host, which a profile allows; sent without credentials. Empty: the
        connection's own.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    quota: str = ""
    is_consuming: bool = False
    is_replayable: bool | None = None
    origin: str = ""

    def __repr__(self) -> str:
        """Without headers, body and query, each of which may hold a secret."""
        return f"Call({self.method} {self.origin}{self.shown_path})"

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice has the same effect as sending it once."""
        has_no_effect = self.method in _READING if self.is_replayable is None else self.is_replayable
        return has_no_effect and not self.is_consuming

    @property
    def shown_path(self) -> str:
        """The path for messages. A query in it may be signed."""
        return shown_ref(self.path)

    @property
    def target(self) -> str:
        """Path and query, as signed and sent.

        :raises ConfigurationError: they have more than one meaning.
        """
        return canonical_target(self.path, self.query)

    def with_header(self, name: str, value: str) -> Call:
        """A copy with one more header. Built by hand: ``replace`` takes three times as long, on each poll."""
        return Call(
            method=self.method,
            path=self.path,
            query=self.query,
            headers={**self.headers, name: value},
            body=self.body,
            quota=self.quota,
            is_consuming=self.is_consuming,
            is_replayable=self.is_replayable,
            origin=self.origin,
        )

    def json(self) -> object:
        """The body as JSON.

        :raises ValueError: the body is not JSON.
        """
        return json.loads(self.body or b"")

    def form(self) -> dict[str, str]:
        """The body as form fields."""
        return dict(parse_qsl((self.body or b"").decode(), keep_blank_values=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of a remote.

    :param headers: names in lower case.
    :param body: at most :data:`MAX_REPLY_BYTES`; drivers refuse more. It may hold a token, so no repr shows it.
    :param mask: the secrets that texts made of the reply must not show.
    :param place: host and base path of the remote, for messages.
    :param doubt: why the base path may be wrong; empty if it is the usual one.
    :param access: what to check if the credentials are refused; empty if another error says it.
    :param received_at: seconds since the epoch by our clock; None if no driver has stamped it.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    mask: Mask = field(default=NO_MASK, repr=False, compare=False)
    place: str = field(default="", compare=False)
    doubt: str = field(default="", repr=False, compare=False)
    access: str = field(default="", repr=False, compare=False)
    received_at: float | None = field(default=None, repr=False, compare=False)

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON.

        :raises ValueError: the body is not JSON, or has too many values.
        :raises RecursionError: the body is nested too deeply.
        """
        if not self.is_small and sum(map(self.body.count, (b",", b"[", b"{"))) > MAX_JSON_MARKS:
            raise ValueError(f"more than {MAX_JSON_MARKS} values")
        try:
            return self._read_json()
        except ValueError as error:
            problem = str(error)
        raise ValueError(problem)  # the original error holds the body, which may hold a token

    def _read_json(self) -> Any:
        """JSON is UTF-8 (RFC 8259), even if a server names another character set for all its replies."""
        try:
            return json.loads(self.body)
        except UnicodeDecodeError:
            return json.loads(decoded(self.body, self.headers.get("content-type", "")))

    @property
    def is_small(self) -> bool:
        """Whether reading the body costs little, whatever it holds."""
        return len(self.body) <= SMALL_BYTES

    def text(self, limit: int = SHOWN_CHARACTERS) -> str:
        """The first characters of the body, masked and on one line, for messages."""
        body = in_utf8(self.body, self.headers.get("content-type", ""))
        return line(self.mask.head(body, limit * 4), limit)

    @property
    def is_page(self) -> bool:
        """Whether it is a web page, perhaps from a firewall or another host."""
        return "html" in self.headers.get("content-type", "").lower() or self.body[:64].lstrip()[:1] == b"<"


class LengthError(ReplyError):
    """A reply is longer than :data:`MAX_REPLY_BYTES`.

    :param beginning: the reply. Its body ends where reading stopped.
    """

    def __init__(self, message: str, beginning: Reply) -> None:
        super().__init__(message)
        self.beginning = beginning


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Wait before the next step.

    :param spread: share of the pause that the driver may add at random, so that waits do not move together.
    :param warning: a sentence for the log: what failed, and how long it is retried; empty if nothing failed.
    """

    seconds: float
    spread: float = 0.0
    warning: str = field(default="", compare=False)


def get(path: str, query: Query | None = None, headers: Mapping[str, str] | None = None) -> Call:
    """A call that reads."""
    return Call(method="GET", path=path, query=pairs(query or {}), headers=headers or {})


def send(
    method: str,
    path: str,
    content: object = None,
    headers: Mapping[str, str] | None = None,
    query: Query | None = None,
) -> Call:
    """A call that changes something, with ``content`` as JSON (no body if it is None)."""
    kind = {} if content is None else {"Content-Type": "application/json"}
    return Call(
        method=method,
        path=path,
        query=pairs(query or {}),
        headers={**kind, **(headers or {})},
        body=None if content is None else json.dumps(plain("the JSON body", content)).encode(),
    )


def pairs(query: Query) -> tuple[tuple[str, str], ...]:
    """Query pairs: booleans in lower case, one pair per member of a sequence, none for None.

    :raises ConfigurationError: a value cannot stand in a query.
    """
    return tuple(
        (name, str(item).lower() if isinstance(item, bool) else str(item))
        for name, value in query.items()
        for item in _query_values(name, value)
        if item is not None
    )


def _query_values(name: str, value: QueryValue | Iterable[QueryValue]) -> Iterable[QueryValue]:
    if isinstance(value, (str, int)):
        return (value,)
    several = list(value) if isinstance(value, Iterator) else members(value)
    kept = plain("the query", {name: [value] if several is None else several})[name]
    if any(isinstance(item, (list, dict)) for item in kept):
        raise ConfigurationError(f"the query value {name!r} is nested; give a text, a number, true, false, or a list")
    return list(kept)


def is_sendable(secret: str) -> bool:
    """Whether a token can stand in a header: ASCII, without blanks or control characters."""
    return bool(secret) and all("!" <= one <= "~" for one in secret)


def segment(value: str) -> str:
    """One path segment, percent-encoded. ``.`` and ``..`` are refused, as encoding does not change their meaning."""
    if value in (".", ".."):
        raise ConfigurationError(f"{value!r} cannot be a part of a path")
    return quoted(value)


def quoted(text: str, safe: str = "") -> str:
    """A text in ASCII, with every character percent-encoded that is neither unreserved nor in ``safe``."""
    if _UNRESERVED_TEXT.fullmatch(text):
        return text
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError:
        raise ConfigurationError(f"{text[:200]!r} contains half a surrogate pair") from None


def canonical_target(path: str, pairs: Iterable[tuple[str, str]] = ()) -> str:
    """Path and query in normal form. The path may have a query of its own, which comes first."""
    if not pairs and _PLAIN_PATH.fullmatch(path):
        return path
    if "#" in path:
        raise ConfigurationError(
            f"the path {path[:200]!r} contains '#', which begins a part that is never sent; write %23"
        )
    bare, _, given = path.partition("?")
    query = canonical_query(given, pairs)
    return f"{canonical_path(bare)}?{query}" if query else canonical_path(bare)


def canonical_path(path: str) -> str:
    """A path in normal form. Empty segments stay. ``.`` and ``..`` are refused, as a server might follow them."""
    if _PLAIN_PATH.fullmatch(path):
        return path
    normal = _canonical(path, _IN_PATH, "path")
    if dots := next((one for one in normal.split("/") if one in (".", "..")), None):
        raise ConfigurationError(
            f"the path {path[:200]!r} must not contain the segment {dots!r}: it would lead to another path"
        )
    return normal


def canonical_query(given: str, pairs: Iterable[tuple[str, str]] = ()) -> str:
    """One query in normal form.

    :param given: a query that is already encoded.
    :param pairs: names and values that are not encoded; they follow.
    """
    parts = [_canonical(given, _IN_QUERY, "query")] if given else []
    return "&".join([*parts, *(f"{quoted(name)}={quoted(value)}" for name, value in pairs)])


_PLAIN_PATH = re.compile(r"(?!.*/\.{1,2}(?:/|\Z))[A-Za-z0-9\-._~!$&'()*+,;=:@/]*")
_UNRESERVED = "-._~"
_UNRESERVED_TEXT = re.compile(r"[A-Za-z0-9\-._~]*")
_IN_PATH = _UNRESERVED + "!$&'()*+,;=:@/"
_IN_QUERY = _IN_PATH + "?"
_PIECE = re.compile("%(?:([0-9A-Fa-f]{2})|)|[^%]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _canonical(text: str, safe: str, part: str) -> str:
    if _CONTROL.search(text):
        raise ConfigurationError(f"the {part} {text[:200]!r} contains a control character; encode or remove it")
    return "".join(_normal(found, safe, text, part) for found in _PIECE.finditer(text))


def _normal(found: re.Match[str], safe: str, text: str, part: str) -> str:
    if not found[0].startswith("%"):
        return quoted(found[0], safe)
    if found[1] is None:
        raise ConfigurationError(f"the {part} {text[:200]!r} contains '%' without two hexadecimal digits; write %25")
    character = chr(int(found[1], 16))
    is_unreserved = character.isascii() and (character.isalnum() or character in _UNRESERVED)
    return character if is_unreserved else found[0].upper()
