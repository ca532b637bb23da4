"""One task instance without an Airflow: attempt after attempt on fresh operators, over one task state store."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout, TaskDeferred, timeout
from airflow.sdk import BaseOperator

from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.core.record import Record, from_json
from airflow_provider_taskwatch.task.job import KEY


class Store:
    """Airflow's task state store: JSON by key, with a note of everything that was written.

    :param on_set: called with each record before it is kept.
    """

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.written: list[Any] = []
        self.on_set: Callable[[Any], None] = lambda value: None

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.kept[key]) if key in self.kept else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self.on_set(value)
        self.kept[key] = json.dumps(value)
        self.written.append(deepcopy(value))

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)


class TaskInstance:
    """What the operators use of Airflow's; the task states are those that a test sets."""

    def __init__(self, task: BaseOperator, life: Life) -> None:
        self.task = task
        self.task_id = task.task_id
        self.dag_id, self.run_id, self.map_index = "d", life.run_id, life.map_index
        self.max_tries, self.try_number = life.max_tries, life.try_number
        self.start_date = datetime.now(UTC)
        self.context_carrier = {"traceparent": life.carrier}
        self._life = life

    def xcom_push(self, key: str, value: Any) -> None:
        self._life.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str = "return_value", *, map_indexes: int) -> Any:
        assert (task_ids, map_indexes) == (self.task_id, self.map_index)
        return self._life.xcoms.get(key)

    def get_task_states(self, **asked: Any) -> dict[str, dict[str, str | None]]:
        assert asked == {
            "dag_id": self.dag_id,
            "task_ids": [self.task_id],
            "run_ids": [self.run_id],
            "map_index": self.map_index,
        }
        return {self.run_id: {self.task_id: self._life.state()}}

    def get_first_reschedule_date(self, context: Mapping[str, Any]) -> datetime | None:
        return self._life.first_reschedule


class Life:
    """A task instance.

    :param kind: the operator, made anew for every attempt, as each has a process of its own.
    """

    def __init__(self, kind: type[BaseOperator], **arguments: Any) -> None:
        self.kind = kind
        self.arguments = arguments
        self.store = Store()
        self.xcoms: dict[str, Any] = {}
        self.run_id, self.map_index = "manual__2026-01-31T06:00:00+00:00", -1
        self.max_tries, self.try_number = 2, 1
        self.clear_number, self.carrier = 0, _carrier()
        self.state: Callable[[], str | None] = lambda: "running"
        self.first_reschedule: datetime | None = None
        self.task: Any = None
        self.is_new = True

    @property
    def record(self) -> Record | None:
        return from_json(self.store.get(KEY))

    @property
    def open_record(self) -> Record:
        assert self.record is not None
        return self.record

    def context(self) -> Any:
        return {
            "ti": TaskInstance(self.task, self),
            "task_state_store": self.store,
            "dag_run": SimpleNamespace(clear_number=self.clear_number),
        }

    def make(self) -> Any:
        """The operator of the next attempt."""
        self.task = self.kind(task_id="t", **self.arguments)
        return self.task

    def execute(self) -> Any:
        """What a worker does with a new attempt, ``execution_timeout`` and ``on_kill`` included."""
        task = self.make()
        return self._run(task.execute)

    def die_before_the_reply(self) -> None:
        """An attempt whose request arrives, and whose worker is gone before it has written the ref."""

        def die(value: Any) -> None:
            if value["ref"] is not None:
                raise KeyboardInterrupt

        self.store.on_set = die
        with pytest.raises(KeyboardInterrupt):
            self.execute()
        self.store.on_set = lambda value: None
        assert self.open_record.ref is None

    def retry(self) -> Any:
        self.try_number += 1
        return self.execute()

    def clear(self, retries: int = 2) -> Any:
        """Airflow counts from the last try, and leaves the store alone.

        :param retries: of the DAG as it is by then.
        """
        self.max_tries = self.try_number + retries
        self.clear_running()
        return self.retry()

    def clear_running(self) -> None:
        """A clear of a task whose worker dies then: Airflow leaves ``max_tries`` as it is."""
        self.clear_another()
        self.carrier = _carrier()

    def clear_another(self) -> None:
        """A clear of another task of the run."""
        self.clear_number += 1

    def defer(self) -> TaskDeferred:
        """An attempt that ends in a deferral."""
        with pytest.raises(TaskDeferred) as caught:
            self.execute()
        return caught.value

    def resume(self, event: Any, **arguments: Any) -> Any:
        """What a worker does with the event of a trigger."""
        return self.go_on("execute_complete", {"event": event}, **arguments)

    def restart(self, ref: str) -> str:
        """What a person does at Automic with an execution that has failed; the id of the new one."""
        reply = self.task.hook.request("POST", f"/100/executions/{ref}/status", json={"action": "restart"})
        return str(reply.json()["run_id"])

    def go_on(self, method: str, kwargs: dict[str, Any] | None) -> Any:
        task = self.make()
        return self._run(partial(task.resume_execution, next_method=method, next_kwargs=kwargs))

    def _run(self, execute: Callable[..., Any]) -> Any:
        """What Airflow's task runner does around a call of the operator."""
        limit = self.task.execution_timeout
        try:
            with timeout(limit.total_seconds()) if limit else nullcontext():
                return execute(context=self.context())
        except AirflowTaskTimeout:
            self.task.on_kill()
            raise


def _carrier() -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


def event_of(ending: Ending, ref: str = "1000001", **values: Any) -> dict[str, Any]:
    """A trigger's event, as it arrives on the worker."""
    event: dict[str, Any] = json.loads(json.dumps(Outcome(ending=ending, ref=ref, **values).to_event()))
    return event


STARTED_AT = "2026-01-31T06:00:00+00:00"
ODD_WAITS: list[Any] = [
    "text",
    ["plan"],
    5,
    {"conn_id": "automic_default"},
    {"conn_id": "automic_default", "started_at": STARTED_AT, "plan": None},
    {"conn_id": "automic_default", "started_at": STARTED_AT, "plan": "text"},
    {"conn_id": "automic_default", "started_at": STARTED_AT, "plan": ["version", 1]},
    {"conn_id": "automic_default", "started_at": STARTED_AT, "plan": {}},
    {"conn_id": "automic_default", "started_at": STARTED_AT, "plan": {"version": 1}},
    {"conn_id": "automic_default", "started_at": STARTED_AT, "plan": {"version": 1, "rules": 5, "rhythm": None}},
    {"conn_id": "automic_default", "started_at": STARTED_AT, "plan": {"version": 99}},
    {"conn_id": "automic_default", "ref": "1000001", "poll_interval": 5},
]
"""Waits of an event, as no trigger of this version writes them."""
