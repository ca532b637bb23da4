"""Run a long job, and let the users of an account follow it in their panel: from its start to ready, or to error."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_provider_taskwatch.notifications.aps import ApsNotifier
from airflow_provider_taskwatch.operators.aps import ApsEditNotificationOperator, ApsSendNotificationOperator
from airflow_provider_taskwatch.operators.automic import AutomicExecutionOperator

ABOUT: dict[str, Any] = {
    "account_id": "account-1",
    "message": {
        "message": "__what__",
        "multilangKeys": {"what": {"en": "Your report is being made", "de": "Ihr Bericht wird erstellt"}},
    },
}

with DAG(
    dag_id="aps_long_job",
    schedule=None,
    tags=["aps", "automic"],
    doc_md=__doc__,
    on_success_callback=ApsNotifier(status="ready", details="It is there.", **ABOUT),
    on_failure_callback=ApsNotifier(status="error", details="We are looking into it.", **ABOUT),
):
    begin = ApsSendNotificationOperator(task_id="begin", about="dag_run", details="Data is collected.", **ABOUT)
    collect = AutomicExecutionOperator(task_id="collect", object_name="JOBS.COLLECT", timeout=3600)
    half = ApsEditNotificationOperator(
        task_id="half",
        notification_id=begin.output,
        details={"message": "__rows__ rows are there, the report is written.", "keys": {"rows": "1,000"}},
    )
    write = AutomicExecutionOperator(
        task_id="write",
        object_name="JOBS.WRITE",
        timeout=3600,
        on_execute_callback=ApsNotifier(status="inProgress", about="task", account_id="account-1"),
        on_success_callback=ApsNotifier(status="ready", about="task", account_id="account-1"),
        on_failure_callback=ApsNotifier(status="error", about="task", account_id="account-1"),
    )
    begin >> collect >> half >> write
