"""The callbacks that an Automation Engine owes and makes, from the start that asks for one to its last attempt.

The name and the statuses of a callback's entry in the list of executions are ours.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from airflow_provider_taskwatch.sandbox.post import Post
from airflow_provider_taskwatch.sandbox.rule import Rule
from airflow_provider_taskwatch.sandbox.task import RequestedEnd, TaskState

from .callback import GIVEN_UP, CallbackSettings, CallbackSubscription, Schedule, after
from .execution import CALLBACK, Execution
from .payload import End, default, filled

ENDED_OK, ACTIVE = "1900", "1550"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Callback:
    """A callback whose time has come, until it is delivered or given up.

    :param entry: what stands for it in the list of executions.
    """

    entry: Execution
    end: End
    subscription: CallbackSubscription
    schedule: Schedule


_RULE = Rule(outcome="stuck", duration=0.0, stages=((0.0, ACTIVE),))


class Callbacks:
    """The callbacks that an engine owes and makes.

    :param read: the state of an execution at a moment.
    :param add: enters a new execution.
    """

    def __init__(
        self,
        settings: CallbackSettings,
        read: Callable[[Execution, float], TaskState],
        add: Callable[..., Execution],
    ) -> None:
        self._settings = settings
        self._read = read
        self._add = add
        self._owed: dict[str, tuple[Execution, CallbackSubscription]] = {}
        self._checks: list[tuple[float, str]] = []
        self._made: dict[str, _Callback] = {}

    def subscribe(self, task: Execution, wanted: CallbackSubscription) -> None:
        """Owe a callback."""
        self._owed[task.ref] = (task, wanted)
        self.expect(task)

    def expect(self, task: Execution) -> None:
        """Look at the execution again when it will have ended, as things stand now."""
        if task.ref in self._owed and task.expected_end is not None:
            heapq.heappush(self._checks, (task.expected_end, task.ref))

    def hasten(self, ref: str, seconds: float) -> bool:
        """Send the callback of an execution early, ``seconds`` after its start; False where none is due."""
        if ref not in self._owed:
            return False
        task, wanted = self._owed[ref]
        at = task.created_at + seconds
        self._owed[ref] = (task, replace(wanted, early_at=at))
        heapq.heappush(self._checks, (at, ref))
        return True

    def enter(self, now: float) -> None:
        """Enter what is due by now into the list of executions, in the order in which it came due."""
        while self._checks and self._checks[0][0] <= now:
            _, ref = heapq.heappop(self._checks)
            if ref in self._owed:
                self._enter(*self._owed[ref], now)

    def due(self, now: float) -> list[Post]:
        """The attempts to make now; each is handed out once."""
        self.enter(now)
        self._made = {ref: one for ref, one in self._made.items() if one.entry.ending is None}
        ready = [one for one in self._made.values() if one.schedule.is_due(now)]
        for one in ready:
            self._made[one.entry.ref] = replace(one, schedule=replace(one.schedule, due=None))
        return [self._post(one, now) for one in ready]

    def next_due(self) -> float | None:
        """When something may be due, in unix seconds; None where nothing is expected."""
        return min(self._moments(), default=None)

    def answered(self, ref: str, answer: int | None, now: float) -> None:
        """Go on after an attempt, unless its entry was ended from outside meanwhile."""
        one = self._made.get(ref)
        if one is None or one.entry.ending is not None:
            return
        schedule = after(one.schedule, answer, now, self._settings)
        self._made[ref] = replace(one, schedule=schedule)
        if schedule.end_status:
            self._close(one.entry, schedule, answer, now)

    def _moments(self) -> Iterator[float]:
        yield from (at for at, _ in self._checks[:1])
        yield from (one.schedule.due for one in self._made.values() if one.schedule.due is not None)

    def _enter(self, task: Execution, wanted: CallbackSubscription, now: float) -> None:
        reading = self._read(task, now)
        if reading.phase.is_final and reading.ended_at is not None and not reading.is_gone:
            self._make(_end(task, wanted, reading.status, reading.message), reading.ended_at)
        elif wanted.early_at is not None and wanted.early_at <= now:
            self._make(_end(task, wanted, ENDED_OK), wanted.early_at)

    def _make(self, end: End, at: float) -> None:
        task, wanted = self._owed.pop(str(end.run_id))
        entry = self._add(
            name="CALLBACK",
            kind=CALLBACK,
            rule=_RULE,
            created_at=at,
            begins_at=at,
            user=task.user,
            queue=task.queue,
            about=task,
        )
        self._made[entry.ref] = _Callback(entry=entry, end=end, subscription=wanted, schedule=Schedule(due=at))

    def _close(self, entry: Execution, schedule: Schedule, answer: int | None, now: float) -> None:
        is_given_up = schedule.end_status == GIVEN_UP
        message = f"given up after {schedule.failed} attempts; the last answer: {answer}" if is_given_up else ""
        entry.ending = RequestedEnd(
            asked_at=now, at=now, status=schedule.end_status, until_then=ACTIVE, message=message
        )
        del self._made[entry.ref]

    def _post(self, one: _Callback, now: float) -> Post:
        return Post(
            system="automic",
            ref=one.entry.ref,
            about=str(one.end.run_id),
            claimed_ref=str(one.end.run_id),
            claimed_status=one.end.status,
            url=one.subscription.url,
            headers=one.subscription.headers,
            write=partial(self._body, one.end),
            due=now,
            attempt=one.schedule.failed + 1,
            timeout_seconds=self._settings.callback_timeout,
            ca_bundle=self._settings.callback_ca_bundle,
        )

    def _body(self, end: End, run_id: str, status: str) -> bytes:
        claimed = replace(end, run_id=int(run_id), status=status)
        template = self._settings.callback_template
        if template:
            return filled(template, claimed, self._settings.language)
        return default(claimed, self._settings.callback_payload)


def _end(task: Execution, wanted: CallbackSubscription, status: str, message: str = "") -> End:
    return End(
        run_id=task.run_id,
        name=task.name,
        kind=task.kind,
        status=status,
        client=wanted.client,
        user=task.user,
        archive_key1=str(task.options.get("archive_key1") or ""),
        message=message,
        inputs=task.inputs,
    )
