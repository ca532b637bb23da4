"""Acquia Cloud API v2 as an emulator: token endpoint, starts, notifications, lists, bulk code switch.

https://docs.acquia.com/acquia-cloud/develop/api/auth/ and, on the same site, "Scripting API tasks with the
notification parameter".
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.sandbox.answer import header, json_reply, number, utc, value
from airflow_provider_taskwatch.sandbox.remote import Remote, Route, Visit
from airflow_provider_taskwatch.sandbox.rule import Rule
from airflow_provider_taskwatch.sandbox.setting import OneOf
from airflow_provider_taskwatch.sandbox.task import Task, Vocabulary
from airflow_provider_taskwatch.sandbox.token import CLIENT_ID, CLIENT_SECRET, TokenSettings

from .list import arrange, select
from .start import BULK_SWITCH, SHAPES, SWITCH_SHAPES, Operation, Shape, StartReply, fields, operation

HAL = "application/hal+json"
VENDOR_API = "https://cloud.acquia.com/api"
FOREIGN_API = "https://cloud.acquia.dev/api"


@dataclass(kw_only=True)
class AcquiaSettings(TokenSettings):
    """What can be changed about the emulated Acquia.

    :param expired_status: HTTP status that an expired token is answered with: 401, or 403 as some users report.
    :param require_scope: tokens without ``scope=organization:<uuid>`` answer 403.
    :param shape: the form of the reply to a start, where the rule names none; the answer to an unknown one lists
        them.
    :param switch_shape: the form of the reply to a bulk code switch: ``links``, ``uuid`` or ``notification``.
    :param one_at_a_time: a start answers 409 while another at the same path runs.
    :param list_lag: seconds by which the lists are behind single reads.
    :param foreign_api: the API base in links of the shape ``foreign-host``.
    """

    expired_status: Literal[401, 403] = 401
    require_scope: bool = False
    shape: Annotated[str, OneOf(SHAPES)] = "link"
    switch_shape: Annotated[str, OneOf(SWITCH_SHAPES)] = "links"
    one_at_a_time: bool = False
    list_lag: float = 0.0
    foreign_api: str = FOREIGN_API


_PHASES = {
    "in-progress": Phase.RUNNING,
    "started": Phase.RUNNING,
    "completed": Phase.SUCCEEDED,
    "succeeded": Phase.SUCCEEDED,
    "complete": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
    "error": Phase.FAILED,
}


def _phase(status: str) -> Phase:
    """All spellings: ``in-progress``, ``in_progress``, ``In Progress``."""
    return _PHASES.get(re.sub(r"[_ ]", "-", status.strip().lower()), Phase.UNKNOWN)


VOCABULARY = Vocabulary(
    outcomes={
        "success": "completed",
        "skipped": "completed",
        "failure": "failed",
        "cancelled": "failed",
        "lost": "failed",
        "blocked": "in-progress",
        "unknown": "on-hold",
    },
    stages=((0.0, "in-progress"),),
    phase=_phase,
)

_REFUSALS = {
    200: ("invalid_operation", "The operation is not possible."),
    400: ("bad_request", "The request could not be understood."),
    401: ("unauthorized", "The access token is missing, invalid or expired."),
    403: ("forbidden", "You do not have sufficient permissions to do this."),
    404: ("not_found", "The resource does not exist, or you do not have permission to see it."),
    409: ("conflict", "Another operation is already running."),
    422: ("validation_failed", "The request is not valid."),
    429: ("too_many_requests", "Too many requests."),
    500: ("system", "An internal error occurred."),
    503: ("system", "This action is currently unavailable. Please try again later."),
}


@dataclass(slots=True, kw_only=True, eq=False)
class Notification(Task):
    """One task, as Acquia remembers it.

    :param codebase: of a bulk code switch, which is read elsewhere.
    """

    event: str
    label: str
    application: str
    environment: str
    codebase: str


class Acquia(Remote[Notification]):
    """Acquia Cloud. Rules match the path after ``/api``, the same after its method, or the event.

    Options of a rule: ``shape`` and ``reply_status`` of the start, ``fields`` (a notification holds only
    these), ``early_completed_at`` (set while it runs), ``context`` (added to the notification's).
    """

    name = "acquia"
    title = "Acquia Cloud API v2"
    vocabulary = VOCABULARY
    settings_type = AcquiaSettings
    options = ("shape", "reply_status", "fields", "early_completed_at", "context")
    token_paths = frozenset({"/api/auth/oauth/token", "/api/token"})

    def authenticate(self, visit: Visit) -> Reply | None:
        grant = self.tokens.find(visit.call, visit.now)
        if grant is None and self.tokens.has_expired(visit.call, visit.now):
            return _error(self.settings.expired_status, "unauthorized", "The access token has expired.")
        if grant is None:
            return self.refuse(401)
        visit.user = grant.client_id
        if self.settings.require_scope and not re.fullmatch(r"organization:\S+", grant.scope):
            return _error(403, "additional_authentication_required", "Sign in through your organization.")
        return None

    def refuse(self, status: int, message: str = "") -> Reply:
        slug, text = _REFUSALS.get(status, ("system" if status >= 500 else "bad_request", "Refused."))
        return _error(status, slug, message or text)

    def connection(self, url: str) -> dict[str, Any]:
        return {
            "conn_type": "acquia",
            "host": f"{url}/acquia/api",
            "login": CLIENT_ID,
            "password": CLIENT_SECRET,
            "extra": {
                "token_url": f"{url}/acquia/api/auth/oauth/token",
                "ui_url": f"{url}/_control/tasks/{{ref}}",
            },
        }

    def account(self, visit: Visit) -> Reply:
        named = dict(zip(("name", "mail"), _NAMES, strict=True))
        return _hal(200, {**_AUTHOR, **named, **_PERSON, "_links": {"self": {"href": f"{_api(visit)}/account"}}})

    def start(self, visit: Visit) -> Reply:
        """Any write: queue a task and name its notification."""
        wanted = operation(visit.call.method, _path(visit))
        task = self._queue(visit, wanted)
        if isinstance(task, Reply):
            return task
        options = task.rule.options
        shape = options.get("shape", self.settings.shape)
        usual = 200 if shape == "empty-body" else wanted.status
        return self._started(visit, task, wanted, SHAPES.get(shape), int(options.get("reply_status", usual)))

    def switch(self, visit: Visit) -> Reply:
        """``POST /codebases/{id}/bulk-code-switch``: a task without a notification."""
        task = self._queue(visit, BULK_SWITCH)
        if isinstance(task, Reply):
            return task
        return self._started(visit, task, BULK_SWITCH, SWITCH_SHAPES.get(self.settings.switch_shape), 202)

    def show(self, visit: Visit) -> Reply:
        """``GET /notifications/{uuid}``"""
        task = self._find(visit)
        if task is None:
            return self.refuse(404)
        return _hal(200, _chosen(task, {**self._notification(task, visit.now), **_more(task, visit)}))

    def show_switch(self, visit: Visit) -> Reply:
        """``GET /codebases/{id}/bulk-code-switch/{switch}``, also with ``/status`` behind it"""
        task = self._find(visit)
        if task is None or task.codebase != visit.names["codebase"]:
            return self.refuse(404)
        reading = self.read(task, visit.now)
        content = {
            "id": task.ref,
            "codebase_id": task.codebase,
            "reference": task.request.get("reference"),
            "status": "complete" if reading.status == "completed" else reading.status,
            "created_at": _time(task.created_at),
            "message": reading.message,
        }
        return _hal(200, content)

    def list_of_application(self, visit: Visit) -> Reply:
        return self._list(visit, lambda task: task.application == visit.names["application"])

    def list_of_organization(self, visit: Visit) -> Reply:
        """Everything: the sandbox has one organisation, whatever it is called."""
        reply = self._list(visit, lambda task: True)
        odd = {**reply.headers, "content-type": "organization/json"}
        return Reply(status=reply.status, headers=odd, body=reply.body)

    routes = (
        Route("POST", "/api/auth/oauth/token", Remote.issue_token, is_open=True),
        Route("POST", "/api/token", Remote.issue_token, is_open=True),
        Route("GET", "/api/account", account),
        Route("GET", "/api/notifications/{ref}", show),
        Route("GET", "/api/applications/{application}/notifications", list_of_application),
        Route("GET", "/api/organizations/{organization}/notifications", list_of_organization),
        Route("POST", "/api/codebases/{codebase}/bulk-code-switch", switch),
        Route("GET", "/api/codebases/{codebase}/bulk-code-switch/{ref}", show_switch),
        Route("GET", "/api/codebases/{codebase}/bulk-code-switch/{ref}/status", show_switch),
        Route("POST|PUT|DELETE", "/api/{path*}", start),
    )

    def _queue(self, visit: Visit, wanted: Operation) -> Notification | Reply:
        """A new task, or why there is none."""
        content, path = fields(visit.call), _path(visit)
        if content is None:
            return self.refuse(400, "The request body must be a JSON object.")
        if missing := [name for name in wanted.required if name not in content]:
            return _error(400, "validation_failed", {name: f"The {name} field is required." for name in missing})
        if self.settings.one_at_a_time and self._is_busy(path, visit.now):
            return self.refuse(409)
        rule = self.rules.take(self.name, (path, f"{visit.call.method} {path}", wanted.event))
        if rule.refuse is not None:
            return self.refuse(rule.refuse, rule.message)
        return self._keep(_notification(visit, wanted, rule, content), visit)

    def _keep(self, task: Notification, visit: Visit) -> Notification:
        self.book[task.ref] = task
        self.started += 1
        visit.ref = task.ref
        return task

    def _started(self, visit: Visit, task: Notification, wanted: Operation, shape: Shape | None, status: int) -> Reply:
        if shape is None:
            return self.refuse(500, f"The sandbox knows no such shape; it knows {', '.join(SHAPES)}.")
        started = StartReply(
            api=_api(visit),
            foreign_api=self.settings.foreign_api,
            path=task.path,
            ref=task.ref,
            message=wanted.message,
        )
        content = shape(started)
        return Reply(status=status) if content is None else _hal(status, content)

    def _is_busy(self, path: str, now: float) -> bool:
        same = (task for task in self.book.values() if task.path == path)
        return any(not self.read(task, now).is_ended for task in same)

    def _find(self, visit: Visit) -> Notification | None:
        task = self.book.get(visit.ref)
        if task is None or task.is_hidden(visit.now) or self.read(task, visit.now).is_gone:
            return None
        return task

    def _list(self, visit: Visit, belongs: Callable[[Notification], bool]) -> Reply:
        until = visit.now - self.settings.list_lag
        shown = [task for task in self.book.values() if belongs(task) and task.created_at <= until]
        newest_first = [self._notification(task, visit.now) for task in reversed(shown)]
        try:
            chosen = select(newest_first, value(visit.call, "filter"))
            items = arrange(chosen, value(visit.call, "sort"))
        except ValueError as problem:
            return self.refuse(400, str(problem))
        return _hal(200, _page(visit, items))

    def _notification(self, task: Notification, now: float) -> dict[str, Any]:
        """A notification as an item of a list shows it: without ``_links``."""
        reading, options = self.read(task, now), task.rule.options
        done = now if options.get("early_completed_at") and not reading.is_ended else reading.ended_at
        content = {
            "uuid": task.ref,
            "event": task.event,
            "label": task.label,
            "description": reading.message or f"{task.label}: {task.path}",
            "created_at": _time(task.created_at),
            "started_at": _time(task.created_at),
            "completed_at": None if done is None else _time(done),
            "status": reading.status,
            "progress": reading.progress,
            "context": {**_context(task), **options.get("context", {})},
        }
        if task.rule.progress == "absent":
            del content["progress"]
        failed = {"message": reading.message} if reading.message and reading.phase is Phase.FAILED else {}
        return content | failed


_AUTHOR = dict.fromkeys(("uuid", "actual_uuid"), "0e7a55b4-9d2c-4b53-8c1f-5b1c1d7c0b11")
_PERSON = {
    "first_name": "Sandbox",
    "last_name": "Person",
    "picture_url": "https://sandbox.invalid/person.png",
    "last_login_at": "2026-01-05T08:15:00-0500",
}
_NAMES = ("sandbox.person", "person@sandbox.invalid")
"""Personal data, and a date whose offset has no colon: as in the real answers."""


def _notification(visit: Visit, wanted: Operation, rule: Rule, content: Mapping[str, Any]) -> Notification:
    path = _path(visit)
    application, environment = _APPLICATION.search(path), _ENVIRONMENT.search(path)
    return Notification(
        ref=str(uuid.uuid4()),
        name=wanted.event,
        rule=rule,
        created_at=visit.now,
        begins_at=visit.now,
        path=path,
        request=content,
        event=wanted.event,
        label=wanted.label,
        application=(application and application[1]) or (environment and environment[2]) or "",
        environment=environment[1] if environment else "",
        codebase=visit.names.get("codebase", ""),
    )


_APPLICATION = re.compile(r"/applications/([^/]+)")
_ENVIRONMENT = re.compile(r"/environments/(\d+-([^/]+)|[^/]+)")
"""An environment's id is a number, a dash, and the uuid of its application."""


def _context(task: Notification) -> dict[str, Any]:
    parts: Mapping[str, dict[str, list[str]]] = {
        "user": {"uuids": [_AUTHOR["uuid"]]},
        "application": {"uuids": [task.application]},
        "environment": {"ids": [task.environment]},
        "database": {"names": [str(task.request.get("name", ""))]},
    }
    known = {name: ids for name, ids in parts.items() if [""] not in ids.values()}
    return {"author": _AUTHOR, **known}


def _more(task: Notification, visit: Visit) -> dict[str, Any]:
    """What a single read shows and a list does not."""
    notifications = f"{_api(visit)}/notifications"
    return {
        "_links": {"self": {"href": f"{notifications}/{task.ref}"}, "parent": {"href": notifications}},
        "_embedded": {"author": {**_AUTHOR, **dict(zip(("username", "email"), _NAMES, strict=True)), **_PERSON}},
    }


def _chosen(task: Notification, content: Mapping[str, Any]) -> dict[str, Any]:
    wanted = task.rule.options.get("fields")
    return {name: item for name, item in content.items() if wanted is None or name in wanted}


def _page(visit: Visit, items: list[Mapping[str, Any]]) -> dict[str, Any]:
    limit, offset = number(visit.call, "limit", 100), number(visit.call, "offset", 0)
    own = f"{_api(visit)}{_path(visit)}"
    templates = {
        name: {"href": f"{own}{{?{name}}}", "templated": True} for name in ("limit", "offset", "sort", "filter")
    }
    return {
        "total": len(items),
        "pagination": {"total": len(items), "limit": limit, "offset": offset},
        "_links": {"self": {"href": own}, "parent": {"href": own.rpartition("/")[0]}, **templates},
        "_embedded": {"items": items[offset : offset + limit]},
    }


def _path(visit: Visit) -> str:
    """The path after the API base."""
    return visit.call.path.removeprefix("/api")


def _api(visit: Visit) -> str:
    """The API base in links: the host that was asked, so that they stay in the sandbox."""
    host, scheme = header(visit.call, "host"), header(visit.call, "x-forwarded-proto") or "http"
    return f"{scheme}://{host}/acquia/api" if host else VENDOR_API


def _hal(status: int, content: object) -> Reply:
    headers = {"x-cloudapi-stability": "production", "x-request-id": f"v-{uuid.uuid4()}"}
    return json_reply(status, content, headers, HAL)


def _error(status: int, slug: str, message: object) -> Reply:
    return _hal(status, {"error": slug, "message": message})


def _time(seconds: float) -> str:
    return utc(seconds).strftime("%Y-%m-%dT%H:%M:%S+00:00")
