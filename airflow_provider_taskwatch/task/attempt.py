"""One attempt's way to exactly one execution: rejoin what an earlier one has started, look it up, or start it."""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_taskwatch.core.error import MovedError, NotFoundError, RemoteError, StrangerError, TaskWatchError
from airflow_provider_taskwatch.core.flow import refusal, trouble
from airflow_provider_taskwatch.core.plain import plain
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.start import Decision, Record, Started, changed_inputs, decide, fingerprint, marks
from airflow_provider_taskwatch.core.system import Effect
from airflow_provider_taskwatch.core.watch import check_own
from airflow_provider_taskwatch.core.wire import Call

from .setting import now

if TYPE_CHECKING:
    from airflow_provider_taskwatch.core.flow import Flow
    from airflow_provider_taskwatch.core.phase import Observation

    from .operator import StartOperator
    from .record import Records

SHOWN_NAMES = 10


class Attempt:
    """One try of a task instance to have its work started once.

    :param job: what is to be started, and how.
    :param ti: the task instance.
    :param records: what earlier attempts have written down.
    :param clear_number: how often a task of the DAG run was cleared so far; None where that is not known.
    """

    def __init__(self, job: StartOperator, ti: Any, records: Records, clear_number: int | None = None) -> None:
        self._job = job
        self._ti = ti
        self._records = records
        self._inputs = {name: plain(name, value) for name, value in job.start_inputs().items()}
        # Of the values alone, as records of earlier versions have it.
        self._fingerprint = fingerprint(list(self._inputs.values()))
        self._clears = {"max_tries": ti.max_tries, "clear_number": clear_number, "carrier": _carrier(ti)}

    def obtain(self) -> tuple[Record, Started | None]:
        """The record of the one start, and its reply if this attempt has sent it."""
        record = self._rejoin()
        return (record, None) if record else self._start()

    # --- what an earlier attempt has left

    def _rejoin(self) -> Record | None:
        record = self._records.load()
        if record is None:
            return None
        decision = decide(record, fingerprint=self._fingerprint, id_space=self._job.id_space, **self._clears)
        return _WAYS[decision](self, record)

    def _anew(self, record: Record) -> None:
        """Nothing of an earlier attempt is open."""

    def _go_on(self, record: Record) -> Record | None:
        return self._adopted(record) if record.max_tries is None else self._still_good(record)

    def _changed(self, record: Record) -> Record | None:
        """It was started with other inputs: what that means is the user's choice."""
        names = _few(changed_inputs(record, self._inputs)) or "which, its record does not say"
        if self._job.on_changed_inputs == "start":
            self._job.log.warning(
                "the inputs changed (%s): starting anew; %s of an earlier attempt goes on", names, record.ref
            )
            return None
        if self._job.on_changed_inputs == "fail":
            raise AirflowFailException(
                f"the inputs changed ({names}) since {self._named_ref(record)} was started, and "
                "on_changed_inputs='fail': clear this task to cancel it and start with the new ones, or set "
                "on_changed_inputs to 'rejoin' or 'start'"
            )
        self._job.log.warning(
            "the inputs changed (%s) since %s was started: going on with it, as it was started; clear the task to "
            "cancel it and start with the new ones (on_changed_inputs)",
            names,
            record.ref,
        )
        return self._still_good(record)

    def _moved(self, record: Record) -> None:
        """It was started elsewhere than where the connection leads now."""
        moved = MovedError(self._job.conn_id, record.id_space, self._job.id_space)
        self._give_up(record, moved)

    def _give_up(self, record: Record, reason: TaskWatchError) -> None:
        """What was started cannot be gone on with, and may still run: a person decides whether to start beside it."""
        if self._job.on_unknown_start == "start_again":
            self._job.log.warning("starting again, as on_unknown_start says: %s: %s", self._named_ref(record), reason)
            return
        raise AirflowFailException(
            f"{self._named_ref(record)}: {reason}. Nothing is started in its place. Clear this task to start anew, "
            "which leaves the earlier one alone; or let the connection lead to where it was started, run "
            f"`{self._adopt_command(is_known=record.ref is not None)}` and clear this task to wait for it. "
            "on_unknown_start='start_again' is for work that may run twice."
        ) from reason

    def _named_ref(self, record: Record) -> str:
        """What an earlier attempt has started, by its ref where that is known."""
        noun = self._job.hook.system.noun
        return f"{noun} {record.ref}" if record.ref is not None else f"the {noun} of the start {record.start_id}"

    def _adopted(self, record: Record) -> Record:
        """A person says that this is the one, however it has ended; from here on a clear of it is seen as one."""
        ref = self._job.hook.system.check_ref(record.known_ref)
        self._job.log.info("waiting for %s, which was adopted", ref)
        record = replace(self._as_now(record), ref=ref, marker="", is_called_back=False, is_adopted=True)
        self._records.save(record)
        return record

    def _as_now(self, record: Record) -> Record:
        """The record with what Airflow, the connection and the arguments are at this moment."""
        return replace(
            record,
            fingerprint=self._fingerprint,
            conn_id=self._job.conn_id,
            id_space=self._job.id_space,
            inputs=marks(self._inputs, record.start_id),
            **self._clears,
        )

    def _still_good(self, record: Record) -> Record | None:
        """The record, unless what it names has ended badly."""
        try:
            seen = self._observe(record)
        except StrangerError as stranger:
            self._give_up(record, stranger)
            return None
        if seen is not None and _ended_badly(seen) and not self._has_successor(record, seen):
            self._job.log.info("%s of an earlier attempt has ended badly: %s", record.ref, seen.describe())
            return None
        self._job.log.info(
            "rejoining %s, which an earlier attempt has started; clearing the task %s", record.ref, self._advice(record)
        )
        return record

    def _advice(self, record: Record) -> str:
        """What a clear would do; where this attempt may be one, how to make sure of it."""
        is_known = "" not in (record.carrier, self._clears["carrier"])
        if is_known or record.clear_number in (None, self._clears["clear_number"]):
            return "starts anew"
        return "once more starts anew, as Airflow does not say whether it was this one that was cleared"

    def _observe(self, record: Record) -> Observation | None:
        """A first look; None where the remote cannot be asked now, which the wait will live through."""
        system = self._job.hook.system
        try:
            seen = self._job.hook.run(system.observe(record.known_ref))
        except TaskWatchError as error:
            if not error.transient:
                raise
            return None
        check_own(system, seen, self._job.options_of(record))
        return system.understand(seen, self._job.options_of(record))

    def _has_successor(self, record: Record, seen: Observation) -> bool:
        """Whether somebody restarted it at the remote, and the options say to go on with that.

        Where the remote cannot be asked now there may be one, and the wait will find it.
        """
        options = self._job.options_of(record)
        try:
            return self._job.hook.run(self._job.hook.system.successor(seen, options)) is not None
        except TaskWatchError as error:
            if not error.transient:
                raise
            return True

    def _abandon(self, record: Record) -> None:
        """The task was cleared: what it had started is not ours any more."""
        try:
            self._job.check_place(record.id_space)
            ref = self._ref_to_end(record)
            seen = None if ref is None else self._job.latest(ref, record)
        except (MovedError, StrangerError) as error:
            self._job.log.warning(
                "the task was cleared: starting anew; %s is left alone: %s", self._named_ref(record), error
            )
            return
        except TaskWatchError as error:
            self._stand_back(record, error)
            return
        if seen is not None and _has_ended(seen):
            self._job.log.info("the task was cleared: starting anew; %s has ended", seen.ref)
        elif self._job.cancel_on_kill and ref is not None:
            ref = seen.ref if seen else ref  # what cannot be asked may run
            self._job.log.info("the task was cleared: %s is cancelled if it still runs, and started anew", ref)
            self._end(record, ref)
        else:
            self._job.log.info("the task was cleared: starting anew; %s is left alone", ref or "the earlier start")

    def _ref_to_end(self, record: Record) -> str | None:
        """The ref of what a cleared attempt has started; looked up where no reply has named it."""
        is_wanted = record.ref is None and self._job.cancel_on_kill and self._job.hook.system.keeps_marker
        return self._find(record) if is_wanted else record.ref

    def _end(self, record: Record, ref: str) -> None:
        """Cancel before another one is started, so that two never run at once.

        A remote that refuses because it has ended, and says in the next breath that it runs, is not believed.
        """
        system = self._job.hook.system
        if not system.can_cancel:
            self._job.cancel(ref)
            return
        try:
            effect, excused = self._job.hook.run(_with_refusal(system.cancel(ref, self._job.options(""))))
        except TaskWatchError as error:
            self._after_refused_cancel(record, ref, error, self._job.latest(ref, None))
        else:
            seen = None if excused is None else self._job.latest(ref, None)
            if excused is not None and seen is not None and not seen.phase.is_final:
                self._after_refused_cancel(record, ref, excused, seen)
            else:
                self._job.log.info("%s %s %s", system.noun, ref, effect)

    def _after_refused_cancel(self, record: Record, ref: str, error: TaskWatchError, seen: Observation | None) -> None:
        """Go on where it has ended meanwhile."""
        if isinstance(error, NotFoundError):
            self._job.log.info("%s %s %s", self._job.hook.system.noun, ref, Effect.UNKNOWN)
        elif seen is not None and _has_ended(seen):
            self._job.log.info("%s %s has ended", self._job.hook.system.noun, ref)
        else:
            self._stand_back(replace(record, ref=ref), error)

    def _stand_back(self, record: Record, error: TaskWatchError) -> None:
        """It may still run: the user decides whether to start beside it, and the record stays as it is until then."""
        named = self._named_ref(record)
        if self._job.on_unknown_start == "start_again":
            self._job.log.warning(
                "%s could not be cancelled and may go on; starting beside it, as on_unknown_start says: %s",
                named,
                error,
            )
            return
        if error.transient:
            self._job.log.warning("%s could not be cancelled yet, so nothing is started beside it", named)
            raise error
        raise AirflowFailException(
            f"{named} of the cleared attempt could not be cancelled: {error}. It may still run, so nothing is "
            "started beside it. Have it cancelled at the remote, or the connection's user allowed to, and clear this "
            "task again; cancel_on_kill=False leaves it and starts anew; to wait for it, run "
            f"`{self._adopt_command(record.ref or 'REF', is_known=record.ref is not None)}` and clear this task. "
            "on_unknown_start='start_again' is for work that may run twice."
        ) from error

    # --- a start whose reply nobody has seen

    def _look_up(self, record: Record) -> Record | None:
        """An earlier attempt may have started something before it died: find it by its marker, or ask a person."""
        if self._job.hook.system.keeps_marker:
            ref = self._find(record)
            if ref is None:
                self._job.log.info("no trace of an earlier start after %g s: starting", self._job.look_up_seconds)
                return None
            self._job.log.info("an earlier attempt has started %s before it died", ref)
            record = self._named(record, ref)
            return record if record.fingerprint == self._fingerprint else self._changed(record)
        if self._job.on_unknown_start == "start_again":
            self._job.log.warning("an earlier attempt may have started this; starting again, as on_unknown_start says")
            return None
        raise AirflowFailException(self._ways_on())

    def _find(self, record: Record) -> str | None:
        """Ask for the marker again and again, until 'not there' is to be believed.

        A look-up that failed says nothing, and a remote in trouble gets the patience that a start has: the attempts of
        a task would be used up otherwise while it is away.
        """
        end, failures, paused = time.monotonic() + self._job.look_up_seconds, 0, 0.0
        while True:
            is_last = time.monotonic() >= end
            try:
                ref = self._job.hook.run(self._job.hook.system.find(self._marker(record)))
            except TaskWatchError as error:
                failures += 1
                retry = self._job.look_up_retry
                pause = retry.seconds(failures, getattr(error, "retry_after", None))
                if retry.is_over(failures, paused + pause, error.patience) or not error.transient:
                    raise
                left = retry.left_seconds(failures, paused, error.patience)
                self._job.log.warning(trouble(f"looking for the start {record.start_id}: {error}", pause, left))
                paused += pause
            else:
                if ref is not None or is_last:
                    return ref
                failures, paused, pause = 0, 0.0, self._job.look_up_interval_seconds
            time.sleep(pause)

    def _marker(self, record: Record) -> str:
        return record.marker or self._job.marker(record.start_id)

    def _adopt_command(self, ref: str = "REF", *, is_known: bool = False) -> str:
        """The command that tells this task which ref is its own.

        :param is_known: whether the task has a ref already, which is to be replaced.
        """
        ti = self._ti
        index = f" --map-index {ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ""
        ids = shlex.join((ti.dag_id, ti.run_id, ti.task_id))
        return f"airflow taskwatch adopt {ids}{index}{' --force' if is_known else ''} {ref}"

    def _ways_on(self) -> str:
        return (
            "the start was sent, or may have been, and no reply came: "
            f"{self._job.hook.system.name} cannot tell whether it runs, so it is not sent again. Look there, then "
            "either clear this task to start again, or run "
            f"`{self._adopt_command()}` with the id that you found and "
            "clear this task to wait for it. on_unknown_start='start_again' is for work that may run twice."
        )

    # --- a new start

    def _start(self) -> tuple[Record, Started | None]:
        """Write down the intent, start, write down the ref.

        What can go wrong on our side (the connection, an argument, an import) goes wrong before the intent is written.
        """
        send, start_id = self._job.hook.driver.run, secrets.token_hex(6)
        self._job.prepare()
        self._rehearse(start_id)
        self._job.check_wanted()
        record = Record(
            start_id=start_id,
            fingerprint=self._fingerprint,
            max_tries=self._ti.max_tries,
            started_at=now().isoformat(),
            marker=self._job.marker(start_id) if self._job.hook.system.keeps_marker else "",
            is_called_back=self._job.expectation() is not None,
        )
        record = self._as_now(record)
        self._records.save(record)
        try:
            started = send(self._guarded(self._job.start_flow(start_id), record))
        except TaskWatchError as error:
            if self._job.hook.system.was_refused(error):
                self._records.forget()
                raise
            return self._after_lost_reply(record, error), None
        if started.ref is None:
            return record, started
        self._job.log.info("started %s %s", self._job.hook.system.noun, started.ref)
        return self._named(record, started.ref), started

    def _guarded(self, flow: Flow[Started], record: Record) -> Flow[Started]:
        """The flow; before a start is sent once more, the record is claimed once more.

        A worker whose supervisor died lives on while it pauses after a 429, say. Airflow refuses its claim as soon as
        the next attempt is due, which would not find what this one sends later.
        """
        run, sent = Run(flow), 0
        while not run.is_over:
            step = run.step
            if isinstance(step, Call) and not step.is_repeatable:
                if sent:
                    self._records.save(record)
                sent += 1
            try:
                answer = yield step
            except TaskWatchError as error:
                run.throw(error)
            else:
                run.send(answer)
        return run.result

    def _rehearse(self, start_id: str) -> None:
        """Make the request and the link without sending anything."""
        flow = self._job.start_flow(start_id)
        next(flow, None)
        flow.close()
        self._job.hook.page(start_id)

    def _after_lost_reply(self, record: Record, error: TaskWatchError) -> Record:
        """The request may have been carried out; the remote's marker tells, else a person must."""
        self._job.log.warning("the start was sent, but no good reply came: %s", error)
        if self._job.hook.system.keeps_marker:
            ref = self._find(record)
            if ref is None:
                raise error
            self._job.log.info("%s was started all the same", ref)
            return self._named(record, ref)
        if self._job.on_unknown_start == "fail":
            raise AirflowFailException(self._ways_on()) from error
        raise error

    def _named(self, record: Record, ref: str) -> Record:
        record = replace(record, ref=ref)
        self._records.save(record)
        return record


def _few(names: list[str]) -> str:
    """The first names, and how many there are."""
    return ", ".join(names) if len(names) <= SHOWN_NAMES else f"{', '.join(names[:SHOWN_NAMES])} and others"


def _with_refusal(flow: Flow[Effect]) -> Flow[tuple[Effect, RemoteError | None]]:
    """The flow; returns its result and the last refusal that it has excused, such as that the task has ended."""
    run, heard = Run(flow), None
    while not run.is_over:
        step = run.step
        try:
            answer = yield step
        except TaskWatchError as error:
            run.throw(error)
            continue
        if isinstance(step, Call):
            heard = None if answer.is_ok else refusal(step, answer)
        run.send(answer)
    return run.result, None if isinstance(heard, NotFoundError) else heard


def _has_ended(seen: Observation) -> bool:
    """A reading without a status is a 404, which says nothing about the end of the task."""
    return seen.phase.is_final and bool(seen.status)


def _ended_badly(seen: Observation) -> bool:
    return _has_ended(seen) and not seen.phase.is_ok


def _carrier(ti: Any) -> str:
    """Airflow's own mark of a task instance, which a clear renews; see :func:`~..core.start.was_cleared`."""
    carrier = getattr(ti, "context_carrier", None)
    return str(carrier.get("traceparent") or "") if isinstance(carrier, Mapping) else ""


_WAYS: Mapping[Decision, Callable[[Attempt, Record], Record | None]] = {
    Decision.START: Attempt._anew,
    Decision.START_CLEARED: Attempt._abandon,
    Decision.START_CHANGED: Attempt._changed,
    Decision.MOVED: Attempt._moved,
    Decision.LOOK_UP: Attempt._look_up,
    Decision.REJOIN: Attempt._go_on,
}
