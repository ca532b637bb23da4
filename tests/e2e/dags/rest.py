"""DAGs with tasks at REST APIs, whose profiles lie beside this file or are named by the connection."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_taskwatch.operators.rest import RestTaskOperator
from airflow_provider_taskwatch.sensors.rest import RestTaskSensor

QUICK: dict[str, Any] = {"poll_interval": 1, "adaptive": False, "retries": 2, "retry_delay": timedelta(seconds=1)}
ONCE: dict[str, Any] = {**QUICK, "retries": 0}
CONNECTION = "{{ dag_run.conf['conn_id'] }}"
INPUTS = {"team": "{{ dag_run.conf['team'] }}"}


class DiesBetweenStages(RestTaskOperator):
    """Its worker dies once, as soon as the task has gone on to the second stage."""

    def moved_to(self, ref: str) -> None:
        if self._ti.try_number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        super().moved_to(ref)


with DAG("rest", schedule=None):
    RestTaskOperator(task_id="run", conn_id=CONNECTION, inputs=INPUTS, **QUICK) >> RestTaskSensor(
        task_id="seen",
        conn_id=CONNECTION,
        inputs=INPUTS,
        ref="{{ ti.xcom_pull('run', key='ref') }}",
        poll_interval=1,
        adaptive=False,
    )

with DAG("rest_each_start", schedule=None):
    for name in ("job", "job-replay", "job-chosen", "job-marker"):
        RestTaskOperator(
            task_id=name, conn_id=f"{name.replace('-', '_')}_default", profile=f"{name}.yaml", inputs=INPUTS, **QUICK
        )

with DAG("rest_stages", schedule=None):
    DiesBetweenStages(task_id="run", conn_id="build_default", profile="build.yaml", inputs=INPUTS, **QUICK)

with DAG("rest_deadline", schedule=None):
    RestTaskOperator(task_id="run", conn_id="job_default", inputs=INPUTS, timeout=4, **ONCE)

with DAG("rest_link", schedule=None):
    for name in ("hostile", "redirected"):
        RestTaskOperator(task_id=name, conn_id="scripted", profile="link.yaml", inputs={"path": f"/{name}"}, **ONCE)

with DAG("rest_mapped", schedule=None):
    RestTaskOperator.partial(task_id="first", conn_id="job_default", **QUICK).expand(
        inputs=[{"team": "mapped-a"}, {"team": "mapped-b"}]
    )

    @task.rest(conn_id="job_replay_default", profile="job-replay.yaml", **QUICK)
    def second(team: str) -> dict[str, str]:
        """The inputs."""
        return {"team": team}

    @task
    def states(found: list[dict[str, str]]) -> list[str]:
        """What a task sees of the mapped ones before it."""
        return [one["state"] for one in found]

    states(second.expand(team=["mapped-c", "mapped-d"]))
