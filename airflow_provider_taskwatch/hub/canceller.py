"""Carries a user's kill to the remote: at once, and again from the inbox where that has failed."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from airflow_provider_taskwatch.core.cancel import (
    AGE_SECONDS,
    PATIENCE,
    REFUSALS,
    Cancel,
    CancelEnd,
    cancel_from,
    carry_out,
    why_left,
)
from airflow_provider_taskwatch.core.error import MovedError, StrangerError, TransportError, described
from airflow_provider_taskwatch.core.text import shown_ref
from airflow_provider_taskwatch.inbox.lease import new_holder
from airflow_provider_taskwatch.inbox.message import Lease, Message
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.thread import in_thread, later

from .hub import Hub
from .wakeup import happens

log = logging.getLogger(__name__)

KEPT = "taskwatch.cancel"
SETTLED = "taskwatch.cancel.settled"
"""Channels of the inbox: kept cancels, and the ends of those that need no further attempt."""
ATTEMPT_SECONDS = 60.0
LEASE_SECONDS = 120.0
"""Longer than an attempt may take, because the lease is not renewed during it."""
ATTEMPTS_AT_ONCE = 4
"""Per connection."""
CHECK_SECONDS = 30.0
"""How often the inbox is read for cancels that other processes have kept."""

AskState = Callable[..., Awaitable[str | None]]


class CancelAttempt:
    """The attempt to settle one cancel, which can be made again; ``cancel`` holds what was found out so far.

    :param hub_for: the hub of a connection.
    :param ask_state: asks for the state of an Airflow task; see :func:`~..config.supervisor.task_state`.
    """

    def __init__(self, cancel: Cancel, hub_for: Callable[[str], Hub], ask_state: AskState) -> None:
        self.cancel = cancel
        self._hub_for = hub_for
        self._ask_state = ask_state

    async def settle(self) -> tuple[int, str]:
        """Cancels the remote task if it still runs and is still to be cancelled; the level and the message for a log.

        :raises TaskWatchError: where Airflow or the remote did not answer, or refused.
        """
        one = self.cancel
        state = await self._ask_state(
            dag_id=one.dag_id, run_id=one.run_id, task_id=one.task_id, map_index=one.map_index
        )
        if reason := why_left(one, state):
            return logging.INFO, f"{one.shown_ref} goes on: {reason}"
        if not one.is_users and one.valid_until is not None and one.kept_at and time.time() > one.valid_until:
            return (
                logging.WARNING,
                f"{one.shown_ref} is left alone: its wait was over before Airflow said how the task ended",
            )
        self.cancel = replace(one, is_users=True)
        async with self._hub_for(one.conn_id) as hub:
            system = (await hub.connection.current()).system.for_wait(one.options)
            try:
                end, ref = await hub.connection.run(
                    lambda opened: carry_out(opened.system, one, time.time()), id_space=one.id_space
                )
            except (MovedError, StrangerError) as error:
                return logging.WARNING, f"{system.noun} {one.shown_ref} is left alone: {error}"
        if end is CancelEnd.IMPOSSIBLE:
            return logging.WARNING, f"{system.noun} {shown_ref(ref)} {end}: {system.name} has no way to cancel it"
        return logging.INFO, f"{system.noun} {shown_ref(ref)} {end}"


@dataclass(slots=True)
class _Pending:
    """A kept cancel and the results of its attempts."""

    attempt: CancelAttempt
    failures: int = 0
    refusals: int = 0
    next_at: float = 0.0
    is_running: bool = False


class Canceller:
    """Retries the kills that have not reached their remote. All triggerers that share the inbox do so.

    One per event loop. It runs while a wait does, and while it knows of a kept cancel.

    :param ask_state: see :class:`CancelAttempt`.
    :param count: takes the name of a counter.
    :param wait: waits for an event, for a number of seconds at most; replaced in tests.
    """

    def __init__(
        self,
        open_inbox: Callable[[], Awaitable[Inbox]],
        hub_for: Callable[[str], Hub],
        ask_state: AskState,
        *,
        count: Callable[[str], object] = lambda _name: None,
        clock: Callable[[], float] = time.time,
        wait: Callable[[asyncio.Event, float], Awaitable[bool]] = happens,
    ) -> None:
        self._open_inbox = open_inbox
        self._hub_for = hub_for
        self._ask_state = ask_state
        self._count = count
        self._clock = clock
        self._wait = wait
        self._holder = new_holder()
        self._inbox: Inbox | None = None
        self._opening = asyncio.Lock()
        self._pending: dict[str, _Pending] = {}
        self._read_to = {KEPT: 0, SETTLED: 0}
        self._slots: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(ATTEMPTS_AT_ONCE))
        self._attempts: set[asyncio.Task[None]] = set()
        self._users = 0
        self._is_failing = False
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Reads kept cancels for the duration of a wait, and up to :data:`CHECK_SECONDS` after the last one."""
        self._users += 1
        self._start()
        try:
            yield
        finally:
            self._users -= 1

    async def keep(self, cancel: Cancel) -> str:
        """Stores a cancel and retries it from now on; the name of the inbox, for a log.

        :raises TaskWatchError: where the inbox could not be opened or written.
        """
        inbox = await self._opened()
        await in_thread(write_down, inbox, cancel, self._clock())
        self._count("cancel.kept")
        self._news.set()
        self._start()
        return repr(inbox)

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._live(), context=contextvars.Context())

    async def _live(self) -> None:
        try:
            while True:
                self._news.clear()
                pause = await self._round()
                if not self._users and not self._pending and not self._attempts:
                    return
                await self._wait(self._news, pause)
        finally:
            inbox, self._inbox = self._inbox, None
            if inbox is not None:
                later(inbox.close)

    async def _round(self) -> float:
        """Starts the attempts that are due; the seconds until the next round."""
        try:
            await self._read()
        except Exception as error:  # noqa: BLE001 - a kill must not be forgotten silently
            self._warn_once(error)
            return CHECK_SECONDS
        self._is_failing = False
        idle = [one for one in self._pending.values() if not one.is_running]
        for one in [one for one in idle if one.next_at <= self._clock()]:
            one.is_running = True  # beside the others: a remote that does not answer must not delay other kills
            attempt = asyncio.get_running_loop().create_task(self._run(one))
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)
        due = min((one.next_at for one in idle if not one.is_running), default=self._clock() + CHECK_SECONDS)
        return min(CHECK_SECONDS, max(0.0, due - self._clock()))

    async def _run(self, one: _Pending) -> None:
        try:
            async with self._slots[one.attempt.cancel.conn_id]:
                await self._try(one)
        except Exception as error:  # noqa: BLE001 - a kill must not be forgotten silently
            one.next_at = self._clock() + CHECK_SECONDS
            self._warn_once(error)
        finally:
            one.is_running = False
            self._news.set()

    def _warn_once(self, error: Exception) -> None:
        """Logs the first of several failures in a row."""
        if not self._is_failing:
            log.warning("kills that have not reached their remote cannot be retried for now: %s", described(error))
        self._is_failing = True

    async def _opened(self) -> Inbox:
        async with self._opening:
            if self._inbox is None:
                self._inbox = await self._open_inbox()
            return self._inbox

    # --- what is in the inbox

    async def _read(self) -> None:
        """Reads what was kept since the last round, and then what was settled, so that no attempt is in vain."""
        inbox = await self._opened()
        for message in await self._new_messages(inbox, KEPT):
            cancel = cancel_from(message.content)
            if cancel is not None and message.delivery not in self._pending:
                self._pending[message.delivery] = _Pending(CancelAttempt(cancel, self._hub_for, self._ask_state))
        await self._forget_settled(inbox)

    async def _forget_settled(self, inbox: Inbox) -> None:
        for message in await self._new_messages(inbox, SETTLED):
            self._pending.pop(message.delivery, None)

    async def _new_messages(self, inbox: Inbox, channel: str) -> list[Message]:
        found: list[Message] = []
        number = self._read_to[channel]
        while page := await in_thread(inbox.after, channel, number):
            number = page[-1].number
            found += [one.message for one in page]
        self._read_to[channel] = number
        return found

    # --- one cancel

    async def _try(self, one: _Pending) -> None:
        """Makes one attempt, unless another process makes one."""
        inbox, cancel = await self._opened(), one.attempt.cancel
        lease = Lease(name=f"cancel {cancel.cancel_id}", holder=self._holder)
        if not await in_thread(inbox.lease, lease.name, lease.holder, LEASE_SECONDS):
            one.next_at = self._clock() + CHECK_SECONDS
            return
        try:
            await self._forget_settled(inbox)
            if cancel.cancel_id in self._pending:
                await self._attempt(inbox, one)
        finally:
            await in_thread(inbox.release, lease.name, lease.holder)

    async def _attempt(self, inbox: Inbox, one: _Pending) -> None:
        cancel = one.attempt.cancel
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                level, message = await one.attempt.settle()
        except TimeoutError:
            await self._failed(inbox, one, TransportError(f"no answer within {ATTEMPT_SECONDS:g} s"))
        except Exception as error:  # noqa: BLE001 - whatever it is, attempts must end
            await self._failed(inbox, one, error)
        else:
            log.log(level, "%s, some time after its kill: %s", cancel.task, message)
            await self._settle(inbox, one, message)

    async def _failed(self, inbox: Inbox, one: _Pending, error: Exception) -> None:
        cancel, now = one.attempt.cancel, self._clock()
        one.failures += 1
        one.refusals += not getattr(error, "transient", False)
        if now - cancel.kept_at < AGE_SECONDS and one.refusals < REFUSALS:
            one.next_at = now + PATIENCE.seconds(one.failures, getattr(error, "retry_after", None))
            log.warning("%s: %s is still not cancelled: %s", cancel.task, cancel.shown_ref, described(error))
            return
        message = f"given up, and {cancel.shown_ref} may go on; cancel it at the remote by hand: {described(error)}"
        log.error("%s, whose kill came too late: %s", cancel.task, message)
        self._count("cancel.given_up")
        await self._settle(inbox, one, message)

    async def _settle(self, inbox: Inbox, one: _Pending, message: str) -> None:
        cancel_id = one.attempt.cancel.cancel_id
        await in_thread(inbox.append, SETTLED, [message_of(SETTLED, cancel_id, {"words": message}, self._clock())])
        self._pending.pop(cancel_id, None)


def write_down(inbox: Inbox, cancel: Cancel, now: float) -> None:
    """Stores a cancel for the triggerers. Blocking.

    :param now: seconds since the epoch.
    """
    kept = replace(cancel, kept_at=now)
    inbox.append(KEPT, [message_of(KEPT, kept.cancel_id, kept.to_json(), now)])


def unsettled(inbox: Inbox) -> list[Cancel]:
    """The kept cancels that need further attempts. Blocking."""
    settled = {message.delivery for message in _all(inbox, SETTLED)}
    found = (cancel_from(message.content) for message in _all(inbox, KEPT) if message.delivery not in settled)
    return [cancel for cancel in found if cancel is not None]


def _all(inbox: Inbox, channel: str) -> Iterator[Message]:
    number = 0
    while page := inbox.after(channel, number):
        number = page[-1].number
        yield from (one.message for one in page)


def message_of(channel: str, cancel_id: str, content: object, now: float) -> Message:
    """A message about a cancel."""
    return Message(channel=channel, subject=f"cancel {cancel_id}", delivery=cancel_id, content=content, received_at=now)
