"""The hook for the Automic Automation Engine."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow_provider_taskwatch.systems.automic.form import FORM
from airflow_provider_taskwatch.systems.automic.system import Automic, from_settings

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

    @cached_property
    def system(self) -> Automic:
        """The engine, as the connection describes it."""
        return from_settings(self.settings)

    def list_executions(self, *, limit: int = 500, **filters: str | int | bool) -> list[dict[str, Any]]:
        """Returns executions by the vendor's filters, the newest first, in the engine's form.

        ``hook.list_executions(type="CBCK")`` shows what the engine did with its callbacks.

        :param limit: the largest number of executions.
        :param filters: ``name``, ``alias``, ``type``, ``status``, ``user``, ``time_frame_from``, ...; lists as texts
            with commas. Those that have ended and were deactivated are left out without ``include_deactivated``.
        """
        return self.run(self.system.executions(limit, filters))
