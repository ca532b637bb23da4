"""Unpacking a body that its remote has packed (``Content-Encoding``), in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

ACCEPTED = "gzip, deflate"
"""What both drivers ask for: what needs more than the standard library is on one machine and not on the next."""

MAX_CODINGS = 3

_GZIP_NAMES = ("gzip", "x-gzip")


class Damage(Exception):  # noqa: N818 - it is caught at once, and named there
    """The content is not what it is said to be."""


class Unpacker:
    """Undoes codings in turn.

    :param codings: as the header lists them, in the order in which they were applied.
    """

    def __init__(self, codings: Sequence[str]) -> None:
        self._layers = [_Gzip() if one in _GZIP_NAMES else _Deflate() for one in reversed(codings)]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing; an empty body was not packed."""
        return all(layer.is_whole for layer in self._layers)

    def feed(self, data: bytes, limit: int) -> bytes:
        """The content of a piece, of which no layer makes more than ``limit`` bytes.

        :raises Damage: where it cannot be unpacked.
        """
        try:
            for layer in self._layers:
                data = layer.feed(data, limit)
        except zlib.error:
            raise Damage from None
        return data


def unpacker(codings: Sequence[str]) -> Unpacker | None:
    """What unpacks a body; None where it is to be taken as it is, as under a name that is no coding (``utf-8``)."""
    known = [one for one in codings if one != "identity"]
    if not known or len(known) > MAX_CODINGS or not all(one in (*_GZIP_NAMES, "deflate") for one in known):
        return None
    return Unpacker(known)


class _Gzip:
    """One member after the other; what follows them and is none is read past, as gzip itself does."""

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
        """Go on with the next member, if one follows."""
        data = self._seen + data
        self._seen = data if _MAGIC.startswith(data) else b""
        if not data.startswith(_MAGIC):
            return b""
        self._member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        return data


_MAGIC = b"\x1f\x8b"


class _Deflate:
    """With the header of zlib, as it should be, or without, as some servers send it."""

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
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if _has_header(data) else -zlib.MAX_WBITS)
        return b"" if self._stream.eof else self._stream.decompress(data, limit)


def _has_header(data: bytes) -> bool:
    """RFC 1950: the method is deflate, and the first two bytes are a multiple of 31."""
    return data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
