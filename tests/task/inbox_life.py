"""A task instance on an Airflow without a task state store: what its attempts keep lies in the inbox."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time.comms import (
    DRCount,
    ErrorResponse,
    GetConnection,
    GetVariable,
    OKResponse,
    PutVariable,
    VariableResult,
)

from airflow_provider_taskwatch.core.record import Record, from_json
from airflow_provider_taskwatch.task.job import KEY
from airflow_provider_taskwatch.task.task_state import task_state
from tests.task.life import Life

_minutes = itertools.count()


class Variables:
    """The supervisor of a worker: it knows no connection, and keeps variables.

    ``answers`` has what it says, or raises, for a type of message instead.
    """

    def __init__(self) -> None:
        self.kept: dict[str, str | None] = {}
        self.answers: dict[type, Any] = {}

    def send(self, message: Any) -> Any:
        if type(message) in self.answers:
            answer = self.answers[type(message)]
            if isinstance(answer, Exception):
                raise answer
            return answer
        match message:
            case GetVariable() if message.key in self.kept:
                return VariableResult(key=message.key, value=self.kept[message.key])
            case GetVariable():
                return ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND, detail={"key": message.key})
            case PutVariable():
                self.kept[message.key] = message.value
                return OKResponse(ok=True)
            case GetConnection():
                return ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND)
            case _:
                return DRCount(count=0)


class InboxLife(Life):
    """Like :class:`~tests.task.life.Life`, on an Airflow below 3.3.

    :param has_carrier: False on Airflow 3.1, which has none.
    """

    def __init__(self, kind: Any, *, has_carrier: bool = True, **arguments: Any) -> None:
        super().__init__(kind, **arguments)
        self.run_started_at = _a_new_start()
        if not has_carrier:
            self.carrier = ""

    def context(self) -> Any:
        run = SimpleNamespace(clear_number=self.clear_number, start_date=self.run_started_at)
        return {name: value for name, value in super().context().items() if name != "task_state_store"} | {
            "dag_run": run
        }

    @property
    def record(self) -> Record | None:
        state = task_state(self.context(), is_moving=False)
        return from_json(state.get(KEY)) if state else None

    def clear_ended(self) -> Any:
        """A clear of the task in a run that has ended, which begins the run anew."""
        self.run_started_at = _a_new_start()
        return self.clear()

    def make_anew(self) -> None:
        """The run is deleted, and another one gets its id."""
        self.run_started_at = _a_new_start()
        self.try_number, self.max_tries, self.clear_number = 1, 2, 0
        if self.carrier:
            self.carrier = f"00-{next(_minutes):032x}-0000000000000001-00"


def _a_new_start() -> datetime:
    return datetime(2026, 1, 31, tzinfo=UTC) + timedelta(minutes=next(_minutes))
