"""The sensor for notifications of an APS platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_taskwatch.systems.aps.listing import notification_ref
from airflow_provider_taskwatch.systems.aps.system import Aps
from airflow_provider_taskwatch.task.sensor import WatchSensor


class ApsNotificationSensor(WatchSensor):
    """Waits until activities are ready or a warning is resolved, and returns the notification.

    An activity with the status ``error`` fails the task with the notification's text. A warning with the status
    ``existing`` counts as blocked (see ``fail_on_blocked``). One list request serves all sensors of a connection.

    A ``context`` selects all notifications that have it, whenever they were sent, so it should name the occasion. All
    must be ready; one with the status ``error`` fails the task.

    :param notification_id: the id of the notification, or the result of the task that sent it.
    :param context: instead of an id, a context, in which ``*`` stands for any characters.
    :param aps_conn_id: an Airflow connection of the type ``aps``.

    :result id: the id of the notification.
    :result type: ``activity`` or ``warning``.
    :result status: of an activity ``inProgress``, ``ready`` or ``error``; of a warning ``upcoming`` or ``existing``.
    :result message: the title, in the language of the connection's ``locale``.
    :result details: the short text of the list.
    :result fullDetails: the text of the opened notification.
    :result link: a view of the panel.
    :result linkMore: another view of the panel.
    :result linkMoreText: the label of ``linkMore``.
    :result packageId: APS id of the package that sent it.
    :result service: the service that sent it.
    :result updated: whether it was edited.
    :result resolved: whether a warning is resolved.
    :result created: when it was created, as the platform writes it.
    :result modified: when it was edited, as the platform writes it.
    :result accountId: APS id of the account that is addressed.
    :result context: its context.
    :result parentId: id of the notification whose child it is.
    :result notifications: all notifications of the context; only with the argument ``context``.
    :result userId: APS id of the user who is addressed; only with ``include_personal``.
    :result initiatorId: APS id of the user who started the activity; only with ``include_personal``.
    :result initiator: the name of that user; only with ``include_personal``.
    :result ipAddress: the IP address; only with ``include_personal``.
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

    def watched_ref(self) -> str:
        return Aps().check_ref(notification_ref(self.notification_id, self.context))
