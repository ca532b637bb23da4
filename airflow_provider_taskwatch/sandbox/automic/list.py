"""The filters and the paging of Automic's execution lists, with their quirks.

https://docs.automic.com, "Filter for Execution List" and "Pagination for Child Task Executions and Execution
Lists". Two quirks are known from users: a name with ``#`` matches nothing, and a range of statuses
(``1900-1999``) is accepted and then the whole status filter is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_provider_taskwatch.core import glob
from airflow_provider_taskwatch.core.wire import Call
from airflow_provider_taskwatch.sandbox.answer import number, value, values

Execution = Mapping[str, Any]
"""An execution object as the API shows it."""

Filter = Callable[[Execution], bool]

PAGE_SIZE = 50


def select(call: Call, executions: Sequence[Execution]) -> list[Execution]:
    """The executions that all filters of the call let through; ``ValueError`` for a malformed one."""
    filters = [make(call, name) for name, make in _FILTERS.items() if value(call, name)]
    return [one for one in executions if all(holds(one) for holds in (*filters, _within(call)))]


def shortlist(call: Call) -> Filter:
    """The filters on what never changes, so that few of many executions need to be looked at closely."""
    filters = [_FILTERS[name](call, name) for name in ("name", "alias") if value(call, name)]
    return lambda one: all(holds(one) for holds in filters)


def page(call: Call, executions: list[Execution]) -> dict[str, Any]:
    """One page, newest first: those behind the run id ``start_at_run_id``, which are smaller ones."""
    newest_first = sorted(executions, key=lambda one: (one["activation_time"], one["run_id"]), reverse=True)
    last, size = number(call, "start_at_run_id", 0), number(call, "max_results", PAGE_SIZE)
    ids = [one["run_id"] for one in newest_first]
    if last in ids:
        rest = newest_first[ids.index(last) + 1 :]
    else:
        rest = [one for one in newest_first if not last or one["run_id"] < last]
    return {"total": len(executions), "data": rest[:size], "hasmore": len(rest) > size}


def flag(call: Call, name: str) -> bool:
    """A boolean query parameter."""
    return value(call, name).lower() == "true"


def _text(call: Call, name: str) -> Filter:
    """A pattern with ``*``; ``<name>_exclude`` turns it round (or names what to leave out)."""
    pattern = value(call, name)
    if name == "name" and "#" in pattern:
        return lambda one: False
    wanted, like = not flag(call, f"{name}_exclude"), _like(pattern)
    return lambda one: like(one.get(name)) is wanted


def _excluded(call: Call, name: str) -> Filter:
    pattern = value(call, name)
    if pattern.lower() in ("true", "false"):
        return lambda one: True
    field, like = name.removesuffix("_exclude"), _like(pattern)
    return lambda one: not like(one.get(field))


def _any_of(call: Call, name: str) -> Filter:
    wanted = values(call, name)
    return lambda one: str(one.get(name, "")) in wanted


def _status(call: Call, name: str) -> Filter:
    wanted = values(call, name)
    if any("-" in one for one in wanted):
        return lambda one: True
    return lambda one: str(one["status"]) in wanted


def _number(call: Call, name: str) -> Filter:
    wanted = int(value(call, name))
    return lambda one: one.get(name, 0) == wanted


def _only(call: Call, name: str) -> Filter:
    field = {"commented_only": "comments", "modified_only": "modified"}[name]
    return lambda one: not flag(call, name) or bool(one.get(field))


def _like(pattern: str) -> Callable[[object], bool]:
    return lambda text: text is not None and glob.matches(pattern, str(text))


_FILTERS: Mapping[str, Callable[[Call, str], Filter]] = {
    "name": _text,
    "name_exclude": _excluded,
    "alias": _text,
    "type": _any_of,
    "status": _status,
    "agent": _text,
    "agent_exclude": _excluded,
    "platform": _any_of,
    "queue": _any_of,
    "user": _text,
    "user_exclude": _excluded,
    "archive_key1": _text,
    "archive_key1_exclude": _excluded,
    "archive_key2": _text,
    "archive_key2_exclude": _excluded,
    "run_id": _number,
    "reference_run_id": _number,
    "remote_status_number": _number,
    "remote_status_text": _text,
    "commented_only": _only,
    "modified_only": _only,
}
"""``zdu_version`` and ``sync_usage`` are accepted and change nothing here."""

_TIME_FIELDS = {
    "activation": ("activation_time",),
    "start": ("start_time",),
    "end": ("end_time",),
    "all": ("activation_time", "start_time", "end_time"),
}


def _within(call: Call) -> Filter:
    """Any of the times that ``time_frame_option`` names lies between ``time_frame_from`` and ``_to``."""
    first, last = _moment(value(call, "time_frame_from")), _moment(value(call, "time_frame_to"))
    if first is None and last is None:
        return lambda one: True
    option = value(call, "time_frame_option", "all")
    if option not in _TIME_FIELDS:
        raise ValueError(f"unknown time_frame_option {option!r}")

    def holds(one: Execution) -> bool:
        times = (_moment(one.get(field, "")) for field in _TIME_FIELDS[option])
        return any(
            time is not None and (first is None or first <= time) and (last is None or time <= last) for time in times
        )

    return holds


def _moment(text: str) -> datetime | None:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z") if text else None
