"""A notification of the APS platform: its fields, its checks and its phases.

* https://docs.cloudblue.com/cbc/sdk/21.0/api/types/platform-types/onscreennotification/onscreennotification-OnScreenNotificationManager-page/
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.phase import Phase

from .text import LocalizedMessage, read_text, render, text_problems, write_text

CONTEXT_CHARACTERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ApsNotification:
    """One notification, with the vendor's fields and defaults. :data:`PHASES` maps types and statuses to phases.

    Required are ``message``, ``package_id`` and ``service``; the fields of :data:`READ_ONLY` come from the platform and
    are never sent.

    :param type: ``activity`` or ``warning``; an ``announcement`` is for providers, not for applications.
    :param status: of an activity ``inProgress``, ``ready`` or ``error``; of a warning ``upcoming`` or ``existing``.
    :param message: the title.
    :param details: a short text in the list of notifications.
    :param full_details: the text of the opened notification.
    :param link: a view of the panel, such as ``/v/aps/samples/async1pn/servers``; no URL.
    :param link_more: another view, labelled ``link_more_text``.
    :param package_id: APS id of the package whose icons and translations are used.
    :param service: name of the service that started the activity.
    :param account_id: APS id of an account; all its users are addressed.
    :param user_id: APS id of the addressed user.
    :param context: groups notifications, and finds them again.
    :param initiator_id: APS id of the user who started the activity; ``initiator`` is the name.
    :param parent_id: id of another notification; its children do not pop up.
    :param created: ISO 8601, as the platform writes it; so is ``modified``.
    """

    id: str = ""
    type: str = "activity"
    status: str = "inProgress"
    message: LocalizedMessage | None = None
    localized_message: str = ""
    details: LocalizedMessage | None = None
    localized_details: str = ""
    full_details: LocalizedMessage | None = None
    localized_full_details: str = ""
    link: str = ""
    link_more: str = ""
    link_more_text: LocalizedMessage | None = None
    localized_link_more_text: str = ""
    package_id: str = ""
    service: str = ""
    updated: bool = False
    resolved: bool = False
    created: str = ""
    modified: str = ""
    account_id: str = ""
    user_id: str = ""
    context: str = ""
    initiator_id: str = ""
    initiator: str = ""
    parent_id: str = ""
    ip_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayMessages:
    """The content of a panel: all warnings, all activities in progress, and the ten latest others."""

    warnings: tuple[ApsNotification, ...] = ()
    in_progress_activities: tuple[ApsNotification, ...] = ()
    other_activities: tuple[ApsNotification, ...] = ()


READ_ONLY = frozenset(
    {
        "id",
        "localized_message",
        "localized_details",
        "localized_full_details",
        "localized_link_more_text",
        "updated",
        "resolved",
        "created",
        "modified",
        "initiator",
    }
)
SETTABLE = tuple(one.name for one in fields(ApsNotification) if one.name not in READ_ONLY)
REQUIRED = ("message", "package_id", "service")
TEXTS = ("message", "details", "full_details", "link_more_text")
PERSONAL = ("user_id", "initiator_id", "initiator", "ip_address")
FLAGS = ("updated", "resolved")

STATUSES: Mapping[str, tuple[str, ...]] = {
    "activity": ("inProgress", "ready", "error"),
    "warning": ("upcoming", "existing"),
}
"""The statuses that an application may send, by type."""

PHASES: Mapping[tuple[str, str], Phase] = {
    ("activity", "inProgress"): Phase.RUNNING,
    ("activity", "ready"): Phase.SUCCEEDED,
    ("activity", "error"): Phase.FAILED,
    ("warning", "upcoming"): Phase.PENDING,
    ("warning", "upcomming"): Phase.PENDING,  # once in the vendor's prose
    ("warning", "existing"): Phase.BLOCKED,
}
"""Other combinations are unknown. A resolved warning has succeeded."""


def wire_name(name: str) -> str:
    """A field's name in the vendor's JSON."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


_NAMES = {one.name: wire_name(one.name) for one in fields(ApsNotification)}
_PLAIN = [(name, wire) for name, wire in _NAMES.items() if name not in (*TEXTS, *FLAGS)]


def phase_of(notification: ApsNotification) -> Phase:
    """The phase of a notification."""
    if notification.type == "warning" and notification.resolved:
        return Phase.SUCCEEDED
    return PHASES.get((notification.type, notification.status), Phase.UNKNOWN)


def read_notification(content: Mapping[str, Any]) -> ApsNotification:
    """The notification in a reply. Unknown types and statuses are kept; values of a wrong type are left out."""
    values: dict[str, Any] = {name: _plain(content[wire]) for name, wire in _PLAIN if wire in content}
    values |= {name: read_text(content[_NAMES[name]]) for name in TEXTS if _NAMES[name] in content}
    values |= {name: content[name] in (True, "true") for name in FLAGS if name in content}
    return ApsNotification(**(values | {"type": values.get("type") or "activity", "status": values.get("status", "")}))


def _plain(value: object) -> str:
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


def write_notification(notification: ApsNotification) -> dict[str, Any]:
    """The content to send: all fields that a client may set."""
    given = {name: getattr(notification, name) for name in SETTABLE}
    written = {
        name: write_text(value) if isinstance(value, LocalizedMessage) else value for name, value in given.items()
    }
    return {_NAMES[name]: value for name, value in written.items() if value}


def checked(notification: ApsNotification) -> ApsNotification:
    """The notification, unchanged.

    :raises ConfigurationError: names every wrong field.
    """
    texts = {name: getattr(notification, name) for name in TEXTS if getattr(notification, name) is not None}
    wrong = [name for name, text in texts.items() if not isinstance(text, LocalizedMessage)]
    problems = [f"{name} must be a LocalizedMessage" for name in wrong]
    problems += [f"{name} is missing" for name in REQUIRED if _is_missing(getattr(notification, name))]
    problems += _status_problems(notification)
    if "*" in notification.context:
        problems.append("context must not hold '*', which stands for any text in a look-up")
    problems += _text_problems({name: text for name, text in texts.items() if name not in wrong})
    if problems:
        raise ConfigurationError(f"the notification cannot be sent: {'; '.join(problems)}")
    return notification


def _text_problems(texts: Mapping[str, LocalizedMessage]) -> list[str]:
    problems = [f"{name}: {problem}" for name, text in texts.items() for problem in text_problems(text)]
    way_out = "literal=True, or LocalizedMessage.literal(...), shows a text as it is, without places for keys"
    return [*problems, way_out] if problems else []


def _is_missing(value: str | LocalizedMessage | None) -> bool:
    return not (value.message if isinstance(value, LocalizedMessage) else value)


def _status_problems(notification: ApsNotification) -> list[str]:
    if notification.type == "announcement":
        return ["type 'announcement' is for providers; applications send 'activity' or 'warning'"]
    kind, status = notification.type, notification.status
    if kind not in STATUSES:
        return [f"type {kind!r} is none of {', '.join(STATUSES)}"]
    if status in STATUSES[kind]:
        return []
    return [f"status {status!r} of type {kind!r} is none of {', '.join(STATUSES[kind])}"]


def check_type(kind: str, status: str = "") -> None:
    """Raise :class:`ConfigurationError` for an unknown type, or a status that the type does not have."""
    if problems := _status_problems(ApsNotification(type=kind, status=status or STATUSES.get(kind, ("",))[0])):
        raise ConfigurationError(problems[0])


def in_language(notification: ApsNotification, locale: str) -> dict[str, str]:
    """The texts of a notification by field, in one language."""
    return {name: shown(notification, name, locale) for name in TEXTS}


def shown(notification: ApsNotification, name: str, locale: str) -> str:
    """One text of a notification: the platform's own rendering, or ours if there is none."""
    return str(getattr(notification, f"localized_{name}")) or render(getattr(notification, name), locale)


def as_result(notification: ApsNotification, locale: str, *, personal: bool = False) -> dict[str, Any]:
    """A notification as plain JSON for people and XComs, under the vendor's names, its texts in one language.

    :param personal: whether to include fields about people.
    """
    kept = {name: getattr(notification, name) for name in _NAMES if not name.startswith("localized_")}
    values = {**kept, **in_language(notification, locale)}
    return {_NAMES[name]: value for name, value in values.items() if personal or name not in PERSONAL}


def changed(notification: ApsNotification, changes: Mapping[str, Any]) -> ApsNotification:
    """The notification with some fields changed, and without the platform's renderings of its old texts."""
    outdated: dict[str, Any] = {f"localized_{name}": "" for name in TEXTS}
    return replace(notification, **outdated, **changes)


def run_context(dag_id: str, run_id: str, *, group: str = "") -> str:
    """The context of the notification of a DAG run."""
    return context_for(dag_id, run_id, group=group)


def task_context(dag_id: str, run_id: str, task_id: str, map_index: int | None, *, group: str = "") -> str:
    """The context of the notification of a task instance.

    :param map_index: -1, or None, for a task that is not mapped.
    """
    return context_for(dag_id, run_id, task_id, -1 if map_index is None else map_index, group=group)


def context_for(*ids: object, group: str = "") -> str:
    """A readable context that is unique for these ids, by a digest of them.

    :param ids: such as DAG, run and task.
    :param group: the part before the digest, for look-ups of several (``group.*``); empty: made of the ids.
    """
    readable = group or re.sub(r"[^A-Za-z0-9._-]", "-", ".".join(["airflow", *map(str, ids)]))[:CONTEXT_CHARACTERS]
    digest = hashlib.sha256(json.dumps([*map(str, ids)]).encode()).hexdigest()[:12]
    return f"{readable}.{digest}"
