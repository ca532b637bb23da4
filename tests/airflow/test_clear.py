"""What Airflow's clear changes of a task instance, and what its retry leaves: how this package tells them apart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import airflow.models
import pytest
from airflow.models.base import Base
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunType
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

pytestmark = pytest.mark.since("3.2", reason="a task instance has a trace carrier, which a clear renews")


@pytest.fixture
def session() -> Iterator[Session]:
    """An empty metadata database in memory."""
    airflow.models.import_all_models()
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
def tasks(session: Session) -> list[TaskInstance]:
    """Two task instances of one run, as a scheduler has made them, both of which run."""
    now = datetime.now(UTC)
    run = DagRun(dag_id="d", run_id="r", run_type=DagRunType.MANUAL, run_after=now, state=DagRunState.RUNNING)
    session.add(run)
    session.flush()
    with DAG("d", schedule=None):
        operators = [EmptyOperator(task_id=name, retries=1) for name in "ab"]
    made: Any = {"dag_version_id": None, "dag_run": run}
    rows = [TaskInstance.insert_mapping("r", one, -1, **made) for one in operators]  # type: ignore[arg-type]
    session.bulk_insert_mappings(TaskInstance, [{**row, "state": TaskInstanceState.RUNNING} for row in rows])  # type: ignore[arg-type]
    return list(session.scalars(select(TaskInstance).order_by(TaskInstance.task_id)))


def known(one: TaskInstance) -> tuple[int, int, Any]:
    """What a worker sees of it."""
    return one.max_tries, one.dag_run.clear_number, dict(one.context_carrier or {}).get("traceparent")


def test_a_clear_of_a_running_task_renews_its_carrier_and_no_other(session: Session, tasks: list[TaskInstance]) -> None:
    mine, other = tasks
    before, others_before = known(mine), known(other)
    clear_task_instances([mine], session=session)
    assert str(mine.state) == TaskInstanceState.RESTARTING
    assert known(mine)[:2] == (before[0], before[1] + 1)
    assert known(mine)[2] not in ("", None, before[2])
    assert known(other) == (others_before[0], others_before[1] + 1, others_before[2])


def test_a_retry_leaves_the_carrier_as_it_is(session: Session, tasks: list[TaskInstance]) -> None:
    mine, _ = tasks
    before = known(mine)
    mine.prepare_db_for_next_try(session)
    session.flush()
    assert known(mine) == before
