"""The one poller of a connection in a triggerer process: one session, one token, one limiter, one schedule."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from airflow_provider_taskwatch.core.connection import Settings
from airflow_provider_taskwatch.core.error import RemoteError, ReplyError, TaskWatchError, TokenError
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.phase import Observation
from airflow_provider_taskwatch.core.schedule import stretch
from airflow_provider_taskwatch.core.system import System
from airflow_provider_taskwatch.core.watch import Look
from airflow_provider_taskwatch.drive.waiting import WaitingDriver
from airflow_provider_taskwatch.systems import system_for

from .agenda import Agenda, Entry

T = TypeVar("T")

log = logging.getLogger(__name__)

REREAD_SECONDS = 300.0
REREAD_FAILED_SECONDS = 60.0
REREAD_REJECTED_SECONDS = 30.0
LINGER_SECONDS = 60.0
USABLE_SHARE = 0.9


@dataclass(slots=True)
class Counts:
    """What a hub has done so far."""

    connection_reads: int = 0
    looks: int = 0
    batches: int = 0
    batched_looks: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A connection as it was read, and what was built from it."""

    settings: Settings
    system: System
    driver: WaitingDriver
    read_again_at: float


class Hub:
    """Serves all watches of one connection in one event loop.

    Its own tasks run in an empty context, so that nothing they log lands in the log of some task; observations are
    handed to the watch's own coroutine, which logs them.

    :param read: reads the connection: once, again after a rejection, and every five minutes.
    :param linger_seconds: how long it outlives its last user, so that tasks arriving one by one share a token.
    """

    def __init__(
        self,
        conn_id: str,
        read: Callable[[], Awaitable[Settings]],
        *,
        linger_seconds: float = LINGER_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.conn_id = conn_id
        self.counts = Counts()
        self.is_closed = False
        self._read = read
        self._linger_seconds = linger_seconds
        self._clock = clock
        self._line: Line | None = None
        self._line_lock = asyncio.Lock()
        self._reread_from = 0.0
        self._agenda = Agenda()
        self._sooner = asyncio.Event()
        self._due: asyncio.Queue[list[Entry]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._users = 0
        self._lingering: asyncio.TimerHandle | None = None
        self._idle_pollers = 0
        self._demand = 0.0
        self._can_batch = True
        self._has_told_stretch = False

    # --- for watches

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Hub]:
        """Keep the hub alive for the duration of a watch, or of one conversation."""
        self._users += 1
        if self._lingering is not None:
            self._lingering.cancel()
        if not self._tasks:
            self._spawn(self._serve())
        try:
            yield self
        finally:
            self._users -= 1
            if not self._users:
                self._lingering = asyncio.get_running_loop().call_later(
                    self._linger_seconds, self._end, context=contextvars.Context()
                )

    async def system(self) -> System:
        """The remote, as the connection describes it."""
        return (await self._current()).system

    async def run(self, converse: Callable[[System], Flow[T]]) -> T:
        """Hold one conversation; once more with the connection read again where its credentials were rejected."""
        line = await self._current()
        try:
            return await line.driver.run(converse(line.system))
        except TaskWatchError as error:
            if not _is_rejection(error):
                raise
            changed = await self._after_rejection(line)
            if changed is None:
                raise
        return await changed.driver.run(converse(changed.system))

    async def look(self, look: Look) -> Observation:
        """Read a ref when it is due, together with whoever can be read along."""
        if self.is_closed:
            raise RuntimeError(f"the poller of connection {self.conn_id!r} has ended")
        after = look.after * self._stretch()
        due = self._clock() + after * (1.0 - look.spread * random.random())  # noqa: S311 - not for secrets
        entry = self._agenda.add(due, look, asyncio.get_running_loop().create_future())
        self._demand += entry.load
        self._sooner.set()
        try:
            return await entry.answer
        finally:
            self._demand -= entry.load

    def close(self) -> None:
        """Stop polling and close the session; looks that are still waited for fail."""
        self.is_closed = True
        for task in self._tasks:
            task.cancel()

    # --- the connection

    async def _current(self) -> Line:
        """The connection, read again when it is time; one reader for all who ask at once."""
        line = self._line
        if line is not None and self._clock() < line.read_again_at:
            return line
        async with self._line_lock:
            if self._line is line or self._line is None:
                self._line = await self._reread(line)
            return self._line

    async def _reread(self, line: Line | None) -> Line:
        self.counts.connection_reads += 1
        try:
            return await self._renewed(line, await self._read())
        except TaskWatchError as error:
            if line is None:
                raise
            log.warning("connection %r could not be read again, the old one stays in use: %s", self.conn_id, error)
            return replace(line, read_again_at=self._clock() + REREAD_FAILED_SECONDS)

    async def _renewed(self, line: Line | None, settings: Settings) -> Line:
        """The line for these settings; the old one where nothing has changed, and closed only when the new one is."""
        read_again_at = self._clock() + REREAD_SECONDS
        if line is not None and line.settings == settings:
            return replace(line, read_again_at=read_again_at)
        fresh = Line(settings, system_for(settings), WaitingDriver(settings), read_again_at)
        if line is not None:
            await line.driver.close()
        return fresh

    async def _after_rejection(self, line: Line) -> Line | None:
        """The connection as it is now, None where it has not changed. A thousand rejections are worth one read."""
        async with self._line_lock:
            if self._line is not None and self._line.driver is line.driver and self._clock() >= self._reread_from:
                self._reread_from = self._clock() + REREAD_REJECTED_SECONDS
                self._line = await self._reread(self._line)
            return None if self._line is None or self._line.driver is line.driver else self._line

    # --- the schedule

    async def _serve(self) -> None:
        """Give out what is due, until the hub is closed or its loop ends."""
        try:
            while True:
                self._sooner.clear()
                now = self._clock()
                for group in self._agenda.take(now):
                    self._give(group)
                await self._until(self._agenda.next_due())
        finally:
            self.is_closed = True
            _fail(self._agenda.clear(), RuntimeError(f"the poller of connection {self.conn_id!r} has ended"))
            line, self._line = self._line, None
            if line is not None:
                await line.driver.close()

    async def _until(self, due: float | None) -> None:
        """Sleep until then, or until something that may be due sooner was added."""
        timeout = None if due is None else max(0.0, due - self._clock())
        try:
            async with asyncio.timeout(timeout):
                await self._sooner.wait()
        except TimeoutError:
            pass

    def _give(self, group: list[Entry]) -> None:
        """Queue a group; pollers are made as they are needed, up to the connection's concurrency."""
        self._due.put_nowait(group)
        limit = self._line.settings.concurrency if self._line else 1
        if self._idle_pollers < self._due.qsize() and len(self._tasks) <= limit:
            self._spawn(self._poll())

    async def _poll(self) -> None:
        while True:
            self._idle_pollers += 1
            group = await self._due.get()
            self._idle_pollers -= 1
            try:
                await self._observe(group)
            except Exception as error:  # noqa: BLE001 - whatever it is, the watches must hear of it
                _fail(group, error)

    async def _observe(self, group: list[Entry]) -> None:
        selector = group[0].look.selector
        if selector and self._can_batch and len(group) > 1:
            group = await self._observe_together(selector, group)
        for entry in group[1:]:
            self._give([entry])
        if group:
            await self._observe_one(group[0])

    async def _observe_together(self, selector: str, group: list[Entry]) -> list[Entry]:
        """Answer whom one read can answer, and return the others."""
        refs = sorted({entry.look.ref for entry in group})
        try:
            found = await self.run(lambda system: system.observe_many(selector, refs))
        except TaskWatchError as error:
            if error.transient and not isinstance(error, ReplyError):
                raise
            self._can_batch = False
            log.warning("connection %r cannot read many at once, reading one by one: %s", self.conn_id, error)
            return group
        self.counts.batches += 1
        for entry in group:
            if entry.look.ref in found:
                self.counts.batched_looks += 1
                _answer(entry, found[entry.look.ref])
        return [entry for entry in group if entry.look.ref not in found]

    async def _observe_one(self, entry: Entry) -> None:
        if entry.answer.done():
            return
        self.counts.looks += 1
        try:
            _answer(entry, await self.run(lambda system: system.observe(entry.look.ref)))
        except TaskWatchError as error:
            _fail([entry], error)

    def _stretch(self) -> float:
        """The common factor for all intervals where they ask for more than the connection can carry."""
        if self._line is None:
            return 1.0
        settings, latency = self._line.settings, self._line.driver.latency
        capacity = min(
            USABLE_SHARE * settings.concurrency / latency if latency else float("inf"),
            settings.rate_limit or float("inf"),
        )
        factor = stretch(self._demand, capacity)
        if factor > 1.0 and not self._has_told_stretch:
            self._has_told_stretch = True
            log.warning(
                "connection %r: %.1f polls a second are wanted and %.1f are possible, so all intervals are stretched "
                "evenly; raise its 'concurrency' or 'rate_limit', or poll_interval",
                self.conn_id,
                self._demand,
                capacity,
            )
        return factor

    # --- the end

    def _end(self) -> None:
        if not self._users:
            self.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work, context=contextvars.Context()))


def _is_rejection(error: TaskWatchError) -> bool:
    """Whether other credentials might help."""
    if isinstance(error, TokenError):
        return not error.transient
    return isinstance(error, RemoteError) and error.status in (401, 403)


def _answer(entry: Entry, seen: Observation) -> None:
    if not entry.answer.done():
        entry.answer.set_result(seen)


def _fail(entries: Iterable[Entry], error: Exception) -> None:
    for entry in entries:
        if not entry.answer.done():
            entry.answer.set_exception(error)
