"""The poller of a connection: takes polls from waits, puts them on a queue, and answers them when they are due."""

from __future__ import annotations

import asyncio
import contextvars
import math
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from airflow_provider_taskwatch.config.connection import read_settings
from airflow_provider_taskwatch.config.metric import count
from airflow_provider_taskwatch.core.phase import Observation
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.watch import Poll
from airflow_provider_taskwatch.drive.waiting import WaitingDriver

from .demand import Demand
from .lists import Lists
from .live_connection import LiveConnection
from .log_throttle import LogThrottle
from .per_loop import PerLoop
from .poll_queue import Entry, PollQueue, Turn
from .wakeup import Wakeup

LINGER_SECONDS = 60.0
COUNT_SECONDS = 10.0
TICK_SECONDS = 0.1


class Hub:
    """Polls for all waits of one connection in one event loop.

    Work for several waits runs in an empty context, so that it does not log into the log of one task. A single ref is
    polled by the coroutine of its own wait, because waking another coroutine costs a turn of the event loop.

    :param read: reads the settings of the connection; see :class:`~.live_connection.LiveConnection`.
    :param linger_seconds: how long the hub outlives its last user, so that successive tasks share a token.
    :param count: takes the name of a counter and the number to add.
    :param make_driver: replaced in tests.
    """

    def __init__(
        self,
        conn_id: str,
        read: Callable[[], Awaitable[Settings]],
        *,
        linger_seconds: float = LINGER_SECONDS,
        count: Callable[[str, int], object] = lambda _name, _number: None,
        make_driver: Callable[..., WaitingDriver] = WaitingDriver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.conn_id = conn_id
        self.connection = LiveConnection(conn_id, read, make_driver=make_driver, clock=clock)
        self.log_throttle = LogThrottle()
        self.is_closed = False
        self._clock = clock
        self._count = count
        self._linger_seconds = linger_seconds
        self._queue = PollQueue()
        self._lists = Lists(connection=self.connection, clock=clock)
        self._demand = Demand(warn=self.connection.warn, clock=clock)
        self._polls = 0
        self._users = 0
        self._context = contextvars.Context()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lingering: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None

    async def poll(self, poll: Poll, wakeup: Wakeup | None = None) -> Observation:
        """Polls a ref when it is due, or at once when ``wakeup`` rings.

        :raises TaskWatchError: where the ref could not be read.
        :raises RuntimeError: where the hub is closed.
        """
        if self.is_closed:
            raise self._ended()
        after = poll.after * self._demand.stretch(self.connection.capacity)
        due = self._clock() + after * (1.0 - poll.spread * random.random())  # noqa: S311 - not for secrets
        entry = self._queue.add(due, poll, asyncio.get_running_loop().create_future())
        self._demand.polls_per_second += entry.polls_per_second
        try:
            self._set_alarm(due)
            if wakeup is not None:
                wakeup.wait_on(entry.answer)
            answer = await entry.answer
            if answer is not Turn.POLL_ALONE:
                return answer
            self._polls += 1
            return await self.connection.run(
                lambda opened: opened.system.for_wait(poll.options).observe(poll.ref),
                id_space=poll.id_space,
                about=poll.ref,
            )
        finally:
            self._demand.polls_per_second -= entry.polls_per_second

    def _set_alarm(self, due: float | None) -> None:
        """Rings when the next poll is due, up to a tick later, so that one turn of the loop serves several polls."""
        if due is None:
            return
        left, loop = due - self._clock(), asyncio.get_running_loop()
        at = math.ceil((loop.time() + left) / TICK_SECONDS) * TICK_SECONDS if left > 0 else loop.time()
        if self._alarm is not None:
            if self._alarm.when() <= at:
                return
            self._alarm.cancel()
        self._alarm = loop.call_at(at, self._ring, context=self._context)

    def _ring(self) -> None:
        """Answers the polls that are due: each wait reads its own ref, or one list serves a group."""
        self._alarm = None
        now = self._clock()
        for group in self._queue.take(now):
            selector = group[0].poll.selector
            is_single = len(group) == 1 and (not selector or self.connection.reads_alone)
            at = None if is_single else self._lists.next_read(selector, now)
            if at is None:
                for entry in group:
                    entry.resolve(Turn.POLL_ALONE)
            elif at > now:
                for entry in group:
                    self._queue.put_back(entry, at)
            else:
                self._spawn(self._read_list(group, now))
        self._set_alarm(self._queue.next_due())

    async def _read_list(self, group: list[Entry], due: float) -> None:
        """Answers a group from one list; a wait whose ref is not in it reads it alone.

        A wait whose observation shows no change is put back on the queue without being woken. Its next poll counts from
        ``due``, however long the list takes.
        """
        try:
            found = await self._lists.read([entry.poll for entry in group])
        except asyncio.CancelledError:
            self._fail(group, self._ended())
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the waits must get it
            self._fail(group, error)
            return
        now = self._clock()
        for entry in group:
            observation, again = found.get(entry.poll.ref), max(now, due + entry.poll.after)
            self._polls += observation is not None
            if observation is not None and entry.is_held(observation, again):
                self._queue.put_back(entry, again)
            else:
                entry.resolve(Turn.POLL_ALONE if observation is None else observation)
        self._set_alarm(self._queue.next_due())

    @staticmethod
    def _fail(entries: list[Entry], error: Exception) -> None:
        for entry in entries:
            entry.fail(error)

    # --- its life

    async def __aenter__(self) -> Self:
        """Keeps the hub alive while a wait, or another user, needs it."""
        self._users += 1
        if self._lingering is not None:
            self._lingering.cancel()
        if not self._tasks:
            self._spawn(self._live())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._users -= 1
        if not self._users:
            loop = asyncio.get_running_loop()
            self._lingering = loop.call_later(self._linger_seconds, self._close_unused, context=self._context)

    async def _live(self) -> None:
        """Counts polls until the hub is closed or the event loop ends; then closes what is open."""
        try:
            while True:
                await asyncio.sleep(COUNT_SECONDS)
                polls, self._polls = self._polls, 0
                self._count("polls", polls)
        finally:
            self.is_closed = True
            if self._alarm is not None:
                self._alarm.cancel()
            self._fail(self._queue.clear(), self._ended())
            await self.connection.close()

    def close(self) -> None:
        """Stops polling and closes the connection. Polls that are waited for fail."""
        self.is_closed = True
        for task in self._tasks:
            task.cancel()

    def _close_unused(self) -> None:
        if not self._users:
            self.close()

    def _ended(self) -> RuntimeError:
        return RuntimeError(f"the poller of connection {self.conn_id!r} has ended")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, context=self._context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_hubs = PerLoop[Hub](has_ended=lambda hub: hub.is_closed)


def hub_for(conn_id: str) -> Hub:
    """The hub of a connection in the running event loop; a new one where there is none, or it has ended."""
    return _hubs.get(lambda: Hub(conn_id, lambda: read_settings(conn_id), count=count), conn_id)
