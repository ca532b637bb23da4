"""DAGs with one task that the run's conf configures for each test."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_taskwatch.operators.acquia import AcquiaTaskOperator
from airflow_provider_taskwatch.operators.automic import AutomicCallback, AutomicExecutionOperator
from airflow_provider_taskwatch.sensors.acquia import AcquiaNotificationSensor
from airflow_provider_taskwatch.sensors.automic import AutomicExecutionSensor

QUICK: dict[str, Any] = {"poll_interval": 2, "retries": 2, "retry_delay": timedelta(seconds=1)}
OBJECT = "{{ dag_run.conf['object'] }}"
PATH = "{{ dag_run.conf['path'] }}"
REF = "{{ dag_run.conf['ref'] }}"


@task
def kind_of(value: object) -> str:
    """The value that a downstream task receives."""
    return type(value).__name__


with DAG("automic", schedule=None):
    kind_of(AutomicExecutionOperator(task_id="run", object_name=OBJECT, **QUICK).output)

with DAG("automic_once", schedule=None):
    AutomicExecutionOperator(task_id="run", object_name=OBJECT, poll_interval=2)

with DAG("automic_stored", schedule=None):
    AutomicExecutionOperator(task_id="run", object_name=OBJECT, automic_conn_id="stored_automic", **QUICK)

with DAG("automic_leave", schedule=None):
    AutomicExecutionOperator(task_id="run", object_name=OBJECT, cancel_on_kill=False, **QUICK)

with DAG("automic_deadline", schedule=None):
    AutomicExecutionOperator(task_id="run", object_name=OBJECT, poll_interval=2, timeout=4)

with DAG("automic_dagrun_timeout", schedule=None, dagrun_timeout=timedelta(seconds=30)):
    AutomicExecutionOperator(task_id="run", object_name=OBJECT, **QUICK)

with DAG("automic_fail_fast", schedule=None, fail_fast=True):
    AutomicExecutionOperator(task_id="run", object_name=OBJECT, poll_interval=2)
    AutomicExecutionOperator(task_id="other", object_name="{{ dag_run.conf['other'] }}", poll_interval=2)

with DAG("automic_on_worker", schedule=None):
    AutomicExecutionOperator(task_id="run", object_name=OBJECT, deferrable=False, **QUICK)

with DAG("automic_mapped", schedule=None):
    AutomicExecutionOperator.partial(task_id="run", poll_interval=2).expand(object_name=["JOBS.ONE", "JOBS.TWO"])

with DAG("acquia", schedule=None):
    AcquiaTaskOperator(task_id="run", path=PATH, **QUICK)

with DAG("acquia_sensor", schedule=None):
    kind_of(AcquiaNotificationSensor(task_id="run", notification_uuid=REF, poll_interval=2).output)

with DAG("automic_sensor_without_xcom", schedule=None):
    AutomicExecutionSensor(task_id="run", run_id=REF, poll_interval=2, do_xcom_push=False)

with DAG("acquia_soft_sensor", schedule=None):
    AcquiaNotificationSensor(task_id="run", notification_uuid=REF, poll_interval=2, timeout=3, soft_fail=True)

CALLED_BACK: dict[str, Any] = {**QUICK, "callback_poll_interval": 600}

with DAG("automic_callback", schedule=None):
    AutomicExecutionOperator(
        task_id="run",
        object_name=OBJECT,
        callback=AutomicCallback(headers={"X-Proxy": "e2e"}, keep=["execution_status"]),
        **CALLED_BACK,
    )

with DAG("automic_callback_dmz", schedule=None):
    AutomicExecutionOperator(
        task_id="run",
        object_name=OBJECT,
        callback=AutomicCallback(url=os.environ.get("DMZ_RECEIVER_URL", "")),
        **CALLED_BACK,
    )
