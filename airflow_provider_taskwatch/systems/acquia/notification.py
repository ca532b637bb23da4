"""The observation in a notification of Acquia Cloud.

* https://docs.acquia.com/acquia-cloud-platform/scripting-api-tasks-notification-parameter
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_taskwatch.core.phase import LazyMapping, Observation, Phase
from airflow_provider_taskwatch.core.text import LINE_CHARACTERS, shortened
from airflow_provider_taskwatch.systems.moment import seconds_between

PHASES: Mapping[str, Phase] = {
    "in-progress": Phase.RUNNING,
    "started": Phase.RUNNING,
    "completed": Phase.SUCCEEDED,
    "succeeded": Phase.SUCCEEDED,  # the vendor's sample script
    "complete": Phase.SUCCEEDED,  # bulk code switch
    "failed": Phase.FAILED,
    "error": Phase.FAILED,
}

_RESULT = ("event", "label", "description", "status", "created_at", "started_at", "completed_at")
_CONTEXT = ("application", "environment", "database", "organization", "team", "subscription", "role")
_CONTEXT_IDS = ("uuids", "ids", "names", "uuid", "id", "name")
_PEOPLE = ("author", "user")


def read_notification(ref: str, content: Mapping[str, Any]) -> Observation:
    """The observation in a notification. Only ``status`` says whether the task has ended."""
    phase = phase_of(content.get("status"))
    message = content.get("message") or content.get("description") or content.get("label")
    return Observation(
        ref=ref,
        phase=phase,
        status=_text(content.get("status")),
        progress=_progress(content.get("progress")),
        message=_text(message),
        result=LazyMapping(lambda: _result(ref, content, phase)),
        personal=LazyMapping(lambda: _personal(content)),
    )


def phase_of(status: object) -> Phase:
    """Our word for a status in any of its spellings (``in-progress``, ``in_progress``, ``In Progress``)."""
    word = status.strip().lower() if isinstance(status, str) else ""
    return PHASES.get(word.replace("_", "-").replace(" ", "-"), Phase.UNKNOWN)


def _result(ref: str, content: Mapping[str, Any], phase: Phase) -> dict[str, Any]:
    """The XCom. ``duration`` is in seconds, from ``started_at`` (or ``created_at``) to ``completed_at``."""
    begun = content.get("started_at") or content.get("created_at")
    return {
        "uuid": content.get("uuid") or ref,
        **{name: content.get(name) for name in _RESULT},
        "progress": _progress(content.get("progress")),
        "duration": seconds_between(begun, content.get("completed_at")) if phase.is_final else None,
        "context": {name: ids for name in _CONTEXT if (ids := _context_ids(content, name))},
    }


def _context_ids(content: Mapping[str, Any], name: str) -> list[str]:
    found = (member_of(content, "context", name, key) for key in _CONTEXT_IDS)
    ids: object = next(filter(None, found), [])
    return [str(one) for one in (ids if isinstance(ids, list) else [ids]) if isinstance(one, (str, int))]


def _personal(content: Mapping[str, Any]) -> dict[str, Any]:
    people = {name: member_of(content, "context", name) for name in _PEOPLE}
    people["embedded_author"] = member_of(content, "_embedded", "author")
    return {name: value for name, value in people.items() if value is not None}


def _progress(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if 0 <= value <= 100 else None


def _text(value: object) -> str:
    """Any JSON value as text of at most 500 characters."""
    if value is None:
        return ""
    return (value if isinstance(value, str) else json.dumps(shortened(value)))[:LINE_CHARACTERS]


def member_of(content: Mapping[str, Any], *names: str) -> Any:
    """A member of nested objects; None if any of them is missing."""
    value: Any = content
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
