"""Competes for the lease of a feed, and reads the feed into the inbox while it holds the lease."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from inspect import isgenerator
from typing import Any, TypeVar

from airflow_provider_taskwatch.core.error import ConfigurationError, InboxError, LeaseError, TaskWatchError, described
from airflow_provider_taskwatch.core.feed import Batch, Feed
from airflow_provider_taskwatch.core.flow import Flow, Retry
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.hub.wakeup import happens
from airflow_provider_taskwatch.inbox.lease import new_holder
from airflow_provider_taskwatch.inbox.message import Lease
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.seal import Seal
from airflow_provider_taskwatch.inbox.thread import in_thread, later

from .reading import Program, Reading, Step, remarks, seal_for
from .waiter_index import Waiter

T = TypeVar("T")

log = logging.getLogger(__name__)

LEASE_SECONDS = 20.0
RENEW_SECONDS = 5.0
"""Between two attempts to take the lease, and between two renewals."""
LIMIT_SECONDS = 60.0
PAUSE_SECONDS = 1.0
"""The shortest pause after an empty read: not every remote holds a request open."""
GRACE_SECONDS = 300.0
"""How long a refusal is retried before the waits fail: a wrong setting may be corrected meanwhile."""
REMARK_SECONDS = 60.0
"""Between two log lines of one level about what cannot be read."""

_PATIENCE = Retry(first_seconds=1.0, limit_seconds=LIMIT_SECONDS)

Converse = Callable[[Flow[Any]], Awaitable[Any]]


class Pump:
    """Reads one feed into the inbox while this process has waiters for it and holds its lease.

    :param open_inbox: opens the inbox; the pump closes it.
    :param converse: runs one flow against the remote.
    :param open_seal: encrypts the replies of feeds that forget what was read, and events that cannot be read.
    :param count: adds a number to a counter, by its name.
    """

    def __init__(
        self,
        feed: Feed,
        open_inbox: Callable[[], Awaitable[Inbox]],
        converse: Converse,
        open_seal: Callable[[], Seal],
        *,
        lease_seconds: float = LEASE_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
        clock: Callable[[], float] = time.time,
        count: Callable[[str, int], object] = lambda _name, _number: None,
    ) -> None:
        self._feed = feed
        self._open_inbox = open_inbox
        self._converse = converse
        self._open_seal = open_seal
        self._lease_seconds = lease_seconds
        self._renew_seconds = renew_seconds
        self._clock = clock
        self._count = count
        self._waiters: dict[Waiter, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._refused_since: float | None = None
        self._failing_since: float | None = None
        self._failures = 0
        self._remark_from: dict[int, float] = {}
        self._kept_since: float | None = None

    @asynccontextmanager
    async def serving(self, waiter: Waiter) -> AsyncIterator[None]:
        """Keep the feed read for as long as the waiter waits."""
        self._waiters[waiter] = None
        if self.is_idle:
            self._task = asyncio.get_running_loop().create_task(self._live(), context=contextvars.Context())
        try:
            yield
        finally:
            del self._waiters[waiter]

    @property
    def is_idle(self) -> bool:
        """Whether the feed is not read, because no waiter is left."""
        return self._task is None or self._task.done()

    async def _live(self) -> None:
        """Read until no waiter is left. A read is never cancelled: the remote may forget what it returned."""
        inbox: Inbox | None = None
        lease = Lease(name=lease_name(self._feed), holder=new_holder())
        try:
            while self._waiters:
                try:
                    inbox = inbox or await self._open_inbox()
                    pause = await self._compete(inbox, lease)
                except Exception as error:  # noqa: BLE001 - every failure is logged and retried
                    pause = self._failed(error)
                await self._sleep(pause)
        finally:
            if inbox is not None:
                later(_release, inbox, lease)

    async def _compete(self, inbox: Inbox, lease: Lease) -> float:
        """Take the lease and read while it is held; return the seconds until the next attempt."""
        if not await in_thread(inbox.lease, lease.name, lease.holder, self._lease_seconds):
            return self._renew_seconds
        stop = asyncio.Event()
        renewing = asyncio.create_task(self._renew(inbox, lease, stop))
        try:
            await self._read(await in_thread(self._reading, inbox, lease), renewing)
        except LeaseError as error:
            log.warning("another process reads the feed %s now: %s", self._feed.key, error)
            return self._renew_seconds
        finally:
            stop.set()
            await asyncio.gather(renewing, return_exceptions=True)
        return 0.0

    def _reading(self, inbox: Inbox, lease: Lease) -> Reading:
        """Blocking: a key may come from a command, and the encryption library is slow to import."""
        return Reading(self._feed, inbox, lease, seal_for(self._feed, self._open_seal), self._clock)

    async def _read(self, reading: Reading, renewing: asyncio.Task[None]) -> None:
        place = await self._drive(reading.begin(self._since()))
        while self._waiters and not renewing.done():
            began = asyncio.get_running_loop().time()
            batch = await self._drive(reading.turn(place))
            place = place.at(batch.position)
            self._succeeded()
            self._remark(batch)
            took = asyncio.get_running_loop().time() - began
            pause = 0.0 if batch.count else max(0.0, PAUSE_SECONDS - took)
            await self._sleep(max(batch.pause_seconds, pause), renewing.done)
        if renewing.done():
            await renewing

    async def _sleep(self, seconds: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Sleep; return early when the last waiter leaves, or when ``is_over`` returns True."""
        ends_at = asyncio.get_running_loop().time() + seconds
        while self._waiters and not is_over():
            left = ends_at - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await asyncio.sleep(min(left, PAUSE_SECONDS))

    async def _renew(self, inbox: Inbox, lease: Lease, stop: asyncio.Event) -> None:
        """Renew the lease until ``stop`` is set. An inbox that does not answer is retried: the writes report it.

        Never cancelled: the thread of a cancelled renewal would take the lease again after its release.

        :raises LeaseError: when another process holds it.
        """
        while not await happens(stop, self._renew_seconds):
            try:
                is_ours = await in_thread(inbox.lease, lease.name, lease.holder, self._lease_seconds)
            except InboxError:
                continue
            if not is_ours:
                raise LeaseError(f"the lease {lease.name!r} is held by another process now")

    async def _drive(self, program: Program[T]) -> T:
        run: Run[Step, T] = Run(program)
        while not run.is_over:
            step = run.step
            with run.answering() as answer:
                answer.value = await (self._converse(step) if isgenerator(step) else in_thread(step))  # type: ignore[arg-type]
        return run.result

    def _since(self) -> float | None:
        """The earliest moment from which a waiter wants events; None when all want new events only."""
        return min((waiter.event_filter.since for waiter in self._waiters if waiter.event_filter.since), default=None)

    # --- what is counted and logged

    def _succeeded(self) -> None:
        if self._failures:
            log.info("the feed %s is read again", self._feed.key)
        self._refused_since, self._failing_since, self._failures = None, None, 0

    def _remark(self, batch: Batch) -> None:
        """Count and log what a batch brings besides its events; each log level at most once a minute."""
        if batch.unreadable:
            self._count("feed.unreadable", len(batch.unreadable))
        now = asyncio.get_running_loop().time()
        for level, message in [*remarks(self._feed.key, batch), *self._refusals(batch, now)]:
            if now >= self._remark_from.get(level, now):
                self._remark_from[level] = now + REMARK_SECONDS
                self._log(level, message)

    def _refusals(self, batch: Batch, now: float) -> Iterator[tuple[int, str]]:
        """A warning about a remote that has refused reads for longer than :data:`GRACE_SECONDS`."""
        if not batch.refusal:
            self._kept_since = None
            return
        if self._kept_since is None:
            self._kept_since = now
        if now - self._kept_since >= GRACE_SECONDS:
            minutes = GRACE_SECONDS / 60
            yield logging.WARNING, f"the feed {self._feed.key} was not read for {minutes:.0f} minutes: {batch.refusal}"

    def _failed(self, error: Exception) -> float:
        """Log a failure for all waiters; return the seconds until the next attempt."""
        self._failures += 1
        message = f"the feed {self._feed.key} cannot be read for now: {described(error)}"
        self._log(logging.ERROR if self._has_lasted() else logging.WARNING, message)
        if self._is_over(error):
            for waiter in list(self._waiters):
                waiter.fail(error)
        return _PATIENCE.seconds(self._failures, getattr(error, "retry_after", None))

    def _has_lasted(self) -> bool:
        """Whether reads have failed for longer than :data:`GRACE_SECONDS`."""
        now = asyncio.get_running_loop().time()
        if self._failing_since is None:
            self._failing_since = now
        return now - self._failing_since >= GRACE_SECONDS

    def _is_over(self, error: Exception) -> bool:
        """Whether waits must fail: a setting is wrong, or the remote has refused for :data:`GRACE_SECONDS`."""
        if not isinstance(error, TaskWatchError) or error.transient:
            return False
        now = asyncio.get_running_loop().time()
        if self._refused_since is None:
            self._refused_since = now
        return isinstance(error, ConfigurationError) or now - self._refused_since >= GRACE_SECONDS

    def _log(self, level: int, message: str) -> None:
        """Log in the triggerer's log, and in the log of each task that waits."""
        log.log(level, message)
        for waiter in list(self._waiters):
            waiter.doubt(message)


def lease_name(feed: Feed) -> str:
    """The name of the lease that the reader of a feed holds."""
    return f"pump {feed.key}"


def _release(inbox: Inbox, lease: Lease) -> None:
    """Release the lease, so that another process can read at once."""
    try:
        inbox.release(lease.name, lease.holder)
    except InboxError as error:
        log.warning("the lease %r could not be released and expires by itself: %s", lease.name, error)
    inbox.close()
