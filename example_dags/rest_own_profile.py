"""Have a report made by an API of one's own, whose profile is the file nightly_report.yaml beside this one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_taskwatch.operators.rest import RestTaskOperator

with DAG(
    dag_id="rest_own_profile",
    schedule=None,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["rest"],
    doc_md=__doc__,
):
    make = RestTaskOperator(
        task_id="make",
        conn_id="nightly_report_default",
        profile="nightly_report.yaml",
        poll_interval=5,
        inputs={"day": "{{ dag_run.run_after.date() }}", "format": "pdf"},
    )

    @task
    def report(made: dict[str, Any]) -> str:
        """A success is what the profile selects of the summary."""
        return f"{made['rows']} rows in {made['file']}"

    report(make.output)
