"""The sensor for Acquia Cloud notifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_taskwatch.systems.acquia.reference import reference_of
from airflow_provider_taskwatch.task.sensor import WatchSensor


class AcquiaNotificationSensor(WatchSensor):
    """Waits until a task on Acquia Cloud has ended, and returns its notification.

    :param notification_uuid: the UUID of the notification, its URL, or the whole reply of the call that started the
        task (a dict, or JSON text).
    :param acquia_conn_id: an Airflow connection of the type ``acquia``.

    :result uuid: the UUID of the notification.
    :result event: the kind of task, such as ``DatabaseBackupCreated``.
    :result label: what was done, for people.
    :result description: the same in a sentence.
    :result status: Acquia's status, such as ``completed``.
    :result created_at: when the task was accepted.
    :result started_at: when it began.
    :result completed_at: when it ended.
    :result progress: percent.
    :result duration: seconds from ``started_at`` (or ``created_at``) to ``completed_at``.
    :result context: lists of ids by kind: ``application``, ``environment``, ``database``, ``organization``, ...
    :result author: who started the task; only with ``include_personal``.
    :result user: the user in the notification's context; only with ``include_personal``.
    :result embedded_author: the author as the notification embeds it; only with ``include_personal``.
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

    def watched_ref(self) -> str:
        return reference_of(self.notification_uuid)
