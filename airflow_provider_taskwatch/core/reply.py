"""What counts as a reply: HTTP/1 as RFC 9112 has it, read from bytes, whichever library receives them.

It is lenient where the meaning is clear (a missing reason phrase, bare line feeds, equal lengths said twice, bytes
after the end), so that no start is lost for a blemish, and strict where a second reading is possible (lengths that
differ, odd chunk sizes). A connection whose end of the reply is in doubt is not used again.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from .unpack import Damage, Unpacker, unpacker
from .wire import MAX_REPLY_BYTES, Reply

MAX_HEAD_BYTES = 72 * 1024
"""64 kB of headers, and a status line."""
MAX_INTERIM_REPLIES = 100
MAX_CHUNK_LINE_BYTES = 16 * 1024
MAX_FRAMING_BYTES = MAX_REPLY_BYTES // 2
"""All that stands between chunks: each costs time."""


class Flaw(Enum):
    """Why something that was received is no reply."""

    NOT_REPLIED = "it was closed without a reply"
    NOT_HTTP = "the reply is not HTTP, or its header is too long"
    NOT_WHOLE = "the reply was cut off"
    NOT_UNPACKED = "the reply does not unpack"
    SWITCHED = "the reply (101) switches to another protocol, which was not asked for"
    TOO_LONG = f"is longer than {MAX_REPLY_BYTES >> 20} MB; it is not read further"


class BrokenReplyError(Exception):
    """What was received is no reply. It repeats nothing of it, as that may hold a token.

    :param beginning: of a reply that is too long.
    """

    def __init__(self, flaw: Flaw, beginning: Reply | None = None) -> None:
        super().__init__(flaw.value)
        self.flaw = flaw
        self.beginning = beginning


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers.

    :param headers: names in lower case; different values of one name are joined by a comma, equal ones are one.
    """

    version: int
    status: int
    headers: Mapping[str, str]

    def tokens(self, name: str) -> list[str]:
        """The members of a header that is a list, in lower case."""
        value = self.headers.get(name)
        return [token for one in value.lower().split(",") if (token := one.strip())] if value else []

    @property
    def is_persistent(self) -> bool:
        """Whether the remote keeps the connection open, as far as it says."""
        tokens = self.tokens("connection")
        return "close" not in tokens if self.version else "keep-alive" in tokens


class ReplyReader:
    """Takes the bytes that follow one request, in pieces of any size, and reads past interim replies.

    :param clock: seconds since the epoch, for the stamp of the reply.
    :ivar reply: the reply, once it is whole.
    :ivar is_reusable: whether the next request may use the same connection; told when the reply is whole.
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
        """Take what has arrived.

        :raises BrokenReplyError: where it cannot become a reply any more.
        """
        if self.reply is not None:
            self.is_reusable = False
            return
        if self._message is None:
            data = self._read_heads(data)
        if self._message is not None:
            self._message.feed(data)
            self._settle(self._message)

    def end(self) -> None:
        """Learn that the remote has closed the connection.

        :raises BrokenReplyError: where the reply is not whole.
        """
        if self._message is None:
            raise BrokenReplyError(Flaw.NOT_WHOLE if self._seen else Flaw.NOT_REPLIED)
        if self.reply is None:
            self._message.end()
            self._settle(self._message)
        self.is_reusable = False

    def _settle(self, message: _Message) -> None:
        if message.is_over:
            self.reply = message.reply(self._clock())
            self.is_reusable = message.is_reusable

    def _read_heads(self, data: bytes) -> bytes:
        """What follows the final head; nothing while that is not whole."""
        seen = self._seen
        seen += data
        while end := self._end_of_head():
            head = read_head(bytes(seen[:end]))
            del seen[:end]
            if head.status >= 200:
                self._message = _Message(self._method, head)
                return bytes(seen)
            self._pass(head)
        if len(seen) > MAX_HEAD_BYTES or not _BEGINNING.startswith(bytes(seen[: len(_BEGINNING)])):
            raise BrokenReplyError(Flaw.NOT_HTTP)
        return b""

    def _end_of_head(self) -> int:
        seen = self._seen
        if seen.startswith((b"\r", b"\n")):  # RFC 9112 2.2: empty lines before a message are read past
            self._count_interim()
            seen[:] = seen.lstrip(b"\r\n")
            self._searched = 0
        found = _EMPTY_LINE.search(seen, self._searched)
        self._searched = 0 if found else max(0, len(seen) - 2)
        if found and found.end() > MAX_HEAD_BYTES:
            raise BrokenReplyError(Flaw.NOT_HTTP)
        return found.end() if found else 0

    def _pass(self, head: Head) -> None:
        """RFC 9110 15.2: interim replies are read past, whether or not they are known; 101 is final."""
        if head.status == 101:
            raise BrokenReplyError(Flaw.SWITCHED)
        self._count_interim()

    def _count_interim(self) -> None:
        self._interim += 1
        if self._interim > MAX_INTERIM_REPLIES:
            raise BrokenReplyError(Flaw.NOT_HTTP)


class _Message:
    """The final reply, from the end of its head on."""

    def __init__(self, method: str, head: Head) -> None:
        self._head = head
        self._body, self._is_persistent = _framed(method, head)
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
        """Take more of the body; what follows its end belongs to no request."""
        piece = self._body.feed(data)
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
        except Damage:
            raise BrokenReplyError(Flaw.NOT_UNPACKED) from None


_BEGINNING = b"HTTP/1."
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_STATUS_LINE = re.compile(r"HTTP/1\.(\d)[ \t]+([1-9]\d\d)(?:[ \t].*)?", re.ASCII | re.DOTALL)
_FOLD = re.compile(r"\n[ \t]+")


def read_head(raw: bytes) -> Head:
    """Status line and headers, up to the empty line.

    What RFC 9110 5.5 and RFC 9112 5.2 leave to the recipient: a NUL, a lone CR and a folded line become a blank.
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
    """Version and status: a remote has few status lines, and each poll brings one."""
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise BrokenReplyError(Flaw.NOT_HTTP)
    return int(found[1]), int(found[2])


def _text(raw: bytes) -> str:
    """Headers are ASCII; who puts more into them means UTF-8, or else latin-1."""
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
    """Where a body ends.

    :ivar may_end_here: whether the end of the connection would be the end of the body.
    :ivar has_surplus: whether bytes came after the end.
    """

    is_over: bool
    may_end_here: bool
    has_surplus: bool

    def feed(self, data: bytes) -> bytes:
        """What of ``data`` is content."""


def _framed(method: str, head: Head) -> tuple[_Body, bool]:
    """How the body is framed, and whether the connection may be used again after it (RFC 9112 6.3)."""
    codings = [one for one in head.tokens("transfer-encoding") if one != "identity"]
    length = head.headers.get("content-length")
    if method == "HEAD" or head.status in (204, 304):
        # A body that must not be there, and is read by nobody, may still come.
        return _Sized(0), head.is_persistent and head.status == 204 and not codings and length in (None, "0")
    if codings:
        if codings != ["chunked"]:
            raise BrokenReplyError(Flaw.NOT_HTTP)
        return _Chunked(), head.is_persistent and length is None and head.version > 0
    if length is None:
        return _Open(), False
    return _Sized(_length(length)), head.is_persistent


def _length(value: str) -> int:
    """RFC 9110 8.6: the same length may be said more than once."""
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
    """A body that ends with its connection."""

    may_end_here = True
    has_surplus = False

    def __init__(self) -> None:
        self.is_over = False

    def feed(self, data: bytes) -> bytes:
        return data


class _Chunked:
    """A body in chunks (RFC 9112 7.1), of which extensions and trailers mean nothing to us."""

    def __init__(self) -> None:
        self._seen = bytearray()
        self._left = 0
        self._is_after_chunk = False
        self._framing_bytes = 0
        self.is_over = False
        self.may_end_here = False  # once the last chunk has been seen, only trailers can be missing
        self.has_surplus = False

    def feed(self, data: bytes) -> bytes:
        self._seen += data
        pieces, at = [], 0
        while not self.is_over:
            if self._left:
                piece = self._seen[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                pieces.append(bytes(piece))
                if self._left:
                    break
                self._is_after_chunk = True
            end = self._seen.find(b"\n", at)
            if end < 0:
                break
            self._read_line(bytes(self._seen[at:end]).removesuffix(b"\r"))
            at = end + 1
        del self._seen[:at]
        self.has_surplus = self.is_over and bool(self._seen)
        self._check_line(len(self._seen))
        return b"".join(pieces)

    def _read_line(self, line: bytes) -> None:
        self._check_line(len(line))
        self._framing_bytes += len(line) + 2
        self._check(self._framing_bytes <= MAX_FRAMING_BYTES)
        if self.may_end_here:
            self.is_over = not line  # else it is a trailer
        elif self._is_after_chunk:
            self._is_after_chunk = False
            self._check(not line)
        else:
            found = _CHUNK_SIZE.fullmatch(line)
            self._left = int(found[1], 16) if found else -1
            self._check(self._left >= 0)
            self.may_end_here = not self._left

    def _check_line(self, length: int) -> None:
        self._check(self.is_over or bool(self._left) or length <= MAX_CHUNK_LINE_BYTES)

    def _check(self, is_right: bool) -> None:
        if not is_right:
            raise BrokenReplyError(Flaw.NOT_HTTP)


_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", re.DOTALL)
