"""The trigger that waits for one ref; the hub of its connection does the asking."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_taskwatch.core.callback import Callback, enriched
from airflow_provider_taskwatch.core.cancel import Cancel, kept_message, lost_message
from airflow_provider_taskwatch.core.change_log import ChangeLog
from airflow_provider_taskwatch.core.error import DeadlineError, TaskWatchError, described
from airflow_provider_taskwatch.core.flow import one_step
from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.watch import Poll, Seen, expire, watch

from .base import BriefEvent, WorkerClock

if TYPE_CHECKING:
    from airflow_provider_taskwatch.core.system import System
    from airflow_provider_taskwatch.core.wire import Call, Pause
    from airflow_provider_taskwatch.hub.hub import Hub
    from airflow_provider_taskwatch.hub.wakeup import Wakeup

KILL_SECONDS = 20.0
KEEP_SECONDS = 8.0
"""Airflow itself gives up on a kill after 30 (``[triggerer] on_kill_timeout``)."""
AIRFLOW_SECONDS = 60.0
"""A supervisor that builds its API answers after 44 seconds on a busy host."""


class WatchTrigger(WorkerClock, BaseTrigger):
    """Wait for one remote task.

    :param conn_id: the connection; its type names the remote.
    :param started_at: when the wait began (ISO 8601, UTC); interval and grace periods go on from there after a restart.
    :param plan: what :meth:`~..core.plan.Plan.to_json` has made. It is read when the trigger runs: an error here would
        fail the task with a message of Airflow's (3.3.2).
    :param start_id: the random id of the start, the same as in the remote's marker.
    :param ahead_seconds: how far a triggerer's clock was seen to be ahead of the worker's, which has set the deadline.
    :param resumable_from: until then no event asks for a worker (ISO 8601); see
        :func:`~..task.deferral.resumable_from`. None: at once.
    """

    def __init__(
        self,
        *,
        conn_id: str,
        started_at: str,
        plan: Mapping[str, Any],
        start_id: str | None = None,
        ahead_seconds: float = 0.0,
        resumable_from: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id
        self.started_at = started_at
        self.plan = dict(plan)
        self.start_id = start_id
        self.ahead_seconds = ahead_seconds
        self.resumable_from = resumable_from
        self._is_over = False
        self._ended_at: float | None = None
        self._was_seen = False
        self._called_at = ""
        self._has_told_call = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "conn_id": self.conn_id,
            "started_at": self.started_at,
            "plan": self.plan,
            "start_id": self.start_id,
            "ahead_seconds": self.ahead_seconds,
            "resumable_from": self.resumable_from,
        }

    @property
    def ref(self) -> str:
        """The remote's id of the task."""
        return str(self.plan.get("ref", ""))

    @cached_property
    def _plan(self) -> Plan:
        """The plan, where this version of the package can read it."""
        return Plan.from_json(self.plan)

    @property
    def deadline_at(self) -> datetime | None:
        ends_at = self._plan.ends_at
        return None if ends_at is None else self._started_at + timedelta(seconds=ends_at)

    def due(self, outcome: Outcome) -> datetime | None:
        if outcome.ending is Ending.LOST:
            return self._started_at + timedelta(seconds=self._plan.rules.not_found_grace)
        return super().due(outcome)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event, and no await after it: Airflow 3.3.2 calls ``on_kill`` on a trigger that lingers."""
        outcome = await self._outcome()
        event = await self._event(outcome)
        if not isinstance(event, TaskSuccessEvent):
            await self._until_resumable()
        self._is_over = True
        yield event

    async def on_kill(self) -> None:
        """Cancel at the remote, if a user ended the task.

        Airflow 3.3.2 also calls this after our own event and when another triggerer took over (#73454); in the first
        case the wait is over here, in the second the task is still deferred, or goes on after the other one's event.
        What cannot be cancelled now is kept, and tried on by the triggerers that share the inbox.
        """
        if self._is_over or not self._plan.cancel_on_kill or self._seconds_left() == 0:
            return
        from airflow_provider_taskwatch.hub.kills import kill_of

        kill = kill_of(self._as_cancel())
        try:
            async with asyncio.timeout(KILL_SECONDS):
                self.log.log(*await kill.settle())
        except TimeoutError:
            await self._keep(kill.cancel, f"no answer within {KILL_SECONDS:g} s")
        except TaskWatchError as error:
            await self._keep(kill.cancel, str(error))
        except asyncio.CancelledError:
            await self._keep(kill.cancel, "the triggerer ends, or gives up on it")
            raise

    # --- waiting

    async def _outcome(self) -> Outcome:
        from airflow_provider_taskwatch.hub.hub import hub_for

        async with hub_for(self.conn_id) as hub:
            outcome: Outcome | None = None
            try:
                outcome = hub.connection.shown(await self._watch(hub, self._plan))
                if outcome.warning and self._plan.finish == "push":
                    hub.log_throttle.log(self, self.log, logging.WARNING, outcome.warning)
            except TaskWatchError as error:
                outcome = Outcome(ending=Ending.REFUSED, ref=self.ref, message=str(error))
            finally:
                await hub.log_throttle.flush(self, self._level(outcome))
            return outcome

    async def _watch(self, hub: Hub, plan: Plan) -> Outcome:
        """Drive the watch; the deadline becomes monotonic time once, here."""
        from airflow_provider_taskwatch.hub.kills import ready_for_kills

        run: Run[Poll | Call | Pause, Outcome] | None = None
        system: System | None = None
        deadline = self.deadline_at
        age, left, began = self._age(), self._seconds_left(), asyncio.get_running_loop().time()
        warn = partial(hub.log_throttle.log, self, self.log, logging.WARNING)
        wakeup = self._wakeup(warn)
        try:
            async with asyncio.timeout(left):
                system = (await hub.connection.open(warn)).system
                run = Run(watch(system, plan, age))
                with self._listening(wakeup), ready_for_kills():
                    await self._drive(run, hub, ChangeLog(system.noun), began - age, wakeup)
        except TimeoutError:
            passed = DeadlineError(f"the deadline was {deadline and deadline.isoformat()}")
            if run is None or system is None:
                return Outcome(ending=Ending.TIMED_OUT, ref=self.ref, message=str(passed))
            expire(run, passed)
        self._count_delay(run.result)
        return self._called(run.result, system, wakeup, warn)

    def _wakeup(self, warn: Callable[[str], object]) -> Wakeup | None:
        """What callbacks ring, where one is expected."""
        if self._plan.callback is None:
            return None
        from airflow_provider_taskwatch.hub.wakeup import Wakeup

        mine = contextvars.copy_context()  # by which Airflow finds the log of a task
        return Wakeup(lambda words: mine.run(warn, words), self._note_call)

    def _note_call(self) -> None:
        self._called_at = f"{self._now():%Y-%m-%d %H:%M:%S} UTC"

    def _listening(self, wakeup: Wakeup | None) -> AbstractContextManager[None]:
        from airflow_provider_taskwatch.feed.registry import listener

        return nullcontext() if wakeup is None else listener().listening(str(self.start_id), wakeup)

    def _count_delay(self, outcome: Outcome) -> None:
        """The seconds from the remote's end, by its own clock, to this moment."""
        from airflow_provider_taskwatch.config.metric import duration

        if outcome.ending.is_of_remote and self._ended_at is not None:
            duration("delay", max(0.0, self._now().timestamp() - self._ended_at))

    def _called(
        self, outcome: Outcome, system: System, wakeup: Wakeup | None, warn: Callable[[str], object]
    ) -> Outcome:
        """The outcome with what the last callback has brought; or a word about one that did not come.

        What took over from the ref was started by others, who asked for no callback.
        """
        expected = self._plan.callback
        if wakeup is None or expected is None or not outcome.ending.is_of_remote or outcome.ref != self.ref:
            return outcome
        if not wakeup.contents:
            warn(self._missed(system))
        for content in reversed(wakeup.contents):
            callback = system.read_callback(content, expected.names)
            if callback.ref in (None, outcome.ref) and isinstance(content, Mapping):
                return enriched(outcome, content, callback, expected.keep)
            warn(f"what a callback says is left out: it cannot be read, or is about another {system.noun}")
        return enriched(outcome, {}, Callback(), expected.keep)

    def _missed(self, system: System) -> str:
        """Count a callback that did not come, and say so."""
        from airflow_provider_taskwatch.config.metric import count

        count("callback.missed")
        since = "" if self._ended_at is None else f" {max(0.0, self._now().timestamp() - self._ended_at):.0f} s ago"
        return (
            f"the {system.noun} has ended{since} and has not called back; a look in between has found out: see whether "
            "the remote reaches [taskwatch] callback_base_url, and what it says of its callbacks"
        )

    async def _drive(
        self, run: Run[Poll | Call | Pause, Outcome], hub: Hub, changes: ChangeLog, born: float, wakeup: Wakeup | None
    ) -> None:
        while not run.is_over:
            step = run.step
            if isinstance(step, Poll):
                self._take(run, hub, changes, await self._poll(step, hub, born, wakeup))
                continue
            with run.answering() as answer:
                answer.value = await hub.connection.converse(one_step(step), id_space=self._plan.id_space)

    async def _poll(self, poll: Poll, hub: Hub, born: float, wakeup: Wakeup | None) -> Seen:
        observation, failure = None, None
        try:
            observation = await hub.poll(poll, wakeup)
        except TaskWatchError as error:
            failure = error
        else:
            self._ended_at = observation.ended_at
            self._was_seen = self._was_seen or observation.phase is not Phase.LOST
        age, is_called = asyncio.get_running_loop().time() - born, wakeup is not None and bool(wakeup.contents)
        return Seen(age=age, observation=observation, error=failure, is_called=is_called)

    def _take(self, run: Run[Poll | Call | Pause, Outcome], hub: Hub, changes: ChangeLog, seen: Seen) -> None:
        """Pass on what a look has brought, and tell what is new; in :meth:`_drive` the reply would stay until the next.

        How it has ended is for the worker to say, where one comes back.
        """
        run.send(seen)
        if run.is_over and self._plan.finish == "resume":
            return
        then = run.step if not run.is_over and isinstance(run.step, Poll) else None
        line = changes.line(seen.told, then)
        if seen.is_called and not self._has_told_call:
            self._has_told_call = True
            line = f"the remote called back at {self._called_at}, and was polled: {line or 'nothing has changed'}"
        if line:
            hub.log_throttle.log(self, self.log, logging.WARNING if seen.error else logging.INFO, line)

    def _level(self, outcome: Outcome | None) -> int:
        """From which level on it is worth saying what was not said before the end."""
        is_told_by_worker = outcome is not None and outcome.ending.is_ok and self._plan.finish == "resume"
        return logging.WARNING if is_told_by_worker else logging.NOTSET

    @property
    def _started_at(self) -> datetime:
        return datetime.fromisoformat(self.started_at)

    def _age(self) -> float:
        return max(0.0, (self._now() - self._started_at).total_seconds())

    # --- the end

    async def _event(self, outcome: Outcome) -> TriggerEvent:
        """The event; where nothing of a worker is needed, the one that ends the task."""
        called = {"called_at": self._called_at} if self._called_at else {}
        payload = self._told(outcome) | {"start_id": self.start_id} | called
        event = BriefEvent(payload, words=f"{outcome.ref}: {outcome.ending}")
        if outcome.ending is not Ending.SUCCEEDED or self._plan.finish == "resume":
            return event
        if self._plan.finish == "push" and not await self._push(dict(outcome.result)):
            return event
        return TaskSuccessEvent()

    async def _push(self, result: dict[str, Any]) -> bool:
        """Push the XCom from here: in an event's ``xcoms`` Airflow 3.3.2 encodes it twice."""
        from airflow.sdk.execution_time.xcom import XCom

        ti = self.task_instance
        if ti is None:
            return False
        try:
            async with asyncio.timeout(AIRFLOW_SECONDS):
                await XCom.aset(
                    "return_value",
                    result,
                    dag_id=ti.dag_id,
                    task_id=ti.task_id,
                    run_id=ti.run_id,
                    map_index=ti.map_index,
                )
        except Exception as error:  # noqa: BLE001 - whatever Airflow says, a worker can still push it
            reason = described(error)
            self.log.warning("the result could not be pushed from the triggerer, a worker will do it: %s", reason)
            return False
        return True

    def _as_cancel(self) -> Cancel:
        """The user's kill, as it can be written down."""
        ti, plan, deadline = self.task_instance, self._plan, self.deadline_at
        grace = 0.0 if self._was_seen else plan.rules.not_found_grace
        return Cancel(
            cancel_id=secrets.token_hex(8),
            conn_id=self.conn_id,
            ref=plan.ref,
            id_space=plan.id_space,
            options=plan.options,
            dag_id="" if ti is None else ti.dag_id,
            run_id="" if ti is None else ti.run_id,
            task_id="" if ti is None else ti.task_id,
            map_index=-1 if ti is None or ti.map_index is None else ti.map_index,
            keeps_record=plan.keeps_record,
            unknown_until=self._started_at.timestamp() + grace,
            valid_until=None if deadline is None else deadline.timestamp(),
        )

    async def _keep(self, cancel: Cancel, reason: str) -> None:
        """Write down what could not be cancelled; in a task of its own, as Airflow may give up on this one."""
        from airflow_provider_taskwatch.hub.kills import canceller

        keeping = asyncio.get_running_loop().create_task(canceller().keep(cancel))
        keeping.add_done_callback(lambda done: done.cancelled() or done.exception())  # told here, or come too late
        try:
            async with asyncio.timeout(KEEP_SECONDS):
                where = await asyncio.shield(keeping)
        except Exception as error:  # noqa: BLE001 - whatever it is, the user must know what goes on
            self.log.error(lost_message(self.ref, reason, described(error)))
        else:
            self.log.warning(kept_message(self.ref, reason, where))
