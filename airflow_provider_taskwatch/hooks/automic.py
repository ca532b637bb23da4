"""The hook for the Automic Automation Engine."""

from __future__ import annotations

from airflow_provider_taskwatch.systems.automic import FORM

from .taskwatch import SystemHook


class AutomicHook(SystemHook):
    """Requests to the REST API of an Automic Automation Engine (https://docs.automic.com/documentation).

    :param automic_conn_id: an Airflow connection of the type ``automic``.
    """

    conn_name_attr = "automic_conn_id"
    default_conn_name = "automic_default"
    conn_type = FORM.connection_type
    hook_name = FORM.title
    form = FORM

    def __init__(self, automic_conn_id: str = default_conn_name) -> None:
        super().__init__(automic_conn_id)
