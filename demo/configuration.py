"""The configuration of a private Airflow, as environment variables."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

Environment = dict[str, str]

_NO_SECRET = "a private airflow on the loopback interface has nothing that a secret could protect"  # noqa: S105

_FIXED = {
    "AIRFLOW__API_AUTH__JWT_SECRET": _NO_SECRET,
    "AIRFLOW__API__HOST": "127.0.0.1",
    "AIRFLOW__API__SECRET_KEY": _NO_SECRET,
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__FERNET_KEY": "bm90aGluZyBoZXJlIGlzIHdvcnRoIGEgc2VjcmV0ISE=",
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
    "AIRFLOW__LOGGING__REMOTE_LOGGING": "False",
    "AIRFLOW__TASKWATCH__CALLBACK_SECRETS": _NO_SECRET.replace(" ", "-"),
    "AIRFLOW__TASKWATCH__INBOX_KEYS": "bm90aGluZyBoZXJlIGlzIHdvcnRoIGEgc2VjcmV0ISE=",
    "NO_PROXY": "127.0.0.1,localhost",
}

_QUICK = {
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "4",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
}
"""Intervals far below Airflow's own: what takes half a minute in production takes seconds here."""


def environment(
    *, home: Path, url: str, dag_folders: Iterable[Path] = (), database_url: str | None = None
) -> Environment:
    """
    The variables for a component: this process's own, without its Airflow settings, and then ours.

    :param database_url: of the metadata database; None for an SQLite file in the home.
    """
    inherited = {name: value for name, value in os.environ.items() if not _is_foreign(name)}
    database = _postgres(database_url) if database_url else _sqlite(home)
    return inherited | _FIXED | _QUICK | _own(home, url, dag_folders) | database


def connection_variables(connections: Mapping[str, str]) -> Environment:
    """Connections, as URI or JSON by connection id, in the variables where Airflow looks for them."""
    return {f"AIRFLOW_CONN_{connection_id.upper()}": value for connection_id, value in connections.items()}


def _own(home: Path, url: str, dag_folders: Iterable[Path]) -> Environment:
    bundles = [_bundle(number, folder) for number, folder in enumerate(dag_folders)]
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_TASKWATCH_INBOX": json.dumps({"conn_type": "sqlite", "host": f"{home}/taskwatch-inbox.db"}),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__TASKWATCH__CALLBACK_BASE_URL": f"{url}/taskwatch",
        "AIRFLOW__API__PORT": url.rpartition(":")[2],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
    }


def _sqlite(home: Path) -> Environment:
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=30"}


def _postgres(url: str) -> Environment:
    """One driver for both: psycopg serves blocking and waiting callers."""
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": url}


def _bundle(number: int, folder: Path) -> dict[str, object]:
    return {
        "name": f"{folder.name}-{number}",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }


def _is_foreign(name: str) -> bool:
    return name.startswith(("AIRFLOW", "_AIRFLOW")) or name == "PYTHONDONTWRITEBYTECODE"
