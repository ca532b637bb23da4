"""The hook for the APS Notification Manager."""

from __future__ import annotations

from functools import cached_property

from airflow_provider_taskwatch.systems.aps.form import FORM
from airflow_provider_taskwatch.systems.aps.notification import ApsNotification, DisplayMessages
from airflow_provider_taskwatch.systems.aps.system import Aps, from_settings

from .taskwatch import SystemHook


class ApsHook(SystemHook):
    """Calls to the Notification Manager of a CloudBlue Commerce platform: all its operations, by their own names.

    :param aps_conn_id: an Airflow connection of the type ``aps``.
    :param transaction_id: of the platform's call that this is an answer to (``APS-Transaction-ID``).
    :param locale: language of the texts in answers (``APS-Locale``), where it is not that of the connection.
    :param resource_id: on whose behalf to call (``APS-Resource-ID``), where it is not as the connection says.
    """

    conn_name_attr = "aps_conn_id"
    default_conn_name = "aps_default"
    conn_type = FORM.connection_type
    hook_name = FORM.title
    form = FORM

    def __init__(
        self,
        aps_conn_id: str = default_conn_name,
        *,
        transaction_id: str = "",
        locale: str = "",
        resource_id: str = "",
    ) -> None:
        super().__init__(aps_conn_id)
        self._headers = {"transaction_id": transaction_id, "locale": locale, "resource_id": resource_id}

    @cached_property
    def system(self) -> Aps:
        """The manager, as the connection describes it."""
        return from_settings(self.settings, **self._headers)

    def send_notification(self, notification: ApsNotification) -> ApsNotification:
        """Send a notification; the one returned has its id.

        :raises ConfigurationError: names every field that is missing or wrong, before anything is sent.
        """
        return self.run(self.system.send(notification))

    def edit_notification(self, notification_id: str, notification: ApsNotification) -> ApsNotification:
        """Put a notification in the place of another; the fields that only the platform sets are left out."""
        return self.run(self.system.edit(notification_id, notification))

    def delete_notification(self, notification_id: str) -> ApsNotification | str | None:
        """Delete a notification, and return what the platform answers: the notification, a text, or nothing.

        :raises NotFoundError: where there is none of that id.
        """
        return self.run(self.system.delete(notification_id))

    def get_notifications(self, channel: str | None = None) -> list[ApsNotification]:
        """The notifications of a channel; None: of the caller's own, which is asked for first."""
        return self.run(self.system.of_channel(self.get_notification_channel() if channel is None else channel))

    def get_last_notification_messages_by_context(self, context: str) -> list[ApsNotification]:
        """The last notifications whose contexts match, ``*`` standing for anything."""
        return self.run(self.system.by_context(context))

    def activity_log(self) -> list[ApsNotification]:
        """The notifications of the action log."""
        return self.run(self.system.activity_log())

    def get_display_messages(self) -> DisplayMessages:
        """The notifications that a panel shows: warnings, activities in progress, and the ten latest others."""
        return self.run(self.system.display_messages())

    def get_notification_channel(self) -> str:
        """The id of the caller's channel."""
        return self.run(self.system.channel())

    def announce(self, notification: ApsNotification) -> ApsNotification:
        """Send a notification, or edit the one that has the same context: however often, there is one of it."""
        return self.run(self.system.announce(notification))

    async def asystem(self) -> Aps:
        """The manager, in an event loop, which reading the connection does not block."""
        from airflow_provider_taskwatch.config.connection import read_settings

        self.settings = await read_settings(self.conn_id, self.form)
        return self.system
