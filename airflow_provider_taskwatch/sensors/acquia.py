"""The sensor for Acquia Cloud notifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_taskwatch.systems.acquia.reference import reference_of
from airflow_provider_taskwatch.task.sensor import WatchSensor


class AcquiaNotificationSensor(WatchSensor):
    """Wait until a task on Acquia Cloud has ended, and return what its notification says.

    :param notification_uuid: its UUID, its URL, or the whole reply of the call that started the task (a dict, or JSON
        text).
    :param acquia_conn_id: an Airflow connection of the type ``acquia``.
    """

    template_fields: Sequence[str] = ("notification_uuid", "acquia_conn_id", "output_path")
    ui_color = "#dff3fb"
    hook_class = "airflow_provider_taskwatch.hooks.acquia.AcquiaHook"

    def __init__(
        self,
        *,
        notification_uuid: str | Mapping[str, Any],
        acquia_conn_id: str = "acquia_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.notification_uuid = notification_uuid
        self.acquia_conn_id = acquia_conn_id

    @property
    def conn_id(self) -> str:
        return self.acquia_conn_id

    def ref(self) -> str:
        return reference_of(self.notification_uuid)
