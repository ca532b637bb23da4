"""The Airflow plugin: the place where the receiver of callbacks will be mounted on the API server."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class TaskWatchPlugin(AirflowPlugin):
    """Registers nothing of its own yet."""

    name = "taskwatch"
