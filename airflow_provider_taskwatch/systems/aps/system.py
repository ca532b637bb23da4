"""The APS Notification Manager of CloudBlue Commerce (formerly Odin): on-screen notifications, sent and waited for.

* Its eight operations: https://docs.cloudblue.com/cbc/sdk/21.0/api/types/platform-types/onscreennotification/onscreennotification-OnScreenNotificationManager-page/
* Their purpose: https://docs.cloudblue.com/cbc/sdk/21.0/concepts/frontend/ux1/notifications
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError, NotFoundError, RemoteError, TaskWatchError
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.phase import Observation
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.system import Options, SystemDefaults, doubt_unless_uuid, safe_ref

from .listing import Listing, by_context, context_in
from .manager import GROUPS, Manager, PassingRefusalError, insist
from .notification import ApsNotification, DisplayMessages, changed, checked, read_notification, write_notification
from .text import LANGUAGE


def from_settings(settings: Settings, **headers: str) -> Aps:
    """The system behind a connection of the type ``aps``.

    :param headers: ``transaction_id``, ``locale``, ``resource_id``, before those that the connection names.
    """
    own = {name: value or "" for name, value in settings.own.items()}
    return Aps(**(own | {name: value for name, value in headers.items() if value}))


class Aps(SystemDefaults):
    """Sends notifications, and reads those of other clients. A watch waits for an activity, or for a resolved warning.

    A ref is a notification's id, or ``context=<pattern>`` for all whose context matches, ``*`` standing for anything.

    :param package_id: of notifications that name none; so is ``service``.
    :param path: ``service`` or ``resource``: how the manager is addressed.
    :param manager_id: for ``resource``; empty: it is looked up.
    :param locale: language of the texts in answers.
    :param resource_id: the resource on whose behalf calls are made.
    :param transaction_id: of the platform's call that these calls belong to.
    """

    name = "aps"
    noun = "notification"
    reads_alone = False

    def __init__(
        self,
        *,
        package_id: str = "",
        service: str = "",
        path: str = "service",
        manager_id: str = "",
        locale: str = "",
        resource_id: str = "",
        transaction_id: str = "",
    ) -> None:
        self.locale = locale or LANGUAGE
        self._package_id = package_id
        self._service = service
        self._resource_id = resource_id
        headers = {"APS-Locale": locale, "APS-Resource-ID": resource_id, "APS-Transaction-ID": transaction_id}
        self._manager = Manager(path=path, manager_id=manager_id, headers=headers)

    # --- the eight operations

    def send(self, notification: ApsNotification) -> Flow[ApsNotification]:
        """Send a notification, and return it with its id. A send is repeated only if it did nothing for certain."""
        content = write_notification(self.completed(notification))
        return insist(lambda: self._manager.notification("sendNotification", content), _may_repeat_send)

    def edit(self, ref: str, notification: ApsNotification) -> Flow[ApsNotification]:
        """Replace a notification; read-only fields are not sent."""
        content, ref = write_notification(self.completed(notification)), self.check_id(ref)
        return insist(lambda: self._manager.notification("editNotification", content, ref))

    def delete(self, ref: str) -> Flow[ApsNotification | str | None]:
        """Delete a notification, and return the reply: the notification, a string, or None.

        The vendor's prose names the deleted notification, its schema a string.

        :raises NotFoundError: there is none. After a lost reply, a missing notification counts as deleted.
        """
        ref, tries = self.check_id(ref), 0

        def attempt() -> Flow[ApsNotification | str | None]:
            nonlocal tries
            tries += 1
            return self._manager.deleted(ref)

        try:
            return (yield from insist(attempt))
        except NotFoundError:
            if tries == 1:
                raise
            return None

    def of_channel(self, channel: str) -> Flow[list[ApsNotification]]:
        """The notifications of a channel."""
        return self._notifications("getNotifications", channel=channel)

    def by_context(self, pattern: str) -> Flow[list[ApsNotification]]:
        """The last notification of each context that matches; ``*`` stands for any text."""
        return self._notifications("getLastNotificationMessagesByContext", context=pattern)

    def activity_log(self) -> Flow[list[ApsNotification]]:
        """The notifications of the action log."""
        return self._notifications("activityLog")

    def display_messages(self) -> Flow[DisplayMessages]:
        """The notifications that a panel shows, in their three groups."""
        groups = yield from insist(self._manager.groups)
        warnings, in_progress, others = (tuple(map(read_notification, groups[name])) for name in GROUPS)
        return DisplayMessages(warnings=warnings, in_progress_activities=in_progress, other_activities=others)

    def channel(self) -> Flow[str]:
        """The id of the caller's channel."""
        return insist(self._manager.channel)

    # --- composed of the operations

    def announce(self, notification: ApsNotification, *, under: str = "") -> Flow[ApsNotification]:
        """Send a notification, or edit the existing one with the same context.

        Repeated calls and lost replies leave one notification of that context.

        :param under: the context of its parent. If there is such a notification, this one does not pop up.
        """
        notification = self.completed(notification)
        if not notification.context:
            raise ConfigurationError("context is missing; the notification is found again by its context")
        return insist(lambda: self._announce(notification, under))

    def change(self, ref: str, changes: Mapping[str, Any]) -> Flow[ApsNotification]:
        """Change some fields of a notification, and keep the others.

        A notification that is in no list is edited if the changes make a whole notification.
        """
        known = yield from self.find_notification(ref)
        if known is None and context_in(ref) is not None:
            raise ConfigurationError(f"there is no {self.noun} of the {ref.replace('=', ' ', 1)}; send one first")
        notification = changed(known or ApsNotification(), changes)
        return (yield from self.edit(known.id if known else ref, notification))

    def find_notification(self, ref: str) -> Flow[ApsNotification | None]:
        """The last notification of a ref; None if no list has one."""
        listing = yield from self._listing([ref])
        return listing.last(ref)

    def completed(self, notification: ApsNotification) -> ApsNotification:
        """The notification with the connection's defaults.

        :raises ConfigurationError: names every problem of it.
        """
        package_id, service = notification.package_id or self._package_id, notification.service or self._service
        return checked(replace(notification, package_id=package_id, service=service))

    # --- waiting

    def doubt(self, ref: str) -> str:
        return doubt_unless_uuid(ref, self.noun) if context_in(ref) is None else ""

    def id_space(self, settings: Settings) -> str:
        own = super().id_space(settings)
        return f"{own} as resource {self._resource_id}" if self._resource_id else own

    def check_ref(self, ref: str) -> str:
        context = context_in(ref)
        if context is None:
            return self.check_id(ref)
        if not context.strip() or not context.isprintable():
            raise ConfigurationError(f"{ref!r:.80}: the context is empty, or holds what does not print")
        return ref

    def check_id(self, ref: str) -> str:
        """An id in the form that is sent.

        :raises ConfigurationError: it cannot be an id. No request was sent.
        """
        return safe_ref(ref, self.noun)

    def observe(self, ref: str) -> Flow[Observation]:
        found = yield from self.observe_many("", [ref])
        return found[ref]

    def selector(self, options: Options) -> str:
        """The same for all watches: the API reads lists only."""
        return "notifications"

    def observe_many(self, selector: str, refs: Sequence[str]) -> Flow[Mapping[str, Observation]]:
        """All refs; those that are in no list are absent, so none needs a single read."""
        listing = yield from self._listing(refs)
        return {ref: listing.observation(ref) for ref in refs}

    def explain(self, seen: Observation, options: Options) -> Flow[str]:
        """The text of the opened notification."""
        yield from ()
        return str(seen.result.get("fullDetails") or "")

    def probe(self) -> Flow[str]:
        try:
            yield from self.channel()
        except RemoteError as error:
            if error.status in (401, 403) or error.transient:
                raise
            yield from self.display_messages()
        return "the credentials are accepted and notifications can be read"

    def _notifications(self, operation: str, **query: str) -> Flow[list[ApsNotification]]:
        found = yield from insist(lambda: self._manager.items(operation, **query))
        return [read_notification(one) for one in found]

    def _listing(self, refs: Sequence[str]) -> Flow[Listing]:
        """The lists that answer these refs: the panel, then the action log, then the contexts, as far as needed.

        At most three requests.
        """
        listing = Listing(self.locale)
        groups = yield from self._manager.groups()
        listing.add(one for group in groups.values() for one in group)
        if not all(map(listing.is_settled, refs)):
            listing.add((yield from self._manager.items("activityLog")))
        if pattern := listing.missing(refs):
            listing.add((yield from self._manager.items("getLastNotificationMessagesByContext", context=pattern)))
        return listing

    def _announce(self, notification: ApsNotification, under: str) -> Flow[ApsNotification]:
        parent = (yield from self._last_of(under)) if under else None
        known = yield from self._last_of(notification.context)
        content = write_notification(replace(notification, parent_id=parent.id) if parent else notification)
        if known is None:
            return (yield from self._manager.notification("sendNotification", content))
        return (yield from self._manager.notification("editNotification", content, known.id))

    def _last_of(self, context: str) -> Flow[ApsNotification | None]:
        """The last notification of exactly this context."""
        listing = Listing(self.locale)
        listing.add((yield from self._manager.items("getLastNotificationMessagesByContext", context=context)))
        return listing.last(by_context(context))


def _may_repeat_send(error: TaskWatchError) -> bool:
    """Whether a send that failed with this error did nothing for certain."""
    return not isinstance(error, PassingRefusalError) and SystemDefaults().was_refused(error)
