"""The task state store as a command reaches it: in Airflow's metadata database. Since Airflow 3.3."""

from __future__ import annotations

import json
from typing import Any

from .task_state import HAS_TASK_STATE


class StoredTaskState:
    """What Airflow's store keeps of one task instance."""

    def __init__(self, *, dag_id: str, run_id: str, task_id: str, map_index: int) -> None:
        from airflow._shared.state import TaskScope
        from airflow.state import get_state_backend

        self._scope = TaskScope(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index)
        self._store = get_state_backend()
        self._held: dict[str, str | None] = {}

    def get(self, key: str) -> Any:
        """The value of a key; None where there is none."""
        from airflow.utils.session import create_session

        with create_session() as session:
            self._held[key] = held = self._store.get(self._scope, key, session=session)
        return None if held is None else json.loads(held)

    def amend(self, key: str, value: Any) -> bool:
        """Replace a value that was read; False where another one was written meanwhile."""
        from airflow.utils.session import create_session

        with create_session() as session:
            if self._store.get(self._scope, key, session=session) != self._held[key]:
                return False
            self._store.set(self._scope, key, json.dumps(value), session=session)
        return True


def stored_task_state(*, dag_id: str, run_id: str, task_id: str, map_index: int) -> StoredTaskState | None:
    """The state of a task instance; None below Airflow 3.3."""
    if not HAS_TASK_STATE:
        return None
    return StoredTaskState(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index)
