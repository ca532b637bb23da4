"""Why an execution has ended badly: its failed children, its last messages and its report.

* https://docs.automic.com/documentation/webhelp/english/ALL/components/DOCU/12.3/Automic%20Automation%20Guides/Content/REST_API/AE_REST_API_GeneralInfo.htm
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any, TypeVar

from airflow_provider_taskwatch.core.error import NotFoundError, RemoteError, ReplyError, TransportError
from airflow_provider_taskwatch.core.flow import Flow, ask_json
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.text import TEXT_CHARACTERS, line, printable
from airflow_provider_taskwatch.core.wire import get

from .execution import text_of
from .listing import read_list, read_page
from .status import number_of

T = TypeVar("T")

SHOWN_CHILDREN = 5
MESSAGE_LINES = 5

_NOT_RUN = "1802"
_CONTAINERS = ("JOBP", "JOBG", "JSCH", "C_HOSTG", "C_PERIOD")
_TROUBLE = (Phase.FAILED, Phase.CANCELLED, Phase.LOST, Phase.BLOCKED)


def explain(path: str, ref: str, report_tail: int) -> Flow[str]:
    """The failed children, the last messages and the tail of the report, as far as the engine shows them.

    :param path: of the client's executions.
    :param report_tail: how many lines of the report; 0: none.
    """
    parts = {
        "failed or blocked children": (yield from _or_nothing(_troubled_children(path, ref))),
        "last messages": (yield from _or_nothing(_tail(f"{path}/{ref}", "ACT", MESSAGE_LINES))),
        "report": (yield from _or_nothing(_report(f"{path}/{ref}", report_tail))) if report_tail > 0 else [],
    }
    return "\n".join(f"{title}:\n  " + "\n  ".join(lines) for title, lines in parts.items() if lines)


def _troubled_children(path: str, ref: str) -> Flow[list[str]]:
    """The children that are failed or blocked, and those of a nested workflow below it."""
    lines: list[str] = []
    for child in (yield from _trouble_below(path, ref))[:SHOWN_CHILDREN]:
        lines.append(_summary(child))
        if child.result["type"] in _CONTAINERS and len(lines) < SHOWN_CHILDREN:
            nested = yield from _or_nothing(_trouble_below(path, child.ref))
            lines += [f"  {_summary(one)}" for one in nested]
    return lines[:SHOWN_CHILDREN]


def _trouble_below(path: str, ref: str) -> Flow[list[Observation]]:
    """The first to fail first; those that were not run because of it last."""
    page, _ = yield from read_list(f"{path}/{ref}/children")
    trouble = [one for one in read_page(page).values() if one.phase in _TROUBLE]
    return sorted(trouble, key=lambda one: (one.status == _NOT_RUN, int(one.ref)))


def _summary(seen: Observation) -> str:
    """One execution on one line: name, run id, status and its text."""
    return line(f"{text_of(seen.result['name'])} ({seen.ref}): {seen.status} {seen.message}")


def _report(path: str, lines: int) -> Flow[list[str]]:
    try:
        return (yield from _tail(path, "REP", lines))
    except NotFoundError:
        return (yield from _tail(path, "LOG", lines))


def _tail(path: str, kind: str, lines: int) -> Flow[list[str]]:
    """The last lines of a report. Of a report of several pages, the last two are read.

    :param path: of the execution.
    """
    path = f"{path}/reports/{kind}"
    content = yield from ask_json(get(path))
    pages = number_of(content.get("total"))
    if content.get("hasmore") and pages:
        last = yield from ask_json(get(path, {"start_at": max(1, pages - 1), "max_results": 2}))
        content = last if last.get("data") else content
    return [printable(one[:TEXT_CHARACTERS]) for one in _lines(content)[-lines:]]


def _lines(content: Mapping[str, Any]) -> list[str]:
    """The lines of a report's pages, which come HTML-entity encoded and with CRLF."""
    data = content.get("data")
    pages = [one for one in data if isinstance(one, Mapping)] if isinstance(data, list) else []
    text = "\n".join(html.unescape(text_of(one.get("content"))) for one in pages)
    return [one.rstrip() for one in text.splitlines() if one.strip()]


def _or_nothing(flow: Flow[list[T]]) -> Flow[list[T]]:
    """What the flow finds, or nothing where the engine does not answer: an explanation never hides a failure."""
    try:
        return (yield from flow)
    except (RemoteError, ReplyError, TransportError):
        return []
