"""Export data from an API that answers 202 with a Location: an operator waits for one export, a sensor for another."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_taskwatch.operators.rest import RestTaskOperator
from airflow_provider_taskwatch.sensors.rest import RestTaskSensor

EXPORTS: dict[str, Any] = {"conn_id": "http_202_default", "profile": "http-202", "poll_interval": 5}

with DAG(
    dag_id="rest_http_202",
    schedule=None,
    tags=["rest"],
    doc_md=__doc__,
):
    orders = RestTaskOperator(
        task_id="orders",
        inputs={"path": "/exports?table=orders", "body": {"day": "{{ dag_run.run_after.date() }}"}},
        timeout=3600,
        **EXPORTS,
    )

    # Started without waiting: the ref is what the sensor needs, here the path of the monitor.
    customers = RestTaskOperator(
        task_id="customers",
        inputs={"path": "/exports?table=customers"},
        wait_for_completion=False,
        **EXPORTS,
    )
    exported = RestTaskSensor(
        task_id="customers_exported",
        ref="{{ ti.xcom_pull(task_ids='customers') }}",
        timeout=3600,
        **EXPORTS,
    )

    @task
    def report(orders: dict[str, Any], customers: dict[str, Any]) -> str:
        """A success is the last reply, as the profile selects it."""
        return f"orders: {orders['location']}, customers: {customers['location']}"

    customers >> exported
    report(orders.output, exported.output)
