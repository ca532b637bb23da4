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
    """Waits for an event of Acronis' Event Manager, and returns it.

    All tasks that wait for the same types of a topic share one subscription and one reader.

    :param topic: the topic, such as ``cti.a.p.em.topic.v1.0~a.p.task.v1.0``.
    :param types: one or more event types, such as ``cti.a.p.em.event.v1.0~a.p.task.*``; ``*`` may stand at the end.
    :param cel: a condition in CEL on ``event.``, which the server applies.
    :param subscription: more fields of the subscription: ``tenant_depth``, ``tenant_id``, ``subject_types``,
        ``consumer``, ``session_timeout``, ``auto_commit_interval``; and ``on_offset_lost``. See
        :class:`~..operators.acronis.AcronisCreateSubscriptionOperator`.
    :param acronis_conn_id: an Airflow connection of the type ``acronis``.

    :result id: the id of the event.
    :result name: the type of the event.
    :result subject: what the event is about, such as the id of a task or a tenant.
    :result at: when it happened, ISO 8601.
    :result content: the event as Acronis sends it.
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
    """Waits until a task of Acronis' Task Manager has ended, and returns the task.

    All tasks that wait on one connection are read together, 100 per request.

    :param acronis_task_id: the id of the task, as text or a whole number; it is the subject of the task's events.
        ``task_id`` is an argument of Airflow.
    :param fail_on_warnings: an end with warnings is a failure.
    :param acronis_conn_id: an Airflow connection of the type ``acronis``.

    :result id: the id, as text: it is beyond 2^53.
    :result uuid: the UUID.
    :result state: the state, such as ``completed``.
    :result code: the code of the result, such as ``ok``, ``warning`` or ``error``.
    :result type: the type of the task.
    :result queue: the queue.
    :result priority: the priority.
    :result workflowId: the id of the workflow.
    :result cancelRequested: whether a cancel was requested.
    :result assignCount: how many times it was assigned.
    :result enqueuedAt: when it was enqueued.
    :result assignedAt: when it was assigned.
    :result startedAt: when it began.
    :result updatedAt: when it was last updated.
    :result completedAt: when it ended.
    :result duration: seconds from ``startedAt`` to ``completedAt``.
    :result policy: ``id``, ``name`` and ``type`` of the policy.
    :result resource: ``id``, ``name`` and ``type`` of the resource.
    :result tenant: the UUID or the id of the tenant.
    :result error: the error of the result.
    :result warnings: the warnings of the result.
    :result payload: the payload of the result.
    :result startedByUser: who started it; only with ``include_personal``.
    :result tenant_name: the name of the tenant; only with ``include_personal``.
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

    def watched_ref(self) -> str:
        return Acronis().check_ref(str(self.acronis_task_id))

    def options(self) -> dict[str, Any]:
        return {"fail_on_warnings": True} if self.fail_on_warnings else {}
