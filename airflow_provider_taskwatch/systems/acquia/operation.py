"""Operations of the Acquia Cloud API, each with its own operator.

* https://cloudapi-docs.acquia.com/
"""

from __future__ import annotations

from typing import Any

from airflow_provider_taskwatch.core.wire import segment

Operation = tuple[str, str, dict[str, Any]]
"""Method, path and JSON body of a call whose reply names a notification."""


def create_database(application_uuid: str, name: str) -> Operation:
    """Create a database in all environments of an application."""
    return "POST", f"/applications/{segment(application_uuid)}/databases", {"name": name}


def create_database_backup(environment_id: str, database: str) -> Operation:
    """Back up one database of an environment."""
    return "POST", f"/environments/{segment(environment_id)}/databases/{segment(database)}/backups", {}


def deploy_artifact(environment_id: str, artifact_id: str) -> Operation:
    """Deploy a build artifact to an environment."""
    path = f"/environments/{segment(environment_id)}/artifacts/actions/switch"
    return "POST", path, {"artifact_id": artifact_id}


def switch_code(environment_id: str, branch: str) -> Operation:
    """Switch an environment to a branch or tag (``tags/2026-01-31``)."""
    return "POST", f"/environments/{segment(environment_id)}/code/actions/switch", {"branch": branch}
