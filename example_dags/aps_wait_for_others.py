"""Wait for activities of another application of the platform, whose part the first task plays here."""

from __future__ import annotations

from airflow.sdk import DAG, task

from airflow_provider_taskwatch.hooks.aps import ApsHook
from airflow_provider_taskwatch.operators.aps import ApsListNotificationsOperator
from airflow_provider_taskwatch.sensors.aps import ApsNotificationSensor
from airflow_provider_taskwatch.systems.aps.notification import ApsNotification
from airflow_provider_taskwatch.systems.aps.text import LocalizedMessage

with DAG(
    dag_id="aps_wait_for_others",
    schedule=None,
    tags=["aps"],
    doc_md=__doc__,
):

    @task
    def other_application(run_id: str) -> list[str]:
        """It reports two activities, and brings them to an end later on."""
        hook = ApsHook("aps_other")
        activities = [
            ApsNotification(
                message=LocalizedMessage(message="Server __n__ is installed", keys={"n": str(number)}),
                account_id="account-1",
                context=f"servers.{run_id}.{number}",
            )
            for number in (1, 2)
        ]
        return [hook.send_notification(activity).id for activity in activities]

    sent = other_application(run_id="{{ run_id }}")
    first = ApsNotificationSensor(
        task_id="first",
        notification_id="{{ ti.xcom_pull(task_ids='other_application')[0] }}",
        timeout=3600,
    )
    both = ApsNotificationSensor(
        task_id="both",
        context="servers.{{ run_id }}.*",
        timeout=3600,
        deferrable=False,
        mode="reschedule",
        poke_interval=5,
    )
    shown = ApsListNotificationsOperator(task_id="shown", view="context", context="servers.{{ run_id }}.*")

    @task
    def report(notifications: list[dict[str, str]]) -> str:
        """What was waited for is a plain dictionary, and so is what is listed."""
        return "; ".join(sorted(f"{one['message']}: {one['status']}" for one in notifications))

    sent >> [first, both] >> shown
    report(shown.output)
