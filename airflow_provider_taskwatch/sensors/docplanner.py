"""The sensor for Docplanner's notifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_taskwatch.core.check import listed
from airflow_provider_taskwatch.task.event_sensor import EventSensor


class DocplannerNotificationSensor(EventSensor):
    """Waits for a notification of Docplanner, and returns as much of it as the connection's ``store_payload`` allows.

    All tasks that wait on one connection share one puller. The queue belongs to the connection's client: a second
    Airflow with the same client takes its notifications away.

    :param names: one or more names, such as ``slot-booked``, in which ``*`` stands for any characters; empty: any.
    :param docplanner_conn_id: an Airflow connection of the type ``docplanner``.

    :result id: the id of the notification.
    :result name: its name, such as ``slot-booked``.
    :result subject: the id of the booking, break, service or address that it is about.
    :result at: when it happened, ISO 8601.
    :result content: its data, reduced to ids, times and statuses unless ``store_payload`` is ``full``.
    """

    template_fields: Sequence[str] = ("names", "docplanner_conn_id", *EventSensor.template_fields)
    ui_color = "#d8f5ee"
    hook_class = "airflow_provider_taskwatch.hooks.docplanner.DocplannerHook"

    def __init__(
        self,
        *,
        names: str | Sequence[str] = (),
        docplanner_conn_id: str = "docplanner_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.names = names
        self.docplanner_conn_id = docplanner_conn_id

    @property
    def conn_id(self) -> str:
        return self.docplanner_conn_id

    def event_names(self) -> list[str]:
        return listed("names", self.names) or []
