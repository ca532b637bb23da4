"""The task state store: retries of a task instance share it, and a clear does not empty it. Since Airflow 3.3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

try:
    from airflow.sdk.execution_time.context import NEVER_EXPIRE
except ImportError:
    NEVER_EXPIRE = None  # type: ignore[assignment, unused-ignore]
    HAS_TASK_STATE = False
else:
    HAS_TASK_STATE = True

__all__ = ["HAS_TASK_STATE", "NEVER_EXPIRE", "TaskState", "airflows_task_state"]


class TaskState(Protocol):
    """JSON by key, of one task instance."""

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key."""

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Store a value."""

    def delete(self, key: str) -> None:
        """Forget a key."""


def airflows_task_state(context: Mapping[str, Any]) -> TaskState | None:
    """Airflow's store for the task instance of a context; None below Airflow 3.3."""
    store: TaskState | None = context.get("task_state_store")
    return store
