"""The sensors for Acronis: for events, and for tasks of its Task Manager."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from airflow_provider_taskwatch.core.check import Check, flag
from airflow_provider_taskwatch.systems.acronis.subscription import feed_options
from airflow_provider_taskwatch.systems.acronis.system import Acronis
from airflow_provider_taskwatch.task.event_sensor import EventSensor
from airflow_provider_taskwatch.task.sensor import WatchSensor


class AcronisEventSensor(EventSensor):
    """Wait for an event of Acronis' Event Manager, and return it.

    All that wait for the same types of a topic share one subscription and one reader.

    :param topic: such as ``cti.a.p.em.topic.v1.0~a.p.task.v1.0``.
    :param types: one or many types, such as ``cti.a.p.em.event.v1.0~a.p.task.*``; a ``*`` may stand at the end.
    :param cel: a condition in CEL on ``event.``, which the server applies.
    :param subscription: more of what makes a subscription: ``tenant_depth``, ``tenant_id``, ``subject_types``,
        ``consumer``, ``session_timeout``, ``auto_commit_interval``; and ``on_offset_lost``. See
        :class:`~..operators.acronis.AcronisCreateSubscriptionOperator`.
    :param acronis_conn_id: an Airflow connection of the type ``acronis``.
    """

    template_fields: Sequence[str] = (
        "topic",
        "types",
        "cel",
        "subscription",
        "acronis_conn_id",
        *EventSensor.template_fields,
    )
    ui_color = "#e3f1dd"
    hook_class = "airflow_provider_taskwatch.hooks.acronis.AcronisHook"

    def __init__(
        self,
        *,
        topic: str,
        types: str | Sequence[str],
        cel: str | None = None,
        subscription: Mapping[str, Any] | None = None,
        acronis_conn_id: str = "acronis_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.topic = topic
        self.types = types
        self.cel = cel
        self.subscription = subscription
        self.acronis_conn_id = acronis_conn_id

    @property
    def conn_id(self) -> str:
        return self.acronis_conn_id

    def feed_options(self) -> dict[str, Any]:
        return feed_options(self)

    def event_types(self) -> Sequence[str]:
        types: Sequence[str] = self.feed_options()["types"]
        return types


class AcronisTaskSensor(WatchSensor):
    """Wait until a task of Acronis' Task Manager has ended, and return what it says about it.

    All that wait on one connection are read together, a hundred in a request.

    :param acronis_task_id: its id, as a text or a whole number: the subject of the task's events. (``task_id`` is that
        of the Airflow task.)
    :param fail_on_warnings: an end with warnings is a failure.
    :param acronis_conn_id: an Airflow connection of the type ``acronis``.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {"fail_on_warnings": flag}
    template_fields: Sequence[str] = ("acronis_task_id", "acronis_conn_id", "output_path")
    ui_color = "#e3f1dd"
    hook_class = "airflow_provider_taskwatch.hooks.acronis.AcronisHook"

    def __init__(
        self,
        *,
        acronis_task_id: str | int,
        fail_on_warnings: bool = False,
        acronis_conn_id: str = "acronis_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.acronis_task_id = acronis_task_id
        self.fail_on_warnings = fail_on_warnings
        self.acronis_conn_id = acronis_conn_id

    @property
    def conn_id(self) -> str:
        return self.acronis_conn_id

    def ref(self) -> str:
        return Acronis().check_ref(str(self.acronis_task_id))

    def options(self) -> dict[str, Any]:
        return {"fail_on_warnings": True} if self.fail_on_warnings else {}
