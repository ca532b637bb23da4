"""Back up a database, then deploy an artifact: two tasks on Acquia Cloud, waited for without a worker."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_provider_taskwatch.operators.acquia import AcquiaCreateDatabaseBackupOperator, AcquiaDeployArtifactOperator

with DAG(
    dag_id="acquia_backup_and_deploy",
    schedule=None,
    params={
        "environment": Param("24-a47ac10b-58cc-4372-a567-0e02b2c3d470", type="string"),
        "artifact": Param("b2f14a1e-6b43-4c3e-9c26-1f0a6a4f1d11", type="string"),
    },
    tags=["acquia"],
    doc_md=__doc__,
):
    back_up = AcquiaCreateDatabaseBackupOperator(
        task_id="back_up",
        environment_id="{{ params.environment }}",
        database_name="drupal",
        timeout=3600,
    )
    deploy = AcquiaDeployArtifactOperator(
        task_id="deploy",
        environment_id="{{ params.environment }}",
        artifact_id="{{ params.artifact }}",
        timeout=3600,
    )
    back_up >> deploy
