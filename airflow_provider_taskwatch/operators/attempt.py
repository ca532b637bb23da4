"""One attempt's way to exactly one execution: rejoin what an earlier one has started, look it up, or start it."""

from __future__ import annotations

import secrets
import shlex
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_taskwatch.core.error import TaskWatchError
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.start import Decision, Record, Started, decide, fingerprint
from airflow_provider_taskwatch.core.wire import Call
from airflow_provider_taskwatch.operators.setting import now

if TYPE_CHECKING:
    from airflow_provider_taskwatch.core.flow import Flow
    from airflow_provider_taskwatch.core.phase import Observation

    from .record import Records
    from .start import StartOperator


class Attempt:
    """One try of a task instance to have its work started once.

    :param job: what is to be started, and how.
    :param ti: the task instance.
    :param records: what earlier attempts have written down.
    """

    def __init__(self, job: StartOperator, ti: Any, records: Records) -> None:
        self._job = job
        self._ti = ti
        self._records = records
        self._fingerprint = fingerprint(job.start_inputs())

    def obtain(self) -> tuple[Record, Started | None]:
        """The record of the one start, and its reply if this attempt has sent it."""
        record = self._rejoin()
        return (record, None) if record else self._start()

    # --- what an earlier attempt has left

    def _rejoin(self) -> Record | None:
        record = self._records.load()
        decision = decide(record, fingerprint=self._fingerprint, max_tries=self._ti.max_tries)
        if record is None or decision is Decision.START:
            return None
        if decision is Decision.START_CLEARED:
            self._abandon(record)
            return None
        if decision is Decision.START_CHANGED:
            self._leave(record.known_ref)
            return None
        if decision is Decision.LOOK_UP:
            return self._look_up(record)
        return self._adopted(record) if record.max_tries is None else self._still_good(record)

    def _leave(self, ref: str) -> None:
        """It does something else than what is wanted now."""
        self._job.log.warning("the inputs changed: starting anew; %s of an earlier attempt goes on", ref)

    def _adopted(self, record: Record) -> Record:
        """A person says that this is the one, however it has ended; from here on a clear of it is seen as one."""
        ref = self._job.hook.system.check_ref(record.known_ref)
        self._job.log.info("waiting for %s, which was adopted", ref)
        record = replace(
            record, ref=ref, max_tries=self._ti.max_tries, fingerprint=self._fingerprint, is_called_back=False
        )
        self._records.save(record)
        return record

    def _still_good(self, record: Record) -> Record | None:
        """The record, unless what it names has ended badly."""
        seen = self._observe(record)
        if seen is not None and _ended_badly(seen) and not self._has_heir(record, seen):
            self._job.log.info("%s of an earlier attempt has ended badly: %s", record.ref, seen.describe())
            return None
        self._job.log.info("rejoining %s, which an earlier attempt has started", record.ref)
        return record

    def _observe(self, record: Record) -> Observation | None:
        """A first look; None where the remote cannot be asked now, which the wait will live through."""
        system = self._job.hook.system
        try:
            seen = self._job.hook.run(system.observe(record.known_ref))
        except TaskWatchError as error:
            if not error.transient:
                raise
            return None
        return system.understand(seen, self._job.options(record.start_id))

    def _has_heir(self, record: Record, seen: Observation) -> bool:
        """Whether somebody restarted it at the remote, and the options say to go on with that.

        Where the remote cannot be asked now there may be one, and the wait will find it.
        """
        options = self._job.options(record.start_id)
        try:
            return self._job.hook.run(self._job.hook.system.successor(seen, options)) is not None
        except TaskWatchError as error:
            if not error.transient:
                raise
            return True

    def _abandon(self, record: Record) -> None:
        """The task was cleared: what it had started is not ours any more."""
        system = self._job.hook.system
        ref = record.ref
        if self._job.cancel_on_kill and ref is None and system.keeps_marker:
            ref = self._job.hook.run(system.find(self._marker(record)))
        seen = None if ref is None else self._job.latest(ref, record.start_id)
        if seen is not None and seen.phase.is_final:
            self._job.log.info("the task was cleared: starting anew; %s has ended", seen.ref)
        elif self._job.cancel_on_kill and ref is not None:
            ref = seen.ref if seen else ref  # what cannot be asked may run
            self._job.log.info("the task was cleared: %s is cancelled if it still runs, and started anew", ref)
            self._job.cancel(ref)
        else:
            self._job.log.info("the task was cleared: starting anew; %s is left alone", ref or "the earlier start")

    # --- a start whose reply nobody has seen

    def _look_up(self, record: Record) -> Record | None:
        """An earlier attempt may have started something before it died: find it by its marker, or ask a person."""
        if self._job.hook.system.keeps_marker:
            ref = self._find(record)
            if ref is None:
                self._job.log.info("no trace of an earlier start after %g s: starting", self._job.look_up_seconds)
                return None
            if record.fingerprint != self._fingerprint:
                self._leave(ref)
                return None
            self._job.log.info("an earlier attempt has started %s before it died: rejoining", ref)
            return self._named(record, ref)
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
                pause = self._job.look_up_retry.seconds(failures, getattr(error, "retry_after", None))
                paused += pause
                if self._job.look_up_retry.is_over(failures, paused) or not error.transient:
                    raise
            else:
                if ref is not None or is_last:
                    return ref
                failures, paused, pause = 0, 0.0, self._job.look_up_interval_seconds
            time.sleep(pause)

    def _marker(self, record: Record) -> str:
        return record.marker or self._job.marker(record.start_id)

    def _ways_on(self) -> str:
        ti = self._ti
        index = f" --map-index {ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ""
        ids = shlex.join((ti.dag_id, ti.run_id, ti.task_id))
        return (
            "the start was sent, or may have been, and no reply came: "
            f"{self._job.hook.system.name} cannot tell whether it runs, so it is not sent again. Look there, then "
            "either clear this task to start again, or run "
            f"`airflow taskwatch adopt {ids}{index} REF` with the id that you found and "
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


def _ended_badly(seen: Observation) -> bool:
    """A reading without a status is a 404, which says nothing about the end of the task."""
    return seen.phase.is_final and not seen.phase.is_ok and bool(seen.status)
