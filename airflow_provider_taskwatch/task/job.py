"""What a task instance starts once, its policy for doubtful cases, and where the record of the start is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_taskwatch.compat.task_state import NEVER_EXPIRE
from airflow_provider_taskwatch.core.flow import PATIENT, Retry
from airflow_provider_taskwatch.core.record import Record, fingerprint, from_json, marks

if TYPE_CHECKING:
    from airflow_provider_taskwatch.compat.task_state import TaskState
    from airflow_provider_taskwatch.core.callback import Expectation
    from airflow_provider_taskwatch.core.flow import Flow
    from airflow_provider_taskwatch.core.record import Started
    from airflow_provider_taskwatch.core.system import System
    from airflow_provider_taskwatch.hooks.taskwatch import SystemHook

KEY = "taskwatch_start"


class Work(Protocol):
    """What is started: the part of an operator that its class defines."""

    @property
    def hook(self) -> SystemHook:
        """The hook of the connection."""

    @property
    def system(self) -> System:
        """The remote, as the task's arguments describe it."""

    def prepare(self) -> None:
        """Ask the remote what must be known before the start."""

    def start_flow(self, start_id: str) -> Flow[Started]:
        """Send the start, with the marker in it where the remote has a place for one."""

    def marker(self, start_id: str) -> str:
        """What :meth:`start_flow` leaves at the remote, where it keeps markers."""

    def options(self, start_id: str) -> dict[str, Any]:
        """How the system reads the remote's replies. Without a start id the marker is not compared."""

    def options_of(self, record: Record | None) -> dict[str, Any]:
        """The options of a wait for an earlier start."""

    def system_of(self, record: Record) -> System:
        """The remote as an earlier start sees it, whose inputs may be others."""

    def kept_options(self) -> dict[str, Any]:
        """What the record keeps for :meth:`options_of`."""

    def replay_flow(self, record: Record) -> Flow[Started] | None:
        """An earlier start once more; None where a repeat might start a second task."""

    def expectation(self) -> Expectation | None:
        """What is expected of the callback, where :meth:`start_flow` asks for one."""


class Records:
    """The record of a task instance, which retries share and a clear does not empty.

    :param store: see :func:`~.task_state.task_state`; None for a task that keeps no record.
    """

    def __init__(self, store: TaskState | None) -> None:
        self._store = store

    @property
    def is_kept(self) -> bool:
        """Whether the next attempt finds the record."""
        return self._store is not None

    def load(self) -> Record | None:
        return from_json(self._store.get(KEY)) if self._store is not None else None

    def save(self, record: Record) -> None:
        if self._store is not None:
            self._store.set(KEY, record.to_json(), retention=NEVER_EXPIRE)

    def forget(self) -> None:
        if self._store is not None:
            self._store.delete(KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What Airflow says of a task instance at this moment.

    :param map_index: -1 where the task is not mapped.
    :param clear_number: how often a task of the DAG run was cleared so far; None where that is not known.
    :param carrier: Airflow's mark of the task instance, which a clear renews; see :func:`~..core.start.was_cleared`.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    max_tries: int
    clear_number: int | None
    carrier: str

    @property
    def clears(self) -> dict[str, Any]:
        """The fields of a record that tell a clear from a retry."""
        return {"max_tries": self.max_tries, "clear_number": self.clear_number, "carrier": self.carrier}


def instance_of(context: Mapping[str, Any]) -> Instance:
    """The task instance of a context."""
    ti = context["ti"]
    carrier = getattr(ti, "context_carrier", None)
    number = getattr(context.get("dag_run"), "clear_number", None)
    return Instance(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        max_tries=ti.max_tries,
        clear_number=number if isinstance(number, int) else None,
        carrier=str(carrier.get("traceparent") or "") if isinstance(carrier, Mapping) else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a task instance starts once, and its policy for doubtful cases.

    :param inputs: of the start, as JSON by name.
    :param id_space: where the connection's refs are valid; see :meth:`~..core.system.System.id_space`.
    :param on_unknown_start: ``fail`` or ``start_again``; see :class:`~.operator.StartOperator`, as for the next two.
    :param on_changed_inputs: ``rejoin``, ``start`` or ``fail``.
    :param cancel_on_kill: whether a clear cancels as well.
    :param look_up_seconds: how long a marker is looked up until *not found* is believed.
    :param look_up_interval_seconds: between two look-ups that find nothing.
    :param look_up_retry: the patience with look-ups that fail.
    """

    inputs: Mapping[str, Any]
    conn_id: str
    id_space: str
    instance: Instance
    on_unknown_start: str = "fail"
    on_changed_inputs: str = "rejoin"
    cancel_on_kill: bool = True
    look_up_seconds: float = 30.0
    look_up_interval_seconds: float = 5.0
    look_up_retry: Retry = field(default=PATIENT)

    @property
    def fingerprint(self) -> str:
        """Of the values alone, as records of earlier versions have it."""
        return fingerprint(list(self.inputs.values()))

    def recorded(self, start_id: str) -> dict[str, Any]:
        """The fields of a record that come from the job."""
        return {
            "fingerprint": self.fingerprint,
            "conn_id": self.conn_id,
            "id_space": self.id_space,
            "inputs": marks(self.inputs, start_id),
            **self.instance.clears,
        }
