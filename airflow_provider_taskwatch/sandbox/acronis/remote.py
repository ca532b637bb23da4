"""Acronis Cyber Protect Cloud as an emulator: Event Manager v1, Task Manager v2, and the start of protection plans.

https://developer.acronis.com. Where the vendor's pages contradict each other, a setting says which one is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.sandbox.answer import json_reply, number, value
from airflow_provider_taskwatch.sandbox.remote import Answer, Answered, Remote, Route, Visit
from airflow_provider_taskwatch.sandbox.rule import Rule
from airflow_provider_taskwatch.sandbox.task import TaskState
from airflow_provider_taskwatch.sandbox.token import CLIENT_ID, CLIENT_SECRET, TokenSettings

from .event import EVENT_KEYS, TENANT, EventManager, EventSettings, error, refusal
from .task import FIRST_ID, VOCABULARY, AcronisTask, activity, full, page, resume, select, short

EM = "/api/event_manager/v1"
TM = "/api/task_manager/v2"


@dataclass(kw_only=True)
class AcronisSettings(EventSettings, TokenSettings):
    """What can be changed about the emulated Acronis, besides its Event Manager.

    :param many_values: how filters write several: ``both``, ``repeated`` or ``or``.
    :param cursor_place: of lists: ``top`` (the API description) or ``paging`` (the samples).
    :param text_ids: whether ids of tasks are sent as text, not as numbers.
    :param delete_after: seconds after its end when a task is deleted; None: never.
    """

    token_lifetime: float = 7200
    token_expiry: Literal["expires_in", "expires_on", "absent"] = "expires_on"  # noqa: S105 - a field's name
    many_values: Literal["both", "repeated", "or"] = "both"
    cursor_place: Literal["top", "paging"] = "top"
    text_ids: bool = False
    delete_after: float | None = None


Show = Callable[[AcronisTask, TaskState, float], dict[str, Any]]


def _events(name: str) -> Answer:
    """What answers a call to the Event Manager."""
    return lambda remote, visit: getattr(remote.events, name)(visit)


class Acronis(Remote[AcronisTask]):
    """Acronis. Rules match the policy or the resource of a task.

    Events to emit: ``type`` (``a.p.tenant.created``, or a whole CTI), and any of ``topic``, ``subject``,
    ``subject_type``, ``tenant_id``, ``source``, ``data``, ``time``, ``id``. ``count`` emits it that many times,
    and ``{n}`` in the subject is the number of each.
    """

    name = "acronis"
    title = "Acronis Cyber Protect Cloud Event Manager v1 and Task Manager v2"
    vocabulary = VOCABULARY
    settings_type = AcronisSettings
    event_keys = EVENT_KEYS
    token_paths = frozenset({"/api/2/idp/token", "/bc/idp/token"})

    _last_id = FIRST_ID - 1

    def reset(self) -> None:
        Remote.reset(self)
        self.events = EventManager(self.settings)
        self._unended: list[AcronisTask] = []

    def answer(self, call: Call, now: float) -> Answered:
        """Answer one call; the ends of tasks before it are published already."""
        self._publish_ends(now)
        return Remote.answer(self, call, now)

    def authenticate(self, visit: Visit) -> Reply | None:
        grant = self.tokens.find(visit.call, visit.now)
        if grant is None:
            return self.refuse_call(visit.call, 401)
        visit.user = grant.client_id
        return None

    def refuse(self, status: int, message: str = "") -> Reply:
        return refusal(status, message)

    def refuse_call(self, call: Call, status: int, message: str = "") -> Reply:
        """The Task Manager has no object around its errors."""
        if call.path.startswith(TM) and status != 429:
            return json_reply(status, error(status, message))
        return Remote.refuse_call(self, call, status, message)

    def connection(self, url: str) -> dict[str, Any]:
        return {
            "conn_type": "acronis",
            "host": f"{url}/acronis",
            "login": CLIENT_ID,
            "password": CLIENT_SECRET,
            "extra": {"ui_url": f"{url}/_control/tasks/{{ref}}"},
        }

    def change(self, settings: Mapping[str, Any], now: float) -> None:
        Remote.change(self, settings, now)
        self.events.keep()

    def emit(self, events: Iterable[Mapping[str, Any]], now: float) -> int:
        self._publish_ends(now)
        return self.events.emit(events, now)

    def list_tasks(self, visit: Visit) -> Reply:
        return self._list(visit, short)

    def show_task(self, visit: Visit) -> Reply:
        return self._show(visit, self.book.get(visit.ref), full)

    def list_activities(self, visit: Visit) -> Reply:
        return self._list(visit, activity)

    def show_activity(self, visit: Visit) -> Reply:
        found = (task for task in self.book.values() if str(task.activity_id) == visit.names["activity"])
        return self._show(visit, next(found, None), activity)

    def run_policy(self, visit: Visit) -> Reply:
        """``PUT applications/run``: a task for each resource; the answer names none."""
        content = visit.call.json()
        resources = content.get("context_ids") if isinstance(content, dict) else None
        if not isinstance(content, dict) or not isinstance(resources, list) or content.get("state") != "running":
            raise ValueError("the body must hold state (running), policy_id and context_ids")
        policy = str(content.get("policy_id"))
        for resource in map(str, resources):
            rule = self.rules.take(self.name, (policy, resource))
            if rule.refuse is not None:
                return self.refuse(rule.refuse, rule.message)
            self._start(visit, policy, resource, rule, content)
        return json_reply(200, {})

    routes = (
        Route("POST", "/api/2/idp/token", Remote.issue_token, is_open=True),
        Route("POST", "/bc/idp/token", Remote.issue_token, is_open=True),
        Route("GET", f"{EM}/topics", _events("list_topics")),
        Route("GET", f"{EM}/topics/offsets", _events("topic_offset")),
        Route("GET", f"{EM}/topics/{{topic}}/offsets", _events("topic_offset")),
        Route("GET", f"{EM}/types", _events("list_types")),
        Route("POST", f"{EM}/subscriptions", _events("create_subscription")),
        Route("GET", f"{EM}/subscriptions/offset", _events("subscription_offset")),
        Route("POST", f"{EM}/subscriptions/offset", _events("commit_offset")),
        Route("GET", f"{EM}/events", _events("poll")),
        Route("GET", f"{TM}/tasks", list_tasks),
        Route("GET", f"{TM}/tasks/{{ref}}", show_task),
        Route("GET", f"{TM}/activities", list_activities),
        Route("GET", f"{TM}/activities/{{activity}}", show_activity),
        Route("PUT", "/api/policy_management/v4/applications/run", run_policy),
    )

    def _start(self, visit: Visit, policy: str, resource: str, rule: Rule, content: Mapping[str, Any]) -> None:
        self._last_id += 1
        task = AcronisTask(
            ref=str(self._last_id),
            name=policy,
            rule=rule,
            created_at=visit.now,
            begins_at=visit.now,
            path=visit.call.path,
            request=content,
            policy_id=policy,
            resource_id=resource,
            tenant_id=TENANT,
            user=visit.user,
        )
        self.book[task.ref] = task
        self.started += 1
        visit.ref = task.ref
        self._publish(task, "created", visit.now)
        self._unended.append(task)

    def _publish_ends(self, now: float) -> None:
        """Publish the ends of tasks in their order."""
        readings = {task.ref: self.read(task, now) for task in self._unended}
        ended = [task for task in self._unended if readings[task.ref].is_ended]
        for task in sorted(ended, key=lambda one: readings[one.ref].ended_at or now):
            self._publish(task, "completed", readings[task.ref].ended_at or now)
        if ended:
            self._unended = [task for task in self._unended if not readings[task.ref].is_ended]

    def _publish(self, task: AcronisTask, what: str, at: float) -> None:
        data = {"policy_id": task.policy_id, "resource_id": task.resource_id}
        event = {"type": f"a.p.task.{what}", "subject": task.ref, "source": "task-manager", "data": data}
        self.events.emit([event], at)

    def _list(self, visit: Visit, show: Show) -> Reply:
        query, start = visit.call.query, 0
        limit = number(visit.call, "limit", 100)
        filters = tuple(pair for pair in query if pair[0] not in ("limit", "after"))
        if after := value(visit.call, "after"):
            if filters:
                raise ValueError("after goes with limit and with nothing else")
            filters, start = resume(after)
        there = [task for task in self.book.values() if self._is_there(task, visit.now, filters)]
        wholes = [_whole(task, self.read(task, visit.now), visit.now) for task in there]
        shown, cursors = page(select(wholes, filters, self.settings.many_values), filters, limit, start)
        tasks = [self.book[one["taskId"]] for one in shown]
        items = [self._stated(show(task, self.read(task, visit.now), visit.now)) for task in tasks]
        place = {"paging": {"cursors": cursors}} if self.settings.cursor_place == "paging" else {"cursors": cursors}
        return json_reply(200, {"items": items, **place})

    def _show(self, visit: Visit, task: AcronisTask | None, show: Show) -> Reply:
        if task is None or not self._is_there(task, visit.now, visit.call.query):
            return self.refuse_call(visit.call, 404)
        return json_reply(200, self._stated(show(task, self.read(task, visit.now), visit.now)))

    def _is_there(self, task: AcronisTask, now: float, query: Iterable[tuple[str, str]]) -> bool:
        reading = self.read(task, now)
        if reading.is_gone or task.is_hidden(now):
            return False
        end, after = reading.ended_at, self.settings.delete_after
        is_deleted = end is not None and after is not None and now >= end + after
        return not is_deleted or ("allow_deleted", "true") in query

    def _stated(self, content: dict[str, Any]) -> dict[str, Any]:
        """Ids as numbers or as texts."""
        names = ("taskId",) if "taskId" in content else ("id",)
        return {**content, **{name: str(content[name]) for name in names}} if self.settings.text_ids else content


def _whole(task: AcronisTask, reading: TaskState, now: float) -> dict[str, Any]:
    """All that a list can ask about, the short form leaves much of it out."""
    return {**activity(task, reading, now), **full(task, reading, now), "taskId": task.ref}
