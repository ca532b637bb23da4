"""Acronis Cyber Protect Cloud: tasks of the Task Manager, watched by their ids, many in one request.

* Tasks: https://developer.acronis.com/doc/resource-policy-management/v4/guide/ and the Task Manager's API reference
* Tokens: https://developer.acronis.com/doc/account-management/v2/guide/getting-started/authentication
* Events: see :mod:`.event`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError, NotFoundError, RemoteError
from airflow_provider_taskwatch.core.flow import ONCE, Flow, Retry, ask, ask_json, read_object, unreadable
from airflow_provider_taskwatch.core.phase import Observation, Phase, absent
from airflow_provider_taskwatch.core.plain import members, plain
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.system import Options, SystemDefaults, safe_ref
from airflow_provider_taskwatch.core.wire import Call, Reply, get, segment, send

from .event import TOPICS
from .task import WARNING, id_in, read_task, task_id

TASKS = "/api/task_manager/v2/tasks"
ACTIVITIES = "/api/task_manager/v2/activities"
RUN_POLICY = "/api/policy_management/v4/applications/run"

PAGE_ENTRIES = 100
"""Ids per request: 100 ids of 20 digits make an address of 2,500 characters."""

_OPTIONS = ("fail_on_warnings",)
_SELECTOR = "tasks"
_READ_RETRY = Retry(attempts=3)


def from_settings(settings: Settings) -> Acronis:
    """The system behind a connection of the type ``acronis``."""
    return Acronis(many_values=settings.own.get("many_values") or "repeated")


class Acronis(SystemDefaults):
    """Reads tasks of the Task Manager. Its public part has no cancel, and tasks carry no marker.

    Option of a watch: ``fail_on_warnings``: true if an end with warnings is a failure.

    :param many_values: the syntax of a filter with several values: ``repeated``, or ``or``.
    """

    name = "acronis"
    noun = "task"

    def __init__(self, *, many_values: str = "repeated") -> None:
        self._filter = _FILTERS[many_values]

    def check_ref(self, ref: str) -> str:
        task = task_id(ref)
        if task is None:
            raise ConfigurationError(
                f"{ref!r:.80} is not a {self.noun} id: it must be a whole number greater than 0, such as the subject "
                "of a task's event; give it as a string, as floats lose its last digits"
            )
        return task

    def check_options(self, options: Options) -> None:
        """Raise :class:`ConfigurationError` for an unknown option."""
        if unknown := sorted(set(options) - set(_OPTIONS)):
            raise ConfigurationError(f"unknown option {', '.join(unknown)}; known are {', '.join(_OPTIONS)}")

    def observe(self, ref: str) -> Flow[Observation]:
        try:
            content = yield from ask_json(get(f"{TASKS}/{segment(ref)}"))
        except NotFoundError:
            return absent(ref)
        return read_task(ref, content)

    def selector(self, options: Options) -> str:
        return _SELECTOR

    def observe_many(self, selector: str, refs: Sequence[str]) -> Flow[Mapping[str, Observation]]:
        """Read the tasks that have not ended from lists, which hold the short form. Ended tasks get a single read."""
        seen: dict[str, Observation] = {}
        for first in range(0, len(refs), PAGE_ENTRIES):
            wanted = refs[first : first + PAGE_ENTRIES]
            entries = yield from self._list(TASKS, {"id": wanted}, len(wanted))
            named = {id_in(one): one for one in entries}
            seen |= {ref: read_task(ref, named[ref]) for ref in wanted if ref in named}
        return {ref: one for ref, one in seen.items() if not one.phase.is_final}

    def understand(self, seen: Observation, options: Options) -> Observation:
        if seen.status == WARNING and options.get("fail_on_warnings"):
            return replace(seen, phase=Phase.FAILED)
        return seen

    def probe(self) -> Flow[str]:
        """Read from both services, as a client may have the scopes of one of them only."""
        findings, closed = [], []
        for noun, call in _PROBES.items():
            try:
                yield from ask(call)
                findings.append(f"{noun} can be read")
            except RemoteError as error:
                if error.status != 403:
                    raise
                closed.append(error)
                findings.append(f"{noun} are closed to this client: {error.message}")
        if len(closed) == len(_PROBES):
            raise closed[0]
        return "; ".join(findings)

    def task(self, ref: str) -> Flow[dict[str, Any]]:
        """One task, as the Task Manager describes it."""
        return ask_json(get(f"{TASKS}/{segment(self.check_ref(ref))}"), retry=_READ_RETRY)

    def tasks(self, limit: int, filters: Mapping[str, Any]) -> Flow[list[dict[str, Any]]]:
        """Tasks by the vendor's filters, page by page."""
        return self._list(TASKS, filters, limit, _READ_RETRY)

    def activity(self, activity: str | int) -> Flow[dict[str, Any]]:
        """One activity (a part of a task). The vendor's ids are whole numbers."""
        ref = task_id(activity) or safe_ref(activity, "activity")
        return ask_json(get(f"{ACTIVITIES}/{segment(ref)}"), retry=_READ_RETRY)

    def activities(self, limit: int, filters: Mapping[str, Any]) -> Flow[list[dict[str, Any]]]:
        """Activities by the vendor's filters, page by page."""
        return self._list(ACTIVITIES, filters, limit, _READ_RETRY)

    def run_policy(self, policy_id: str, resource_ids: Sequence[str]) -> Flow[str]:
        """Start a protection plan on resources, and return the server's time of the reply, which names no task.

        ``tasks(policyId=..., resourceId=..., enqueuedAt="gt(<shortly before that time>)")`` finds the tasks.
        """
        many = members(resource_ids)
        resources = plain("resource_ids", [resource_ids] if many is None else many)
        content = {"state": "running", "policy_id": policy_id, "context_ids": resources}
        reply = yield from ask(send("PUT", RUN_POLICY, content))
        return reply.headers.get("date", "")

    def _list(
        self, path: str, filters: Mapping[str, Any], limit: int, retry: Retry = ONCE
    ) -> Flow[list[dict[str, Any]]]:
        """At most ``limit`` entries of a list. A reply without a list is an error and not an empty list."""
        found: list[dict[str, Any]] = []
        query = {name: self._filter(value) for name, value in filters.items()}
        while True:
            call = get(path, {**query, "limit": min(limit, PAGE_ENTRIES)})
            entries, after = _page(call, (yield from ask(call, retry=retry)))
            found += entries
            if not entries or not after or len(found) >= limit:
                return found[:limit]
            query = {"after": after}  # the cursor includes the filters


def _page(call: Call, reply: Reply) -> tuple[list[dict[str, Any]], str]:
    """The entries of one page, and the cursor of the next one; empty if there is none."""
    content = read_object(call, reply)
    items = content.get("items")
    if not isinstance(items, list):
        raise unreadable(call, reply, "holds no list of items")
    return [one for one in items if isinstance(one, dict)], _after(content) or _after(_inside(content, "paging"))


def _after(content: Mapping[str, Any]) -> str:
    """The cursor of the next page: at the top by the vendor's API description, inside ``paging`` by its samples."""
    after = _inside(content, "cursors").get("after")
    return after if isinstance(after, str) else ""


def _inside(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = content.get(name)
    return value if isinstance(value, Mapping) else {}


def _repeated(value: Any) -> Any:
    many = members(value)
    return value if many is None else [str(one) for one in many]


def _or(value: Any) -> Any:
    many = _repeated(value)
    return f"or({','.join(many)})" if isinstance(many, list) and len(many) > 1 else many


_FILTERS: Mapping[str, Callable[[Any], Any]] = {"repeated": _repeated, "or": _or}
_PROBES = {"tasks": get(TASKS, {"limit": 1}), "topics of events": get(TOPICS)}
