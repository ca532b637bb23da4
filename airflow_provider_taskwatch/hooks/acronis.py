"""The hook for Acronis Cyber Protect Cloud."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from airflow_provider_taskwatch.systems.acronis import event as acronis_event
from airflow_provider_taskwatch.systems.acronis.form import FORM
from airflow_provider_taskwatch.systems.acronis.subscription import read_subscription
from airflow_provider_taskwatch.systems.acronis.system import Acronis, from_settings

from .taskwatch import SystemHook

Filter = str | int | bool | Sequence[str | int]


class AcronisHook(SystemHook):
    """Requests to a data centre of Acronis: its Event Manager and its Task Manager (https://developer.acronis.com).

    Offsets and ids of tasks are numbers beyond 2^53; ids may also be texts.

    :param acronis_conn_id: an Airflow connection of the type ``acronis``.
    """

    conn_name_attr = "acronis_conn_id"
    default_conn_name = "acronis_default"
    conn_type = FORM.connection_type
    hook_name = FORM.title
    form = FORM

    def __init__(self, acronis_conn_id: str = default_conn_name) -> None:
        super().__init__(acronis_conn_id)

    @cached_property
    def system(self) -> Acronis:
        """The Task Manager, as the connection describes it."""
        return from_settings(self.settings)

    def topics(self, topic: str = "") -> list[dict[str, Any]]:
        """Returns all topics, or the one with this id, with retention and ordering."""
        return self.run(acronis_event.topics(topic))

    def topic_offset(self, topic: str, position: str, at: datetime | str | None = None) -> int:
        """Returns the offset of a position in a topic.

        :param position: ``EARLIEST``, ``CURRENT`` or ``TIMESTAMP``.
        :param at: a time with its zone, for ``TIMESTAMP``. The offset is that of the first event at this time or later.
        """
        return self.run(acronis_event.topic_offset(topic, position, at))

    def event_types(
        self, topic: str = "", event_type: str = "", *, include_schema: bool = False
    ) -> list[dict[str, Any]]:
        """Returns the types of events; ``data_schema`` is a JSON schema as text."""
        return self.run(acronis_event.event_types(topic, event_type, include_schema=include_schema))

    def create_subscription(self, **options: Any) -> dict[str, Any]:
        """Subscribes, and returns the subscription. Equal arguments lead to the same subscription.

        :param options: ``topic`` and ``types``; optional: ``tenant_depth``, ``tenant_id``, ``subject_types``, ``cel``,
            ``consumer``, ``session_timeout`` and ``auto_commit_interval``. See
            :class:`~..systems.acronis.subscription.Subscription`.
        """
        subscription, _ = self.run(acronis_event.create_subscription(read_subscription(self.settings, options)))
        return subscription

    def subscription_offset(self, subscription_id: str) -> int:
        """Returns the last committed offset."""
        return self.run(acronis_event.subscription_offset(subscription_id))

    def commit_offset(self, subscription_id: str, offset: int | str) -> dict[str, Any]:
        """Commits an offset: all events up to it are processed. Returns the server's reply."""
        return self.run(acronis_event.commit_offset(subscription_id, offset))

    def events(
        self,
        subscription_id: str,
        consumer_id: str,
        offset: int | str,
        *,
        limit: int = acronis_event.EVENTS_LIMIT,
        timeout_seconds: int | None = None,
    ) -> dict[str, Any]:
        """Waits for events after an offset, and returns them with the next one: ``{"offset": 5, "events": [...]}``.

        :param consumer_id: a UUID; of several readers of one subscription, one is served at a time.
        :param limit: the largest number of events, up to 100.
        :param timeout_seconds: how long to wait; default: 10 seconds less than the connection's read timeout.
        :raises RemoteError: with the status 429, another reader was served all the time.
        """
        seconds = acronis_event.poll_seconds(self.settings) if timeout_seconds is None else timeout_seconds
        call = acronis_event.poll(subscription_id, consumer_id, offset, limit=limit, timeout_seconds=seconds)
        return self.run(acronis_event.events(call))

    def task(self, task_id: str | int) -> dict[str, Any]:
        """Returns one task in the Task Manager's form."""
        return self.run(self.system.task(str(task_id)))

    def tasks(self, *, limit: int = 100, **filters: Filter) -> list[dict[str, Any]]:
        """Returns tasks by the vendor's filters, in the Task Manager's form.

        ``hook.tasks(policyId=..., resourceId=..., enqueuedAt="gt(2026-01-31T06:00:00Z)", order="desc(enqueuedAt)")``

        :param limit: the largest number of tasks.
        :param filters: by name; several values as a list.
        """
        return self.run(self.system.tasks(limit, filters))

    def activity(self, activity_id: str | int) -> dict[str, Any]:
        """Returns one activity, a part of a task, in the Task Manager's form."""
        return self.run(self.system.activity(activity_id))

    def activities(self, *, limit: int = 100, **filters: Filter) -> list[dict[str, Any]]:
        """Returns activities by the vendor's filters, such as ``taskId="9007199254742001", resultCode="error"``."""
        return self.run(self.system.activities(limit, filters))

    def run_policy(self, policy_id: str, resource_ids: Sequence[str]) -> str:
        """Starts a protection plan on resources, and returns the server's time of the start.

        The reply names no task; :meth:`tasks` finds it by ``policyId``, ``resourceId`` and ``enqueuedAt``.
        """
        return self.run(self.system.run_policy(policy_id, resource_ids))
