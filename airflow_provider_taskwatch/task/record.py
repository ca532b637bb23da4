"""The record of a start in Airflow's task state store, which retries share and a clear does not empty."""

from __future__ import annotations

from typing import Any

from airflow.sdk.execution_time.context import NEVER_EXPIRE

from airflow_provider_taskwatch.core.start import Record, from_json

KEY = "taskwatch_start"


class Records:
    """The one record of a task instance.

    :param store: ``context["task_state_store"]``, None for a task that keeps no record.
    """

    def __init__(self, store: Any | None) -> None:
        self._store = store

    def load(self) -> Record | None:
        return from_json(self._store.get(KEY)) if self._store is not None else None

    def save(self, record: Record) -> None:
        if self._store is not None:
            self._store.set(KEY, record.to_json(), retention=NEVER_EXPIRE)

    def forget(self) -> None:
        if self._store is not None:
            self._store.delete(KEY)
