"""Reads the body of a request within bounds, stores it before the answer, and counts it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from airflow_provider_taskwatch.core.error import InboxError
from airflow_provider_taskwatch.inbox.message import Message

from .framing import CLOSE
from .writer import Writer

log = logging.getLogger(__name__)

BODY_BYTES = 256 * 1024
BODY_SECONDS = 10.0
RETRY_SECONDS = 30
"""The Retry-After of an answer while the inbox is down; Automic's shortest interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A body that was not read to its end.

    :param status: the HTTP status of the answer.
    :param name: the counter's name.
    :param message: what was wrong with it.
    """

    status: int
    name: str
    message: str


TOO_LARGE = Shortfall(status=413, name="too_large", message="its body is too large")
TOO_SLOW = Shortfall(status=408, name="too_slow", message="its body did not arrive in time, or not as a whole")


class BodyReader:
    """Reads and stores the bodies of one kind of request.

    :param store: see :class:`~.writer.Writer`.
    :param count: called with received, duplicate, unreadable, too_large, too_slow or unavailable.
    :param body_seconds: how long a body may take to arrive.
    """

    def __init__(
        self, store: Callable[[Sequence[Message]], int], count: Callable[[str], None], body_seconds: float
    ) -> None:
        self.count = count
        self._body_seconds = body_seconds
        self._writer = Writer(store, self._note)

    async def read(self, request: Request, what: str) -> bytes | Response:
        """The body, or the answer to a request whose body could not be read to its end.

        :param what: what is sent, for the log.
        """
        body = await read_body(request, limit_bytes=BODY_BYTES, seconds=self._body_seconds)
        if not isinstance(body, Shortfall):
            return body
        self.count(body.name)
        log.warning("%s was not taken: %s", what, body.message)
        return Response(status_code=body.status, headers=CLOSE)

    async def store(self, message: Message, what: str) -> Response | None:
        """Store a message; return None, or the answer that makes the remote try again."""
        try:
            await self._writer.add(message)
        except InboxError as error:
            self.count("unavailable")
            log.error("%s was not stored and must be sent again: %s", what, error)
            return Response(status_code=503, headers={"Retry-After": str(RETRY_SECONDS)})
        return None

    def _note(self, new: int, known: int) -> None:
        for name in (*["received"] * new, *["duplicate"] * known):
            self.count(name)


async def read_body(request: Request, *, limit_bytes: int, seconds: float) -> bytes | Shortfall:
    """The whole body, if it is no larger than ``limit_bytes`` and takes no longer than ``seconds``."""
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
