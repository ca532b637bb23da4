"""The trigger that waits for one remote task. The hub of its connection makes the polls."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_taskwatch.compat.trigger_kill import CALLS_ON_KILL, is_shutdown, note_triggerer, undisturbed
from airflow_provider_taskwatch.core.cancel import Cancel
from airflow_provider_taskwatch.core.change_log import ChangeLog
from airflow_provider_taskwatch.core.error import DeadlineError, TaskWatchError, described
from airflow_provider_taskwatch.core.flow import one_step
from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.text import shown_ref
from airflow_provider_taskwatch.core.watch import Poll, PollResult, expire, next_poll, watch

from .base import BriefEvent, WorkerClock

if TYPE_CHECKING:
    from airflow_provider_taskwatch.core.system import System
    from airflow_provider_taskwatch.core.watch import WatchRun
    from airflow_provider_taskwatch.feed.callback_wait import CallbackWait
    from airflow_provider_taskwatch.hub.hub import Hub


class WatchTrigger(WorkerClock, BaseTrigger):
    """Waits for one remote task.

    :param conn_id: the connection; its type names the remote.
    :param started_at: when the wait began (ISO 8601, UTC); interval and grace periods go on from there after a restart.
    :param plan: what to wait for, and how: the JSON of a :class:`~..core.plan.Plan`. It is read when the trigger runs,
        because Airflow 3.3.2 does not show the task why a trigger could not be made.
    :param start_id: the random id of the start, the same as in the remote's marker; None where others started it.
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
        self.plan = _plan_of(plan)
        self.start_id = start_id
        self.ahead_seconds = ahead_seconds
        self.resumable_from = resumable_from
        self._is_over = False
        self._was_seen = False
        self._ended_at: float | None = None
        self._callback: CallbackWait | None = None

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
        return Plan.from_json(self.plan)

    @property
    def _started_at(self) -> datetime:
        return datetime.fromisoformat(self.started_at)

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
        note_triggerer()
        try:
            event = await self._event(await self._outcome())
            if not isinstance(event, TaskSuccessEvent):
                await self._until_resumable()
        except asyncio.CancelledError:
            if not CALLS_ON_KILL and not is_shutdown():
                await undisturbed(self.on_kill())
            raise
        self._is_over = True
        yield event

    async def _outcome(self) -> Outcome:
        """Waits, and logs what is left to log for the task."""
        from airflow_provider_taskwatch.hub.hub import hub_for

        level = logging.NOTSET
        async with hub_for(self.conn_id) as hub:
            try:
                outcome = hub.connection.shown(await self._watch(hub, self._plan))
                if outcome.warning and self._plan.finish == "push":
                    hub.log_throttle.log(self, self.log, logging.WARNING, outcome.warning)
                if outcome.ending.is_ok and self._plan.finish == "resume":
                    level = logging.WARNING  # the worker logs the end itself
            except TaskWatchError as error:
                outcome = Outcome(ending=Ending.REFUSED, ref=self.ref, message=str(error))
            finally:
                await hub.log_throttle.flush(self, level)
            return outcome

    async def _watch(self, hub: Hub, plan: Plan) -> Outcome:
        """Runs the wait until it ends, or its deadline passes."""
        from airflow_provider_taskwatch.hub.kills import ready_for_kills

        age = max(0.0, (self._now() - self._started_at).total_seconds())
        deadline, left = self.deadline_at, self._seconds_left()
        born = asyncio.get_running_loop().time() - age
        warn = partial(hub.log_throttle.log, self, self.log, logging.WARNING)
        self._callback = callback = self._expect(plan, warn)
        run: WatchRun | None = None
        system: System | None = None
        try:
            async with asyncio.timeout(left):
                system = (await hub.connection.open(warn)).system.for_wait(plan.options)
                run = Run(watch(system, plan.ending_in(left, age), age))
                with callback.listening() if callback else nullcontext(), ready_for_kills():
                    await self._drive(run, hub, ChangeLog(system.noun), born)
        except TimeoutError:
            passed = DeadlineError(f"the deadline was {deadline and deadline.isoformat()}")
            if run is None or system is None:
                return Outcome(ending=Ending.TIMED_OUT, ref=self.ref, message=str(passed))
            expire(run, passed)
        self._count_delay(run.result)
        return callback.enriched(run.result, system, self._ended_at) if callback else run.result

    async def _drive(self, run: WatchRun, hub: Hub, changes: ChangeLog, born: float) -> None:
        """Answers the steps of a wait.

        :param born: when the wait began, by the clock of the event loop.
        """
        while not run.is_over:
            if isinstance(run.step, Poll):
                result = await self._poll(run.step, hub, born)
                run.send(result)
                self._log_change(run, hub, changes, result)
                del result  # it may hold a large reply, which would be kept until the next poll
                continue
            with run.answering() as answer:
                answer.value = await hub.connection.converse(one_step(run.step), id_space=self._plan.id_space)

    async def _poll(self, poll: Poll, hub: Hub, born: float) -> PollResult:
        observation, failure, callback = None, None, self._callback
        try:
            observation = await hub.poll(poll, callback.wakeup if callback else None)
        except TaskWatchError as error:
            failure = error
        else:
            self._ended_at = observation.ended_at
            self._was_seen = self._was_seen or observation.phase is not Phase.LOST
        age = asyncio.get_running_loop().time() - born
        return PollResult(
            age=age, observation=observation, error=failure, is_called=bool(callback and callback.is_called)
        )

    def _log_change(self, run: WatchRun, hub: Hub, changes: ChangeLog, result: PollResult) -> None:
        """Logs what is new in an observation or an error. The worker logs the end, where one comes back."""
        if run.is_over and self._plan.finish == "resume":
            return
        line = changes.line(result.content, next_poll(run))
        if self._callback:
            line = self._callback.with_call(line)
        if line:
            hub.log_throttle.log(self, self.log, logging.WARNING if result.error else logging.INFO, line)

    def _expect(self, plan: Plan, warn: Callable[[str], object]) -> CallbackWait | None:
        if plan.callback is None:
            return None
        from airflow_provider_taskwatch.feed.callback_wait import CallbackWait

        return CallbackWait(plan.callback, start_id=str(self.start_id), ref=self.ref, now=self._now, warn=warn)

    def _count_delay(self, outcome: Outcome) -> None:
        """The seconds from the end of the remote task, by its own clock, to this moment."""
        from airflow_provider_taskwatch.config.metric import duration

        if outcome.ending.is_of_remote and self._ended_at is not None:
            duration("delay", max(0.0, self._now().timestamp() - self._ended_at))

    # --- the end

    async def _event(self, outcome: Outcome) -> TriggerEvent:
        """The event that resumes a worker, or the one that ends the task where no worker is needed."""
        called_at = self._callback.called_at if self._callback else ""
        payload = self._payload(outcome) | {"start_id": self.start_id} | ({"called_at": called_at} if called_at else {})
        resuming = BriefEvent(payload, summary=f"{shown_ref(outcome.ref)}: {outcome.ending}")
        if outcome.ending is not Ending.SUCCEEDED or self._plan.finish == "resume":
            return resuming
        if self._plan.finish == "push" and not await self._push(outcome):
            return resuming
        return TaskSuccessEvent()

    async def _push(self, outcome: Outcome) -> bool:
        from airflow_provider_taskwatch.config.supervisor import push_result

        if self.task_instance is None:
            return False
        try:
            await push_result(self.task_instance, outcome.result)
        except Exception as error:  # noqa: BLE001 - whatever Airflow raises, a worker can still push it
            reason = described(error)
            self.log.warning("the result could not be pushed from the triggerer, a worker will do it: %s", reason)
            return False
        return True

    # --- a kill

    async def on_kill(self) -> None:
        """Cancels at the remote, if a user ended the task.

        Below Airflow 3.3, :meth:`run` calls this itself when it is cancelled.
        Airflow 3.3.2 also calls this after our own event and when another triggerer took over (#73454). In the first
        case the wait is over; in the second the task is still deferred, or goes on after the other triggerer's event.
        A cancel that fails is kept, and retried by the triggerers that share the inbox.
        """
        if self._is_over or not self._plan.cancel_on_kill or self._seconds_left() == 0:
            return
        from airflow_provider_taskwatch.hub.kills import kill

        await kill(self._as_cancel(), self.log)

    def _as_cancel(self) -> Cancel:
        """The cancel, as it can be stored."""
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


def _plan_of(given: object) -> dict[str, Any]:
    """A plan; empty for anything else, which is refused when the trigger runs."""
    return dict(given) if isinstance(given, Mapping) else {}
