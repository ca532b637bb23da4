"""Broadcom Automic's Automation Engine REST API as an emulator: executions, lists, reports, status actions.

https://docs.automic.com, "AE REST API". Error codes other than 45254, 45110, 11049 and 11191, and the lines
of reports, are ours.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.sandbox.answer import json_reply, number, values
from airflow_provider_taskwatch.sandbox.post import Post
from airflow_provider_taskwatch.sandbox.remote import Answered, Remote, Route, Visit
from airflow_provider_taskwatch.sandbox.rule import Rule
from airflow_provider_taskwatch.sandbox.setting import Between, Like
from airflow_provider_taskwatch.sandbox.task import RequestedEnd, TaskState, read
from airflow_provider_taskwatch.sandbox.token import TokenSettings, decode_basic

from .callback import CallbackSettings, problem, subscription
from .calling import Callbacks
from .execution import (
    PARENTS,
    QUEUE_STOPPED,
    STEPS,
    VOCABULARY,
    WAITS_FOR_RELEASE,
    WAITS_FOR_START,
    Execution,
    extras,
    kind_of,
    moment,
    read_step,
    reports,
    show,
)
from .list import flag, page, select, shortlist

CLIENT, USER, DEPARTMENT = "100", "AIRFLOW", "AIRFLOW"
PASSWORD = "sandbox-secret"  # noqa: S105 - opens the sandbox and nothing else
FIRST_RUN_ID = 1_000_001


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One user of the engine."""

    client: str = CLIENT
    user: str = USER
    department: str = DEPARTMENT
    password: str = field(default=PASSWORD, repr=False)

    def answers_to(self, login: str) -> bool:
        """Whether ``[CLIENT/]USER[/DEPARTMENT]`` names this user; a client may be padded with zeros."""
        parts = login.split("/")
        client = parts.pop(0) if len(parts) > 1 and parts[0].isdecimal() else self.client
        user, department = [*parts, self.department][:2]
        return self.has_client(client) and (user, department) == (self.user, self.department)

    def has_client(self, client: str) -> bool:
        return client.lstrip("0") == self.client.lstrip("0")


@dataclass(kw_only=True)
class AutomicSettings(CallbackSettings, TokenSettings):
    """The settings of the emulated Automation Engine, besides those of callbacks.

    :param accounts: users, as objects with ``client``, ``user``, ``department`` and ``password``.
    :param bearer: whether tokens of the token endpoint are accepted beside Basic.
    :param healthy: the answer of ``system/health``.
    :param maintenance: ILM runs: everything answers 503.
    :param deactivate_after: seconds after its end when an execution leaves the list.
    :param reorganise_after: seconds after its end until reads answer 404; None: never.
    :param cancel_seconds: how long a cancel takes.
    :param list_lag: seconds by which the list is behind single reads.
    :param stopped_queues: names of queues in which nothing begins.
    :param alias_characters: ALIAS_SPECIAL_CHARACTERS, allowed in an alias beside letters, digits, ``_.@$``.
    :param inputs: PromptSets by object name.
    :param page_lines: lines on one page of a report.
    """

    accounts: list[Annotated[Any, Like(Account)]] = field(default_factory=lambda: [Account()])
    bearer: bool = True
    healthy: bool = True
    maintenance: bool = False
    deactivate_after: float = 60.0
    reorganise_after: float | None = None
    cancel_seconds: float = 0.0
    list_lag: float = 0.0
    stopped_queues: list[str] = field(default_factory=list)
    alias_characters: str = "-#"
    inputs: dict[str, Any] = field(default_factory=dict)
    page_lines: Annotated[int, Between(1)] = 50


_REFUSALS = {
    400: (45400, "Bad request", "The request is malformed."),
    401: (45254, "Unauthorized", "Invalid credentials."),
    403: (11191, "Forbidden", "The task is not active."),
    404: (11049, "Not found", "There is no such task."),
    429: (45429, "Too many requests", "Too many requests."),
    500: (45110, "Internal error", "An internal error occurred."),
    503: (45503, "Service unavailable", "The REST API is not available during ILM actions."),
}


class Automic(Remote[Execution]):
    """An Automation Engine. Rules match the object's name or its alias; any name is an object. It calls back.

    Options of a rule: ``type``, ``children`` (object names), ``failing_child`` (position, default 0),
    ``agent``, ``platform``, ``archive_key1``, ``archive_key2``, ``title``, ``estimated_runtime``, ``report``
    (text of REP, which answers 404 without it), ``inputs`` (PromptSets of the object).
    """

    name = "automic"
    title = "Automic Automation Engine REST API"
    vocabulary = VOCABULARY
    settings_type = AutomicSettings
    options = (
        "type",
        "children",
        "failing_child",
        "agent",
        "platform",
        "archive_key1",
        "archive_key2",
        "title",
        "estimated_runtime",
        "report",
        "inputs",
    )
    token_paths = frozenset({"/oauth/token"})

    _last_run_id = FIRST_RUN_ID - 1

    def reset(self) -> None:
        Remote.reset(self)
        self.callbacks = Callbacks(self.settings, self.read, self._add)

    def answer(self, call: Call, now: float) -> Answered:
        """Answer one call; the callbacks that came due before it are in the list already."""
        self.callbacks.enter(now)
        return Remote.answer(self, call, now)

    def authenticate(self, visit: Visit) -> Reply | None:
        if self.settings.maintenance:
            return self.refuse(503)
        account = self._account(visit)
        if account is None or not account.has_client(visit.names.get("client", account.client)):
            return self.refuse(401)
        visit.user = f"{account.user}/{account.department}"
        return None

    def refuse(self, status: int, message: str = "") -> Reply:
        code, error, details = _REFUSALS.get(status, (45000 + status, "Error", "Refused."))
        return json_reply(status, {"code": code, "error": error, "details": message or details})

    def connection(self, url: str) -> dict[str, Any]:
        return {
            "conn_type": "automic",
            "host": f"{url}/automic/ae/api/v1",
            "login": f"{CLIENT}/{USER}/{DEPARTMENT}",
            "password": PASSWORD,
            "extra": {"client": int(CLIENT), "ui_url": f"{url}/_control/tasks/{{ref}}"},
        }

    def _accounts(self) -> list[Account]:
        return [one if isinstance(one, Account) else Account(**one) for one in self.settings.accounts]

    def secrets(self) -> set[str]:
        return super().secrets() | {one.password for one in self._accounts()}

    def change(self, settings: Mapping[str, Any], now: float) -> None:
        """Apply settings; what waited in a queue that runs again begins now."""
        Remote.change(self, settings, now)
        for task in self.book.values():
            if task.held_status == QUEUE_STOPPED and task.queue not in self.settings.stopped_queues:
                self.release(task.ref, now)

    def read(self, task: Execution, now: float) -> TaskState:
        if task.parent is None or task.step is None or task.ending is not None:
            return read(task, now, self.vocabulary)
        return read_step(task.parent, task.step, self.read(task.parent, now), now)

    def tasks(self) -> list[Execution]:
        return [task for task in self.book.values() if task.parent is None and task.about is None]

    def end(self, ref: str, outcome: str | int, message: str, now: float) -> None:
        Remote.end(self, ref, outcome, message, now)
        self.callbacks.expect(self.book[ref])

    def release(self, ref: str, now: float) -> None:
        Remote.release(self, ref, now)
        self.callbacks.expect(self.book[ref])

    def due(self, now: float) -> list[Post]:
        return self.callbacks.due(now)

    def next_due(self) -> float | None:
        return self.callbacks.next_due()

    def answered(self, post: Post, answer: int | None, now: float) -> None:
        if not post.is_copy:
            self.callbacks.answered(post.ref, answer, now)

    def hasten(self, ref: str, seconds: float) -> bool:
        return self.callbacks.hasten(ref, seconds)

    def ping(self, visit: Visit) -> Reply:
        return Reply(status=200)

    def health(self, visit: Visit) -> Reply:
        word = {"status": "UP" if self.settings.healthy else "DOWN"}
        process = {**word, "instancesRunning": int(self.settings.healthy)}
        content = {**word, "pwp": process, "jwp": process, "cp": process}
        return json_reply(200 if self.settings.healthy else 503, content)

    def start(self, visit: Visit) -> Reply:
        """``POST executions``"""
        content = _content(visit.call)
        if content is None:
            return self._malformed(visit.call)
        if problem := self._problem(content):
            return self.refuse(400, problem)
        name, alias = str(content["object_name"]), str(content.get("alias") or "")
        rule = self.rules.take(self.name, (name, alias))
        if rule.refuse is not None:
            return self.refuse(rule.refuse, rule.message)
        task = self._activate(visit, name, rule, content)
        client = visit.names.get("client") or self._accounts()[0].client
        if wanted := subscription(content, client):
            self.callbacks.subscribe(task, wanted)
        return json_reply(200, {"run_id": task.run_id})

    def run_script(self, visit: Visit) -> Reply:
        """``POST scripts``"""
        content = _content(visit.call)
        if content is None or not content.get("script"):
            return self.refuse(400, "script is missing.")
        rule = self.rules.take(self.name, ("SCRI.REST",))
        return json_reply(200, {"run_id": self._activate(visit, "SCRI.REST", rule, content).run_id})

    def show_one(self, visit: Visit) -> Reply:
        """``GET executions/{run_id}``"""
        task = self._find(visit)
        if task is None:
            return self.refuse(404)
        return json_reply(200, self._show(task, visit.now) | extras(task, values(visit.call, "fields")))

    def show_list(self, visit: Visit) -> Reply:
        """``GET executions``"""
        return self._list(visit, self._listed(visit.call, visit.now))

    def show_children(self, visit: Visit) -> Reply:
        task = self._find(visit)
        return self.refuse(404) if task is None else self._list(visit, task.children)

    def act(self, visit: Visit) -> Reply:
        """``POST executions/{run_id}/status``"""
        task, content = self._find(visit), _content(visit.call) or {}
        if task is None:
            return self.refuse(404)
        action = str(content.get("action", "")).lower()
        if action == "cancel":
            return self._cancel(task, is_recursive="recursive" in str(content), now=visit.now)
        if action == "restart":
            return self._restart(visit, task, content.get("restart") or {})
        return self.refuse(400, "The action is unknown.")

    def act_on_active(self, visit: Visit) -> Reply:
        """Per-task actions such as ``ignore_sync_condition``: checked, and without effect here."""
        task = self._find(visit)
        if task is None:
            return self.refuse(404)
        return self.refuse(403) if self.read(task, visit.now).is_ended else json_reply(200, {})

    def show_reports(self, visit: Visit) -> Reply:
        task = self._find(visit)
        if task is None:
            return self.refuse(404)
        reading = self.read(task, visit.now)
        end = {"end_timestamp": moment(reading.ended_at)} if reading.is_ended else {}
        kinds = reports(task, reading, visit.now)
        return json_reply(200, [{"type": kind, **end, "is_db": True} for kind in kinds])

    def show_report(self, visit: Visit) -> Reply:
        """Pages of entity-encoded text with CRLF: ``max_results`` pages from ``start_at`` on."""
        task = self._find(visit)
        written = {} if task is None else reports(task, self.read(task, visit.now), visit.now)
        lines = written.get(visit.names["type"].upper())
        if lines is None:
            return self.refuse(404, "There is no such report.")
        first, count = number(visit.call, "start_at", 1), number(visit.call, "max_results", 1)
        pages = _pages(lines, self.settings.page_lines)
        data = pages[first - 1 : first - 1 + count]
        return json_reply(200, {"total": len(pages), "data": data, "hasmore": len(pages) >= first + count})

    def show_variables(self, visit: Visit) -> Reply:
        task = self._find(visit)
        return self.refuse(404) if task is None else json_reply(200, task.variables)

    def show_ert(self, visit: Visit) -> Reply:
        task = self._find(visit)
        return self.refuse(404) if task is None else json_reply(200, {"estimated_runtime": task.expected_seconds})

    def show_comments(self, visit: Visit) -> Reply:
        task = self._find(visit)
        return self.refuse(404) if task is None else json_reply(200, task.comments)

    def add_comment(self, visit: Visit) -> Reply:
        task, content = self._find(visit), _content(visit.call) or {}
        if task is None:
            return self.refuse(404)
        comment = {"timestamp": moment(visit.now) or "", "user": visit.user}
        task.comments.append(comment | {"comment": str(content.get("comment", ""))})
        return json_reply(200, {})

    def show_inputs(self, visit: Visit) -> Reply:
        """``GET objects/{name}/inputs``"""
        name = visit.names["name"]
        options = self.rules.peek(self.name, (name,)).options
        return json_reply(200, options.get("inputs") or self.settings.inputs.get(name) or {})

    routes = (
        Route("POST", "/oauth/token", Remote.issue_token, is_open=True),
        Route("GET", "/ae/api/v1/ping", ping, is_open=True),
        *(
            Route(method, f"/ae/api/v1{client}{path}", answer)
            for method, path, answer in (
                ("GET", "/system/health", health),
                ("POST", "/executions", start),
                ("GET", "/executions", show_list),
                ("POST", "/scripts", run_script),
                ("GET", "/objects/{name}/inputs", show_inputs),
                ("GET", "/executions/{ref}", show_one),
                ("GET", "/executions/{ref}/children", show_children),
                ("POST", "/executions/{ref}/status", act),
                ("POST", "/executions/{ref}/ignore_sync_condition", act_on_active),
                ("GET", "/executions/{ref}/reports", show_reports),
                ("GET", "/executions/{ref}/reports/{type}", show_report),
                ("GET", "/executions/{ref}/variables", show_variables),
                ("GET", "/executions/{ref}/ert", show_ert),
                ("GET", "/executions/{ref}/comments", show_comments),
                ("POST", "/executions/{ref}/comments", add_comment),
            )
            for client in ("/{client}", "")
        ),
    )

    def _account(self, visit: Visit) -> Account | None:
        accounts = self._accounts()
        sent = decode_basic(visit.call, "iso-8859-1")
        if sent is not None:
            login, password = sent
            return next((one for one in accounts if one.answers_to(login) and one.password == password), None)
        has_token = self.settings.bearer and self.tokens.find(visit.call, visit.now) is not None
        return accounts[0] if has_token else None

    def _malformed(self, call: Call) -> Reply:
        """Malformed JSON with a callback section ends in a null pointer, on 21.0.8 and 24.0.0."""
        if b'"callback"' in (call.body or b""):
            return self.refuse(500, "U00045014 Exception 'java.lang.NullPointerException'")
        return self.refuse(400)

    def _problem(self, content: Mapping[str, Any]) -> str:
        """What is wrong with a start; empty where nothing is."""
        if not content.get("object_name"):
            return "object_name is missing."
        if content.get("execution_option", "execute") not in ("execute", "once", "recurring"):
            return "execution_option is unknown."
        special = set(re.sub(r"[\w.@$ ]", "", str(content.get("alias") or "")))
        if bad := special - set(self.settings.alias_characters):
            return f"The alias contains invalid characters: {' '.join(sorted(bad))}"
        return problem(content, https_only=self.settings.callback_https_only)

    def _activate(
        self, visit: Visit, name: str, rule: Rule, content: Mapping[str, Any], reference: str = ""
    ) -> Execution:
        """An execution that was started, and its children."""
        queue = str(content.get("queue") or "CLIENT_QUEUE")
        begins_at, held_status = self._beginning(content, queue, visit.now)
        task = self._new(
            visit,
            name=name,
            rule=rule,
            begins_at=begins_at,
            held_status=held_status,
            marker=str(content.get("alias") or ""),
            request=content,
            kind=rule.options.get("type") or kind_of(name),
            queue=queue,
            reference=reference,
        )
        self.started += 1
        visit.ref = task.ref
        if content.get("execution_option") == "recurring":
            self._recur(visit, task, content.get("recurring") or {})
        elif task.kind in PARENTS or "children" in rule.options:
            self._bring_steps(visit, task)
        return task

    def _new(self, visit: Visit, **values: Any) -> Execution:
        task = self._add(created_at=visit.now, path=visit.call.path, user=visit.user, **values)
        if task.parent is not None:
            task.parent.children.append(task)
        return task

    def _add(self, **values: Any) -> Execution:
        self._last_run_id += 1
        task = Execution(ref=str(self._last_run_id), **values)
        self.book[task.ref] = task
        return task

    def _bring_steps(self, visit: Visit, workflow: Execution) -> None:
        for step, name in enumerate(workflow.rule.options.get("children", STEPS)):
            self._new(
                visit,
                name=name,
                rule=workflow.rule,
                begins_at=None,
                kind=kind_of(name),
                queue=workflow.queue,
                parent=workflow,
                step=step,
            )

    def _recur(self, visit: Visit, period: Execution, plan: Mapping[str, Any]) -> None:
        """Make it a C_PERIOD, whose executions begin one interval after the other; without an end it goes on."""
        rule, interval = period.rule, _seconds(plan.get("execute_after"))
        count = int(plan.get("end_after_executions") or 0)
        duration = max(0, count - 1) * interval + rule.duration
        kind, period.kind = period.kind, "C_PERIOD"
        period.rule = Rule(duration=duration, outcome="success" if count else "stuck")
        for position in range(count or 1):
            self._new(
                visit,
                name=period.name,
                rule=rule,
                begins_at=(period.begins_at or visit.now) + position * interval,
                held_status=WAITS_FOR_START,
                kind=kind,
                queue=period.queue,
                parent=period,
            )

    def _beginning(self, content: Mapping[str, Any], queue: str, now: float) -> tuple[float | None, str]:
        """When an execution begins, and what it shows until then."""
        once = (content.get("once") or {}) if content.get("execution_option") == "once" else {}
        if _is_true(once.get("wait_for_manual_release")):
            return None, WAITS_FOR_RELEASE
        if queue in self.settings.stopped_queues:
            return None, QUEUE_STOPPED
        return max(now, _unix(once.get("execution_date_time"))), WAITS_FOR_START

    def _cancel(self, task: Execution, *, is_recursive: bool, now: float) -> Reply:
        if self.read(task, now).is_ended:
            return self.refuse(403)
        task.is_recursive = is_recursive
        own = [child for child in task.children if child.step is None] if is_recursive else []
        for one in (task, *(child for child in own if not self.read(child, now).is_ended)):
            status = "1851" if one.kind in PARENTS else "1850"
            at = now + self.settings.cancel_seconds
            one.ending = RequestedEnd(asked_at=now, at=at, status=status, until_then="1571")
            self.callbacks.expect(one)
        self.cancelled.append(task.ref)
        return json_reply(200, {})

    def _restart(self, visit: Visit, task: Execution, changes: Mapping[str, Any]) -> Reply:
        content = {
            **task.request,
            "inputs": {**task.inputs, **(changes.get("inputs") or {})},
            "queue": changes.get("queue") or task.queue,
            "execution_option": "once",
            "once": {"wait_for_manual_release": changes.get("wait_for_manual_release")},
        }
        rule = self.rules.take(self.name, (task.name, task.marker))
        again = self._activate(visit, task.name, rule, content, reference=task.ref)
        return json_reply(200, {"run_id": again.run_id})

    def _find(self, visit: Visit) -> Execution | None:
        """The execution that the path names, where the engine still knows it."""
        visit.ref = visit.names["ref"].lstrip("0")
        task = self.book.get(visit.ref)
        if task is None or task.is_hidden(visit.now) or self._is_forgotten(task, visit.now):
            return None
        return task

    def _is_forgotten(self, task: Execution, now: float) -> bool:
        reading, after = self.read(task, now), self.settings.reorganise_after
        is_old = after is not None and reading.ended_at is not None and now >= reading.ended_at + after
        return reading.is_gone or is_old

    def _listed(self, call: Call, now: float) -> Iterator[Execution]:
        may_hold, deactivated = shortlist(call), flag(call, "include_deactivated")
        for task in self.book.values():
            if may_hold({"name": task.name, "alias": task.marker or None}) and self._is_listed(
                task, now, deactivated=deactivated
            ):
                yield task

    def _is_listed(self, task: Execution, now: float, *, deactivated: bool) -> bool:
        if task.created_at > now - self.settings.list_lag or self._is_forgotten(task, now):
            return False
        ended_at = self.read(task, now).ended_at
        return deactivated or ended_at is None or now < ended_at + self.settings.deactivate_after

    def _list(self, visit: Visit, tasks: Iterable[Execution]) -> Reply:
        shown = [self._show(task, visit.now) | ({"comments": task.comments} if task.comments else {}) for task in tasks]
        try:
            return json_reply(200, page(visit.call, select(visit.call, shown)))
        except ValueError as problem:
            return self.refuse(400, str(problem))

    def _show(self, task: Execution, now: float) -> dict[str, Any]:
        return show(task, self.read(task, now), now, self.settings.language)


def _pages(lines: list[str], size: int) -> list[dict[str, Any]]:
    chunks = [lines[start : start + size] for start in range(0, len(lines), size)]
    return [
        {"page": index, "content": html.escape("".join(f"{line}\r\n" for line in chunk))}
        for index, chunk in enumerate(chunks, 1)
    ]


def _content(call: Call) -> dict[str, Any] | None:
    try:
        content = call.json()
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _is_true(value: object) -> bool:
    """Booleans often travel as text."""
    return str(value).lower() == "true"


def _unix(text: object) -> float:
    return datetime.fromisoformat(str(text)).timestamp() if text else 0.0


_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


def _seconds(duration: object) -> float:
    """An ISO duration such as ``PT5M``."""
    found = _DURATION.fullmatch(str(duration or ""))
    if found is None:
        return 0.0
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
