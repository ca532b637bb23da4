"""DAGs that miss their deadline, which Airflow has alerts for since 3.2."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference, SyncCallback

from airflow_provider_taskwatch.notifications.aps import ApsNotifier
from airflow_provider_taskwatch.sensors.aps import ApsNotificationSensor

REF = "{{ dag_run.conf['ref'] }}"


def late(dag_id: str, callback: Any) -> None:
    """A DAG that misses its deadline."""
    alert = DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=timedelta(seconds=2), callback=callback
    )
    with DAG(dag_id, schedule=None, deadline=alert) as dag:
        ApsNotificationSensor(task_id="run", notification_id=REF, poll_interval=2)
    globals()[dag_id] = dag


LATE: dict[str, Any] = {"status": "error", "details": "__reason__", "account_id": "account-1"}
late("aps_late", AsyncCallback(ApsNotifier, kwargs=LATE))
late("aps_late_by_executor", SyncCallback(ApsNotifier, kwargs=LATE))
