"""Whether a receiver is there and can do its work: its heartbeat in the inbox, and its readiness."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio.to_thread

from airflow_provider_taskwatch.core.error import InboxError, described
from airflow_provider_taskwatch.inbox.protocol import Inbox

log = logging.getLogger(__name__)

BEAT_SECONDS = 60.0
READY_SECONDS = 1.0
"""For so long an answer about the readiness is good for everybody: the question needs no secret, and costs a thread."""


@asynccontextmanager
async def beating(inbox: Inbox, host: str, url: str, seconds: float) -> AsyncIterator[None]:
    """Write down that a receiver is there, at once and then again and again, while the block runs."""
    task = asyncio.create_task(_beat(inbox, host, url, seconds))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _beat(inbox: Inbox, host: str, url: str, seconds: float) -> None:
    while True:
        try:
            await anyio.to_thread.run_sync(inbox.beat, host, url, abandon_on_cancel=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
            log.error("the receiver cannot write its heartbeat into the inbox: %s", described(error))
        await asyncio.sleep(seconds)


class Readiness:
    """Whether the inbox can be asked.

    :param clock: seconds, monotonic.
    """

    def __init__(self, inbox: Inbox, clock: Callable[[], float] = time.monotonic) -> None:
        self._inbox = inbox
        self._clock = clock
        self._lock = asyncio.Lock()
        self._asked_at: float | None = None
        self._is_ready = False

    async def ask(self) -> bool:
        """One question at a time, and the answer is everybody's."""
        async with self._lock:
            if self._asked_at is None or self._clock() - self._asked_at >= READY_SECONDS:
                self._is_ready = await anyio.to_thread.run_sync(self._poll)
                self._asked_at = self._clock()
            return self._is_ready

    def _poll(self) -> bool:
        try:
            self._inbox.heartbeats()
        except InboxError as error:
            log.warning("the receiver is not ready: %s", error)
            return False
        return True
