"""A task as Acronis' Task Manager describes it, alone or in the short form of lists.

* https://developer.acronis.com/doc/resource-policy-management/v4/guide/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_taskwatch.core.phase import LazyMapping, Observation, Phase
from airflow_provider_taskwatch.core.refusal import summary
from airflow_provider_taskwatch.systems.moment import moment, seconds_between

STATES: Mapping[str, Phase] = {
    "enqueued": Phase.PENDING,
    "assigned": Phase.PENDING,
    "started": Phase.RUNNING,
    "paused": Phase.BLOCKED,
}
CODES: Mapping[str, Phase] = {
    "ok": Phase.SUCCEEDED,
    "warning": Phase.SUCCEEDED,
    "error": Phase.FAILED,
    "timedout": Phase.FAILED,
    "cancelled": Phase.CANCELLED,
    "abandoned": Phase.LOST,
}
"""Result codes of completed tasks."""

COMPLETED = "completed"
WARNING = f"{COMPLETED}, warning"
"""The status of a task that has ended with warnings."""

_ID = re.compile(r"0*([1-9][0-9]{0,18})")
_TOTAL_LIMIT = 10**18
_RESULT = ("type", "queue", "priority", "workflowId", "cancelRequested", "assignCount")
_TIMES = ("enqueuedAt", "assignedAt", "startedAt", "updatedAt", "completedAt")
_ABOUT = ("id", "name", "type")


def task_id(value: object) -> str | None:
    """The id of a task from a number or a string; None if it is neither. Ids exceed 2^53."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None  # a float has lost the last digits
    matched = _ID.fullmatch(str(value).strip()) if not isinstance(value, int) or 0 < value < 10**19 else None
    return matched[1] if matched else None


def id_in(content: Mapping[str, Any]) -> str | None:
    """The id in a task or in an entry of a list. Some repeat it as a string."""
    return task_id(content.get("idString")) or task_id(content.get("id"))


def read_task(ref: str, content: Mapping[str, Any]) -> Observation:
    """The observation in a task, whether it was read alone or is an entry of a list."""
    state, code = _text(content.get("state")), _text(_inside(content, "result").get("code"))
    ended = moment(content.get("completedAt"))
    return Observation(
        ref=ref,
        phase=phase_of(state, code, is_blocked=bool(content.get("blockers"))),
        status=", ".join(filter(None, (state, code if state == COMPLETED else ""))),
        progress=_progress(_inside(content, "progress")),
        message=_message(content),
        ended_at=ended.timestamp() if ended else None,
        result=LazyMapping(lambda: _result(ref, content)),
        personal=LazyMapping(lambda: _personal(content)),
    )


def phase_of(state: str, code: str, *, is_blocked: bool) -> Phase:
    """The phase of a state, and of the result code of a completed task."""
    if state == COMPLETED:
        return CODES.get(code, Phase.UNKNOWN)
    return Phase.BLOCKED if is_blocked else STATES.get(state, Phase.UNKNOWN)


def _result(ref: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The XCom. What the Task Manager omits is None. ``duration`` is in seconds."""
    result, tenant = _inside(content, "result"), _inside(content, "tenant")
    return {
        "id": ref,
        "uuid": content.get("uuid"),
        "state": content.get("state"),
        "code": result.get("code"),
        **{name: content.get(name) for name in (*_RESULT, *_TIMES)},
        "duration": seconds_between(content.get("startedAt"), content.get("completedAt")),
        "policy": _about(content, "policy"),
        "resource": _about(content, "resource"),
        "tenant": tenant.get("uuid") or tenant.get("id"),
        "error": result.get("error"),
        "warnings": result.get("warnings"),
        "payload": result.get("payload"),
    }


def _about(content: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    found = _inside(content, name)
    return {key: found.get(key) for key in _ABOUT} if found else None


def _personal(content: Mapping[str, Any]) -> dict[str, Any]:
    people = {
        "startedByUser": content.get("startedByUser"),
        "tenant_name": _inside(content, "tenant").get("name"),
    }
    return {name: value for name, value in people.items() if value is not None}


def _message(content: Mapping[str, Any]) -> str:
    """The error, the warnings, or what the task waits for."""
    result = _inside(content, "result")
    stated = result.get("error") or result.get("warnings") or _blockers(content) or ""
    asked = "its cancellation was asked for" if content.get("cancelRequested") is True and not stated else ""
    return summary(stated) or asked


def _blockers(content: Mapping[str, Any]) -> list[object]:
    blockers = content.get("blockers")
    found = blockers if isinstance(blockers, list) else [blockers]
    return [_inside(one, "issue").get("key", one) if isinstance(one, Mapping) else one for one in found if one]


def _progress(progress: Mapping[str, Any]) -> float | None:
    """The progress in percent; None if the numbers are implausible."""
    total, current = progress.get("total"), progress.get("current")
    if not isinstance(total, (int, float)) or not isinstance(current, (int, float)):
        return None
    return round(100 * current / total, 1) if 0 <= current <= total and 0 < total < _TOTAL_LIMIT else None


def _inside(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object in a member; empty if it is anything else."""
    value = content.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return summary(value) if value is not None else ""
