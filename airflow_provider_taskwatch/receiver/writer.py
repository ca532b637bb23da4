"""Writing messages down, several in one transaction: a commit waits for the disk as long for one as for all."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Sequence

import anyio
import anyio.to_thread

from airflow_provider_taskwatch.core.error import InboxError
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.inbox.protocol import Inbox

log = logging.getLogger(__name__)

THREADS = 2
"""Of our own, as those of the API server are for all its routes. In SQLite, more would only wait for each other."""
BATCH_MESSAGES = 5
"""In one transaction: with one each, a commit costs most; with many, the first waits for the last."""


CALLBACKS = 20
"""Of one start that are kept: whoever has its token may call as often as he likes, but fill no disk."""
CHECKED = 10
"""Every so many callbacks of a start, the older ones are deleted. Most starts call once, and cost no question."""
COUNTED = 10_000
"""Starts whose callbacks are counted, the newest."""


def _ignore(_: int) -> None:
    """Count nothing."""


class Signals:
    """Stores callbacks, and keeps the newest :data:`CALLBACKS` of each start, and for a moment some more.

    :param tell: told how many older ones were deleted, where some were.
    """

    def __init__(self, inbox: Inbox, tell: Callable[[int], object] = _ignore) -> None:
        self._inbox = inbox
        self._tell = tell
        self._counts: dict[str, int] = {}
        self._counting = threading.Lock()

    def add(self, messages: Sequence[Message]) -> int:
        """Store signals; return how many were new."""
        new = self._inbox.add(sorted(messages, key=_key))
        if subjects := self._due(messages):
            self._keep_newest(subjects)
        return new

    def _due(self, messages: Sequence[Message]) -> list[str]:
        """The starts that have called often enough to be checked."""
        with self._counting:
            for one in messages:
                self._counts[one.subject] = self._counts.pop(one.subject, 0) + 1
            due = [subject for subject in {one.subject for one in messages} if self._counts[subject] >= CHECKED]
            for subject in due:
                del self._counts[subject]
            while len(self._counts) > COUNTED:
                del self._counts[next(iter(self._counts))]  # the one that has not called for longest
        return due

    def _keep_newest(self, subjects: Sequence[str]) -> None:
        """What was added is stored, whatever becomes of the older ones."""
        try:
            deleted = self._inbox.keep_newest(subjects, CALLBACKS)
        except InboxError as error:
            log.warning("no older callbacks were deleted: %s", error)
            return
        if deleted:
            names = ", ".join(sorted(subjects))
            log.warning("more than %d callbacks for a start (%s): the oldest %d are deleted", CALLBACKS, names, deleted)
            self._tell(deleted)


PUSHED_BYTES = 1 << 30
"""Of one feed: what a remote pushes it pushes once, so none of it is refused, and the oldest makes room."""


class PushedFeeds:
    """Stores events that were pushed, and keeps each feed within bounds.

    :param tell: told how many older events were deleted, where some were.
    :param limit: of each feed, in bytes; its size is looked at whenever a sixteenth of that has come.
    """

    def __init__(self, inbox: Inbox, tell: Callable[[int], object] = _ignore, *, limit: int = PUSHED_BYTES) -> None:
        self._inbox = inbox
        self._tell = tell
        self._limit = limit
        self._since: dict[str, int] = {}

    def append(self, messages: Sequence[Message]) -> int:
        """Store events in the order in which they came, those of each feed in one transaction; how many were new."""
        channels = dict.fromkeys(one.channel for one in messages)
        return sum(self._append(channel, [one for one in messages if one.channel == channel]) for channel in channels)

    def _append(self, channel: str, messages: Sequence[Message]) -> int:
        new = self._inbox.append(channel, messages)
        step = self._limit // 16
        since = self._since.get(channel, step) + sum(len(json.dumps(one.content)) for one in messages)
        self._since[channel] = since if since < step else 0
        if since >= step:
            self._make_room(channel, self._limit - step)
        return new

    def _make_room(self, channel: str, limit: int) -> None:
        """What was appended is stored, whatever becomes of this."""
        try:
            deleted = self._inbox.keep_bytes(channel, limit)
        except InboxError as error:
            log.warning("the size of the feed %s in the inbox is not known: %s", channel, error)
            return
        if deleted:
            log.error(
                "the feed %s fills the inbox: its oldest %d events are deleted, whether they were read or not; "
                "it may hold %d bytes",
                channel,
                deleted,
                self._limit,
            )
            self._tell(deleted)


class Writer:
    """Adds messages to an inbox; those that arrive while it is busy share the next transaction.

    :param store: stores several, and returns how many were new; runs in a thread.
    :param tell: told after each commit how many messages were new, and how many were there already.
    """

    def __init__(self, store: Callable[[Sequence[Message]], int], tell: Callable[[int, int], None]) -> None:
        self._store = store
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
            new = await anyio.to_thread.run_sync(self._store, batch, limiter=self._threads)
        self._tell(new, len(batch) - new)


def _key(message: Message) -> tuple[str, str]:
    """One order for all: two transactions that wait for each other's deliveries would both be lost."""
    return message.channel, message.delivery
