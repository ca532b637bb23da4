"""The sensor for notifications of an APS platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_taskwatch.systems.aps.listing import notification_ref
from airflow_provider_taskwatch.systems.aps.system import Aps
from airflow_provider_taskwatch.task.sensor import WatchSensor


class ApsNotificationSensor(WatchSensor):
    """Wait until activities are ready, or a warning is resolved, and return the notification.

    An activity that ends in ``error`` fails the task, in the words of the notification. A warning that is ``existing``
    counts as blocked (``fail_on_blocked``), as nothing goes on. One list serves all sensors of a connection.

    A ``context`` stands for all notifications that have it, whenever they were sent, so it should name the occasion.
    One that ends in ``error`` fails, and all must be ready; the result has them all as ``notifications``.

    :param notification_id: its id, or the result of the task that has sent it.
    :param context: or a context, in which ``*`` stands for anything.
    :param aps_conn_id: an Airflow connection of the type ``aps``.
    """

    template_fields: Sequence[str] = ("notification_id", "context", "aps_conn_id", "output_path")
    ui_color = "#e8e4f6"
    hook_class = "airflow_provider_taskwatch.hooks.aps.ApsHook"

    def __init__(
        self,
        *,
        notification_id: str | Mapping[str, Any] | None = None,
        context: str | None = None,
        aps_conn_id: str = "aps_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.notification_id = notification_id
        self.context = context
        self.aps_conn_id = aps_conn_id

    @property
    def conn_id(self) -> str:
        return self.aps_conn_id

    def ref(self) -> str:
        return Aps().check_ref(notification_ref(self.notification_id, self.context))
