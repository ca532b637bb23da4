"""Run a protection plan on Acronis, wait for the event of its end, and poll the task itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_taskwatch.hooks.acronis import AcronisHook
from airflow_provider_taskwatch.sensors.acronis import AcronisEventSensor, AcronisTaskSensor

with DAG(
    dag_id="acronis_protection",
    schedule=None,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["acronis"],
    doc_md=__doc__,
):

    @task
    def protect() -> None:
        """The answer names no task: its events do."""
        AcronisHook().run_policy("d7d1e2a6-0000-4000-8000-000000000001", ["b2c1e2a6-0000-4000-8000-000000000002"])

    # Events count from the start of the DAG run on, so one that came before the sensor began is found.
    completed = AcronisEventSensor(
        task_id="completed",
        topic="cti.a.p.em.topic.v1.0~a.p.task.v1.0",
        types="cti.a.p.em.event.v1.0~a.p.task.completed.v1.0",
        timeout=timedelta(hours=1).total_seconds(),
    )

    # An event is a hint: how the task has ended is for the Task Manager to say.
    ended = AcronisTaskSensor(
        task_id="ended", acronis_task_id="{{ ti.xcom_pull(task_ids='completed')['subject'] }}", poll_interval=5
    )

    @task
    def report(run: dict[str, Any]) -> str:
        """What the Task Manager has said."""
        return f"task {run['id']} is {run['state']}"

    protect() >> completed >> ended
    report(ended.output)
