"""The hook for a connection that a command names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_taskwatch.core.error import ConfigurationError, described
from airflow_provider_taskwatch.remotes import REMOTES, load

if TYPE_CHECKING:
    from airflow_provider_taskwatch.hooks.taskwatch import SystemHook, TaskWatchHook


def hook_for(conn_id: str) -> TaskWatchHook:
    """The hook for a connection, by its type. A command may read Airflow's database, so stored connections count."""
    from airflow.exceptions import AirflowException
    from airflow.models.connection import Connection

    from airflow_provider_taskwatch.config.connection import settings_of

    try:
        connection = Connection.get_connection_from_secrets(conn_id)
    except AirflowException as cause:
        raise ConfigurationError(f"connection {conn_id!r} cannot be read: {described(cause)}") from cause
    row = REMOTES.rows.get(connection.conn_type or "")
    if row is None:
        known = ", ".join(REMOTES.rows)
        raise ConfigurationError(
            f"connection {conn_id!r} has the type {connection.conn_type!r}; this command knows {known}"
        )
    kind: type[TaskWatchHook] = load(row.hook)
    hook = kind(conn_id)
    hook.settings = settings_of(connection, kind.form)
    return hook


def system_hook_for(conn_id: str) -> SystemHook:
    """The hook for a connection whose remote has tasks to watch."""
    from airflow_provider_taskwatch.hooks.taskwatch import SystemHook

    hook = hook_for(conn_id)
    if not isinstance(hook, SystemHook):
        raise ConfigurationError(f"connection {conn_id!r} has no tasks to watch")
    return hook
