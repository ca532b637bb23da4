"""Tasks and activities of the emulated Task Manager, and the language of its lists."""

from __future__ import annotations

import base64
import binascii
import json
import operator
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.sandbox.task import Task, TaskState, Vocabulary

from .topic import time_of

FIRST_ID = 2**53 + 1009
"""No float holds it, nor most of those that follow."""
ACTIVITY_OFFSET = 10**15

CODES: Mapping[str, Phase] = {
    "ok": Phase.SUCCEEDED,
    "warning": Phase.SUCCEEDED,
    "error": Phase.FAILED,
    "timedout": Phase.FAILED,
    "cancelled": Phase.CANCELLED,
    "abandoned": Phase.LOST,
}
STATES: Mapping[str, Phase] = {
    "enqueued": Phase.PENDING,
    "assigned": Phase.PENDING,
    "started": Phase.RUNNING,
    "paused": Phase.BLOCKED,
}
VOCABULARY = Vocabulary(
    outcomes={
        "success": "ok",
        "skipped": "ok",
        "failure": "error",
        "cancelled": "cancelled",
        "lost": "abandoned",
        "blocked": "paused",
        "unknown": "hibernating",
    },
    stages=((0.0, "enqueued"), (0.1, "assigned"), (0.2, "started")),
    phase=lambda status: {**STATES, **CODES}.get(status, Phase.UNKNOWN),
)

Item = Mapping[str, Any]


@dataclass(slots=True, kw_only=True, eq=False)
class AcronisTask(Task):
    """One task, as the Task Manager remembers it."""

    policy_id: str
    resource_id: str
    tenant_id: str
    user: str

    @property
    def uuid(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.ref))

    @property
    def activity_id(self) -> int:
        """A number of its own, far from those of tasks."""
        return ACTIVITY_OFFSET + int(self.ref)


def short(task: AcronisTask, reading: TaskState, now: float) -> dict[str, Any]:
    """A task as an entry of a list."""
    begun = task.begins_at if reading.status != "enqueued" else None
    times = {
        "assignedAt": begun,
        "startedAt": None if reading.status == "assigned" else begun,
        "completedAt": reading.ended_at,
    }
    content: dict[str, Any] = {
        "id": int(task.ref),
        "issuer": {"id": "policy-manager"},
        "state": "completed" if reading.is_ended else reading.status,
        "cancelRequested": False,
        "enqueuedAt": time_of(task.created_at),
        "updatedAt": time_of(reading.ended_at or now),
        **{name: time_of(seconds) for name, seconds in times.items() if seconds is not None},
        "assignCount": _assignments(task, now),
    }
    if reading.is_ended:
        content["result"] = _outcome(reading)
    if reading.status == "paused":
        content["blockers"] = [_blocker(task, reading)]
    return content


def full(task: AcronisTask, reading: TaskState, now: float) -> dict[str, Any]:
    """A task as it is read alone."""
    content = {
        **short(task, reading, now),
        "uuid": task.uuid,
        "tenant": {"id": "1", "uuid": task.tenant_id, "name": "Sandbox", "locator": "/1/"},
        "queue": "agents",
        "type": "policy.run",
        "priority": "normal",
        "tags": [],
        "cancellable": True,
        "policy": {"id": task.policy_id, "name": task.policy_id, "type": "policy.protection"},
        "resource": {"id": task.resource_id, "name": task.resource_id, "type": "resource.machine"},
        "startedByUser": task.user,
        "maxAssignCount": 1,
    }
    if task.rule.progress != "absent":
        content["progress"] = {"total": 100, "current": reading.progress}
    return content


def activity(task: AcronisTask, reading: TaskState, now: float) -> dict[str, Any]:
    """The one activity of a task."""
    whole = full(task, reading, now)
    shared = ("state", "tenant", "updatedAt", "type", "policy", "resource", "result", "startedAt", "completedAt")
    return {
        "id": task.activity_id,
        "taskId": whole["id"],
        "createdAt": whole["enqueuedAt"],
        "executor": {"id": "agent"},
        **{name: whole[name] for name in shared if name in whole},
    }


def _assignments(task: AcronisTask, now: float) -> int:
    """How often it was handed to an agent; a requeue brings one more."""
    stages = [float(seconds) for seconds, status in task.rule.stages if status == "started"]
    return len([one for one in stages if one <= task.elapsed(now)]) or 1


def _outcome(reading: TaskState) -> dict[str, Any]:
    result: dict[str, Any] = {"code": reading.status}
    if reading.status == "warning":
        result["warnings"] = [{"domain": "Sandbox", "code": "Remark", "message": reading.message or "It was slow."}]
    elif reading.status != "ok":
        result["error"] = {"domain": "Sandbox", "code": "Failed", "message": reading.message or "It did not work."}
    return result


def _blocker(task: AcronisTask, reading: TaskState) -> dict[str, Any]:
    issue = {"key": reading.message or "agent.needs_a_person", "context": {}}
    return {"id": 1, "taskId": int(task.ref), "tenant": {"id": "1", "uuid": task.tenant_id}, "issue": issue}


# --- lists

_VALUES: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("id", "uuid", "type", "queue", "priority", "workflowId", "state", "taskId")},
    "startedBy": ("startedByUser",),
    "resultCode": ("result", "code"),
    **{f"{what}{part.title()}": (what, part) for what in ("policy", "resource") for part in ("id", "name", "type")},
}
_TIMES = ("enqueuedAt", "assignedAt", "startedAt", "updatedAt", "completedAt", "createdAt")
_SHAPING = ("lod", "order", "allow_deleted")
_LEVELS = ("tiny", "short", "long", "full", "debug", "count")
_CALLED = re.compile(r"(or|like|gt|ge|lt|le|eq)\((.*)\)")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
}

Pairs = tuple[tuple[str, str], ...]


def select(items: Iterable[Item], query: Pairs, many_values: str) -> list[Item]:
    """The items that the filters of a query let through, in its order; ``ValueError`` where it cannot be read.

    :param many_values: ``both`` spellings, ``repeated`` ones only, or ``or`` only.
    """
    wanted: dict[str, list[str]] = {}
    for name, value in query:
        wanted.setdefault(name, []).append(value)
    if unknown := sorted(wanted.keys() - {*_VALUES, *_TIMES, *_SHAPING}):
        raise ValueError(f"unknown parameter {', '.join(unknown)}")
    if any(level not in _LEVELS for level in wanted.get("lod", ())):
        raise ValueError(f"lod must be one of {', '.join(_LEVELS)}")
    filters = [_filter(name, values, many_values) for name, values in wanted.items() if name not in _SHAPING]
    found = [item for item in items if all(holds(item) for holds in filters)]
    return _arranged(found, wanted.get("order", ["asc(id)"])[-1])


def page(items: list[Item], query: Pairs, limit: int, start: int) -> tuple[list[Item], dict[str, str]]:
    """One page of a list, and its cursors; they stand for the filters, too."""
    shown, cursors = items[start : start + limit], {}
    if start + limit < len(items):
        cursors["after"] = _cursor(query, start + limit)
    if start:
        cursors["before"] = _cursor(query, max(0, start - limit))
    return shown, cursors


def resume(cursor: str) -> tuple[Pairs, int]:
    """The filters and the place that a cursor stands for; ``ValueError`` where it is none."""
    try:
        query, start = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (binascii.Error, UnicodeDecodeError, TypeError) as cause:
        raise ValueError("after is not a cursor") from cause
    return tuple((name, value) for name, value in query), int(start)


def _cursor(query: Pairs, start: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([query, start]).encode()).decode()


def _filter(name: str, values: list[str], many_values: str) -> Callable[[Item], bool]:
    if name in _TIMES:
        comparisons = [_comparison(value) for value in values]
        return lambda item: all(holds(_moment(item.get(name))) for holds in comparisons)
    called = _CALLED.fullmatch(values[-1])
    if called is not None and called[1] == "like":
        return lambda item: called[2].strip("%*") in str(_member(item, name))
    if called is not None and called[1] == "or" and many_values != "repeated":
        values = called[2].split(",")
    elif many_values == "or":
        values = values[-1:]
    return lambda item: str(_member(item, name)) in values


def _comparison(text: str) -> Callable[[datetime | None], bool]:
    called = _CALLED.fullmatch(text)
    compare, value = (_COMPARE.get(called[1]), called[2]) if called else (operator.eq, text)
    moment = _moment(value)
    if compare is None or moment is None:
        raise ValueError(f"{text!r} is not a condition on a time, such as gt(2026-01-31T00:00:00Z)")
    return lambda seen: seen is not None and compare(seen, moment)


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(text)))
    except ValueError:
        return None


def _arranged(items: list[Item], order: str) -> list[Item]:
    found = re.fullmatch(r"(asc|desc)\((\w+)\)", order)
    if found is None or found[2] not in (*_VALUES, *_TIMES, "startedByUser"):
        raise ValueError(f"unknown order {order!r}")
    name = found[2]
    return sorted(items, key=lambda item: (str(type(item.get(name))), item.get(name) or 0), reverse=found[1] == "desc")


def _member(item: Item, name: str) -> Any:
    value: Any = item
    for part in _VALUES[name]:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
