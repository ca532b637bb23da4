"""The heartbeat of a receiver in the inbox, and its readiness."""

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
"""How long an answer about the readiness is reused: the request needs no secret, and each check takes a thread."""


@asynccontextmanager
async def beating(inbox: Inbox, host: str, url: str, seconds: float) -> AsyncIterator[None]:
    """Write a heartbeat at once and then at intervals, while the block runs."""
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
        except Exception as error:  # noqa: BLE001 - every failure is logged and retried
            log.error("the receiver cannot write its heartbeat into the inbox: %s", described(error))
        await asyncio.sleep(seconds)


class Readiness:
    """Whether the inbox can be read.

    :param clock: monotonic seconds.
    """

    def __init__(self, inbox: Inbox, clock: Callable[[], float] = time.monotonic) -> None:
        self._inbox = inbox
        self._clock = clock
        self._lock = asyncio.Lock()
        self._asked_at: float | None = None
        self._is_ready = False

    async def ask(self) -> bool:
        """Check at most once per :data:`READY_SECONDS`; requests that arrive meanwhile share the answer."""
        async with self._lock:
            if self._asked_at is None or self._clock() - self._asked_at >= READY_SECONDS:
                self._is_ready = await anyio.to_thread.run_sync(self._check)
                self._asked_at = self._clock()
            return self._is_ready

    def _check(self) -> bool:
        try:
            self._inbox.heartbeats()
        except InboxError as error:
            log.warning("the receiver is not ready: %s", error)
            return False
        return True
