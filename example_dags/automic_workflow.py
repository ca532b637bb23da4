"""Run an Automic workflow with inputs, wait for its execution, and hand its run id on."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_taskwatch.operators.automic import AutomicExecutionOperator
from airflow_provider_taskwatch.sensors.automic import AutomicExecutionSensor

with DAG(
    dag_id="automic_workflow",
    schedule=None,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["automic"],
    doc_md=__doc__,
):
    load = AutomicExecutionOperator(
        task_id="load",
        object_name="JOBP.LOAD",
        alias="DAILY-LOAD",
        inputs={"DATE#": "{{ dag_run.run_after.date() }}"},
        timeout=timedelta(hours=2),
        report_tail=20,
    )
    regions = AutomicExecutionOperator.partial(
        task_id="publish",
        object_name="JOBS.PUBLISH",
        timeout=timedelta(hours=1),
    ).expand(inputs=[{"REGION#": region} for region in ("north", "south", "west")])

    later = AutomicExecutionOperator(
        task_id="start_clean_up",
        object_name="JOBS.CLEAN_UP",
        wait_for_completion=False,
    )
    cleaned = AutomicExecutionSensor(
        task_id="clean_up",
        run_id="{{ ti.xcom_pull(task_ids='start_clean_up') }}",
        timeout=3600,
    )

    @task
    def report(run: dict[str, object]) -> str:
        """The result is what the engine says about the execution."""
        return f"run {run['run_id']} took {run['runtime']} s: {run['status_text']}"

    load >> regions >> later >> cleaned
    report(load.output)
