"""How a receiver takes what it was sent, whatever that is: within bounds, stored before the answer, and counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from airflow_provider_taskwatch.core.error import InboxError
from airflow_provider_taskwatch.inbox.message import Message

from .body import Shortfall, read_body
from .framing import CLOSE
from .writer import Writer

log = logging.getLogger(__name__)

BODY_BYTES = 256 * 1024
BODY_SECONDS = 10.0
RETRY_SECONDS = 30
"""When to try again where the inbox is down; Automic's shortest interval."""


class BodyReader:
    """One kind of what is sent.

    :param store: see :class:`~.writer.Writer`.
    :param count: told received, duplicate, unreadable, too_large, too_slow or unavailable, each time that it happens.
    :param body_seconds: how long a body may take to arrive.
    """

    def __init__(
        self, store: Callable[[Sequence[Message]], int], count: Callable[[str], None], body_seconds: float
    ) -> None:
        self.count = count
        self._body_seconds = body_seconds
        self._writer = Writer(store, self._note)

    async def read(self, request: Request, what: str) -> bytes | Response:
        """The body, or the answer to who has sent none that could be read to its end.

        :param what: is sent, for the log.
        """
        body = await read_body(request, limit_bytes=BODY_BYTES, seconds=self._body_seconds)
        if not isinstance(body, Shortfall):
            return body
        self.count(body.name)
        log.warning("%s was not taken: %s", what, body.words)
        return Response(status_code=body.status, headers=CLOSE)

    async def store(self, message: Message, what: str) -> Response | None:
        """Store it; None when that is done, or the answer that makes the remote try again."""
        try:
            await self._writer.add(message)
        except InboxError as error:
            self.count("unavailable")
            log.error("%s was put off: %s", what, error)
            return Response(status_code=503, headers={"Retry-After": str(RETRY_SECONDS)})
        return None

    def _note(self, new: int, known: int) -> None:
        for name in (*["received"] * new, *["duplicate"] * known):
            self.count(name)
