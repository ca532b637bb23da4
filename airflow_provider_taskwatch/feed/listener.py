"""The one reader of the inbox in a triggerer process; it serves all waits for callbacks and for events."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from airflow_provider_taskwatch.core.error import ConfigurationError, described
from airflow_provider_taskwatch.feed.checkpoint import BACK_SECONDS, deletions_of, is_older
from airflow_provider_taskwatch.hub.wakeup import Wakeup
from airflow_provider_taskwatch.inbox.cursor import Cursor
from airflow_provider_taskwatch.inbox.event import event_of
from airflow_provider_taskwatch.inbox.message import PAGE_MESSAGES, Received
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.thread import in_thread, later

from .silence import SILENT_SECONDS, of_callbacks, of_feed, silence
from .waiter_index import Waiter, WaiterIndex

log = logging.getLogger(__name__)

READ_SECONDS = 1.0
CHECK_SECONDS = 60.0
SUBJECTS = 500


class Listener:
    """Reads the inbox once a second for all waits, and passes each message on. Belongs to one event loop.

    A wait also receives what came before it began: a remote may be quicker than Airflow.

    :param open_inbox: opens the inbox, when the first wait begins.
    :param back_seconds: how long a reading may be older than the last one before the inbox counts as restored.
    :param clock: monotonic seconds.
    :param count: adds a number to a counter, by its name.
    """

    def __init__(
        self,
        open_inbox: Callable[[], Awaitable[Inbox]],
        *,
        read_seconds: float = READ_SECONDS,
        back_seconds: float = BACK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        count: Callable[[str, int], object] = lambda _name, _number: None,
    ) -> None:
        self.reads = 0
        """How often the inbox was read."""
        self._back_seconds = back_seconds
        self._count = count
        self._mark: Received | None = None
        self._mark_from = 0.0
        self._back_since: float | None = None
        self._open_inbox = open_inbox
        self._read_seconds = read_seconds
        self._clock = clock
        self._inbox: Inbox | None = None
        self._cursor: Cursor | None = None
        self._wakeups: dict[str, list[Wakeup]] = {}
        self._new: set[str] = set()
        self._waiter_indexes: dict[str, WaiterIndex] = {}
        self._newcomers: dict[Waiter, str] = {}
        self._followers: dict[str, list[Callable[[], object]]] = {}
        self._expecting: dict[Waiter, str] = {}
        self._silent: set[str] = set()
        self._check_from = 0.0
        self._failing_since: float | None = None
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def listening(self, subject: str, wakeup: Wakeup) -> Iterator[None]:
        """Wake a wait for each message with its subject."""
        self._wakeups.setdefault(subject, []).append(wakeup)
        self._new.add(subject)
        self._start()
        try:
            yield
        finally:
            self._forget(subject, wakeup)

    @contextmanager
    def hearing(self, channel: str, waiter: Waiter) -> Iterator[None]:
        """Pass the events of a feed to a waiter: first the stored ones that it asks for, then new ones."""
        self._newcomers[waiter] = channel
        self._start()
        try:
            yield
        finally:
            self._dismiss(channel, waiter)

    @contextmanager
    def following(self, channel: str, hear: Callable[[], object]) -> Iterator[None]:
        """Notify a reader of the inbox each time that a feed may have new events."""
        self._followers.setdefault(channel, []).append(hear)
        self._start()
        try:
            yield
        finally:
            self._followers[channel].remove(hear)
            if not self._followers[channel]:
                del self._followers[channel]

    @contextmanager
    def expecting(self, channel: str, waiter: Waiter) -> Iterator[None]:
        """Warn a waiter, and the triggerer's log, while no receiver is alive that takes a pushed feed's events."""
        self._expecting[waiter] = channel
        self._start()
        try:
            yield
        finally:
            del self._expecting[waiter]

    def _start(self) -> None:
        if self.is_idle:
            self._restart_waiters()
            self._task = asyncio.get_running_loop().create_task(self._live(), context=contextvars.Context())

    def _restart_waiters(self) -> None:
        self._new.update(self._wakeups)
        self._newcomers |= {waiter: channel for channel, all_ in self._waiter_indexes.items() for waiter in all_}
        self._waiter_indexes.clear()

    @property
    def is_idle(self) -> bool:
        """Whether the inbox is not read, because nothing waits."""
        return self._task is None or self._task.done()

    def _forget(self, subject: str, wakeup: Wakeup) -> None:
        wakeups = self._wakeups[subject]
        wakeups.remove(wakeup)
        if not wakeups:
            del self._wakeups[subject]
            self._new.discard(subject)

    def _dismiss(self, channel: str, waiter: Waiter) -> None:
        if self._newcomers.pop(waiter, None) is None and (index := self._waiter_indexes.get(channel)) is not None:
            index.leave(waiter)
            if not index:
                del self._waiter_indexes[channel]

    def _is_wanted(self) -> bool:
        return bool(self._wakeups or self._newcomers or self._waiter_indexes or self._followers or self._expecting)

    async def _live(self) -> None:
        """Read until nothing waits. The next wait starts with a new cursor."""
        try:
            while self._is_wanted():
                began = self._clock()
                pause = await self._round()
                await asyncio.sleep(max(0.0, began + pause - self._clock()))
        finally:
            self._cursor, self._mark, self._back_since = None, None, None
            inbox, self._inbox = self._inbox, None
            if inbox is not None:
                later(inbox.close)

    async def _round(self) -> float:
        """One round; return the seconds until the next one. A failure is logged once, and polls continue without it."""
        try:
            inbox = await self._opened()
            while await self._read(inbox):
                pass
            await self._catch_up(inbox)
            if (self._wakeups or self._expecting) and self._clock() >= self._check_from:
                await self._check(inbox)
        except Exception as error:  # noqa: BLE001 - every failure is logged and retried
            self._log(error)
            return CHECK_SECONDS if isinstance(error, ConfigurationError) else self._read_seconds
        self._failing_since = None
        return self._read_seconds

    def _log(self, error: Exception) -> None:
        """Log a failure in the triggerer's log at once, and in the log of each task once it has lasted."""
        message = f"the inbox cannot be read for now: {described(error)}"
        if self._failing_since is None:
            self._failing_since = self._clock()
            log.warning(message)
        if isinstance(error, ConfigurationError) or self._clock() - self._failing_since >= SILENT_SECONDS:
            self._doubt_all(message)

    def _doubt(self, message: str) -> None:
        """Warn the waits for callbacks."""
        for wakeups in list(self._wakeups.values()):
            for wakeup in wakeups:
                wakeup.doubt(message)

    def _doubt_all(self, message: str) -> None:
        """Warn the waits for callbacks and for events."""
        self._doubt(message)
        for waiter in [*self._newcomers, *(one for index in self._waiter_indexes.values() for one in index)]:
            waiter.doubt(message)

    async def _opened(self) -> Inbox:
        if self._inbox is None:
            self._inbox = await self._open_inbox()
        return self._inbox

    async def _read(self, inbox: Inbox) -> bool:
        """Read once; return whether more is to be read at once."""
        if self._cursor is None:
            self._cursor = await in_thread(inbox.end)
            self._mark = await in_thread(inbox.at, self._cursor.last)
        asked = list(islice(self._new, SUBJECTS))
        horizon = await in_thread(inbox.horizon) if self._cursor.holes else None
        received = await in_thread(inbox.read, self._cursor, asked)
        self.reads += 1
        if await self._is_back(inbox, received):
            return False
        is_full = len(received) >= PAGE_MESSAGES
        self._cursor = self._cursor.moved([one.number for one in received], None if is_full else horizon)
        self._mark = next((one for one in received if one.number == self._cursor.last), self._mark)
        for one in received:
            for wakeup in self._wakeups.get(one.message.subject, ()):
                wakeup.ring(one.message.content)
            if (index := self._waiter_indexes.get(one.message.channel)) is not None:
                index.tell(event_of(one.message), one.number)
        for channel in self._followers.keys() & {one.message.channel for one in received}:
            for hear in list(self._followers[channel]):
                hear()
        self._new -= {one.message.subject for one in received} if is_full else set(asked)
        return is_full or bool(self._new)

    async def _is_back(self, inbox: Inbox, received: Sequence[Received]) -> bool:
        """Whether the inbox is older than at the last read: a restored backup, or a replica that lags.

        Starts anew if that lasts. Checked before the mark moves on, and regularly: numbers may grow past the mark.
        """
        last = 0 if self._cursor is None else self._cursor.last
        is_due = received or self._back_since is not None or self._clock() >= self._mark_from
        if not last or not is_due:
            return False
        self._mark_from = self._clock() + self._back_seconds / 3
        if not await in_thread(is_older, inbox, last, self._mark):
            self._back_since = None
            return False
        if self._back_since is None:
            self._back_since = self._clock()
        if self._clock() - self._back_since >= self._back_seconds:
            self._start_anew(last)
        return True

    def _start_anew(self, number: int) -> None:
        """Pass everything on again, as after a restart: a finished wait is gone, and any other takes it for a hint."""
        log.error(
            "the inbox has gone back: it does not hold number %d any more. A backup was restored, or another database "
            "has taken its place; all waits receive again what it holds for them",
            number,
        )
        self._count("inbox.went_back", 1)
        self._mark, self._back_since, self._cursor = None, None, None
        self._restart_waiters()

    async def _catch_up(self, inbox: Inbox) -> None:
        """Pass the stored events to new waiters, and add them to the index of their feed."""
        for channel in sorted(set(self._newcomers.values())):
            group = [waiter for waiter, of in self._newcomers.items() if of == channel]
            number = await self._replay(inbox, channel, group)
            index = self._waiter_indexes.setdefault(channel, WaiterIndex())
            for waiter in group:
                if self._newcomers.pop(waiter, None) is not None:
                    index.join(waiter, number)
            if not index:
                del self._waiter_indexes[channel]

    async def _replay(self, inbox: Inbox, channel: str, group: list[Waiter]) -> int:
        """Pass the stored events to a group of waiters; return the number up to which they have received all."""
        past = WaiterIndex()
        for waiter in group:
            past.join(waiter)
        since = min(waiter.event_filter.received_since for waiter in group)
        deletions = await in_thread(deletions_of, inbox, channel)
        for waiter in group:
            if missed := deletions.since(waiter.event_filter.since):
                waiter.miss(missed)
        number = await in_thread(inbox.number_before, channel, since)
        while page := await in_thread(inbox.after, channel, number):
            self.reads += 1
            number = page[-1].number
            for one in page:
                past.tell(event_of(one.message))
        return number

    async def _check(self, inbox: Inbox) -> None:
        """Warn waits for callbacks and pushed events while no receiver is alive."""
        self._check_from = self._clock() + CHECK_SECONDS
        silent = await in_thread(silence, inbox)
        if not silent:
            self._silent.clear()
            return
        self._doubt(of_callbacks(silent))
        for waiter, channel in list(self._expecting.items()):
            waiter.doubt(of_feed(channel, silent))
        for channel in set(self._expecting.values()) - self._silent:
            self._silent.add(channel)
            log.warning(of_feed(channel, silent))
