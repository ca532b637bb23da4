"""Start work on Acquia Cloud and return at once; let sensors wait for it, one of them given the whole reply."""

from __future__ import annotations

from airflow.sdk import DAG, Param, task

from airflow_provider_taskwatch.hooks.acquia import AcquiaHook
from airflow_provider_taskwatch.operators.acquia import AcquiaCreateDatabaseOperator
from airflow_provider_taskwatch.sensors.acquia import AcquiaNotificationSensor

with DAG(
    dag_id="acquia_wait_for_others",
    schedule=None,
    params={"application": Param("a47ac10b-58cc-4372-a567-0e02b2c3d470", type="string")},
    tags=["acquia"],
    doc_md=__doc__,
):
    create = AcquiaCreateDatabaseOperator(
        task_id="create",
        application_uuid="{{ params.application }}",
        database_name="reports",
        wait_for_completion=False,
    )
    created = AcquiaNotificationSensor(
        task_id="created",
        notification_uuid="{{ ti.xcom_pull(task_ids='create') }}",
        timeout=3600,
    )

    @task
    def clear_caches(params: dict[str, str]) -> dict[str, object]:
        """Any call of the API, by the hook; the reply names the notification."""
        reply = AcquiaHook().request(
            "POST",
            f"/environments/24-{params['application']}/actions/clear-caches",
            json={"domains": ["www.example.com"]},
        )
        return dict(reply.json())

    cleared = AcquiaNotificationSensor(
        task_id="cleared",
        notification_uuid=clear_caches(),
        timeout=3600,
        deferrable=False,
        mode="reschedule",
        poke_interval=5,
    )

    @task
    def report(database: dict[str, object], caches: dict[str, object]) -> str:
        """The results of both waits are plain dictionaries."""
        return f"{database['label']} in {database['duration']} s, {caches['label']} in {caches['duration']} s"

    create >> created
    report(created.output, cleared.output)
