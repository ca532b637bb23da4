"""The one poller of a connection in a triggerer process: one session, one token, one limiter, one schedule."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from types import TracebackType
from typing import Any, Self, TypeVar

from airflow_provider_taskwatch.core.connection import Settings
from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    MovedError,
    RemoteError,
    ReplyError,
    TaskWatchError,
    TokenError,
    TransportError,
)
from airflow_provider_taskwatch.core.flow import Flow, nothing, one_step
from airflow_provider_taskwatch.core.outcome import Outcome
from airflow_provider_taskwatch.core.phase import Observation
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.schedule import stretch
from airflow_provider_taskwatch.core.sign import masking
from airflow_provider_taskwatch.core.start import has_moved
from airflow_provider_taskwatch.core.system import System
from airflow_provider_taskwatch.core.watch import Poll
from airflow_provider_taskwatch.core.wire import Call, Pause
from airflow_provider_taskwatch.drive.credential import Credential
from airflow_provider_taskwatch.drive.limiter import Limiter
from airflow_provider_taskwatch.drive.waiting import WaitingDriver
from airflow_provider_taskwatch.remotes import REMOTES

from .lists import Lists
from .log_throttle import LogThrottle
from .poll_queue import Entry, PollQueue
from .wakeup import Wakeup

T = TypeVar("T")

log = logging.getLogger(__name__)

REREAD_SECONDS = 300.0
REREAD_FAILED_SECONDS = 60.0
REREAD_REJECTED_SECONDS = 30.0
LINGER_SECONDS = 60.0
COUNT_SECONDS = 10.0
TICK_SECONDS = 0.1
USABLE_SHARE = 0.9
STRETCHED_SECONDS = 15.0
GATHER_SECONDS = 1.0
"""Where one read costs as much as many, those who come within so long after one wait for the next."""


@dataclass(slots=True)
class Counts:
    """What a hub has done so far."""

    connection_reads: int = 0
    looks: int = 0
    batches: int = 0
    batched_polls: int = 0


@dataclass(frozen=True, slots=True)
class OpenConnection:
    """A connection as it was read, and what was built from it.

    :param make_system: the remote, if it has tasks to watch.
    :param make_id_space: see :meth:`~..core.system.System.id_space`.
    """

    settings: Settings
    make_system: Callable[[], System]
    make_id_space: Callable[[], str]
    driver: WaitingDriver
    read_again_at: float

    @property
    def system(self) -> System:
        return self.make_system()

    @property
    def id_space(self) -> str:
        """Where the refs of this connection mean anything."""
        return self.make_id_space()

    @property
    def has_system(self) -> bool:
        """Whether there is something to watch; some remotes have events only."""
        try:
            return bool(self.system)
        except ConfigurationError:
            return False


class Hub:
    """Serves all watches of one connection in one event loop.

    What it does for many runs in an empty context, so that nothing of it lands in the log of some task; a watch that
    must be read alone is read by its own coroutine, which saves waking another one.

    :param read: reads the connection: once, again after a rejection, and every five minutes.
    :param count: takes the name of a counter and what to add to it.
    :param make_driver: opens what sends its requests; replaced in tests.
    :param linger_seconds: how long it outlives its last user, so that tasks arriving one by one share a token.
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
        self.counts = Counts()
        self.log_throttle = LogThrottle()
        self.is_closed = False
        self._read = read
        self._linger_seconds = linger_seconds
        self._count = count
        self._make_driver = make_driver
        self._clock = clock
        self._line: OpenConnection | None = None
        self._aside_driver: WaitingDriver | None = None
        self._retired: set[WaitingDriver] = set()
        self._line_lock = asyncio.Lock()
        self._reread_from = 0.0
        self._queue = PollQueue()
        self._aside = contextvars.Context()
        self._tasks: set[asyncio.Task[None]] = set()
        self._users = 0
        self._lingering: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._demand = 0.0
        self._lists = Lists()
        self._shared_at: dict[str, float] = {}
        self._stretched_from = math.inf
        self._has_told_stretch = False

    # --- for watches

    async def __aenter__(self) -> Self:
        """Keep the hub alive for the duration of a watch, or of one conversation."""
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
            self._lingering = asyncio.get_running_loop().call_later(
                self._linger_seconds, self._end, context=self._aside
            )

    async def system(self) -> System:
        """The remote, as the connection describes it."""
        return (await self._current()).system

    def shown(self, outcome: Outcome) -> Outcome:
        """The outcome without the connection's secrets: what a callback has added came by another way."""
        return outcome if self._line is None else outcome.masked(self._line.driver.mask)

    async def settings(self) -> Settings:
        """The connection, as it was read."""
        return (await self._current()).settings

    async def converse(self, flow: Flow[T], *, aside: bool = False, id_space: str = "") -> T:
        """Hold a conversation that has begun; a step whose credentials are rejected is repeated as :meth:`run` does.

        :param id_space: where it is to be held, and nowhere else; empty for wherever the connection leads.
        :param aside: over a session and a limiter of its own: for requests that stay open, and are refused, while those
            of all others are not.
        """
        run: Run[Call | Pause, T] = Run(masking(flow))
        driver_of = self._driver_aside if aside else _driver
        while not run.is_over:
            try:
                answer = await self._run(partial(_only, run.step, id_space), driver_of)
            except TaskWatchError as error:
                run.throw(error)
            else:
                run.send(answer)
        return run.result

    async def run(self, converse: Callable[[System], Flow[T]], *, id_space: str = "") -> T:
        """Hold one conversation; once more with the connection read again where its credentials were rejected.

        :param id_space: see :meth:`converse`.
        """
        return await self._run(lambda line: converse(_at(id_space, line).system), _driver)

    async def _run(
        self,
        converse: Callable[[OpenConnection], Flow[T]],
        driver_of: Callable[[OpenConnection], WaitingDriver],
        about: str = "",
    ) -> T:
        line = await self._current()
        try:
            return await driver_of(line).run(converse(line), about=about)
        except TaskWatchError as error:
            if not _is_rejection(error):
                raise
            changed = await self._after_rejection(line)
            if changed is None:
                raise
        return await driver_of(changed).run(converse(changed), about=about)

    async def poll(self, poll: Poll, wakeup: Wakeup | None = None) -> Observation:
        """Read a ref when it is due, together with whoever can be read along; alone and at once when the bell rings."""
        if self.is_closed:
            raise self._ended()
        after = poll.after * self._stretch()
        due = self._clock() + after * (1.0 - poll.spread * random.random())  # noqa: S311 - not for secrets
        entry = self._queue.add(due, poll, asyncio.get_running_loop().create_future())
        self._demand += entry.load
        try:
            self._set_alarm(due)
            if wakeup is not None:
                wakeup.wait_on(entry.answer)
            seen = await entry.answer
            if seen is None:
                self.counts.looks += 1
                seen = await self._run(partial(_observed, poll), _driver, poll.ref)
            return seen
        finally:
            self._demand -= entry.load

    def close(self) -> None:
        """Stop polling and close the session; looks that are still waited for fail."""
        self.is_closed = True
        for task in self._tasks:
            task.cancel()

    # --- the connection

    async def _current(self) -> OpenConnection:
        """The connection, read again when it is time; one reader for all who ask at once."""
        line = self._line
        if line is not None and self._clock() < line.read_again_at:
            return line
        async with self._line_lock:
            if self._line is line or self._line is None:
                self._line = await self._reread(line)
            return self._line

    async def _reread(self, line: OpenConnection | None) -> OpenConnection:
        self.counts.connection_reads += 1
        try:
            return self._renewed(line, await self._read())
        except TaskWatchError as error:
            if line is None:
                raise
            self._warn("connection %r could not be read again, the old one stays in use: %s", self.conn_id, error)
            return replace(line, read_again_at=self._clock() + REREAD_FAILED_SECONDS)

    def _renewed(self, line: OpenConnection | None, settings: Settings) -> OpenConnection:
        """The line for these settings, the old one where nothing has changed.

        :raises ConfigurationError: where the old one had something to watch, and these name no such remote.
        """
        read_again_at = self._clock() + REREAD_SECONDS
        if line is not None and line.settings == settings:
            return replace(line, read_again_at=read_again_at)
        make_system = cache(partial(REMOTES.system_for, settings))
        if line is not None:
            if line.has_system:
                make_system()
            self._retire(line.driver)
        make_id_space = cache(lambda: make_system().id_space(settings))
        return OpenConnection(settings, make_system, make_id_space, self._connect(settings), read_again_at)

    def _connect(self, settings: Settings, credential: Credential | None = None) -> WaitingDriver:
        limiter = Limiter(settings.concurrency, settings.rate_limit, warn=self._warn_of_remote, clock=self._clock)
        return self._make_driver(settings, credential=credential, limiter=limiter)

    def _driver_aside(self, line: OpenConnection) -> WaitingDriver:
        """Another driver with the same token."""
        if self._aside_driver is None or self._aside_driver.credential is not line.driver.credential:
            if self._aside_driver is not None:
                self._retire(self._aside_driver)
            self._aside_driver = self._connect(line.settings, line.driver.credential)
        return self._aside_driver

    def _retire(self, driver: WaitingDriver) -> None:
        """Close it aside: whoever has found out that it is outdated may be cancelled."""
        self._retired.add(driver)
        self._spawn(self._close(driver))

    async def _close(self, driver: WaitingDriver) -> None:
        await driver.close()
        self._retired.discard(driver)

    async def _after_rejection(self, line: OpenConnection) -> OpenConnection | None:
        """The connection as it is now, None where it has not changed. A thousand rejections are worth one read."""
        async with self._line_lock:
            if self._line is not None and self._line.driver is line.driver and self._clock() >= self._reread_from:
                self._reread_from = self._clock() + REREAD_REJECTED_SECONDS
                self._line = await self._reread(self._line)
            return None if self._line is None or self._line.driver is line.driver else self._line

    # --- the schedule

    def _set_alarm(self, due: float) -> None:
        """Wake up then, unless that happens sooner anyway; up to a tick later, so that one turn serves several."""
        left, loop = due - self._clock(), asyncio.get_running_loop()
        at = math.ceil((loop.time() + left) / TICK_SECONDS) * TICK_SECONDS if left > 0 else loop.time()
        if self._alarm is not None:
            if self._alarm.when() <= at:
                return
            self._alarm.cancel()
        self._alarm = loop.call_at(at, self._ring, context=self._aside)

    def _ring(self) -> None:
        """Let those whose turn it is look; those with a selector are looked for together."""
        self._alarm = None
        now = self._clock()
        for group in self._queue.take(now):
            if not self._is_shared(group):
                _answer(group, None)
            elif (at := self._gathered_at(group[0].poll.selector, now)) > now:
                for entry in group:
                    self._queue.put_back(entry, at)
            else:
                self._spawn(self._observe(group, now))
        if (due := self._queue.next_due()) is not None:
            self._set_alarm(due)

    @property
    def _reads_alone(self) -> bool:
        return self._line is None or self._line.system.reads_alone

    def _is_shared(self, group: list[Entry]) -> bool:
        """Whether one read is to serve all of these."""
        selector = group[0].poll.selector
        can_batch = bool(selector) and self._lists.is_usable(selector, self._clock()) and not self._is_held(selector)
        return can_batch and (len(group) > 1 or not self._reads_alone)

    def _is_held(self, selector: str) -> bool:
        """Whether a list has failed so lately that it is not asked for: nobody waits for that who can be read alone."""
        return self._reads_alone and self._line is not None and self._line.driver.limiter.held_seconds(selector) > 0

    def _gathered_at(self, selector: str, now: float) -> float:
        """When these are read: now, or a little later, together with those who come until then."""
        at = now if self._reads_alone else max(now, self._shared_at.get(selector, 0.0) + GATHER_SECONDS)
        if at == now:
            self._shared_at[selector] = now
        return at

    async def _observe(self, group: list[Entry], due: float) -> None:
        """Answer whom one read can answer; the others look themselves.

        :param due: when the read was due; the next one counts from there, however long this one takes.
        """
        try:
            found = await self._read_together(group)
        except asyncio.CancelledError:
            _fail(group, self._ended())
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the watches must hear of it
            _fail(group, error)
        else:
            self._share(group, found, due)

    async def _read_together(self, group: list[Entry]) -> Mapping[str, Observation]:
        """What one read says of these; nothing where the remote refuses such reads, which are left out for a while."""
        self.counts.batches += 1
        looks = [entry.poll for entry in group]
        selector = looks[0].selector
        try:
            found = await self._run(partial(_observed_together, looks), _driver, selector)
        except TaskWatchError as error:
            if error.transient and not isinstance(error, ReplyError):
                if not self._is_of_list(selector, error):
                    raise
            elif self._lists.refused(self._clock()):
                self._warn("connection %r cannot read many at once, reading one by one: %s", self.conn_id, error)
            return {}
        self._lists.worked(selector)
        return found

    def _is_of_list(self, selector: str, error: TaskWatchError) -> bool:
        """Whether the remote may answer, but not to this list: then those in it are read one by one, at once."""
        is_of_list = isinstance(error, TransportError) and error.sent
        is_of_list = is_of_list or (isinstance(error, RemoteError) and error.status >= 500)
        if is_of_list and self._reads_alone and self._lists.failed(selector, self._clock()):
            self._warn("connection %r: the list %r fails, reading one by one: %s", self.conn_id, selector, error)
        return is_of_list and self._reads_alone

    def _share(self, group: list[Entry], found: Mapping[str, Observation], due: float) -> None:
        """Tell the news; a watch that has none waits for another shared read, without being woken."""
        now = self._clock()
        for entry in group:
            seen, again = found.get(entry.poll.ref), max(now, due + entry.poll.after)
            self.counts.batched_polls += seen is not None
            if seen is not None and entry.can_wait(seen, again):
                self._queue.put_back(entry, again)
            else:
                _answer([entry], seen)
        if (next_due := self._queue.next_due()) is not None:
            self._set_alarm(next_due)

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
        if factor == 1.0:
            self._stretched_from = math.inf
        elif self._clock() >= self._tell_stretch_at():
            self._tell_stretch(capacity)
        return factor

    def _tell_stretch_at(self) -> float:
        """When to say that intervals are stretched: once, and not for the crowd of a start."""
        if self._has_told_stretch:
            return math.inf
        self._stretched_from = min(self._stretched_from, self._clock())
        return self._stretched_from + STRETCHED_SECONDS

    def _tell_stretch(self, capacity: float) -> None:
        self._has_told_stretch = True
        self._warn(
            "connection %r: %.1f polls a second are wanted and %.1f are possible, so all intervals are stretched "
            "evenly; raise its 'concurrency' or 'rate_limit', or poll_interval",
            self.conn_id,
            self._demand,
            capacity,
        )

    # --- the end

    async def _live(self) -> None:
        """Count now and then, until the hub is closed or its loop ends; and leave nothing open."""
        counted = 0
        try:
            while True:
                await asyncio.sleep(COUNT_SECONDS)
                looked = self.counts.looks + self.counts.batched_polls
                self._count("polls", looked - counted)
                counted = looked
        finally:
            self.is_closed = True
            if self._alarm is not None:
                self._alarm.cancel()
            _fail(self._queue.clear(), self._ended())
            line, self._line = self._line, None
            in_use = (None if line is None else line.driver, self._aside_driver)
            for driver in (*self._retired, *filter(None, in_use)):
                await driver.close()

    def _warn(self, words: str, *values: object) -> None:
        """What concerns all watches lands in the log of none."""
        contextvars.Context().run(log.warning, words, *values)

    def _warn_of_remote(self, words: str) -> None:
        self._warn("connection %r: %s", self.conn_id, words)

    def _ended(self) -> RuntimeError:
        return RuntimeError(f"the poller of connection {self.conn_id!r} has ended")

    def _end(self) -> None:
        if not self._users:
            self.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, context=self._aside)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _driver(line: OpenConnection) -> WaitingDriver:
    return line.driver


def _at(id_space: str, line: OpenConnection) -> OpenConnection:
    """The line, if it leads to where a ref means what it is taken for.

    :raises MovedError: where the connection was edited meanwhile, and leads elsewhere.
    """
    if id_space and has_moved(id_space, line.id_space):
        raise MovedError(line.settings.conn_id, id_space, line.id_space)
    return line


def _only(step: Call | Pause, id_space: str, line: OpenConnection) -> Flow[Any]:
    """One step as a conversation."""
    _at(id_space, line)
    return one_step(step)


def _observed(poll: Poll, line: OpenConnection) -> Flow[Observation]:
    return _at(poll.id_space, line).system.observe(poll.ref)


def _observed_together(looks: Sequence[Poll], line: OpenConnection) -> Flow[Mapping[str, Observation]]:
    """Only what belongs to where the connection leads now; the others are read alone, and hear that it has moved."""
    refs = {one.ref for one in looks if not has_moved(one.id_space, line.id_space)}
    return line.system.observe_many(looks[0].selector, sorted(refs)) if refs else nothing({})


def _is_rejection(error: TaskWatchError) -> bool:
    """Whether other credentials might help."""
    if isinstance(error, TokenError):
        return not error.transient
    return isinstance(error, RemoteError) and error.status in (401, 403)


def _answer(entries: Iterable[Entry], seen: Observation | None) -> None:
    """Give what was seen, or None: look yourself."""
    for entry in entries:
        if not entry.answer.done():
            entry.answer.set_result(seen)


def _fail(entries: Iterable[Entry], error: Exception) -> None:
    for entry in entries:
        if not entry.answer.done():
            entry.answer.set_exception(error)
