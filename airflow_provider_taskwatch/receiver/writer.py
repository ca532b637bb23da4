"""Stores messages in batches: a commit waits as long for the disk with one message as with several."""

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
"""Separate from the API server's threads, which serve all its routes. In SQLite, more would wait for each other."""
BATCH_MESSAGES = 5
"""The size of a batch. Smaller ones cost more commits; in larger ones the first message waits for the last."""
CALLBACKS = 20
"""How many callbacks of one start are kept: the holder of its token must not be able to fill the disk."""
CHECKED = 10
"""After this many callbacks of a start, the older ones are deleted. Most starts call once and cost no query."""
COUNTED = 10_000
"""How many starts have their callbacks counted; the newest ones."""


def _ignore(_: int) -> None:
    """Count nothing."""


class Signals:
    """Stores callbacks, and keeps about the newest :data:`CALLBACKS` of each start.

    :param count_deleted: called with the number of older ones that were deleted.
    """

    def __init__(self, inbox: Inbox, count_deleted: Callable[[int], object] = _ignore) -> None:
        self._inbox = inbox
        self._count_deleted = count_deleted
        self._counts: dict[str, int] = {}
        self._counting = threading.Lock()

    def add(self, messages: Sequence[Message]) -> int:
        """Store callbacks; return how many were new."""
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
                del self._counts[next(iter(self._counts))]  # the one whose last callback is the oldest
        return due

    def _keep_newest(self, subjects: Sequence[str]) -> None:
        """Delete older callbacks. A failure is logged: what was added is stored already."""
        try:
            deleted = self._inbox.keep_newest(subjects, CALLBACKS)
        except InboxError as error:
            log.warning("no older callbacks were deleted: %s", error)
            return
        if deleted:
            names = ", ".join(sorted(subjects))
            log.warning("more than %d callbacks for a start (%s): the oldest %d are deleted", CALLBACKS, names, deleted)
            self._count_deleted(deleted)


PUSHED_BYTES = 1 << 30
"""The limit of one feed. A remote pushes an event once, so none is refused; the oldest ones are deleted."""


class PushedFeeds:
    """Stores pushed events, and keeps each feed within bounds.

    :param count_deleted: called with the number of older events that were deleted.
    :param limit: of each feed, in bytes; its size is checked after each sixteenth of that.
    """

    def __init__(
        self, inbox: Inbox, count_deleted: Callable[[int], object] = _ignore, *, limit: int = PUSHED_BYTES
    ) -> None:
        self._inbox = inbox
        self._count_deleted = count_deleted
        self._limit = limit
        self._since: dict[str, int] = {}

    def append(self, messages: Sequence[Message]) -> int:
        """Store events in their order, each feed in one transaction; return how many were new."""
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
        """Delete the oldest events. A failure is logged: what was appended is stored already."""
        try:
            deleted = self._inbox.keep_bytes(channel, limit)
        except InboxError as error:
            log.warning("the size of the feed %s in the inbox is not known: %s", channel, error)
            return
        if deleted:
            log.error(
                "the feed %s exceeds its limit in the inbox: its oldest %d events are deleted, read or unread; "
                "the limit is %d bytes",
                channel,
                deleted,
                self._limit,
            )
            self._count_deleted(deleted)


class Writer:
    """Stores messages; those that arrive during a commit share the next one.

    :param store: stores several and returns how many were new; runs in a thread.
    :param note: called after each commit with the number of new messages and of known ones.
    """

    def __init__(self, store: Callable[[Sequence[Message]], int], note: Callable[[int, int], None]) -> None:
        self._store = store
        self._note = note
        self._free = asyncio.Semaphore(THREADS)
        self._threads = anyio.CapacityLimiter(THREADS)
        self._open: list[Message] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, message: Message) -> None:
        """Return once the message is committed.

        :raises InboxError: where it may not be committed.
        """
        if self._task is None or not 0 < len(self._open) < BATCH_MESSAGES:
            self._open = []
            self._task = asyncio.create_task(self._write(self._open))
        self._open.append(message)
        await asyncio.shield(self._task)  # other requests wait for the same batch

    async def _write(self, batch: list[Message]) -> None:
        async with self._free:
            if batch is self._open:
                self._open = []
            new = await anyio.to_thread.run_sync(self._store, batch, limiter=self._threads)
        self._note(new, len(batch) - new)


def _key(message: Message) -> tuple[str, str]:
    """One order for all transactions: two that wait for each other's rows would deadlock."""
    return message.channel, message.delivery
