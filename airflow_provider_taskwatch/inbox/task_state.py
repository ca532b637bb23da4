"""What the inbox keeps of task instances, where Airflow has no store of its own for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskKey:
    """One task instance.

    :param airflow: the id of its Airflow; see :func:`~..config.airflow_id.airflow_id`. Several may share an inbox.
    :param map_index: -1 where the task is not mapped.
    """

    airflow: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @property
    def named(self) -> str:
        """The task instance, in a message."""
        mapped = f" with map index {self.map_index}" if self.map_index >= 0 else ""
        return f"task {self.task_id!r} of DAG {self.dag_id!r} in run {self.run_id!r}{mapped}"
