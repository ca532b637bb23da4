"""The platform's notification manager: its address, its operations and their replies.

* https://docs.cloudblue.com/cbc/sdk/21.0/api/types/platform-types/onscreennotification/onscreennotification-OnScreenNotificationManager-page/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from airflow_provider_taskwatch.core.error import ConfigurationError, NotFoundError, RemoteError, TaskWatchError
from airflow_provider_taskwatch.core.flow import Flow, Retry, read_object, retry_warning, unreadable
from airflow_provider_taskwatch.core.refusal import refusal
from airflow_provider_taskwatch.core.system import safe_ref
from airflow_provider_taskwatch.core.wire import Call, Pause, Query, Reply, get, is_sendable, segment, send

from .notification import ApsNotification, read_notification

T = TypeVar("T")
Item = Mapping[str, Any]
"""A notification in a reply."""

TYPE = "http://www.parallels.com/pa/pa-core-services/notification-manager/1.0"
SERVICE_PATH = "/aps/2/services/notification-manager"
RESOURCES_PATH = "/aps/2/resources"
TRANSIENT = "aps-transient-error"
"""The header by which the platform marks a refusal as transient."""
RETRY = Retry(attempts=5)

OPERATIONS: Mapping[str, tuple[str, str]] = {
    "sendNotification": ("POST", "/notifications"),
    "editNotification": ("PUT", "/notifications/{notificationId}"),
    "deleteNotification": ("DELETE", "/notifications/{notificationId}"),
    "getNotifications": ("GET", "/notifications"),
    "getLastNotificationMessagesByContext": ("GET", "/notifications/lastMessagesByContext"),
    "activityLog": ("GET", "/notifications/activitylog"),
    "getDisplayMessages": ("GET", "/notifications/displayMessages"),
    "getNotificationChannel": ("GET", "/notifications/channel"),
}
"""Verb and path below the manager, by the vendor's names."""

GROUPS = ("warnings", "inProgressActivities", "otherActivities")


class PassingRefusalError(RemoteError):
    """A refusal that the platform marks as transient, whatever its status."""

    @property
    def transient(self) -> bool:  # type: ignore[override]
        return True


class Manager:
    """The notification manager of one platform. Each method is one operation, sent once.

    The id of the manager is looked up once and kept, as it is the same for all callers.

    :param path: ``service`` for the path of the type, ``resource`` for that of a resource.
    :param manager_id: of the resource; empty: it is looked up.
    :param headers: sent with each call; empty ones are not sent.
    """

    def __init__(self, *, path: str, manager_id: str, headers: Mapping[str, str]) -> None:
        self._is_service = path == "service"
        self._is_given = bool(manager_id)
        self._id = manager_id and safe_ref(manager_id, "manager")
        self._headers = {name: _sendable(name, value) for name, value in headers.items() if value}

    def notification(self, operation: str, content: Item, ref: str = "") -> Flow[ApsNotification]:
        """An operation whose reply is a notification."""
        call, reply = yield from self.ask(operation, ref, content=content)
        notification = read_notification(read_object(call, reply))
        if not notification.id:
            raise unreadable(call, reply, "names no notification")
        return notification

    def items(self, operation: str, **query: str) -> Flow[list[Item]]:
        """A list of notifications. A reply without a list is an error and not an empty list."""
        call, reply = yield from self.ask(operation, query=query)
        content = _json(call, reply)
        if not isinstance(content, list):
            raise unreadable(call, reply, "is no list of notifications")
        return _objects(content)

    def groups(self) -> Flow[Mapping[str, list[Item]]]:
        """The groups that a panel shows. By the vendor's type they are one object, by its prose a list of objects."""
        call, reply = yield from self.ask("getDisplayMessages")
        content = _json(call, reply)
        parts = _objects(content if isinstance(content, list) else [content])
        if not parts and content != []:
            raise unreadable(call, reply, "holds no groups of notifications")
        return {name: [one for part in parts for one in _objects(part.get(name))] for name in GROUPS}

    def channel(self) -> Flow[str]:
        """The id of the caller's channel."""
        call, reply = yield from self.ask("getNotificationChannel")
        content = read_object(call, reply)
        if not isinstance(content.get("id"), str):
            raise unreadable(call, reply, "holds no channel id")
        return str(content["id"])

    def deleted(self, ref: str) -> Flow[ApsNotification | str | None]:
        """Delete a notification, and return the reply: the notification, a string, or None."""
        _, reply = yield from self.ask("deleteNotification", ref)
        try:
            content = reply.json()
        except (ValueError, RecursionError):
            content = reply.text()
        if isinstance(content, dict):
            return read_notification(content)
        return content if isinstance(content, str) and content else None

    def ask(
        self, operation: str, ref: str = "", *, content: object = None, query: Query | None = None
    ) -> Flow[tuple[Call, Reply]]:
        """Send one operation. A manager that was looked up and has moved is looked up again."""
        method, path = OPERATIONS[operation]
        below = path.format(notificationId=segment(ref))
        call = send(method, (yield from self._base()) + below, content, self._headers, query)
        try:
            return call, (yield from _once(call))
        except NotFoundError:
            moved = yield from self._moved()
            if not moved:
                raise
        call = send(method, moved + below, content, self._headers, query)
        return call, (yield from _once(call))

    def _base(self) -> Flow[str]:
        """The path of the manager."""
        if self._is_service:
            return SERVICE_PATH
        self._id = self._id or (yield from self._find_manager())
        return f"{RESOURCES_PATH}/{segment(self._id)}"

    def _moved(self) -> Flow[str]:
        """The path of the manager if another one is in its place now; else empty."""
        if self._is_service or self._is_given:
            return ""
        before, self._id = self._id, ""
        base = yield from self._base()
        return base if self._id != before else ""

    def _find_manager(self) -> Flow[str]:
        """The id of the only resource of the manager's type, whose version clients write as ``1.0`` and as ``1``."""
        for kind in (TYPE, TYPE.removesuffix(".0")):
            # The query has no value, and the signature covers the query in the form that is sent.
            call = get(f"{RESOURCES_PATH}?implementing({quote(kind, safe='')})", headers=self._headers)
            resources = _objects(_json(call, (yield from _once(call))))
            if found := next(filter(None, map(_resource_id, resources)), ""):
                return safe_ref(found, "manager")
        raise ConfigurationError(
            f"the platform names no resource of the type {TYPE}; set 'manager_id' in the connection, or its 'path' "
            "to service"
        )


def insist(make: Callable[[], Flow[T]], is_safe: Callable[[TaskWatchError], bool] = lambda _: True) -> Flow[T]:
    """The result of a flow that is repeated after transient errors.

    :param make: makes the flow.
    :param is_safe: whether the flow may be repeated after this error.
    """
    failures, paused = 0, 0.0
    while True:
        try:
            return (yield from make())
        except TaskWatchError as error:
            failures += 1
            pause = RETRY.seconds(failures, getattr(error, "retry_after", None))
            if RETRY.is_over(failures, paused + pause, error.patience) or not (error.transient and is_safe(error)):
                raise
            reason = retry_warning(str(error), pause, RETRY.left_seconds(failures, paused, error.patience))
            paused += pause
        yield Pause(seconds=pause, spread=0.2, warning=reason)


def _once(call: Call) -> Flow[Reply]:
    """The 2xx reply to a call, or its refusal."""
    reply: Reply = yield call
    if reply.is_ok:
        return reply
    error = refusal(call, reply)
    if TRANSIENT in reply.headers and not error.transient:
        raise error.with_message(error.message, PassingRefusalError)
    raise error


def _json(call: Call, reply: Reply) -> object:
    try:
        return reply.json()
    except (ValueError, RecursionError) as cause:
        raise unreadable(call, reply, "is not JSON") from cause


def _objects(content: object) -> list[Mapping[str, Any]]:
    return [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []


def _resource_id(resource: Mapping[str, Any]) -> str:
    aps = resource.get("aps")
    found = aps.get("id") if isinstance(aps, dict) else None
    return found if isinstance(found, str) else ""


def _sendable(name: str, value: str) -> str:
    if not is_sendable(value):
        raise ConfigurationError(
            f"{name}: {value!r:.80} cannot be sent in a header; it may hold neither blanks nor umlauts"
        )
    return value
