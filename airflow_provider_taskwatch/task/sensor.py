"""The sensor that waits for one remote task, which others have started."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, AirflowSensorTimeout, AirflowSkipException
from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR, TriggerFailureReason

from airflow_provider_taskwatch.core.change_log import ChangeLog
from airflow_provider_taskwatch.core.check import Check, duration, is_duration
from airflow_provider_taskwatch.core.error import MovedError, TaskWatchError
from airflow_provider_taskwatch.core.judge import Memory, from_json
from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.core.phase import Observation
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.schedule import LIMIT_SECONDS
from airflow_provider_taskwatch.core.system import has_moved
from airflow_provider_taskwatch.core.watch import Poll, PollResult, assess
from airflow_provider_taskwatch.link import RemoteTaskLink

from .base import CheckedOperatorType
from .deferral import backstop, deadline_of, now, resumable_from
from .finish import how_to_finish
from .result import WaitTimedOut, result_of
from .task_state import task_state
from .watch import WatchMixin, id_space_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_taskwatch.compat.task_state import TaskState


MEMORY_KEY = "taskwatch_memory"


class WatchSensor(WatchMixin, BaseSensorOperator, metaclass=CheckedOperatorType):
    """Waits for a remote task that was started elsewhere. Subclasses say which one.

    Airflow's ``timeout``, ``soft_fail``, ``never_fail`` and ``mode="reschedule"`` (with ``deferrable=False``) have
    their usual meaning.

    :param deferrable: wait in the triggerer; False waits on the worker. None: ``[taskwatch] default_deferrable``.
    :param poll_interval: the longest interval between polls, in seconds or as a timedelta. None: ``poke_interval``, or
        30 seconds, and up to 60 while the reported progress says that the end is farther away.
    :param poke_interval: Airflow's name for ``poll_interval``; it counts if ``poll_interval`` is not given.
    :param adaptive: the first poll comes at once, and the interval grows with the age of the wait and follows the
        progress. False polls at once and then every ``poll_interval``.
    :param on_skipped: what an end without work means: ``succeed``, ``skip`` (the Airflow task too) or ``fail``.
    :param not_found_grace: seconds from the start during which the remote may not know the id yet.
    :param unknown_status_grace: seconds during which the status may be one that is in no table.
    :param fail_on_blocked: fail as soon as the remote task waits for a person.
    :param blocked_timeout: fail after this many seconds in that state.
    :param include_personal: put personal data (authors, users) into the result.
    :param output_path: write the whole result there, too, as JSON; the XCom has 100,000 characters at most. A path on
        the worker, or an address of Airflow's object storage, such as ``s3://conn@bucket/{{ run_id }}.json``.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {"poke_interval": duration}
    operator_extra_links = (RemoteTaskLink(),)

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        poll_interval: float | timedelta | None = None,
        adaptive: bool = True,
        on_skipped: str = "succeed",
        not_found_grace: float | timedelta = 300.0,
        unknown_status_grace: float | timedelta = 300.0,
        fail_on_blocked: bool = False,
        blocked_timeout: float | timedelta | None = None,
        include_personal: bool = False,
        output_path: str = "",
        poke_interval: float | timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        interval = poke_interval if poll_interval is None else poll_interval
        pokes = next((one for one in (poke_interval, poll_interval) if one is not None), LIMIT_SECONDS)
        # Airflow 3.3.2 raises a bare OverflowError for what is too long; our own check names the argument.
        super().__init__(poke_interval=pokes if is_duration("poll_interval", pokes) else LIMIT_SECONDS, **kwargs)
        self.deferrable = deferrable
        self.poll_interval = interval
        self.adaptive = adaptive
        self.on_skipped = on_skipped
        self.not_found_grace = not_found_grace
        self.unknown_status_grace = unknown_status_grace
        self.fail_on_blocked = fail_on_blocked
        self.blocked_timeout = blocked_timeout
        self.include_personal = include_personal
        self.output_path = output_path
        self._memory: Memory | None = None
        self._state: TaskState | None = None
        self._moved: MovedError | None = None
        self._is_kept = False
        self._changes: ChangeLog | None = None
        self._began: datetime | None = None
        self._deadline: datetime | None = None

    # --- what subclasses say

    def watched_ref(self) -> str:
        """The remote's id of the task, from the rendered arguments."""
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """How the system reads the remote's replies."""
        return {}

    def joint_checks(self) -> Iterable[tuple[Collection[str], Callable[[], object]]]:
        yield self.template_fields, self.watched_ref

    # --- Airflow's entrances

    def execute(self, context: Context) -> Any:
        self.has_page = False
        self.validate()
        ref = self.watched_ref()
        if doubt := self.system.doubt(ref):
            self.log.warning("%s; the sensor waits for it anyway", doubt)
        self.push_page(context["ti"], ref)
        if self.waits_in_triggerer():
            self._defer(context, ref)
        if not (self.reschedule and context["ti"].get_first_reschedule_date(context)):
            deadline = deadline_of(context["ti"], self.timeout)
            self.log_wait(ref, f"it is polled now, then every {self.poke_interval:g} s", deadline)
        return super().execute(context)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Resume on a worker with the trigger's event."""
        if event == "success":
            # Only dag.test() comes here with an event that has ended the task; the trigger has pushed the result.
            return context["ti"].xcom_pull(task_ids=self.task_id, map_indexes=context["ti"].map_index)
        outcome = self.outcome_of(event)
        if outcome.ending is Ending.TIMED_OUT and not has_moved(id_space_of(event), self.id_space):
            outcome = self.end_after_deadline(outcome, self.options())
        return self._finish(outcome)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """As Airflow's; where Airflow ended the deferral before a triggerer did, the remote is asked once more."""
        if (
            next_method == TRIGGER_FAIL_REPR
            and (next_kwargs or {}).get("error") == TriggerFailureReason.TRIGGER_TIMEOUT
        ):
            ref = self.watched_ref()
            message = f"{ref} did not end in time, and no triggerer reported it"
            passed = Outcome(ending=Ending.TIMED_OUT, ref=ref, message=message)
            next_method, next_kwargs = "execute_complete", {"event": passed.to_event()}
        return super().resume_execution(next_method, next_kwargs, context)

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Poll once, for ``deferrable=False``; not where the connection leads elsewhere than in the last poke."""
        from airflow_provider_taskwatch.drive.blocking import poll

        plan, memory = self.plan(self.watched_ref(), self.options()), self._recall(context)
        system = self.system
        ref, age = memory.ref or plan.ref, self._age(context)
        seen = PollResult(age=age, error=self._moved) if self._moved else poll(self.hook.driver, system, ref, age)
        assessed = self.hook.run(assess(system, plan, memory, seen))
        if assessed.outcome is not None and assessed.outcome.ending is Ending.CONTINUES:
            moved = Memory(ref=assessed.outcome.ref, since=seen.age, reached=True)
            assessed = replace(assessed, memory=moved, outcome=None)
        self._remember(context, assessed.memory)
        left = None if assessed.outcome else self._until(context, plan, seen.age).patience(assessed.memory, seen.age)
        self._log(assessed.observation or seen.error, Poll(ref=plan.ref, after=self.poke_interval, patience=left))
        if assessed.outcome is None:
            return False
        return PokeReturnValue(is_done=True, xcom_value=self._finish_here(assessed.outcome))

    # --- waiting

    def _until(self, context: Context, plan: Plan, age: float) -> Plan:
        """The plan with the end of the wait, which Airflow itself enforces for a sensor that pokes."""
        self._deadline = self._deadline or deadline_of(context["ti"], self.timeout - (age if self.reschedule else 0.0))
        left = (self._deadline - now()).total_seconds() if self._deadline else None
        return plan if left is None else replace(plan, ends_at=age + left)

    def _defer(self, context: Context, ref: str) -> None:
        from airflow_provider_taskwatch.triggers.watch import WatchTrigger

        began, deadline = now(), deadline_of(context["ti"], self.timeout)
        ends_at = (deadline - began).total_seconds() if deadline else None
        plan = replace(
            self.plan(ref, self.options(), ends_at), finish=how_to_finish(self, WatchSensor.execute_complete)
        )
        self.log_wait(ref, plan.describe(0.0), deadline)
        self.defer(
            trigger=WatchTrigger(
                conn_id=self.conn_id,
                started_at=began.isoformat(),
                plan=plan.to_json(),
                resumable_from=resumable_from(context["ti"]).isoformat(),
            ),
            method_name="execute_complete",
            timeout=backstop(deadline, self.poll_seconds),
        )

    def _age(self, context: Context) -> float:
        """Seconds since the first poll, reschedules included."""
        if self._began is None:
            first = context["ti"].get_first_reschedule_date(context) if self.reschedule else None
            self._began = first or now()
        return (now() - self._began).total_seconds()

    def _recall(self, context: Context) -> Memory:
        if self._memory is None:
            self._state = task_state(context, is_moving=False) if self.reschedule else None
            stored: Any = self._state.get(MEMORY_KEY) if self._state else None
            is_ours = isinstance(stored, Mapping) and stored.get("of") == self._identity(context)
            self._memory = from_json(stored.get("memory") if is_ours else None)
            self._is_kept, began_at = is_ours, str(stored.get("id_space") or "") if is_ours else ""
            if has_moved(began_at, self.id_space):
                self._moved = MovedError(self.conn_id, began_at, self.id_space)
        return self._memory

    def _remember(self, context: Context, memory: Memory) -> None:
        """Keep the memory; in the state of the task instance where another process makes the next poll."""
        if self._state and (memory != self._memory or not self._is_kept):
            stored: Any = {"of": self._identity(context), "memory": memory.to_json(), "id_space": self.id_space}
            self._state.set(MEMORY_KEY, stored)
        self._memory, self._is_kept = memory, True

    def _identity(self, context: Context) -> list[Any]:
        """Of the wait. Airflow's store also outlives retries and clears, which begin a new wait."""
        return [self.watched_ref(), context["ti"].try_number]

    def _log(self, seen: Observation | TaskWatchError | None, then: Poll) -> None:
        self._changes = self._changes or ChangeLog(self.system.noun)
        if seen is not None and (line := self._changes.line(seen, then)):
            self.log.log(logging.WARNING if isinstance(seen, TaskWatchError) else logging.INFO, line)

    def _finish_here(self, outcome: Outcome) -> dict[str, Any]:
        """The result. As after a deferral, ``soft_fail`` makes a skip of every failure, not only of a timeout."""
        try:
            return self._finish(outcome)
        except AirflowException as failure:
            if self.soft_fail and not isinstance(failure, AirflowSkipException):
                raise AirflowSkipException(f"Skipping due to soft_fail is set to True: {failure}") from failure
            raise

    def _finish(self, outcome: Outcome) -> dict[str, Any]:
        try:
            result = result_of(outcome, on_skipped=self.on_skipped)
        except WaitTimedOut as timed_out:
            raise AirflowSensorTimeout(str(timed_out)) from None
        return self.delivered_outcome(outcome, result)
