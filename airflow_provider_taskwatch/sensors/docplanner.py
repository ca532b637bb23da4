"""The sensor for Docplanner's notifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_taskwatch.core.check import listed
from airflow_provider_taskwatch.task.event_sensor import EventSensor


class DocplannerNotificationSensor(EventSensor):
    """Wait for a notification of Docplanner, and return it, as far as the connection's ``store_payload`` allows.

    All that wait on one connection share one puller. The queue belongs to the connection's client: a second Airflow
    with the same one takes its notifications away.

    :param names: one or many names, such as ``slot-booked``; ``*`` stands for any characters. Default: any.
    :param docplanner_conn_id: an Airflow connection of the type ``docplanner``.
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
