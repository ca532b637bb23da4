"""The one reader of a feed in the whole installation, as far as this process is concerned: it tries to be it."""

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
"""Also how often those who do not hold the lease try to take it."""
LIMIT_SECONDS = 60.0
BREATH_SECONDS = 1.0
"""Between reads that brought nothing, at least: not every remote keeps a request open."""
GRACE_SECONDS = 300.0
"""For so long a refusal may be a mistake that somebody mends."""
REMARK_SECONDS = 60.0

_PATIENCE = Retry(first_seconds=1.0, limit_seconds=LIMIT_SECONDS)

Converse = Callable[[Flow[Any]], Awaitable[Any]]


class Pump:
    """Reads one feed into the inbox while anybody in this process waits for it, and nobody else reads it.

    :param open_inbox: opens the inbox; the pump closes it.
    :param converse: holds one conversation with the remote.
    :param open_seal: for feeds that forget what was read, and for what cannot be read.
    :param count: takes the name of a counter and what to add to it.
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
        self.batches = 0
        self.events = 0
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
        """Read the feed while somebody waits."""
        self._waiters[waiter] = None
        if self.is_idle:
            self._task = asyncio.get_running_loop().create_task(self._live(), context=contextvars.Context())
        try:
            yield
        finally:
            del self._waiters[waiter]

    @property
    def is_idle(self) -> bool:
        """Whether nothing is read, as nobody waits."""
        return self._task is None or self._task.done()

    async def _live(self) -> None:
        """Until nobody waits; a read that is under way is not broken off, as the remote may forget what it brings."""
        inbox: Inbox | None = None
        lease = Lease(name=lease_name(self._feed), holder=new_holder())
        try:
            while self._waiters:
                try:
                    inbox = inbox or await self._open_inbox()
                    pause = await self._compete(inbox, lease)
                except Exception as error:  # noqa: BLE001 - no feed may fall silent without a word
                    pause = self._failed(error)
                await self._sleep(pause)
        finally:
            if inbox is not None:
                later(_leave, inbox, lease)

    async def _compete(self, inbox: Inbox, lease: Lease) -> float:
        """Read while the lease is ours; return the seconds until the next attempt to take it."""
        if not await in_thread(inbox.lease, lease.name, lease.holder, self._lease_seconds):
            return self._renew_seconds
        enough = asyncio.Event()
        renewing = asyncio.create_task(self._renew(inbox, lease, enough))
        try:
            await self._read(await in_thread(self._reading, inbox, lease), renewing)
        except LeaseError as error:
            log.warning("another process reads the feed %s now: %s", self._feed.key, error)
            return self._renew_seconds
        finally:
            enough.set()
            await asyncio.gather(renewing, return_exceptions=True)
        return 0.0

    def _reading(self, inbox: Inbox, lease: Lease) -> Reading:
        """In a thread, as a key may come from a command, and the library that uses it is slow to import."""
        return Reading(self._feed, inbox, lease, seal_for(self._feed, self._open_seal), self._clock)

    async def _read(self, reading: Reading, renewing: asyncio.Task[None]) -> None:
        place = await self._drive(reading.begin(self._since()))
        while self._waiters and not renewing.done():
            began = asyncio.get_running_loop().time()
            batch = await self._drive(reading.turn(place))
            place = place.at(batch.position)
            self._succeeded(len(batch.events))
            self._remark(batch)
            took = asyncio.get_running_loop().time() - began
            breath = 0.0 if batch.count else max(0.0, BREATH_SECONDS - took)
            await self._sleep(max(batch.pause_seconds, breath), renewing.done)
        if renewing.done():
            await renewing

    async def _sleep(self, seconds: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Pause, but not for those who have left, and no longer than until something is over."""
        ends_at = asyncio.get_running_loop().time() + seconds
        while self._waiters and not is_over():
            left = ends_at - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await asyncio.sleep(min(left, BREATH_SECONDS))

    async def _renew(self, inbox: Inbox, lease: Lease, enough: asyncio.Event) -> None:
        """Keep the lease; raise where it has gone. An inbox that does not answer is left to whoever writes into it.

        Never broken off: a renewal in a thread that goes on would take the lease again after it was given back.
        """
        while not await happens(enough, self._renew_seconds):
            try:
                is_ours = await in_thread(inbox.lease, lease.name, lease.holder, self._lease_seconds)
            except InboxError:
                continue
            if not is_ours:
                raise LeaseError(f"the lease {lease.name!r} has gone to somebody else")

    async def _drive(self, program: Program[T]) -> T:
        run: Run[Step, T] = Run(program)
        while not run.is_over:
            step = run.step
            with run.answering() as answer:
                answer.value = await (self._converse(step) if isgenerator(step) else in_thread(step))  # type: ignore[arg-type]
        return run.result

    def _since(self) -> float | None:
        """The earliest moment that somebody waits for; None where all wait for what comes."""
        return min((waiter.want.since for waiter in self._waiters if waiter.want.since), default=None)

    # --- good and bad times

    def _succeeded(self, events: int) -> None:
        if self._failures:
            log.info("the feed %s is read again", self._feed.key)
        self._refused_since, self._failing_since, self._failures = None, None, 0
        self.batches += 1
        self.events += events

    def _remark(self, batch: Batch) -> None:
        """Count and tell what a batch brings beside its events; a flood of it is told once a minute."""
        if batch.unreadable:
            self._count("feed.unreadable", len(batch.unreadable))
        now = asyncio.get_running_loop().time()
        for level, words in [*remarks(self._feed.key, batch), *self._refusals(batch, now)]:
            if now >= self._remark_from.get(level, now):
                self._remark_from[level] = now + REMARK_SECONDS
                self._tell(level, words)

    def _refusals(self, batch: Batch, now: float) -> Iterator[tuple[int, str]]:
        """What to say of a remote that has not been willing to answer for so long."""
        if not batch.refusal:
            self._kept_since = None
            return
        if self._kept_since is None:
            self._kept_since = now
        if now - self._kept_since >= GRACE_SECONDS:
            minutes = GRACE_SECONDS / 60
            yield logging.WARNING, f"the feed {self._feed.key} was not read for {minutes:.0f} minutes: {batch.refusal}"

    def _failed(self, error: Exception) -> float:
        """Tell what is wrong, once to everybody; seconds until the next attempt."""
        self._failures += 1
        words = f"the feed {self._feed.key} cannot be read for now: {described(error)}"
        self._tell(logging.ERROR if self._has_lasted() else logging.WARNING, words)
        if self._is_over(error):
            for waiter in list(self._waiters):
                waiter.fail(error)
        return _PATIENCE.seconds(self._failures, getattr(error, "retry_after", None))

    def _has_lasted(self) -> bool:
        """Whether nothing could be read for so long that it is no trouble that passes."""
        now = asyncio.get_running_loop().time()
        if self._failing_since is None:
            self._failing_since = now
        return now - self._failing_since >= GRACE_SECONDS

    def _is_over(self, error: Exception) -> bool:
        """Whether it makes no sense to wait any longer: settings are wrong, or the remote has refused long enough."""
        if not isinstance(error, TaskWatchError) or error.transient:
            return False
        now = asyncio.get_running_loop().time()
        if self._refused_since is None:
            self._refused_since = now
        return isinstance(error, ConfigurationError) or now - self._refused_since >= GRACE_SECONDS

    def _tell(self, level: int, words: str) -> None:
        """In the triggerer's log, and in that of each task that waits."""
        log.log(level, words)
        for waiter in list(self._waiters):
            waiter.doubt(words)


def lease_name(feed: Feed) -> str:
    """Of the lease that its one reader holds."""
    return f"pump {feed.key}"


def _leave(inbox: Inbox, lease: Lease) -> None:
    """Let somebody else read at once."""
    try:
        inbox.release(lease.name, lease.holder)
    except InboxError as error:
        log.warning("the lease %r runs out by itself: %s", lease.name, error)
    inbox.close()
