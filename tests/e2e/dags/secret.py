"""DAGs whose connection and object are set by the run's conf; a test searches for their names afterwards."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_taskwatch.operators.acquia import AcquiaTaskOperator
from airflow_provider_taskwatch.operators.automic import AutomicExecutionOperator
from airflow_provider_taskwatch.sensors.acquia import AcquiaNotificationSensor
from airflow_provider_taskwatch.sensors.automic import AutomicExecutionSensor

CONNECTION = "{{ dag_run.conf['conn_id'] }}"
NAME = "{{ dag_run.conf['name'] }}"

with DAG("secret_acquia", schedule=None):
    AcquiaTaskOperator(task_id="run", path=NAME, acquia_conn_id=CONNECTION, poll_interval=1)

with DAG("secret_acquia_on_worker", schedule=None):
    AcquiaTaskOperator(task_id="run", path=NAME, acquia_conn_id=CONNECTION, poll_interval=1, deferrable=False)

with DAG("secret_automic", schedule=None):
    AutomicExecutionOperator(task_id="run", object_name=NAME, automic_conn_id=CONNECTION, poll_interval=1)

with DAG("secret_automic_on_worker", schedule=None):
    AutomicExecutionOperator(
        task_id="run", object_name=NAME, automic_conn_id=CONNECTION, poll_interval=1, deferrable=False
    )

with DAG("secret_sensor", schedule=None):
    AcquiaNotificationSensor(task_id="run", notification_uuid=NAME, acquia_conn_id=CONNECTION, poll_interval=1)

with DAG("secret_callback", schedule=None):
    AutomicExecutionOperator(task_id="run", object_name=NAME, automic_conn_id=CONNECTION, callback=True)

with DAG("secret_automic_sensor", schedule=None):
    AutomicExecutionSensor(task_id="run", run_id=NAME, automic_conn_id=CONNECTION, poll_interval=1)
