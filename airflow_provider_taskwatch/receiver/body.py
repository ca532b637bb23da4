"""Reading the body of a request with bounded memory and time, whoever sends it."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass

import anyio
from starlette.requests import ClientDisconnect, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A body that was not read to its end.

    :param status: of the answer.
    :param name: under which it is counted.
    :param words: what was wrong with it.
    """

    status: int
    name: str
    words: str


TOO_LARGE = Shortfall(status=413, name="too_large", words="its body is too large")
TOO_SLOW = Shortfall(status=408, name="too_slow", words="its body did not arrive in time, or not as a whole")


async def read_body(request: Request, *, limit_bytes: int, seconds: float) -> bytes | Shortfall:
    """The whole body, where it is not larger and takes no longer than that."""
    if _announced(request) > limit_bytes:
        return TOO_LARGE
    try:
        with anyio.fail_after(seconds):
            return await _read(request, limit_bytes)
    except (TimeoutError, ClientDisconnect):
        return TOO_SLOW


async def _read(request: Request, limit_bytes: int) -> bytes | Shortfall:
    received = bytearray()
    async with aclosing(request.stream()) as pieces:
        async for piece in pieces:
            received += piece
            if len(received) > limit_bytes:
                return TOO_LARGE
    return bytes(received)


def _announced(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length[:20]) if length.isdecimal() else 0
