"""Requests to Airflow's supervisor, which answers one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import DRCount, GetDRCount, GetTaskStates, TaskStatesResult

from airflow_provider_taskwatch.core.error import TransportError, described

NEEDS_DATABASE = GetDRCount(dag_id="")
"""A cheap request that Airflow cannot answer without its database."""
XCOM_SECONDS = 60.0
"""A supervisor that builds its API answers after 44 seconds on a busy host."""


def supervisor() -> Any:
    """The supervisor of this process; None outside of Airflow's workers and triggerers."""
    return getattr(task_runner, "SUPERVISOR_COMMS", None)


def is_triggerer() -> bool:
    """Whether requests do not block: False on a worker, and in ``dag.test()`` of Airflow 3.3.2."""
    return hasattr(supervisor(), "asend")


async def warm_up() -> bool:
    """Makes the supervisor of a triggerer build its API now; True once it has.

    Airflow 3.3.2 builds it for the first request, in 5 seconds of CPU time (9 to 44 seconds on a busy host), during
    which the supervisor does nothing else. A user's kill needs such a request, and Airflow gives up on a kill after 30
    seconds (``[triggerer] on_kill_timeout``).
    """
    return isinstance(await supervisor().asend(NEEDS_DATABASE), DRCount)


async def push_result(ti: Any, result: Mapping[str, Any]) -> None:
    """Pushes the XCom of a task instance from a triggerer. In an event's ``xcoms`` Airflow 3.3.2 encodes it twice."""
    from airflow.sdk.execution_time.xcom import XCom

    async with asyncio.timeout(XCOM_SECONDS):
        await XCom.aset(
            "return_value",
            dict(result),
            dag_id=ti.dag_id,
            task_id=ti.task_id,
            run_id=ti.run_id,
            map_index=ti.map_index,
        )


async def task_state(*, dag_id: str, run_id: str, task_id: str, map_index: int) -> str | None:
    """The state of a task instance; ``cleared`` where it has none, None where the task instance does not exist.

    :raises TransportError: where Airflow does not answer.
    """
    if not is_triggerer():
        raise TransportError("Airflow cannot be asked for the state of the task from here")
    question = GetTaskStates(dag_id=dag_id, task_ids=[task_id], run_ids=[run_id], map_index=map_index)
    try:
        answer = await supervisor().asend(question)
    except AirflowRuntimeError as cause:
        raise TransportError(f"Airflow did not say what became of the task: {described(cause)}") from cause
    if not isinstance(answer, TaskStatesResult):
        raise TransportError(f"Airflow did not say what became of the task: {answer!r:.200}")
    states = list(answer.task_states.get(run_id, {}).values())
    return str(states[0] or "cleared") if states else None
