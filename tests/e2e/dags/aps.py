"""DAGs that send APS notifications, or wait for those of other applications."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_taskwatch.notifications.aps import ApsNotifier
from airflow_provider_taskwatch.operators.aps import (
    ApsDeleteNotificationOperator,
    ApsEditNotificationOperator,
    ApsListNotificationsOperator,
    ApsSendNotificationOperator,
)
from airflow_provider_taskwatch.sensors.aps import ApsNotificationSensor

CONTEXT = "{{ dag_run.conf['context'] }}"
REF = "{{ dag_run.conf['ref'] }}"
ABOUT: dict[str, Any] = {"account_id": "account-1"}

with DAG("aps_sensor", schedule=None):
    ApsNotificationSensor(task_id="run", notification_id=REF, poll_interval=2)

with DAG("aps_sensor_on_worker", schedule=None):
    ApsNotificationSensor(task_id="run", notification_id=REF, poke_interval=1, deferrable=False)

with DAG("aps_sensor_of_contexts", schedule=None):
    ApsNotificationSensor(task_id="run", context=CONTEXT, poll_interval=2)

with DAG("aps_send", schedule=None):
    ApsSendNotificationOperator(task_id="run", message="Load", **ABOUT)

with DAG("aps_operators", schedule=None):
    sent = ApsSendNotificationOperator(task_id="run", message="Load", context_group="e2e", **ABOUT)
    edited = ApsEditNotificationOperator(task_id="edit", notification_id=sent.output, status="ready")
    listed = ApsListNotificationsOperator(task_id="list", view="context", context="e2e.*")
    deleted = ApsDeleteNotificationOperator(task_id="delete", notification_id=edited.output)
    edited >> listed >> deleted

with DAG(
    "aps_followed",
    schedule=None,
    on_success_callback=ApsNotifier(status="ready", details="done: __reason__", **ABOUT),
    on_failure_callback=ApsNotifier(status="error", details="failed: __reason__", **ABOUT),
):

    @task(
        on_execute_callback=ApsNotifier(status="inProgress", **ABOUT),
        on_success_callback=ApsNotifier(status="ready", about="task", **ABOUT),
        on_failure_callback=ApsNotifier(status="error", about="task", details="__reason__", **ABOUT),
    )
    def run(is_good: str) -> None:
        """Do as the run's conf says."""
        if is_good != "True":
            raise ValueError("the disk is full")

    run("{{ dag_run.conf['is_good'] }}")
