"""One notification, as an emulated platform remembers it and shows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_taskwatch.core import glob
from airflow_provider_taskwatch.sandbox.task import Task, TaskState

STATUSES: Mapping[str, tuple[str, ...]] = {
    "activity": ("inProgress", "ready", "error"),
    "warning": ("upcoming", "existing"),
    "announcement": ("notification",),
}
READ_ONLY = ("id", "updated", "resolved", "created", "modified", "initiator")
TEXTS = {
    "message": "localizedMessage",
    "details": "localizedDetails",
    "fullDetails": "localizedFullDetails",
    "linkMoreText": "localizedLinkMoreText",
}
WRITABLE = (
    "type",
    "status",
    *TEXTS,
    "link",
    "linkMore",
    "packageId",
    "service",
    "accountId",
    "userId",
    "context",
    "initiatorId",
    "parentId",
    "ipAddress",
)
DEFAULTS = {"type": "activity", "status": "inProgress"}


@dataclass(slots=True, kw_only=True, eq=False)
class Notification(Task):
    """A notification.

    :param content: what a client has set.
    :param runs_itself: it was sent by an application that is emulated, too: its rule says what becomes of it.
    """

    content: dict[str, Any]
    modified_at: float
    is_updated: bool = False
    runs_itself: bool = False

    @property
    def is_warning(self) -> bool:
        return bool(self.content["type"] == "warning")

    def is_for(self, user: str, account: str) -> bool:
        """Whether a user sees it; an application, which is no user, sees all."""
        return (
            not user or self.content.get("userId") == user or bool(account and self.content.get("accountId") == account)
        )


def settable(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a client may set of a notification."""
    return {name: value for name, value in content.items() if name in WRITABLE and value is not None}


def problems(content: Mapping[str, Any], *, require_fields: bool, refuse_announcement: bool) -> list[str]:
    """What the platform refuses in a notification."""
    found = []
    if require_fields:
        found += [f"{name} is required" for name in ("message", "packageId", "service") if not content.get(name)]
    if content["type"] == "announcement" and refuse_announcement:
        found.append("applications cannot send an announcement")
    if content["status"] not in STATUSES.get(content["type"], ()):
        found.append(f"{content['status']} is no status of {content['type']}")
    found += [f"{name} must be an object" for name in TEXTS if name in content and not isinstance(content[name], dict)]
    return found


def show(note: Notification, reading: TaskState, locale: str, time: Any) -> dict[str, Any]:
    """A notification as answers have it.

    :param time: writes unix seconds.
    """
    content = dict(note.content)
    if reading.message:
        content["details"] = {"message": reading.message}
    content["status"] = content["status"] if note.is_warning else reading.status
    texts = {shown: localize(content[name], locale) for name, shown in TEXTS.items() if name in content}
    initiator = {"initiator": f"User {content['initiatorId']}"} if "initiatorId" in content else {}
    modified = note.modified_at if reading.ended_at is None else max(note.modified_at, reading.ended_at)
    return {
        "id": note.ref,
        **content,
        **texts,
        **initiator,
        "updated": note.is_updated,
        "resolved": note.is_warning and reading.is_ended,
        "created": time(note.created_at),
        "modified": time(modified),
    }


def localize(text: Mapping[str, Any], locale: str) -> str:
    """A text in a reader's language: by language and country, by language, in English, in whatever there is."""
    values = {key: str(value) for key, value in (text.get("keys") or {}).items()}
    for key, languages in (text.get("multilangKeys") or {}).items():
        known = [languages[one] for one in (locale, re.split("[_-]", locale)[0], "en") if one in languages]
        values[key] = str(next(iter([*known, *languages.values()]), ""))
    message = str(text.get("message", ""))
    for key, value in values.items():
        message = message.replace(f"__{key}__", value)
    return message


def matches(context: object, pattern: str) -> bool:
    """As SQL's LIKE, but with ``*`` for anything."""
    return isinstance(context, str) and glob.matches(pattern, context)
