"""What a hostile remote sends: each answer is bytes that the clients of a station get, some of them for ever."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import pytest

from tests.drive.station import Request, Station

TOKEN = "ready-token"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PIECE = bytes(65536)

Hostile = Callable[[Station], Iterable[bytes]]


def attack(station: Station, hostile: Hostile) -> None:
    """Answer so from now on."""

    def answer(request: Request) -> Iterable[bytes]:
        return hostile(station)

    station.answer = answer


def once(*pieces: bytes) -> Hostile:
    """These pieces, and the end."""
    return lambda station: pieces


def _endless(first: bytes, piece: bytes, pause: float = 0.0) -> Hostile:
    """``first``, and then ``piece`` until the test is over."""

    def answer(station: Station) -> Iterator[bytes]:
        yield first
        while not station.stopping.wait(pause):
            yield piece

    return answer


@cache
def bomb(head: bytes) -> bytes:
    """10 MB that unpack to 10 GB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + 640 * block


def _packed(coding: str, make: Callable[[], bytes], head: str = "Content-Length: {size}") -> Hostile:
    def answer(station: Station) -> Iterator[bytes]:
        body = make()
        yield OK + f"Content-Encoding: {coding}\r\n{head.format(size=len(body))}\r\n\r\n".encode()
        yield b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if "chunked" in head else body

    return answer


@cache
def _bombs() -> bytes:
    return 640 * gzip.compress(bytes(16 << 20))


_GZIP = partial(bomb, gzip.compress(b"", mtime=0)[:10])
_DEFLATE = partial(bomb, b"\x78\xda")
_RAW = partial(bomb, b"")

HUGE: Mapping[str, Hostile] = {
    "a body": _endless(OK + b"\r\n", PIECE),
    "chunks": _endless(CHUNKED, b"10000\r\n%b\r\n" % PIECE),
    "gzip": _packed("gzip", _GZIP),
    "gzip in a chunk": _packed("gzip", _GZIP, "Transfer-Encoding: chunked"),
    "gzip until the end": _packed("gzip", _GZIP, "Connection: close"),
    "gzip, one by one": _packed("gzip", _bombs),
    "deflate": _packed("deflate", _DEFLATE),
    "raw deflate": _packed("deflate", _RAW),
}
"""More than any reader wants."""

ENDLESS: Mapping[str, Hostile] = {
    "100": _endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500),
    "a status line, byte by byte": _endless(b"HTTP/1.1 200 ", b"y", 0.01),
    "a header, byte by byte": _endless(OK + b"X: ", b"y", 0.01),
    "a body, byte by byte": _endless(OK + b"\r\n", b" ", 0.01),
    "chunks, byte by byte": _endless(CHUNKED, b"1\r\n{\r\n", 0.01),
    "tiny chunks": _endless(CHUNKED, b"1\r\n \r\n" * 1000, 0.01),
    "a chunk extension": _endless(CHUNKED + b"5;", b"x" * 65536),
    "chunk extensions": _endless(CHUNKED, b"1;%b\r\n \r\n" % (b"x" * 6000)),
    "a trailer": _endless(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-T: yyyyyyyy\r\n" * 100, 0.01),
    "gzip of nothing": _endless(OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b""), 0.01),
}
"""What never comes to a point."""

MALFORMED: Mapping[str, Hostile] = {
    "a header line without end": _endless(OK + b"X: ", b"y" * 65536),
    "a status line without end": _endless(b"HTTP/1.1 200 ", b"y" * 65536),
    "10,000 headers": once(OK, *(b"X-%d: %b\r\n" % (number, b"y" * 90) for number in range(10_000)), b"\r\n{}"),
    "headers without end": _endless(OK, b"".join(b"X-%d: %b\r\n" % (number, b"y" * 90) for number in range(100))),
    "a token for a status": once(b"HTTP/1.1 %b OK\r\n\r\n{}" % TOKEN.encode()),
    "a token for a status line": once(b"%b\r\n\r\n{}" % TOKEN.encode()),
    "a header without a colon": once(OK + b"%b in a header\r\nContent-Length: 2\r\n\r\n{}" % TOKEN.encode()),
    "a header name with blanks": once(OK + b"X y %b: a\r\nContent-Length: 2\r\n\r\n{}" % TOKEN.encode()),
    "a header that goes on before it begins": once(OK + b" %b\r\nContent-Length: 2\r\n\r\n{}" % TOKEN.encode()),
    "two lengths": once(OK + b"Content-Length: 2\r\nContent-Length: 30\r\n\r\n{}"),
    "a chunk of no size": once(CHUNKED + b"%b\r\n{}\r\n0\r\n\r\n" % TOKEN.encode()),
    "a length of 26 digits": once(OK + b"Content-Length: %b\r\n\r\n{}" % (b"9" * 26)),
    "less than it says": once(OK + b"Content-Length: 99\r\n\r\n" + TOKEN.encode()),
    "gzip that is none": once(OK + b"Content-Encoding: gzip\r\nContent-Length: 11\r\n\r\n" + TOKEN.encode()),
}
"""No HTTP, some of it with our token in it."""


def prepare() -> None:
    """Build what takes a while to build."""
    for build in (_bombs, _GZIP, _DEFLATE, _RAW):
        build()


def shown_by(error: BaseException | None) -> str:
    """The messages and attributes of an error and of all that its traceback would show."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), *map(repr, vars(error).values())]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " ".join(texts)


@contextmanager
def little_memory(megabytes: int = 40) -> Iterator[None]:
    """Holds where the whole process never needed more than so much on top: Linux counts what no tracer sees."""
    process = Path("/proc/self")
    if not (process / "clear_refs").exists():
        pytest.skip("only Linux tells how much memory was in use at most")
    (process / "clear_refs").write_text("5")
    before = _kilobytes("VmRSS")
    yield
    used = (_kilobytes("VmHWM") - before) / 1024
    assert used < megabytes, f"{used:.0f} MB were in use"


def _kilobytes(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0
