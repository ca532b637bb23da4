"""What goes over the wire, as values: a call, its reply, and a pause."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from .charset import decoded, in_utf8
from .error import ConfigurationError
from .mask import NO_MASK, Mask
from .plain import members, plain
from .text import line
from .url import canonical_target, quoted

MAX_REPLY_BYTES = 8 * 1024 * 1024
MAX_JSON_MARKS = 500_000
"""Commas and opening brackets in a JSON text: each may stand for a hundred bytes of memory."""
SMALL_BYTES = 65536
SHOWN_CHARACTERS = 200

Plain = str | int | float | bool | None
Query = Mapping[str, Plain | Iterable[Plain]]
"""What is None is left out, as a whole or as one of several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to a remote.

    :param path: starts with ``/``, relative to the connection's base URL; it may have a query of its own. What is
        encoded stays so, what must be is.
    :param query: pairs in order, not encoded; a name may occur more than once.
    :param headers: without credentials; those are added by whoever sends the call, and no repr shows them.
    :param quota: which limit of the remote it counts against, where there is more than that of the connection; what is
        said of one limit (a 429) holds nothing else back.
    :param is_consuming: whether the remote deletes what it answers with, although the method says that it reads.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = None
    quota: str = ""
    is_consuming: bool = False

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice does what sending it once does."""
        return self.method in ("GET", "HEAD", "OPTIONS") and not self.is_consuming

    @property
    def target(self) -> str:
        """Path and query, as signed and sent.

        :raises ConfigurationError: where they have no single meaning.
        """
        return canonical_target(self.path, self.query)

    def with_header(self, name: str, value: str) -> Call:
        """The same with one more header; made by hand, as ``replace`` takes three times as long, for each poll."""
        return Call(
            method=self.method,
            path=self.path,
            query=self.query,
            headers={**self.headers, name: value},
            body=self.body,
            quota=self.quota,
            is_consuming=self.is_consuming,
        )

    def json(self) -> object:
        """The body as JSON; ``ValueError`` where it is none."""
        return json.loads(self.body or b"")

    def form(self) -> dict[str, str]:
        """The body as form fields."""
        return dict(parse_qsl((self.body or b"").decode(), keep_blank_values=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of a remote.

    :param headers: names in lower case.
    :param body: at most :data:`MAX_REPLY_BYTES`; drivers refuse more. It may hold a token, so no repr shows it.
    :param mask: what texts made of it must not show.
    :param place: host and base path that were asked, for messages.
    :param doubt: why the base path may be a wrong one; empty where it is as usual.
    :param access: what to check where the credentials are refused; empty where that is told elsewhere.
    :param received_at: seconds since the epoch by our clock; None where no driver has stamped it.
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
        """The body as JSON; ``ValueError`` where it is none, ``RecursionError`` where it is nested without end."""
        if not self.is_small and sum(map(self.body.count, (b",", b"[", b"{"))) > MAX_JSON_MARKS:
            raise ValueError(f"more than {MAX_JSON_MARKS} values")
        try:
            return self._read_json()
        except ValueError as error:
            problem = str(error)
        raise ValueError(problem)  # the original error holds the body, with all that is in it

    def _read_json(self) -> Any:
        """JSON is UTF-8 (RFC 8259), also where a server names another encoding for all that it sends."""
        try:
            return json.loads(self.body)
        except UnicodeDecodeError:
            return json.loads(decoded(self.body, self.headers.get("content-type", "")))

    @property
    def is_small(self) -> bool:
        """Whether to read it costs next to nothing, whatever is in it."""
        return len(self.body) <= SMALL_BYTES

    def text(self, limit: int = SHOWN_CHARACTERS) -> str:
        """The first characters of the body, on one line, for messages."""
        body = in_utf8(self.body, self.headers.get("content-type", ""))
        return line(self.mask.head(body, limit * 4), limit)

    @property
    def is_page(self) -> bool:
        """Whether it is a web page, from a firewall or another host perhaps."""
        return "html" in self.headers.get("content-type", "").lower() or self.body[:64].lstrip()[:1] == b"<"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Wait before the next step.

    :param spread: share of the pause that the driver may add at random, so that many do not move together.
    :param trouble: what has failed, is tried again then, and for how long, in words for people; empty for no failure.
    """

    seconds: float
    spread: float = 0.0
    trouble: str = field(default="", compare=False)


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
    """A call that changes something, with ``content`` as JSON (no body where it is None)."""
    kind = {} if content is None else {"Content-Type": "application/json"}
    return Call(
        method=method,
        path=path,
        query=pairs(query or {}),
        headers={**kind, **(headers or {})},
        body=None if content is None else json.dumps(plain("the JSON body", content)).encode(),
    )


def pairs(query: Query) -> tuple[tuple[str, str], ...]:
    """Query pairs: booleans in lower case, a sequence once per item, nothing for None.

    :raises ConfigurationError: names what cannot stand in a query.
    """
    return tuple(
        (name, _text(item)) for name, value in query.items() for item in _items(name, value) if item is not None
    )


def segment(value: str) -> str:
    """One path segment, percent-encoded so that it stays one; dots cannot be encoded so that they do."""
    if value in (".", ".."):
        raise ConfigurationError(f"{value!r} cannot be a part of a path")
    return quoted(value)


def is_sendable(secret: str) -> bool:
    """Whether a token can stand in a header: ASCII, without blanks or control characters."""
    return bool(secret) and all("!" <= one <= "~" for one in secret)


def _items(name: str, value: Plain | Iterable[Plain]) -> Iterable[Plain]:
    if isinstance(value, (str, int)):
        return (value,)
    several = list(value) if isinstance(value, Iterator) else members(value)
    kept = plain("the query", {name: [value] if several is None else several})[name]
    if any(isinstance(item, (list, dict)) for item in kept):
        raise ConfigurationError(f"the query value {name!r} is nested; give a text, a number, true, false, or a list")
    return list(kept)


def _text(item: Plain) -> str:
    return str(item).lower() if isinstance(item, bool) else str(item)
