"""The state of a task instance in the inbox, for an Airflow without a task state store (below 3.3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_taskwatch.config.airflow_id import VARIABLE, airflow_id
from airflow_provider_taskwatch.config.inbox import open_shared_inbox
from airflow_provider_taskwatch.core.error import ConfigurationError, LeaseError, described
from airflow_provider_taskwatch.inbox.message import DAY_SECONDS
from airflow_provider_taskwatch.inbox.task_state import TaskKey

if TYPE_CHECKING:
    from airflow_provider_taskwatch.inbox.protocol import Inbox

PRUNED_AT_ONCE = 5
OVER = ("success", "failed", "skipped", "upstream_failed", "removed")
"""States of a task instance that no attempt follows, unless a user clears it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMark:
    """What tells an attempt of a run from one of a later run that has the same id, as the first was deleted.

    :param run_started_at: of the DAG run; empty where it is not known. A clear of an ended run renews it, too.
    :param clear_number: of the DAG run.
    :param carrier: of the task instance's trace; empty where Airflow has none, as 3.1.
    """

    run_started_at: str
    try_number: int
    clear_number: int
    carrier: str

    def follows(self, earlier: RunMark) -> bool:
        """Whether an attempt belongs to the same run as an earlier one, which has left its mark."""
        if self.try_number < earlier.try_number:
            return False
        if self.run_started_at == earlier.run_started_at or "" != self.carrier == earlier.carrier:
            return True
        return self.try_number > earlier.try_number and self.clear_number > earlier.clear_number

    def is_before(self, other: RunMark) -> bool:
        """Whether a later attempt has left the other mark: of this run, or of one that has got its id since."""
        if self.run_started_at == other.run_started_at:
            return self.try_number < other.try_number
        return "" != self.run_started_at < other.run_started_at


def mark_of(context: Mapping[str, Any]) -> RunMark:
    """The mark of the present attempt."""
    ti, run = context["ti"], context["dag_run"]
    carrier = getattr(ti, "context_carrier", None)
    return RunMark(
        run_started_at=run.start_date.isoformat() if run.start_date else "",
        try_number=ti.try_number,
        clear_number=run.clear_number or 0,
        carrier=str(carrier.get("traceparent") or "") if isinstance(carrier, Mapping) else "",
    )


def next_mark(ti: Any) -> RunMark:
    """The mark of the attempt that a clear of a task instance in the metadata database would start."""
    mark = mark_of({"ti": ti, "dag_run": ti.dag_run})
    return replace(mark, try_number=mark.try_number + 1)


class InboxTaskState:
    """The state of one task instance in the inbox.

    A write replaces what this attempt has read or written before. It fails where another attempt has written meanwhile.

    :param task: the task instance.
    :param mark: of the present attempt; what an earlier run of the same id has left is ignored.
    """

    def __init__(self, inbox: Inbox, task: TaskKey, mark: RunMark) -> None:
        self._inbox = inbox
        self._task = task
        self._mark = mark
        self._held: dict[str, str | None] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key.

        :raises LeaseError: where a later attempt has written it: Airflow takes this one for dead.
        :raises ConfigurationError: where it cannot be read; to take it for none could start a task twice.
        """
        self._held[key] = held = self._inbox.task_state(self._task, key)
        if held is None:
            return default
        mark, value = self._parsed(key, held)
        if self._mark.is_before(mark):
            raise self._overtaken(key)
        return value if self._mark.follows(mark) else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Store a value. The retention is not needed: :meth:`prune` keeps what a task may still need."""
        self._replace(key, json.dumps({"mark": asdict(self._mark), "value": value}))

    def delete(self, key: str) -> None:
        self._replace(key, None)

    def amend(self, key: str, value: Any) -> bool:
        """Replace a value that was read, and keep the mark of the attempt that wrote it.

        :return: False where another one was written meanwhile.
        """
        held = self._held[key] or "{}"
        return self._inbox.replace_task_state(self._task, key, held, json.dumps({**json.loads(held), "value": value}))

    def _replace(self, key: str, content: str | None) -> None:
        if key not in self._held:
            self.get(key)
        if not self._inbox.replace_task_state(self._task, key, self._held[key], content):
            raise self._overtaken(key)
        self._held[key] = content

    def _parsed(self, key: str, content: str) -> tuple[RunMark, Any]:
        """The mark and the value of a content. Fields that a later version has added are ignored."""
        try:
            found = json.loads(content)
            mark = RunMark(**{one.name: found["mark"][one.name] for one in fields(RunMark)})
            if [type(one) for one in astuple(mark)] != [str, int, int, str]:
                raise TypeError("a field of the mark has another type")
            return mark, found["value"]
        except (ValueError, TypeError, KeyError, RecursionError) as cause:
            raise ConfigurationError(
                f"{key!r} of {self._task.named} in {self._inbox!r} cannot be read ({content!r:.200}); where a newer "
                "airflow-provider-taskwatch wrote it, install that one here, too; else check at the remote whether it "
                "runs, and delete the row of the table taskwatch_task_state to start anew"
            ) from cause

    def _overtaken(self, key: str) -> LeaseError:
        return LeaseError(
            f"another attempt of {self._task.task_id!r} has written {key!r} to the inbox meanwhile; this one ends"
        )

    def check_id(self, key: str) -> None:
        """Check that this task instance has no value under another id of this Airflow.

        :raises ConfigurationError: where it has one: another start would be the second.
        """
        elsewhere = self._inbox.task_states_elsewhere(self._task, key)
        for airflow in [airflow for airflow, content in elsewhere.items() if self._is_of_this_run(key, content)]:
            raise ConfigurationError(
                f"{self._task.named} has {key!r} in the inbox under the id {airflow!r}, and this Airflow has the id "
                f"{self._task.airflow!r} now: set the Variable {VARIABLE!r} back to {airflow!r}, or delete that row of "
                "the table taskwatch_task_state to start anew"
            )

    def _is_of_this_run(self, key: str, content: str) -> bool:
        """Whether a content is of the same run, which its start names to the microsecond."""
        try:
            mark, _ = self._parsed(key, content)
        except ConfigurationError:
            return False
        return "" != self._mark.run_started_at == mark.run_started_at

    def prune(self, ti: Any, retention_days: float, log: Any) -> None:
        """Delete what is kept of task instances that are surely over; a few at a time, as each start calls it.

        :param retention_days: the age at which a task instance is looked at.
        """
        seconds = retention_days * DAY_SECONDS
        try:
            due = self._inbox.unchecked_task_states(self._task.airflow, seconds, PRUNED_AT_ONCE)
            if due:
                over = [task for task in due if _is_over(ti, task)]
                self._inbox.settle_task_states(over, [task for task in due if task not in over], seconds)
        except Exception as error:  # noqa: BLE001 - whatever Airflow raises, the task can start
            log.warning("what the inbox keeps of ended tasks cannot be pruned for now: %s", described(error))


def _is_over(ti: Any, task: TaskKey) -> bool:
    states = ti.get_task_states(
        dag_id=task.dag_id, task_ids=[task.task_id], run_ids=[task.run_id], map_index=task.map_index
    )
    return str(next(iter(states.get(task.run_id, {}).values()), "removed")) in OVER


def state_in_inbox(context: Mapping[str, Any], airflow: str = "") -> InboxTaskState | None:
    """The state of the task instance of a context, in the inbox; None where the workers share none.

    :param airflow: the id of this Airflow; empty to look it up, or to make it.
    :raises TaskWatchError: where Airflow or the inbox does not answer.
    """
    if (inbox := open_shared_inbox()) is None:
        return None
    ti = context["ti"]
    task = TaskKey(
        airflow=airflow or airflow_id(inbox),
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
    )
    return InboxTaskState(inbox, task, mark_of(context))
