"""An execution as an Automation Engine describes it, alone or as an entry of a list.

* https://docs.automic.com/documentation/webhelp/english/ALL/components/DOCU/12.3/Automic%20Automation%20Guides/Content/REST_API/AE_REST_API_GeneralInfo.htm
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_taskwatch.core.phase import LazyMapping, Observation, Phase
from airflow_provider_taskwatch.core.system import unquoted
from airflow_provider_taskwatch.core.text import shortened
from airflow_provider_taskwatch.systems.moment import moment, seconds_between

from .status import PHASES, TEXTS, number_of, phase_of

_RUN_ID = re.compile(r"0*([1-9][0-9]{0,18})")
_PEOPLE = ("user", "activator")
_RESULT = (
    "name",
    "alias",
    "title",
    "type",
    "status_text",
    "runtime",
    "estimated_runtime",
    "activation_time",
    "start_time",
    "end_time",
    "reference_run_id",
    "parent",
    "queue",
    "agent",
    "platform",
    "priority",
    "archive_key1",
    "archive_key2",
)


def read_execution(ref: str, content: Mapping[str, Any]) -> Observation:
    """The observation in an execution, whether it was read alone or is an entry of a list."""
    number = number_of(content.get("status"))
    return Observation(
        ref=ref,
        phase=phase_of(number),
        status=text_of(content.get("status")) if number is None else str(number),
        message=_message(number, content),
        elapsed_seconds=_seconds(content.get("runtime")),
        expected_seconds=_seconds(content.get("estimated_runtime")),
        ended_at=_epoch(content.get("end_time")),
        result=LazyMapping(lambda: _result(ref, number, content)),
        personal=LazyMapping(lambda: {name: content[name] for name in _PEOPLE if content.get(name) is not None}),
    )


def _result(ref: str, number: int | None, content: Mapping[str, Any]) -> dict[str, Any]:
    """The XCom. What the engine omits is None. ``duration`` and ``runtime`` are in seconds."""
    return {
        "run_id": int(ref),
        "status": content.get("status") if number is None else number,
        "duration": seconds_between(content.get("start_time"), content.get("end_time")),
        **{name: content.get(name) for name in _RESULT},
    }


def _message(number: int | None, content: Mapping[str, Any]) -> str:
    known = "" if number is None else TEXTS.get(number, "")
    return text_of(content.get("status_text")) or known


def with_doubt(seen: Observation, number: int) -> Observation:
    """The observation; its message says so where the vendor does not list the status number."""
    if number in PHASES:
        return seen
    meaning = "its meaning is not known" if seen.phase is Phase.UNKNOWN else f"by its range it counts as {seen.phase}"
    return replace(seen, message=f"{seen.message} (the vendor does not list status {number}; {meaning})".strip())


def agrees(seen: Observation, name: str, expected: str) -> bool:
    """Whether an entry of a list has the property that was asked for.

    An engine that does not know a filter ignores it. A property that the list leaves out counts as agreeing.
    """
    value = seen.result[name]
    return value is None or text_of(value).casefold() == expected.casefold()


def run_id(value: object) -> str | None:
    """A run id without zero padding, from a number or a string; None if it is none."""
    if type(value) is int and 0 < value < 10**19:
        return str(value)
    matched = _RUN_ID.fullmatch(unquoted(str(value))) if isinstance(value, (str, int)) else None
    return matched[1] if matched else None


def _epoch(value: object) -> float | None:
    ended = moment(value) if value else None
    return ended.timestamp() if ended else None


def _seconds(value: object) -> float | None:
    number = number_of(value)
    return None if number is None else float(number)


def text_of(value: object) -> str:
    """A value as a text, whatever its type; empty where there is none."""
    if value is None:
        return ""
    return value if isinstance(value, str) else str(shortened(value))
