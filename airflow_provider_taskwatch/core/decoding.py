"""Decodes a body: chunks (``Transfer-Encoding``), packing (``Content-Encoding``) and character sets. Bounded memory."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Sequence
from email.message import Message

ACCEPTED_ENCODINGS = "gzip, deflate"
"""Both drivers ask for these. Others need more than the standard library, which not every machine has."""
MAX_ENCODINGS = 3
MAX_CHUNK_LINE_BYTES = 16 * 1024
MAX_FRAMING_BYTES = 4 * 1024 * 1024
"""All bytes between the chunks of one body. Each line costs time."""


class DecodingError(Exception):
    """The content is not encoded as its header says."""


class ChunkedBody:
    """A body in chunks (RFC 9112 7.1). Extensions and trailers are ignored.

    :ivar may_end_here: whether the end of the connection would be the end of the body. True after the last chunk, as
        only trailers can be missing then.
    :ivar has_surplus: whether bytes followed the end.
    """

    def __init__(self) -> None:
        self._seen = bytearray()
        self._left = 0
        self._is_after_chunk = False
        self._framing_bytes = 0
        self.is_over = False
        self.may_end_here = False
        self.has_surplus = False

    def feed(self, data: bytes) -> bytes:
        """The content in ``data``.

        :raises DecodingError: the framing is malformed or too long.
        """
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
        _check(self._framing_bytes <= MAX_FRAMING_BYTES)
        if self.may_end_here:
            self.is_over = not line  # else it is a trailer
        elif self._is_after_chunk:
            self._is_after_chunk = False
            _check(not line)
        else:
            found = _CHUNK_SIZE.fullmatch(line)
            self._left = int(found[1], 16) if found else -1
            _check(self._left >= 0)
            self.may_end_here = not self._left

    def _check_line(self, length: int) -> None:
        _check(self.is_over or bool(self._left) or length <= MAX_CHUNK_LINE_BYTES)


_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", re.DOTALL)


def _check(is_valid: bool) -> None:
    if not is_valid:
        raise DecodingError


class Unpacker:
    """Undoes content encodings.

    :param encodings: in the order of the header, which is the order in which they were applied.
    """

    def __init__(self, encodings: Sequence[str]) -> None:
        self._layers = [_Gzip() if one in _GZIP_NAMES else _Deflate() for one in reversed(encodings)]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing. An empty body counts as not packed."""
        return all(layer.is_whole for layer in self._layers)

    def feed(self, data: bytes, limit: int) -> bytes:
        """The content of a piece. No layer produces more than ``limit`` bytes.

        :raises DecodingError: it cannot be unpacked.
        """
        try:
            for layer in self._layers:
                data = layer.feed(data, limit)
        except zlib.error:
            raise DecodingError from None
        return data


_GZIP_NAMES = ("gzip", "x-gzip")


def unpacker(encodings: Sequence[str]) -> Unpacker | None:
    """The unpacker of a body. None: take the body as it is, also if a name is not an encoding (``utf-8``)."""
    known = [one for one in encodings if one != "identity"]
    if not known or len(known) > MAX_ENCODINGS or not all(one in (*_GZIP_NAMES, "deflate") for one in known):
        return None
    return Unpacker(known)


class _Gzip:
    """Reads one member after the other. Bytes after the last member are ignored, as the gzip program does."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._seen = b""
        self._has_begun = False

    @property
    def is_whole(self) -> bool:
        return self._member.eof or not self._has_begun

    def feed(self, data: bytes, limit: int) -> bytes:
        content = bytearray()
        while data and len(content) < limit:
            self._has_begun = True
            if self._member.eof:
                data = self._next_member(data)
                continue
            content += self._member.decompress(data, limit - len(content))
            data = self._member.unused_data
        return bytes(content)

    def _next_member(self, data: bytes) -> bytes:
        """Start the next member if one follows."""
        data = self._seen + data
        self._seen = data if _MAGIC.startswith(data) else b""
        if not data.startswith(_MAGIC):
            return b""
        self._member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        return data


_MAGIC = b"\x1f\x8b"


class _Deflate:
    """With the zlib header of the standard, or without it, as some servers send it."""

    def __init__(self) -> None:
        self._seen = b""
        self._stream: zlib._Decompress | None = None

    @property
    def is_whole(self) -> bool:
        return not self._seen if self._stream is None else self._stream.eof

    def feed(self, data: bytes, limit: int) -> bytes:
        if self._stream is None:
            data = self._seen = self._seen + data
            if len(data) < 2:
                return b""
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if _has_zlib_header(data) else -zlib.MAX_WBITS)
        return b"" if self._stream.eof else self._stream.decompress(data, limit)


def _has_zlib_header(data: bytes) -> bool:
    """RFC 1950: the method is deflate, and the first two bytes are a multiple of 31."""
    return data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0


def decoded(body: bytes, content_type: str) -> str:
    """A body as text in the character set of its content type, or in UTF-8 if it names none.

    :raises UnicodeDecodeError: the body is in neither.
    """
    return body.decode(_charset(content_type))


def in_utf8(body: bytes, content_type: str) -> bytes:
    """A body in UTF-8. It is converted only if its content type names another 8-bit character set."""
    name = _charset(content_type)
    if name.startswith("utf-"):
        return body
    try:
        body.decode()
    except UnicodeDecodeError:
        return body.decode(name, "replace").encode(errors="replace")
    return body


def _charset(content_type: str) -> str:
    header = Message()
    header["Content-Type"] = " ".join(content_type.split())
    try:
        name = codecs.lookup(str(header.get_param("charset", "utf-8")).strip(" '")).name
    except (LookupError, ValueError):
        return "utf-8"
    return name if _CHARSETS.fullmatch(name) else "utf-8"


_CHARSETS = re.compile(r"ascii|(?:iso8859-|cp|koi8-|utf-(?:8|16|32)|shift_?jis|euc_|gb|big5|mac-).*")
"""Character sets that a remote may name. Python also has codecs that are none (``unicode_escape``, ``idna``)."""
