"""The operator that starts a remote task: start once, wait, return the result, cancel when it is killed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from airflow.sdk import BaseOperator

from airflow_provider_taskwatch.compat.timeout import TaskDeferralTimeout
from airflow_provider_taskwatch.core.callback import Expectation
from airflow_provider_taskwatch.core.change_log import ChangeLog
from airflow_provider_taskwatch.core.check import Check, choice, duration, flag, flag_or_none, seconds, seconds_or_none
from airflow_provider_taskwatch.core.error import MovedError, StrangerError, TaskWatchError
from airflow_provider_taskwatch.core.flow import PATIENT
from airflow_provider_taskwatch.core.judge import outcome_from
from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.core.phase import Observation
from airflow_provider_taskwatch.core.plain import plain
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.record import Record, Started
from airflow_provider_taskwatch.core.system import has_moved
from airflow_provider_taskwatch.core.text import shown_ref
from airflow_provider_taskwatch.core.watch import Poll
from airflow_provider_taskwatch.link import RemoteTaskLink

from .base import CheckedOperatorType
from .deferral import backstop, deadline_of, now, resumable_from
from .job import Job, Records, instance_of
from .kill import Kill
from .remote import Remote
from .result import WaitTimedOut, result_of
from .start import Attempt
from .task_state import durable_state, task_state
from .watch import WatchMixin, id_space_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_taskwatch.core.flow import Flow
    from airflow_provider_taskwatch.core.system import System


class StartOperator(WatchMixin, BaseOperator, metaclass=CheckedOperatorType):
    """Starts a task at a remote and waits for its end. Subclasses say what to start.

    A start cannot be repeated, so a record of it is written before the request is sent. A retry rejoins a remote task
    that still runs, takes a success that Airflow has not stored yet, and starts a new one after a failure. A clear
    always starts a new one, and cancels the earlier one if it still runs.

    :param deferrable: wait in the triggerer; False waits on the worker. None: ``[taskwatch] default_deferrable``.
    :param wait_for_completion: False returns the remote's id at once.
    :param poll_interval: the longest interval between polls, in seconds or as a timedelta. None: 30 seconds, and up to
        60 while the reported progress says that the end is farther away.
    :param adaptive: the first poll comes after 8 seconds, and the interval grows with the age of the wait and follows
        the progress. False polls at once and then every ``poll_interval``.
    :param timeout: the longest wait, in seconds or as a timedelta; ``execution_timeout`` counts too. None: no limit.
    :param on_timeout: ``cancel`` the remote task at the deadline, or ``leave`` it.
    :param cancel_on_kill: cancel the remote task when a user ends the Airflow task.
    :param durable: keep a record of the start, so that a retry rejoins. False: each attempt starts a new task. None:
        keep one where that is possible; only below Airflow 3.3 it may not be, and a warning says so, where True is an
        error.
    :param on_unknown_start: what to do if an earlier start may still run, and cannot be found, rejoined or cancelled (a
        worker died between request and reply, the connection leads to another address, a cancel was refused): ``fail``
        and let a person decide, or ``start_again``, for work that may run twice.
    :param on_changed_inputs: what a retry does if its inputs differ from those of the task that still runs (a time in a
        template, for example): ``rejoin`` it and warn, ``start`` another one beside it, or ``fail`` and let a person
        decide. A clear always starts with the new inputs.
    :param on_skipped: what an end without work means: ``succeed``, ``skip`` (the Airflow task too) or ``fail``.
    :param not_found_grace: seconds from the start during which the remote may not know the id yet.
    :param unknown_status_grace: seconds during which the status may be one that is in no table.
    :param fail_on_blocked: fail as soon as the remote task waits for a person.
    :param blocked_timeout: fail after this many seconds in that state.
    :param include_personal: put personal data (authors, users) into the result.
    :param output_path: write the whole result there, too, as JSON; the XCom has 100,000 characters at most. A path on
        the worker, or an address of Airflow's object storage, such as ``s3://conn@bucket/{{ run_id }}.json``.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {
        "wait_for_completion": flag,
        "timeout": duration,
        "on_timeout": choice("cancel", "leave"),
        "cancel_on_kill": flag,
        "durable": flag_or_none,
        "on_unknown_start": choice("fail", "start_again"),
        "on_changed_inputs": choice("rejoin", "start", "fail"),
    }
    operator_extra_links = (RemoteTaskLink(),)
    is_own_start = True
    look_up_seconds = 30.0
    """How long a marker is looked up until *not found* is believed."""
    look_up_interval_seconds = 5.0
    look_up_retry = PATIENT

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        wait_for_completion: bool = True,
        poll_interval: float | timedelta | None = None,
        adaptive: bool = True,
        timeout: float | timedelta | None = None,
        on_timeout: str = "cancel",
        cancel_on_kill: bool = True,
        durable: bool | None = None,
        on_unknown_start: str = "fail",
        on_changed_inputs: str = "rejoin",
        on_skipped: str = "succeed",
        not_found_grace: float | timedelta = 300.0,
        unknown_status_grace: float | timedelta = 300.0,
        fail_on_blocked: bool = False,
        blocked_timeout: float | timedelta | None = None,
        include_personal: bool = False,
        output_path: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self.wait_for_completion = wait_for_completion
        self.poll_interval = poll_interval
        self.adaptive = adaptive
        self.timeout = timeout
        self.on_timeout = on_timeout
        self.cancel_on_kill = cancel_on_kill
        self.durable = durable
        self.on_unknown_start = on_unknown_start
        self.on_changed_inputs = on_changed_inputs
        self.on_skipped = on_skipped
        self.not_found_grace = not_found_grace
        self.unknown_status_grace = unknown_status_grace
        self.fail_on_blocked = fail_on_blocked
        self.blocked_timeout = blocked_timeout
        self.include_personal = include_personal
        self.output_path = output_path
        self._ti: Any = None
        self._kept: Records | None = None

    # --- what subclasses say

    def start_inputs(self) -> Mapping[str, Any]:
        """The inputs of the start, as JSON by name; see ``on_changed_inputs``."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Ask the remote what must be known before the start."""

    def start_flow(self, start_id: str) -> Flow[Started]:
        """Send the start, with the marker in it where the remote has a place for one."""
        raise NotImplementedError

    def marker(self, start_id: str) -> str:
        """What :meth:`start_flow` leaves at the remote, where it keeps markers."""
        raise NotImplementedError

    def options(self, start_id: str) -> dict[str, Any]:
        """How the system reads the remote's replies."""
        return {}

    def options_of(self, record: Record | None) -> dict[str, Any]:
        """The options of a wait for an earlier start; without the marker for an adopted ref, which need not carry it.

        :param record: of the start; None where there is none.
        """
        return self.options("" if record is None or record.is_adopted else record.start_id)

    def system_of(self, record: Record) -> System:
        """The remote as an earlier start sees it, whose inputs may be others."""
        return self.system

    def kept_options(self) -> dict[str, Any]:
        """What the record keeps for :meth:`options_of`."""
        return {}

    def replay_flow(self, record: Record) -> Flow[Started] | None:
        """An earlier start once more; None where a repeat might start a second task."""
        return None

    def expectation(self) -> Expectation | None:
        """What is expected of the callback, where :meth:`start_flow` asks for one."""
        return None

    @property
    def wait_seconds(self) -> float | None:
        """The longest wait; None for no limit."""
        return seconds_or_none(self.timeout)

    def subject(self) -> str:
        """What is started, for the log."""
        return ""

    def without_ref(self, started: Started) -> Any:
        """The result of a start whose reply names no task; it may raise."""
        raise AirflowFailException(f"the reply to the start names no {self.system.noun}: {started.summary}")

    @cached_property
    def remote(self) -> Remote:
        """The remote of this task instance."""
        return Remote(self, self.log)

    def _job(self, context: Context) -> Job:
        """The job of this task instance, from the rendered arguments."""
        return Job(
            inputs={name: plain(name, value) for name, value in self.start_inputs().items()},
            conn_id=self.conn_id,
            id_space=self.id_space,
            instance=instance_of(context),
            on_unknown_start=self.on_unknown_start,
            on_changed_inputs=self.on_changed_inputs,
            cancel_on_kill=self.cancel_on_kill,
            look_up_seconds=self.look_up_seconds,
            look_up_interval_seconds=self.look_up_interval_seconds,
            look_up_retry=self.look_up_retry,
        )

    # --- Airflow's entrances

    def execute(self, context: Context) -> Any:
        self.has_page = False
        self.validate()
        remote = self.remote
        self._ti = context["ti"]
        self._kept = records = Records(durable_state(context, self.durable, self.log))
        record, started = Attempt(self._job(context), remote, records, self.log).obtain()
        if started is not None and record.ref is None:
            return self.without_ref(started)
        remote.record, remote.ref = record, record.known_ref
        if remote.is_unwanted:
            self._kill().after_start()
        self._push_ref(record.known_ref)
        if started is not None and started.ended is not None:
            ended = self.hook.run(self.system.complete(started.ended, {}))
            return self._finish(context, ended_at_once(self.system.noun, ended))
        return self._wait(context, record) if self.wait_for_completion else record.ref

    def forget_start(self) -> None:
        """Delete the record of the start, so that the next attempt starts anew."""
        if self._kept is not None:
            self._kept.forget()

    def _push_ref(self, ref: str) -> None:
        self._ti.xcom_push(key="ref", value=ref)
        self.push_page(self._ti, ref)

    def moved_to(self, ref: str) -> None:
        if self._kept is not None and (record := self._kept.load()) is not None:
            self.remote.record = replace(record, ref=ref)
            self._kept.save(self.remote.record)
        self.remote.ref = ref
        self._push_ref(ref)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Resume on a worker with the trigger's event."""
        self._ti = context["ti"]
        self._records(context)
        self._check_start(context, event)
        return self._finish(context, self.outcome_of(event), id_space_of(event))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """As Airflow's; where Airflow ended the deferral before a triggerer did, the remote is asked once more."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout as cause:
            ti, record = context["ti"], self._records(context).load()
            ref = record.ref if record else ti.xcom_pull(task_ids=self.task_id, key="ref", map_indexes=ti.map_index)
            message = f"{ref or 'what was started'} did not end in time, and no triggerer reported it"
            if ref is None:
                raise WaitTimedOut(message) from cause
            is_here = record is None or not has_moved(record.id_space, self.id_space)
            seen = self.remote.observe(ref, record) if is_here else None
            ref = seen.ref if seen else ref
            return self._finish(context, Outcome(ending=Ending.TIMED_OUT, ref=ref, message=message))

    def on_kill(self) -> None:
        """Cancel at the remote if a user ended the task, or if its time is over."""
        if self._ti is None:
            return
        if isinstance(sys.exc_info()[1], AirflowTaskTimeout):
            if self.on_timeout == "cancel":
                self._kill().after_timeout()
        elif self.cancel_on_kill:
            self._kill().after_signal()

    def _kill(self) -> Kill:
        return Kill(
            self.remote,
            conn_id=self.conn_id,
            ti=self._ti,
            keeps_record=self._keeps_record,
            not_found_grace=seconds(self.not_found_grace),
            log=self.log,
        )

    # --- waiting

    def _wait(self, context: Context, record: Record) -> Any:
        deadline = deadline_of(context["ti"], self.wait_seconds)
        plan = self._plan_of(record, deadline)
        age = max(0.0, (now() - datetime.fromisoformat(record.started_at)).total_seconds())
        here = plan.ending_in((deadline - now()).total_seconds() if deadline else None, age)
        is_called_back = plan.callback is not None
        self.log_wait(plan.ref, here.describe(age), deadline, self.subject(), is_called_back=is_called_back)
        if self.waits_in_triggerer():
            self._defer(record, plan, deadline)
        return self._finish(context, self._wait_here(here, age))

    def _plan_of(self, record: Record, deadline: datetime | None) -> Plan:
        """What to wait for and how. Only a triggerer receives callbacks."""
        started_at = datetime.fromisoformat(record.started_at)
        ends_at = (deadline - started_at).total_seconds() if deadline else None
        return replace(
            self.plan(record.known_ref, self.remote.options_of(record), ends_at),
            id_space=record.id_space or self.id_space,
            callback=self.expectation() if record.is_called_back and self.waits_in_triggerer() else None,
            cancel_on_kill=self.cancel_on_kill,
            keeps_record=self._keeps_record,
        )

    def _defer(self, record: Record, plan: Plan, deadline: datetime | None) -> None:
        from airflow_provider_taskwatch.triggers.watch import WatchTrigger

        self.defer(
            trigger=WatchTrigger(
                conn_id=self.conn_id,
                started_at=record.started_at,
                plan=plan.to_json(),
                start_id=record.start_id,
                resumable_from=resumable_from(self._ti, datetime.fromisoformat(record.started_at)).isoformat(),
            ),
            method_name="execute_complete",
            timeout=backstop(deadline, self.poll_seconds),
        )

    def _check_start(self, context: Context, event: Any) -> None:
        """Ignore an event that belongs to an earlier start, and defer again.

        SQLite gives the id of a deleted trigger to the next one, so the event of a wait that was cleared can reach the
        wait that came after it (3.3.2).
        """
        start_id = event.get("start_id") if isinstance(event, Mapping) else None
        record = self._records(context).load() if start_id else None
        if record is not None and record.ref is not None and record.start_id != start_id:
            self.log.info("ignoring an event of an earlier start; the wait for %s goes on", shown_ref(record.ref))
            deadline = deadline_of(context["ti"], self.wait_seconds)
            self._defer(record, self._plan_of(record, deadline), deadline)

    def _wait_here(self, plan: Plan, age: float) -> Outcome:
        from airflow_provider_taskwatch.drive.blocking import wait

        changes = ChangeLog(self.system.noun)

        def note(seen: Observation | TaskWatchError, then: Poll | None) -> None:
            if isinstance(seen, Observation):
                self.remote.ref = seen.ref  # that of a restart, where one is followed
            if line := changes.line(seen, then):
                self.log.log(logging.WARNING if isinstance(seen, TaskWatchError) else logging.INFO, line)

        return wait(self.hook.driver, self.system, plan, age=age, report=note, moved=self.moved_to)

    # --- the end

    def _finish(self, context: Context, outcome: Outcome, id_space: str = "") -> Any:
        """The result, or the exception that stands for the outcome.

        ``is_delivered`` is written last, and for a failure only: the next attempt then starts anew. After a success
        only a clear starts anew. Where the worker dies before Airflow hears of a success, the next attempt takes it.

        :param id_space: of the wait, where no record says it.
        """
        records = self._records(context)
        record = records.load()
        if outcome.ending is Ending.TIMED_OUT:
            outcome = self._timed_out(outcome, record, record.id_space if record else id_space)
        try:
            result = result_of(outcome, on_skipped=self.on_skipped)
        except AirflowSkipException:
            raise
        except AirflowException:
            if record is not None and not record.is_delivered and _is_delivered_by(outcome):
                records.save(replace(record, is_delivered=True))
            raise
        return self.delivered_outcome(outcome, result)

    def _timed_out(self, passed: Outcome, record: Record | None, id_space: str) -> Outcome:
        """The end of a task whose deadline has passed. Where it still runs, and is ours, it is cancelled."""
        options = self.remote.options_of(record if record is not None and record.ref == passed.ref else None)
        try:
            self.check_id_space(id_space)
            outcome = self.end_after_deadline(passed, options)
            if outcome.ending is Ending.TIMED_OUT and self.on_timeout == "cancel":
                self.remote.check_own(outcome.ref, options)
                self.remote.cancel(outcome.ref)
        except (MovedError, StrangerError) as error:
            self.log.warning("%s %s is left alone at the timeout: %s", self.system.noun, shown_ref(passed.ref), error)
            return passed
        return outcome

    def _records(self, context: Context) -> Records:
        """The record, for an attempt that goes on after its start."""
        if self._kept is None:
            self._kept = Records(None if self.durable is False else task_state(context, is_moving=True))
        return self._kept

    @property
    def _keeps_record(self) -> bool:
        return self._kept is not None and self._kept.is_kept


def ended_at_once(noun: str, seen: Observation) -> Outcome:
    """The outcome of a task whose start has answered with its end."""
    return outcome_from(seen, Ending(str(seen.phase)), f"{noun} {shown_ref(seen.ref)}: {seen.describe()}")


def _is_delivered_by(outcome: Outcome) -> bool:
    """Whether the next attempt starts anew: the remote task has ended, and Airflow learns how."""
    return outcome.ending.is_of_remote and (outcome.ending.is_ok or bool(outcome.status))
