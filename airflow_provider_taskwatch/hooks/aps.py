"""The hook for the APS Notification Manager."""

from __future__ import annotations

from functools import cached_property

from airflow_provider_taskwatch.systems.aps.form import FORM
from airflow_provider_taskwatch.systems.aps.notification import ApsNotification, DisplayMessages
from airflow_provider_taskwatch.systems.aps.system import Aps, from_settings

from .taskwatch import SystemHook


class ApsHook(SystemHook):
    """All operations of the Notification Manager of a CloudBlue Commerce platform, by the vendor's names.

    :param aps_conn_id: an Airflow connection of the type ``aps``.
    :param transaction_id: the transaction of the platform's call that this one answers (``APS-Transaction-ID``).
    :param locale: language of the texts in replies (``APS-Locale``). Empty: that of the connection.
    :param resource_id: APS id of the resource on whose behalf calls are made (``APS-Resource-ID``). Empty: that of the
        connection.
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
        """Sends a notification, and returns it with its id.

        :raises ConfigurationError: names every field that is missing or wrong, before anything is sent.
        """
        return self.run(self.system.send(notification))

    def edit_notification(self, notification_id: str, notification: ApsNotification) -> ApsNotification:
        """Replaces a notification. Fields that only the platform sets are not sent."""
        return self.run(self.system.edit(notification_id, notification))

    def delete_notification(self, notification_id: str) -> ApsNotification | str | None:
        """Deletes a notification, and returns the platform's reply: the notification, a text, or nothing.

        :raises NotFoundError: where there is none of that id.
        """
        return self.run(self.system.delete(notification_id))

    def get_notifications(self, channel: str | None = None) -> list[ApsNotification]:
        """Returns the notifications of a channel. None: the caller's own channel, which is looked up first."""
        return self.run(self.system.of_channel(self.get_notification_channel() if channel is None else channel))

    def get_last_notification_messages_by_context(self, context: str) -> list[ApsNotification]:
        """Returns the last notifications whose context matches; ``*`` stands for any characters."""
        return self.run(self.system.by_context(context))

    def activity_log(self) -> list[ApsNotification]:
        """Returns the notifications of the activity log."""
        return self.run(self.system.activity_log())

    def get_display_messages(self) -> DisplayMessages:
        """Returns the notifications that a panel shows: warnings, activities in progress, and the ten latest others."""
        return self.run(self.system.display_messages())

    def get_notification_channel(self) -> str:
        """Returns the id of the caller's channel."""
        return self.run(self.system.channel())

    def announce(self, notification: ApsNotification) -> ApsNotification:
        """Sends a notification, or edits the one with the same context, so there is never a second one."""
        return self.run(self.system.announce(notification))

    async def asystem(self) -> Aps:
        """Returns the manager; reads the connection without blocking the event loop."""
        from airflow_provider_taskwatch.config.connection import read_settings

        self.settings = await read_settings(self.conn_id, self.form)
        return self.system
