"""The notification manager of an APS platform as an emulator: its eight operations under both paths, and its look-up.

https://docs.cloudblue.com/cbc/sdk/21.0/api/types/platform-types/onscreennotification/onscreennotification-OnScreenNotificationManager-page/
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.sandbox.answer import header, json_reply, utc, value
from airflow_provider_taskwatch.sandbox.remote import Answer, Remote, Route, Visit
from airflow_provider_taskwatch.sandbox.rule import Rule
from airflow_provider_taskwatch.sandbox.task import TaskState, Vocabulary
from airflow_provider_taskwatch.sandbox.token import CLIENT_ID, CLIENT_SECRET, TokenSettings

from .notification import DEFAULTS, Notification, matches, problems, settable, show
from .signature import SignatureDesk

TYPE = "http://www.parallels.com/pa/pa-core-services/notification-manager/1.0"
MANAGER_ID = "5a3e0f6c-5d0b-4b7e-9a54-0c7a6f3f2a01"
APS_TOKEN = "sandbox-aps-token"  # noqa: S105 - opens the sandbox and nothing else
OTHER_ID = "sandbox-other-id"
OTHER_SECRET = "sandbox-other-secret"  # noqa: S105 - likewise
LATEST = 10
"""How many finished activities are shown."""


@dataclass(kw_only=True)
class ApsSettings(TokenSettings):
    """The settings of the emulated platform.

    :param clients: secrets by consumer key. What the second one sends runs by itself, by the rules: it stands for
        another application.
    :param users: account by user.
    :param aps_tokens: user by the token in ``APS-Token``.
    :param check_signature: whether the signatures of applications are verified.
    :param clock_tolerance: seconds by which a signature's timestamp may be off.
    :param require_fields: a notification without ``message``, ``packageId`` or ``service`` answers 400.
    :param refuse_announcement: an announcement answers 400.
    :param put: an edit is to ``replace`` what was there, or to ``merge`` with it.
    :param delete_reply: a deletion answers with the ``object``, its id as ``string``, or ``empty``.
    :param display_as_list: the groups of displayMessages come in a list.
    :param last_messages: the number of notifications that are found by context.
    :param kept: the number of notifications that are kept at all; None: all.
    """

    clients: dict[str, str] = field(default_factory=lambda: {CLIENT_ID: CLIENT_SECRET, OTHER_ID: OTHER_SECRET})
    users: dict[str, str] = field(
        default_factory=lambda: {"user-1": "account-1", "user-2": "account-1", "user-3": "account-2"}
    )
    aps_tokens: dict[str, str] = field(default_factory=lambda: {APS_TOKEN: "user-1"})
    check_signature: bool = True
    clock_tolerance: float = 300
    require_fields: bool = True
    refuse_announcement: bool = True
    put: Literal["replace", "merge"] = "replace"
    delete_reply: Literal["object", "string", "empty"] = "object"
    display_as_list: bool = False
    last_messages: int = 100
    kept: int | None = None


_PHASES = {
    "inProgress": Phase.RUNNING,
    "ready": Phase.SUCCEEDED,
    "error": Phase.FAILED,
    "upcoming": Phase.PENDING,
    "existing": Phase.BLOCKED,
}

VOCABULARY = Vocabulary(
    outcomes={
        "success": "ready",
        "skipped": "ready",
        "failure": "error",
        "cancelled": "error",
        "lost": "error",
        "blocked": "inProgress",
        "unknown": "suspended",
    },
    stages=((0.0, "inProgress"),),
    phase=lambda status: _PHASES.get(status, Phase.UNKNOWN),
)

_REFUSALS = {
    400: "The request is not valid.",
    401: "The caller is not known.",
    403: "Access denied.",
    404: "There is no such resource.",
    429: "Too many requests.",
}
_STUCK = Rule(outcome="stuck")
_CHANNEL = "channel-"
_APPLICATION = "application"


def _below(method: str, path: str, answer: Answer) -> tuple[Route, ...]:
    """One operation under both paths of the manager."""
    bases = ("/aps/2/services/notification-manager", "/aps/2/resources/{manager}")
    return tuple(Route(method, f"{base}/notifications{path}", answer) for base in bases)


class Aps(Remote[Notification]):
    """The notification manager. Rules match the context, or the service, of what another application sends."""

    name = "aps"
    title = "APS Notification Manager"
    vocabulary = VOCABULARY
    settings_type = ApsSettings

    def reset(self) -> None:
        super().reset()
        self.signatures = SignatureDesk()

    def secrets(self) -> set[str]:
        return super().secrets() | set(self.settings.aps_tokens)

    def connection(self, url: str) -> dict[str, Any]:
        return _connection(url, CLIENT_ID, CLIENT_SECRET, "airflow")

    def connections(self, url: str) -> dict[str, dict[str, Any]]:
        """A connection for us, and one for another application."""
        return {
            **super().connections(url),
            "aps_other": _connection(url, OTHER_ID, OTHER_SECRET, "other"),
        }

    def authenticate(self, visit: Visit) -> Reply | None:
        """By token or by signature; then on behalf of the resource that the caller names, where it names one."""
        if visit.names.get("manager", MANAGER_ID) != MANAGER_ID:
            return self.refuse(404)
        token = header(visit.call, "aps-token")
        try:
            visit.user = self.settings.aps_tokens.get(token, "") if token else ""
            visit.scope = "" if token else self._client(visit.call, visit.now)
        except ValueError as problem:
            return self.refuse(401, str(problem))
        if token and not visit.user:
            return self.refuse(401)
        visit.user = header(visit.call, "aps-resource-id") or visit.user
        return None

    def refuse(self, status: int, message: str = "") -> Reply:
        text = message or _REFUSALS.get(status, "An internal error occurred.")
        return json_reply(status, {"error": f"APS::Hosting::Exception::{status}", "message": text})

    def read(self, task: Notification, now: float) -> TaskState:
        if task.runs_itself or task.ending is not None:
            return super().read(task, now)
        status = task.content["status"]
        phase = self.vocabulary.phase(status)
        return TaskState(status=status, phase=phase, progress=0, ended_at=task.modified_at if phase.is_final else None)

    # --- the eight operations, and the look-up of the manager

    def send(self, visit: Visit) -> Reply:
        content = DEFAULTS | settable(_body(visit.call))
        if refusal := self._refusal(content):
            return refusal
        note = self._note(content, visit)
        self.book[note.ref] = note
        self.started += 1
        visit.ref = note.ref
        for ref in list(self.book)[: -self.settings.kept] if self.settings.kept else ():
            del self.book[ref]
        return json_reply(200, self._show(note, visit))

    def edit(self, visit: Visit) -> Reply:
        note = self._find(visit)
        if note is None:
            return self.refuse(404)
        before = note.content if self.settings.put == "merge" else {}
        content = DEFAULTS | before | settable(_body(visit.call))
        if refusal := self._refusal(content):
            return refusal
        note.content, note.marker = content, content.get("context", "")
        note.is_updated, note.modified_at, note.runs_itself, note.ending = True, visit.now, False, None
        return json_reply(200, self._show(note, visit))

    def delete(self, visit: Visit) -> Reply:
        note = self._find(visit)
        if note is None:
            return self.refuse(404)
        shown = {"object": self._show(note, visit), "string": note.ref}
        del self.book[note.ref]
        kind = self.settings.delete_reply
        return json_reply(200, shown[kind]) if kind in shown else Reply(status=200)

    def list_channel(self, visit: Visit) -> Reply:
        user = value(visit.call, "channel").removeprefix(_CHANNEL)
        seen = self._all(visit.now) if user == _APPLICATION else self._for(user, visit.now)
        return self._list(seen, visit)

    def list_by_context(self, visit: Visit) -> Reply:
        """For applications this is a search, for every addressee."""
        pattern = value(visit.call, "context")
        found = [one for one in self._seen(visit) if matches(one.content.get("context"), pattern)]
        return self._list(found[: self.settings.last_messages], visit)

    def list_log(self, visit: Visit) -> Reply:
        return self._list(self._seen(visit), visit)

    def list_display(self, visit: Visit) -> Reply:
        """Warnings that are not resolved, activities that go on, and the ten others that were changed last."""
        items = [self._show(one, visit) for one in self._seen(visit)]
        warnings = [one for one in items if one["type"] == "warning" and not one["resolved"]]
        in_progress = [one for one in items if one["type"] == "activity" and one["status"] == "inProgress"]
        rest = [one for one in items if one not in warnings and one not in in_progress]
        others = sorted(rest, key=lambda one: str(one["modified"]), reverse=True)[:LATEST]
        groups = {"warnings": warnings, "inProgressActivities": in_progress, "otherActivities": others}
        return json_reply(200, [groups] if self.settings.display_as_list else groups)

    def show_channel(self, visit: Visit) -> Reply:
        return json_reply(200, {"id": f"{_CHANNEL}{visit.user or _APPLICATION}"})

    def list_resources(self, visit: Visit) -> Reply:
        """``GET /aps/2/resources?implementing(<type id>)``"""
        kinds = [found[1] for name, _ in visit.call.query if (found := re.fullmatch(r"implementing\((.+)\)", name))]
        is_asked_for = any(kind in (TYPE, TYPE.removesuffix(".0")) for kind in kinds)
        manager = {"aps": {"id": MANAGER_ID, "type": TYPE, "status": "aps:ready"}}
        return json_reply(200, [manager] if is_asked_for else [])

    routes = (
        *_below("GET", "/lastMessagesByContext", list_by_context),
        *_below("GET", "/activitylog", list_log),
        *_below("GET", "/displayMessages", list_display),
        *_below("GET", "/channel", show_channel),
        *_below("POST", "", send),
        *_below("GET", "", list_channel),
        *_below("PUT", "/{ref}", edit),
        *_below("DELETE", "/{ref}", delete),
        Route("GET", "/aps/2/resources", list_resources),
    )

    def _client(self, call: Call, now: float) -> str:
        """The application that has signed a call."""
        if not self.settings.check_signature:
            return CLIENT_ID
        scheme, host = header(call, "x-forwarded-proto") or "https", header(call, "host")
        url = f"{scheme}://{host}/{self.name}{call.path}"
        return self.signatures.client(call, url, self.settings.clients, now, self.settings.clock_tolerance)

    def _refusal(self, content: Mapping[str, Any]) -> Reply | None:
        found = problems(
            content,
            require_fields=self.settings.require_fields,
            refuse_announcement=self.settings.refuse_announcement,
        )
        return self.refuse(400, "; ".join(found)) if found else None

    def _note(self, content: dict[str, Any], visit: Visit) -> Notification:
        is_foreign = visit.scope == OTHER_ID
        context, service = str(content.get("context", "")), str(content.get("service", ""))
        return Notification(
            ref=str(uuid.uuid4()),
            name=context or service,
            rule=self.rules.take(self.name, (context, service)) if is_foreign else _STUCK,
            created_at=visit.now,
            begins_at=visit.now,
            marker=context,
            path=visit.call.path,
            request=content,
            content=content,
            modified_at=visit.now,
            runs_itself=is_foreign,
        )

    def _find(self, visit: Visit) -> Notification | None:
        note = self.book.get(visit.ref)
        return note if note is not None and not self._is_away(note, visit.now) else None

    def _is_away(self, note: Notification, now: float) -> bool:
        return note.is_hidden(now) or self.read(note, now).is_gone

    def _all(self, now: float) -> list[Notification]:
        """The newest first."""
        return [note for note in reversed(self.book.values()) if not self._is_away(note, now)]

    def _for(self, user: str, now: float) -> list[Notification]:
        account = self.settings.users.get(user, "")
        return [note for note in self._all(now) if note.is_for(user, account)]

    def _seen(self, visit: Visit) -> list[Notification]:
        """What the caller may see."""
        return self._for(visit.user, visit.now) if visit.user else self._all(visit.now)

    def _list(self, notes: Iterable[Notification], visit: Visit) -> Reply:
        return json_reply(200, [self._show(note, visit) for note in notes])

    def _show(self, note: Notification, visit: Visit) -> dict[str, Any]:
        return show(note, self.read(note, visit.now), header(visit.call, "aps-locale") or "en", _time)


def _connection(url: str, key: str, secret: str, service: str) -> dict[str, Any]:
    return {
        "conn_type": "aps",
        "host": f"{url}/aps",
        "login": key,
        "password": secret,
        "extra": {
            "package_id": "2b0f7f4e-2d53-4f6a-8f1c-6a0f5f0c7d11",
            "service": service,
            "ui_url": f"{url}/_control/tasks/{{ref}}",
        },
    }


def _body(call: Call) -> Mapping[str, Any]:
    content = call.json()
    if not isinstance(content, dict):
        raise ValueError("The request body must be a JSON object.")
    return content


def _time(seconds: float) -> str:
    return utc(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")
