"""The hook for the Automic Automation Engine."""

from __future__ import annotations

from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.systems.automic import FORM, Automic

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

    def list_executions(self, *, limit: int = 500, **filters: str | int | bool) -> list[dict[str, Any]]:
        """Executions by the vendor's filters, the newest first, as the engine describes them.

        ``hook.list_executions(type="CBCK")`` shows what the engine did with its callbacks.

        :param limit: how many at most.
        :param filters: ``name``, ``alias``, ``type``, ``status``, ``user``, ``time_frame_from``, ...; lists as texts
            with commas. Those that have ended and were deactivated are left out without ``include_deactivated``.
        """
        system = self.system
        if not isinstance(system, Automic):
            raise ConfigurationError(f"connection {self.conn_id!r} is not one of the type 'automic'")
        return self.run(system.executions(limit, filters))
