"""The hook for Acquia Cloud."""

from __future__ import annotations

from airflow_provider_taskwatch.systems.acquia.form import FORM

from .taskwatch import SystemHook


class AcquiaHook(SystemHook):
    """Requests to the Acquia Cloud API v2 (https://docs.acquia.com/acquia-cloud/develop/api/auth/).

    :param acquia_conn_id: an Airflow connection of the type ``acquia``.
    """

    conn_name_attr = "acquia_conn_id"
    default_conn_name = "acquia_default"
    conn_type = FORM.connection_type
    hook_name = FORM.title
    form = FORM

    def __init__(self, acquia_conn_id: str = default_conn_name) -> None:
        super().__init__(acquia_conn_id)
