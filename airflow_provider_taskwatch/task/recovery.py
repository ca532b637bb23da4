"""What an attempt does about the record of an earlier start, and about a start whose reply was lost."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_taskwatch.core.error import MovedError, NotFoundError, RemoteError, StrangerError, TaskWatchError
from airflow_provider_taskwatch.core.flow import retry_warning
from airflow_provider_taskwatch.core.record import Record, changed_inputs
from airflow_provider_taskwatch.core.refusal import refusal
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.single_poll import check_own
from airflow_provider_taskwatch.core.start import Decision, decide
from airflow_provider_taskwatch.core.system import Effect, has_moved
from airflow_provider_taskwatch.core.text import shown_ref
from airflow_provider_taskwatch.core.wire import Call

if TYPE_CHECKING:
    from airflow_provider_taskwatch.core.flow import Flow
    from airflow_provider_taskwatch.core.phase import Observation

    from .job import Job, Records
    from .remote import Remote

SHOWN_NAMES = 10
RUNS_TWICE = "For work that may run twice, set on_unknown_start='start_again'."


class Recovery:
    """Decides about an earlier start: rejoin it, cancel it, or leave it alone.

    :param records: where the record is kept.
    :param log: the log of the task.
    """

    def __init__(self, job: Job, remote: Remote, records: Records, log: Any) -> None:
        self._job = job
        self._remote = remote
        self._system = remote.system
        self._records = records
        self._log = log

    def rejoin(self, record: Record) -> Record | None:
        """The record of the execution that this attempt rejoins; None where it has to start one.

        :raises AirflowFailException: where a person must decide.
        """
        job = self._job
        match decide(record, fingerprint=job.fingerprint, id_space=job.id_space, **job.instance.clears):
            case Decision.REJOIN:
                return self._adopted(record) if record.max_tries is None else self._unless_failed(record)
            case Decision.START_CHANGED:
                return self._with_other_inputs(record)
            case Decision.LOOK_UP:
                return self._looked_up(record)
            case Decision.START_CLEARED:
                self._end_cleared(record)
            case Decision.MOVED:
                self._give_up(record, MovedError(job.conn_id, record.id_space, job.id_space))
            case Decision.START:
                pass
        return None

    def after_lost_reply(self, record: Record, error: TaskWatchError) -> Record:
        """The record with the ref, where the remote finds it by its marker: the start may have been carried out.

        :raises AirflowFailException: where a person must decide.
        :raises TaskWatchError: the error, where the next attempt may start again.
        """
        self._log.warning("the start was sent, but no good reply came: %s", error)
        if self._remote.work.replay_flow(record) is not None:
            raise error  # the next attempt sends it once more
        if not self._system.keeps_marker:
            if self._job.on_unknown_start == "fail":
                raise AirflowFailException(self._uncertain_start()) from error
            raise error
        ref = self._find(record)
        if ref is None:
            raise error
        self._log.info("%s %s was started nevertheless: it carries the marker", self._system.noun, shown_ref(ref))
        return self._with_ref(record, ref)

    # --- rejoining

    def _adopted(self, record: Record) -> Record:
        """A person has named the ref, so it is waited for however it ended; a later clear of it counts as one."""
        ref = self._system.check_ref(record.known_ref)
        self._log.info("rejoining %s %s, which was adopted", self._system.noun, shown_ref(ref))
        record = replace(
            record,
            ref=ref,
            marker="",
            is_called_back=False,
            is_adopted=True,
            **self._job.recorded(record.start_id),
        )
        self._records.save(record)
        return record

    def _unless_failed(self, record: Record) -> Record | None:
        """The record, unless its execution ended badly."""
        try:
            failure = self._failure(record)
        except StrangerError as stranger:
            self._give_up(record, stranger)
            return None
        if failure is not None:
            self._log.info(
                "starting anew: %s of an earlier attempt ended badly: %s", self._named(record), failure.describe()
            )
            return None
        self._log.info(
            "rejoining %s, which an earlier attempt started; %s", self._named(record), self._clear_advice(record)
        )
        return record

    def _failure(self, record: Record) -> Observation | None:
        """The bad end of an execution; None where it has none, or where the remote cannot be asked now.

        A failure whose restart is followed is no bad end.
        """
        system, options = self._remote.system_of(record), self._remote.options_of(record)
        try:
            seen = self._remote.run(system.observe(record.known_ref))
            check_own(system, seen, options)
            seen = system.understand(seen, options)
            if not _has_ended(seen) or seen.phase.is_ok:
                return None
            return seen if self._remote.run(system.successor(seen, options)) is None else None
        except TaskWatchError as error:
            if not error.transient:
                raise
            return None

    def _clear_advice(self, record: Record) -> str:
        """What a clear would do; where this attempt may be one, how to make sure of it."""
        instance = self._job.instance
        is_known = "" not in (record.carrier, instance.carrier)
        if is_known or record.clear_number in (None, instance.clear_number):
            return "clearing the task starts anew"
        return "clearing the task once more starts anew, as Airflow does not say whether this task was cleared"

    def _with_other_inputs(self, record: Record) -> Record | None:
        """It was started with other inputs: ``on_changed_inputs`` says what that means."""
        names, named = self._changed_names(record), self._named(record)
        if self._job.on_changed_inputs == "start":
            self._log.warning("the inputs changed (%s): starting anew; %s of an earlier attempt goes on", names, named)
            return None
        if self._job.on_changed_inputs == "fail":
            raise AirflowFailException(
                f"the inputs changed ({names}) since {named} was started, and on_changed_inputs='fail': clear this "
                "task to cancel it and start with the new inputs, or set on_changed_inputs to 'rejoin' or 'start'"
            )
        self._log.warning(
            "the inputs changed (%s) since %s was started: rejoining it with its old inputs; clear the task to cancel "
            "it and start with the new ones (on_changed_inputs)",
            names,
            named,
        )
        return self._unless_failed(record)

    def _changed_names(self, record: Record) -> str:
        """The first names of changed inputs, and whether there are more."""
        names = changed_inputs(record, self._job.inputs)
        if len(names) > SHOWN_NAMES:
            return f"{', '.join(names[:SHOWN_NAMES])} and others"
        return ", ".join(names) or "which, its record does not say"

    def _give_up(self, record: Record, reason: TaskWatchError) -> None:
        """It cannot be rejoined and may still run: ``on_unknown_start`` says whether to start beside it."""
        if self._job.on_unknown_start == "start_again":
            self._log.warning("starting again, as on_unknown_start says: %s: %s", self._named(record), reason)
            return
        raise AirflowFailException(
            f"{self._named(record)}: {reason}. Nothing is started in its place. Clear this task to start anew; the "
            "earlier one is left alone. To wait for the earlier one instead, let the connection lead to where it was "
            f"started, run `{self._adopt_command(is_known=record.ref is not None)}` and clear this task. {RUNS_TWICE}"
        ) from reason

    # --- looking up a start whose reply was lost

    def _looked_up(self, record: Record) -> Record | None:
        """An earlier attempt died between the request and its reply."""
        started = self._remote.replay(record, lambda: self._records.save(record))
        if started is not None and started.ref is not None:
            self._log.info(
                "%s %s: the start was sent once more, with the same key", self._system.noun, shown_ref(started.ref)
            )
            return self._with_ref(record, started.ref)
        if self._system.keeps_marker:
            ref = self._find(record)
            if ref is None:
                self._log.info(
                    "no %s with the marker of the earlier start was found in %g s: starting",
                    self._system.noun,
                    self._job.look_up_seconds,
                )
                return None
            self._log.info(
                "found %s %s, which an earlier attempt started before it died", self._system.noun, shown_ref(ref)
            )
            record = self._with_ref(record, ref)
            return record if record.fingerprint == self._job.fingerprint else self._with_other_inputs(record)
        if self._job.on_unknown_start == "start_again":
            self._log.warning("an earlier attempt may have started this; starting again, as on_unknown_start says")
            return None
        raise AirflowFailException(self._uncertain_start())

    def _find(self, record: Record) -> str | None:
        """The ref that carries the marker; looked up repeatedly, until *not found* is to be believed.

        A look-up that fails says nothing. It is repeated with the patience of a start; otherwise a remote in trouble
        would use up the attempts of the task.
        """
        job, marker = self._job, record.marker or self._remote.work.marker(record.start_id)
        end, failures, paused = time.monotonic() + job.look_up_seconds, 0, 0.0
        while True:
            is_last = time.monotonic() >= end
            try:
                ref: str | None = self._remote.run(self._remote.system_of(record).find(marker))
            except TaskWatchError as error:
                failures += 1
                retry = job.look_up_retry
                pause = retry.seconds(failures, getattr(error, "retry_after", None))
                if retry.is_over(failures, paused + pause, error.patience) or not error.transient:
                    raise
                left = retry.left_seconds(failures, paused, error.patience)
                self._log.warning(retry_warning(f"looking up the start {record.start_id}: {error}", pause, left))
                paused += pause
            else:
                if ref is not None or is_last:
                    return ref
                failures, paused, pause = 0, 0.0, job.look_up_interval_seconds
            time.sleep(pause)

    def _with_ref(self, record: Record, ref: str) -> Record:
        record = replace(record, ref=ref)
        self._records.save(record)
        return record

    # --- ending what a cleared attempt has left

    def _end_cleared(self, record: Record) -> None:
        """Cancel what the cleared attempt started, so that two never run at once.

        :raises AirflowFailException: it may still run, and a person must decide.
        :raises TaskWatchError: it may still run, and the next attempt tries again.
        """
        try:
            if has_moved(record.id_space, self._job.id_space):
                raise MovedError(self._job.conn_id, record.id_space, self._job.id_space)
            ref = record.ref
            if ref is None and self._job.cancel_on_kill and self._system.keeps_marker:
                ref = self._find(record)
            seen = None if ref is None else self._remote.observe(ref, record)
        except (MovedError, StrangerError) as error:
            self._log.warning("the task was cleared: starting anew; %s is left alone: %s", self._named(record), error)
            return
        except TaskWatchError as error:
            self._stand_back(record, error)
            return
        if seen is not None and _has_ended(seen):
            self._log.info("the task was cleared: starting anew; %s has ended", shown_ref(seen.ref))
        elif self._job.cancel_on_kill and ref is not None:
            ref = seen.ref if seen else ref  # what cannot be asked may run
            self._log.info("the task was cleared: cancelling %s if it still runs, then starting anew", shown_ref(ref))
            self._cancel(record, ref)
        else:
            self._log.info(
                "the task was cleared: starting anew; %s is left alone", shown_ref(ref or "the earlier start")
            )

    def _cancel(self, record: Record, ref: str) -> None:
        """Cancel. After a refusal the task is read once more, because the remote may contradict itself.

        It may refuse because the task has ended, or because it does not know it. Where the read shows the task running,
        that is not believed. Where the task cannot be read, an end is believed, and an unknown ref is not.
        """
        noun = self._system.noun
        if not self._system.can_cancel:
            self._remote.cancel(ref)
            return
        effect: Effect | None
        refused: TaskWatchError | None
        try:
            options = self._remote.options_of(record)
            cancelling = self._remote.system_of(record).cancel(ref, options)
            effect, refused = self._remote.run(_with_refusal(cancelling))
        except TaskWatchError as error:
            effect, refused = Effect.UNKNOWN if isinstance(error, NotFoundError) else None, error
        seen = None if refused is None else self._remote.observe(ref, record)
        is_over = effect is Effect.ENDED if seen is None else seen.phase.is_final and effect is not None
        if effect is not Effect.ENDED and seen is not None and _has_ended(seen):
            self._log.info("%s %s has ended", noun, shown_ref(ref))
        elif refused is not None and not is_over:
            self._stand_back(replace(record, ref=ref), refused)
        else:
            self._log.info("%s %s %s", noun, shown_ref(ref), effect)

    def _stand_back(self, record: Record, error: TaskWatchError) -> None:
        """It may still run: ``on_unknown_start`` says whether to start beside it. The record is kept."""
        named = self._named(record)
        if self._job.on_unknown_start == "start_again":
            self._log.warning(
                "%s could not be cancelled and may go on; starting another one, as on_unknown_start says: %s",
                named,
                error,
            )
            return
        if error.transient:
            self._log.warning(
                "%s could not be cancelled yet, so this attempt starts nothing; the next one tries again", named
            )
            raise error
        raise AirflowFailException(
            f"{named} of the cleared attempt could not be cancelled: {error}. It may still run, so nothing is started "
            "beside it. Cancel it at the remote, or give the connection's user the right to, and clear this task "
            "again. To leave it and start anew, set cancel_on_kill=False. To wait for it, run "
            f"`{self._adopt_command(record.ref or 'REF', is_known=record.ref is not None)}` and clear this task. "
            f"{RUNS_TWICE}"
        ) from error

    # --- messages

    def _named(self, record: Record) -> str:
        """The earlier execution, by its ref where that is known."""
        noun = self._system.noun
        return (
            f"{noun} {shown_ref(record.ref)}"
            if record.ref is not None
            else f"the {noun} of the start {record.start_id}"
        )

    def _uncertain_start(self) -> str:
        """That a start may have been carried out, and what a person can do."""
        return (
            "the start was sent, or may have been, and no reply came. "
            "The remote cannot tell whether it runs, so it is not sent again. Look there, then either clear "
            f"this task to start again, or run `{self._adopt_command()}` with the id that you found and clear this "
            f"task to wait for it. {RUNS_TWICE}"
        )

    def _adopt_command(self, ref: str = "REF", *, is_known: bool = False) -> str:
        """The command that names the ref which belongs to this task.

        :param is_known: whether the task has a ref already, which is to be replaced.
        """
        instance = self._job.instance
        index = f" --map-index {instance.map_index}" if instance.map_index >= 0 else ""
        ids = shlex.join((instance.dag_id, instance.run_id, instance.task_id))
        return f"taskwatch adopt {ids}{index}{' --force' if is_known else ''} {ref}"


def _with_refusal(flow: Flow[Effect]) -> Flow[tuple[Effect, RemoteError | None]]:
    """The flow; returns its result and the last refusal that it has excused: the task has ended, or is not known."""
    run, refused = Run(flow), None
    while not run.is_over:
        step = run.step
        with run.answering() as answer:
            answer.value = yield step
            if isinstance(step, Call):
                refused = None if answer.value.is_ok else refusal(step, answer.value)
    return run.result, refused


def _has_ended(seen: Observation) -> bool:
    """A reading without a status is a 404, which says nothing about the end of the task."""
    return seen.phase.is_final and bool(seen.status)
