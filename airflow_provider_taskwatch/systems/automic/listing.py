"""Lists of an Automation Engine's executions: what they find, and what they do not.

* https://docs.automic.com/documentation/webhelp/english/ALL/components/DOCU/12.3/Automic%20Automation%20Guides/Content/REST_API/AE_REST_API_GeneralInfo.htm
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_taskwatch.core.flow import Flow, ask, read_object, unreadable
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.wire import get

from .execution import agrees, read_execution, run_id
from .status import PHASES

Page = tuple[dict[int, Mapping[str, Any]], bool]
"""Executions by run id, in the order of the list (newest first), and whether there are more."""

PAGE_ENTRIES = 500

_WAITING = (Phase.PENDING, Phase.RUNNING, Phase.BLOCKED)
_WAITING_STATUSES = ",".join(str(number) for number, phase in PHASES.items() if phase in _WAITING)


def read_waiting(path: str, alias: str, refs: Sequence[str]) -> Flow[Mapping[str, Observation]]:
    """Those of many executions that have not ended, from lists. An ended one is left out: it gets a full reading.

    :param path: of the client's executions.
    :param alias: a filter that finds all of them.
    """
    wanted = {int(ref): ref for ref in refs}
    oldest, start = min(wanted), max(wanted) + 1
    seen: dict[int, Mapping[str, Any]] = {}
    for _ in range(max(1, len(refs) // 10)):
        page, has_more = yield from _search(path, alias=alias, status=_WAITING_STATUSES, start_at_run_id=start)
        is_stale = page.keys() <= seen.keys()
        seen |= page
        if not has_more or is_stale or wanted.keys() <= seen.keys() or min(page) < oldest:
            break
        start = [*page][-1]
    found = {ref: read_execution(ref, seen[run]) for run, ref in wanted.items() if run in seen}
    return {ref: one for ref, one in found.items() if one.phase in _WAITING}


def find_alias(path: str, alias: str) -> Flow[str | None]:
    """The first execution with an alias. A filter must not hold ``#``, so the part behind it is asked for."""
    pattern = f"*{alias.rpartition('#')[2]}" if "#" in alias else alias
    page, _ = yield from _search(path, alias=pattern)
    found = [run for run, one in read_page(page).items() if agrees(one, "alias", alias)]
    return str(min(found)) if found else None


def find_restart(path: str, ref: str) -> Flow[str | None]:
    """The last execution that restarted an ended one."""
    page, _ = yield from _search(path, reference_run_id=ref)
    others = ((run, one) for run, one in read_page(page).items() if run != int(ref))
    restarts = [run for run, one in others if agrees(one, "reference_run_id", ref)]
    return str(max(restarts)) if restarts else None


def newest(path: str, limit: int, filters: Mapping[str, str | int | bool]) -> Flow[list[dict[str, Any]]]:
    """The newest executions that match the filters, as the engine describes them; page by page."""
    found: dict[int, Mapping[str, Any]] = {}
    query = dict(filters)
    while len(found) < limit:
        page, has_more = yield from read_list(path, **query)
        is_stale = page.keys() <= found.keys()
        found |= page
        if is_stale or not has_more:
            break
        query["start_at_run_id"] = [*page][-1]
    return [dict(one) for one in found.values()][:limit]


def read_list(path: str, **query: str | int) -> Flow[Page]:
    """One page of a list. A reply without a list is an error and not an empty page."""
    call = get(path, {**query, "max_results": PAGE_ENTRIES})
    reply = yield from ask(call)
    content = read_object(call, reply)
    if not isinstance(content.get("data"), list):
        raise unreadable(call, reply, "holds no list of executions")
    entries = (one for one in content["data"] if isinstance(one, Mapping))
    page = {int(run): one for one in entries if (run := run_id(one.get("run_id")))}
    return page, bool(content.get("hasmore"))


def read_page(page: Mapping[int, Mapping[str, Any]]) -> dict[int, Observation]:
    """The readings of a page's executions."""
    return {run: read_execution(str(run), one) for run, one in page.items()}


def _search(path: str, **filters: str | int) -> Flow[Page]:
    """Executions by filters, deactivated ones included."""
    return read_list(path, include_deactivated=True, **filters)
