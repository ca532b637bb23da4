"""Run an Automic job whose engine calls back when it is done, so that it is hardly polled."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_taskwatch.operators.automic import AutomicCallback, AutomicExecutionOperator

with DAG(
    dag_id="automic_callback",
    schedule=None,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["automic"],
    doc_md=__doc__,
):
    archive = AutomicExecutionOperator(
        task_id="archive",
        object_name="JOBS.ARCHIVE",
        callback=AutomicCallback(headers={"X-Team": "data"}, keep=["execution_status"]),
        callback_poll_interval=timedelta(minutes=5),
        timeout=timedelta(hours=8),
    )

    @task
    def report(run: dict[str, dict[str, object]]) -> str:
        """What the callback said is kept apart from what the engine has confirmed."""
        return (
            f"status {run['status']}, after a callback that said {run['callback'].get('execution_status', 'nothing')}"
        )

    report(archive.output)
