"""What counts as a reply: HTTP/1 (RFC 9112), read from bytes. Both drivers read replies with it.

It accepts deviations whose meaning is clear (a missing reason phrase, bare line feeds, a length that is given twice,
bytes after the end), so that a start is not lost for them. It refuses what can be read in two ways (lengths that
differ, malformed chunk sizes). A connection is used again only if the end of the reply is certain.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from .decoding import ChunkedBody, DecodingError, Unpacker, unpacker
from .wire import MAX_REPLY_BYTES, Reply

MAX_HEAD_BYTES = 72 * 1024
"""64 kB of headers, and a status line."""
MAX_INTERIM_REPLIES = 100


class Flaw(Enum):
    """Why received bytes are not a reply."""

    NOT_REPLIED = "it was closed without a reply"
    NOT_HTTP = "the reply is not HTTP, or its header is too long"
    NOT_WHOLE = "the reply was cut off"
    NOT_UNPACKED = "the reply does not unpack"
    SWITCHED = "the reply (101) switches to another protocol, which was not asked for"
    TOO_LONG = f"is longer than {MAX_REPLY_BYTES >> 20} MB; it is not read further"


class BrokenReplyError(Exception):
    """The received bytes are not a reply. The message holds none of them, as they may contain a token.

    :param beginning: the beginning of a reply that is too long.
    """

    def __init__(self, flaw: Flaw, beginning: Reply | None = None) -> None:
        super().__init__(flaw.value)
        self.flaw = flaw
        self.beginning = beginning


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers.

    :param headers: names in lower case. Different values of one name are joined by a comma, equal ones are given once.
    """

    version: int
    status: int
    headers: Mapping[str, str]

    def tokens(self, name: str) -> list[str]:
        """The members of a list header, in lower case."""
        value = self.headers.get(name)
        return [token for one in value.lower().split(",") if (token := one.strip())] if value else []

    @property
    def is_persistent(self) -> bool:
        """Whether the remote says that it keeps the connection open."""
        tokens = self.tokens("connection")
        return "close" not in tokens if self.version else "keep-alive" in tokens


class ReplyReader:
    """Reads the reply to one request from bytes, in pieces of any size. It skips interim replies.

    :param clock: seconds since the epoch, for :attr:`~.wire.Reply.received_at`.
    :ivar reply: the reply; None until it is whole.
    :ivar is_reusable: whether the next request may use the same connection. False until the reply is whole.
    """

    def __init__(self, method: str, clock: Callable[[], float]) -> None:
        self._method = method
        self._clock = clock
        self._seen = bytearray()
        self._searched = 0
        self._interim = 0
        self._message: _Message | None = None
        self.reply: Reply | None = None
        self.is_reusable = False

    def feed(self, data: bytes) -> None:
        """Take the bytes that have arrived.

        :raises BrokenReplyError: they cannot become a reply.
        """
        if self.reply is not None:
            self.is_reusable = False
            return
        if self._message is None:
            data = self._read_heads(data)
        if self._message is not None:
            self._message.feed(data)
            self._finish(self._message)

    def end(self) -> None:
        """The remote has closed the connection.

        :raises BrokenReplyError: the reply is not whole.
        """
        if self._message is None:
            raise BrokenReplyError(Flaw.NOT_WHOLE if self._seen else Flaw.NOT_REPLIED)
        if self.reply is None:
            self._message.end()
            self._finish(self._message)
        self.is_reusable = False

    def _finish(self, message: _Message) -> None:
        if message.is_over:
            self.reply = message.reply(self._clock())
            self.is_reusable = message.is_reusable

    def _read_heads(self, data: bytes) -> bytes:
        """The bytes after the final head; empty until that is whole."""
        seen = self._seen
        seen += data
        while end := self._end_of_head():
            head = read_head(bytes(seen[:end]))
            del seen[:end]
            if head.status >= 200:
                self._message = _Message(self._method, head)
                return bytes(seen)
            if head.status == 101:
                raise BrokenReplyError(Flaw.SWITCHED)
            self._count_interim()  # RFC 9110 15.2: interim replies are skipped, known or not
        if len(seen) > MAX_HEAD_BYTES or not _BEGINNING.startswith(bytes(seen[: len(_BEGINNING)])):
            raise BrokenReplyError(Flaw.NOT_HTTP)
        return b""

    def _end_of_head(self) -> int:
        seen = self._seen
        if seen.startswith((b"\r", b"\n")):  # RFC 9112 2.2: empty lines before a message are skipped
            self._count_interim()
            seen[:] = seen.lstrip(b"\r\n")
            self._searched = 0
        found = _EMPTY_LINE.search(seen, self._searched)
        self._searched = 0 if found else max(0, len(seen) - 2)
        if found and found.end() > MAX_HEAD_BYTES:
            raise BrokenReplyError(Flaw.NOT_HTTP)
        return found.end() if found else 0

    def _count_interim(self) -> None:
        self._interim += 1
        if self._interim > MAX_INTERIM_REPLIES:
            raise BrokenReplyError(Flaw.NOT_HTTP)


class _Message:
    """The final reply, after its head."""

    def __init__(self, method: str, head: Head) -> None:
        self._head = head
        self._body, self._is_persistent = _body_of(method, head)
        is_packed = "content-encoding" in head.headers and not self._body.is_over
        self._unpacker = unpacker(head.tokens("content-encoding")) if is_packed else None
        self._content = bytearray()
        self._received = 0

    @property
    def is_over(self) -> bool:
        return self._body.is_over

    @property
    def is_reusable(self) -> bool:
        return self._is_persistent and not self._body.has_surplus

    def feed(self, data: bytes) -> None:
        """Take more of the body. Bytes after its end belong to no request."""
        try:
            piece = self._body.feed(data)
        except DecodingError:
            raise BrokenReplyError(Flaw.NOT_HTTP) from None
        self._received += len(piece)
        self._content += piece if self._unpacker is None else self._unpack(self._unpacker, piece)
        if max(len(self._content), self._received) > MAX_REPLY_BYTES:
            del self._content[MAX_REPLY_BYTES:]
            raise BrokenReplyError(Flaw.TOO_LONG, self._made(None))

    def end(self) -> None:
        if not self._body.may_end_here:
            raise BrokenReplyError(Flaw.NOT_WHOLE)
        self._body.is_over = True

    def reply(self, received_at: float) -> Reply:
        if self._unpacker is not None and not self._unpacker.is_whole:
            raise BrokenReplyError(Flaw.NOT_UNPACKED)
        return self._made(received_at)

    def _made(self, received_at: float | None) -> Reply:
        head = self._head
        return Reply(status=head.status, headers=head.headers, body=bytes(self._content), received_at=received_at)

    def _unpack(self, unpacker: Unpacker, piece: bytes) -> bytes:
        try:
            return unpacker.feed(piece, MAX_REPLY_BYTES - len(self._content) + 1)
        except DecodingError:
            raise BrokenReplyError(Flaw.NOT_UNPACKED) from None


_BEGINNING = b"HTTP/1."
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_STATUS_LINE = re.compile(r"HTTP/1\.(\d)[ \t]+([1-9]\d\d)(?:[ \t].*)?", re.ASCII | re.DOTALL)
_FOLD = re.compile(r"\n[ \t]+")


def read_head(raw: bytes) -> Head:
    """Status line and headers, up to the empty line.

    A NUL, a lone CR and the break of a folded line become a blank: RFC 9110 5.5 and RFC 9112 5.2 allow it.
    """
    first, _, rest = _text(raw).replace("\r\n", "\n").partition("\n")
    version, status = _status(first)
    if rest.startswith((" ", "\t")):
        raise BrokenReplyError(Flaw.NOT_HTTP)
    if "\0" in rest or "\r" in rest:
        rest = rest.replace("\0", " ").replace("\r", " ")
    if "\n " in rest or "\n\t" in rest:
        rest = _FOLD.sub(" ", rest)
    return Head(version, status, _headers(rest.rstrip("\n")))


@functools.lru_cache(maxsize=64)
def _status(line: str) -> tuple[int, int]:
    """Version and status. Cached, as a remote has few status lines and each poll brings one."""
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise BrokenReplyError(Flaw.NOT_HTTP)
    return int(found[1]), int(found[2])


def _text(raw: bytes) -> str:
    """Headers are ASCII. Some servers send UTF-8 or latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _headers(text: str) -> Mapping[str, str]:
    lines = _LINE.findall(text)
    if len(lines) != (text.count("\n") + 1 if text else 0):
        raise BrokenReplyError(Flaw.NOT_HTTP)
    headers = {name.lower(): value.rstrip(" \t") for name, value in lines}
    return headers if len(headers) == len(lines) else _joined(lines)


def _joined(lines: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    values: dict[str, list[str]] = {}
    for name, value in lines:
        values.setdefault(name.lower(), []).append(value.rstrip(" \t"))
    return {name: ", ".join(dict.fromkeys(several)) for name, several in values.items()}


_LINE = re.compile(r"^([!-9;-~]+):[ \t]*(.*)", re.MULTILINE)


class _Body(Protocol):
    """Finds the end of a body.

    :ivar may_end_here: whether the end of the connection would be the end of the body.
    :ivar has_surplus: whether bytes followed the end.
    """

    is_over: bool
    may_end_here: bool
    has_surplus: bool

    def feed(self, data: bytes) -> bytes:
        """The content in ``data``."""


def _body_of(method: str, head: Head) -> tuple[_Body, bool]:
    """The framing of the body, and whether the connection may be used again after it (RFC 9112 6.3)."""
    codings = [one for one in head.tokens("transfer-encoding") if one != "identity"]
    length = head.headers.get("content-length")
    if method == "HEAD" or head.status in (204, 304):
        # Some servers send a body here although the standard forbids it. It is not read.
        return _Sized(0), head.is_persistent and head.status == 204 and not codings and length in (None, "0")
    if codings:
        if codings != ["chunked"]:
            raise BrokenReplyError(Flaw.NOT_HTTP)
        return ChunkedBody(), head.is_persistent and length is None and head.version > 0
    if length is None:
        return _Open(), False
    return _Sized(_length(length)), head.is_persistent


def _length(value: str) -> int:
    """RFC 9110 8.6: the same length may be given more than once."""
    if _DIGITS.fullmatch(value):
        return int(value)
    lengths = {one.strip(" \t").lstrip("0") or "0" for one in value.split(",")}
    if not all(_DIGITS.fullmatch(one.strip(" \t")) for one in value.split(",")) or len(lengths) != 1:
        raise BrokenReplyError(Flaw.NOT_HTTP)
    return int(lengths.pop())


_DIGITS = re.compile(r"[0-9]{1,30}")


class _Sized:
    """A body of a known length."""

    may_end_here = False

    def __init__(self, length: int) -> None:
        self._left = length
        self.is_over = not length
        self.has_surplus = False

    def feed(self, data: bytes) -> bytes:
        piece = data[: self._left]
        self._left -= len(piece)
        self.is_over = not self._left
        self.has_surplus = len(data) > len(piece)
        return piece


class _Open:
    """A body that ends when the connection does."""

    may_end_here = True
    has_surplus = False

    def __init__(self) -> None:
        self.is_over = False

    def feed(self, data: bytes) -> bytes:
        return data
