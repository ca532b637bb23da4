"""Writing callbacks down, several in one transaction: a commit waits for the disk as long for one as for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio
import anyio.to_thread

from airflow_provider_taskwatch.inbox.message import Inbox, Message

THREADS = 2
"""Of our own, as those of the API server are for all its routes. In SQLite, more would only wait for each other."""
BATCH_MESSAGES = 5
"""In one transaction: readers of the inbox count on short ones, see :mod:`~..inbox.cursor`."""


class Writer:
    """Adds messages to an inbox; those that arrive while it is busy share the next transaction.

    :param tell: told after each commit how many messages were new, and how many were there already.
    """

    def __init__(self, inbox: Inbox, tell: Callable[[int, int], None]) -> None:
        self._inbox = inbox
        self._tell = tell
        self._free = asyncio.Semaphore(THREADS)
        self._threads = anyio.CapacityLimiter(THREADS)
        self._open: list[Message] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, message: Message) -> None:
        """Return as soon as the message is committed.

        :raises InboxError: where it may not be.
        """
        if self._task is None or not 0 < len(self._open) < BATCH_MESSAGES:
            self._open = []
            self._task = asyncio.create_task(self._write(self._open))
        self._open.append(message)
        await asyncio.shield(self._task)  # others wait for it, too

    async def _write(self, batch: list[Message]) -> None:
        async with self._free:
            if batch is self._open:
                self._open = []
            new = await anyio.to_thread.run_sync(self._inbox.add, sorted(batch, key=_key), limiter=self._threads)
        self._tell(new, len(batch) - new)


def _key(message: Message) -> tuple[str, str]:
    """One order for all: two transactions that wait for each other's deliveries would both be lost."""
    return message.channel, message.delivery
