"""Automic Automation Engine REST API: an object is started; its execution has a run id and a status number.

* https://docs.automic.com/documentation/webhelp/english/ALL/components/DOCU/12.3/Automic%20Automation%20Guides/Content/REST_API/AE_REST_API_GeneralInfo.htm
* https://docs.automic.com/documentation/WEBHELP/English/all/components/DOCU/21.0.5/Automic%20Automation%20Guides/Content/REST_API/AE_REST_API_General_PollingCallback.htm
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from airflow_provider_taskwatch.core.callback import Callback
from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    NotFoundError,
    RemoteError,
    ReplyError,
    TransportError,
)
from airflow_provider_taskwatch.core.flow import PATIENT, Flow, Retry, ask, ask_json, read_object, unreadable
from airflow_provider_taskwatch.core.phase import Observation, Phase, absent
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.start import Started
from airflow_provider_taskwatch.core.system import Effect, Options, SystemDefaults, safe_ref
from airflow_provider_taskwatch.core.text import TEXT_CHARACTERS, printable
from airflow_provider_taskwatch.core.wire import get, segment, send

from .callback import read_callback
from .execution import agrees, read_execution, report_lines, run_id, summary
from .request import input_problem
from .status import PHASES, expand, number_of

Page = tuple[dict[int, Mapping[str, Any]], bool]
"""Executions by run id, in the order of the list (newest first), and whether there are more."""

PAGE_ENTRIES = 500
SHOWN_CHILDREN = 5
MESSAGE_LINES = 5

_ENDED_ALREADY = "11191"
_NOT_RUN = "1802"
_MARKER = re.compile(r"([^#*]+)-[0-9a-f]{12}")
_MARK = re.compile(r"-[0-9a-f]{12}\Z")
_CONTAINERS = ("JOBP", "JOBG", "JSCH", "C_HOSTG", "C_PERIOD")
_TROUBLE = (Phase.FAILED, Phase.CANCELLED, Phase.LOST, Phase.BLOCKED)
_WAITING = (Phase.PENDING, Phase.RUNNING, Phase.BLOCKED)
_WAITING_STATUSES = ",".join(str(number) for number, phase in PHASES.items() if phase in _WAITING)
_OPTIONS = ("success_statuses", "skip_statuses", "alias", "follow_restarts", "report_tail", "cancel_children")


def from_settings(settings: Settings) -> Automic:
    """The system behind a connection of the type ``automic``."""
    return Automic(client=settings.own.get("client") or "")


class Automic(SystemDefaults):
    """Starts, reads and cancels executions of one client of an Automation Engine.

    Options of a watch:

    * ``success_statuses``, ``skip_statuses``: lists of status numbers and of the vendor's group names;
    * ``alias``: the whole alias that marks the execution; those whose aliases begin alike are read together;
    * ``follow_restarts``: true to go on with the execution that restarts an ended one;
    * ``cancel_children``: false to leave the children of a cancelled execution running;
    * ``report_tail``: how many last lines of the report belong into the explanation of a failure.

    :param client: as the paths shall hold it; empty for paths without it.
    """

    name = "automic"
    noun = "execution"
    can_cancel = True
    keeps_marker = True

    def __init__(self, *, client: str = "") -> None:
        self._client = client and safe_ref(client, "client")

    def check_ref(self, ref: str) -> str:
        run = run_id(ref)
        if run is None:
            raise ConfigurationError(
                f"{ref!r:.80} is not an {self.noun} id: it must be a number greater than 0, of at most 19 digits; "
                "give the run id that the start returned"
            )
        return run

    def id_space(self, settings: Settings) -> str:
        client = self._client.lstrip("0") or self._client
        return f"{super().id_space(settings)} client {client}" if client else super().id_space(settings)

    def is_own(self, seen: Observation, options: Options) -> bool:
        """By the random end of the alias: what stands before it may differ from attempt to attempt."""
        alias, mark = seen.result.get("alias"), _MARK.search(options.get("alias") or "")
        return mark is None or not alias or str(alias).casefold().endswith(mark[0])

    def check_options(self, options: Options) -> None:
        """Raise :class:`ConfigurationError` for an unknown option, status or group name."""
        if unknown := sorted(set(options) - set(_OPTIONS)):
            raise ConfigurationError(f"unknown option {', '.join(unknown)}; known are {', '.join(_OPTIONS)}")
        for name in ("success_statuses", "skip_statuses"):
            try:
                expand(options.get(name) or ())
            except ConfigurationError as error:
                raise ConfigurationError(f"{name}: {error}") from None
        if number_of(options.get("report_tail") or 0) is None:
            raise ConfigurationError("report_tail must be a number of lines")

    def start(self, request: Mapping[str, Any]) -> Flow[Started]:
        """Send a request of :func:`execution_request`. A reply without a run id leaves open what was done."""
        call = send("POST", self._path("executions"), dict(request))
        reply = yield from ask(call, retry=PATIENT)
        content = read_object(call, reply)
        ref = run_id(content.get("run_id") or content.get("runid"))
        if ref is None:
            raise unreadable(call, reply, "holds no run id")
        return Started(ref=ref, reply=content)

    def inputs_problems(self, object_name: str, inputs: Mapping[str, Any]) -> Flow[list[str]]:
        """What is wrong with ``inputs``, as the object's PromptSets see it; an empty list where they fit."""
        call = get(self._path("objects", object_name, "inputs"))
        content = yield from ask_json(call, retry=Retry(attempts=3))
        sets = (one for one in content.values() if isinstance(one, Mapping))
        known = {name: default for variables in sets for name, default in variables.items()}
        return [problem for name, value in inputs.items() if (problem := input_problem(known, name, value))]

    def observe(self, ref: str) -> Flow[Observation]:
        try:
            content = yield from ask_json(get(self._path("executions", ref)))
        except NotFoundError:
            return absent(ref)
        return read_execution(ref, content)

    def selector(self, options: Options) -> str:
        marked = _MARKER.fullmatch(options.get("alias") or "")
        return f"{marked[1]}-*" if marked else ""

    def observe_many(self, selector: str, refs: Sequence[str]) -> Flow[Mapping[str, Observation]]:
        """Read the waiting ones from lists, newest first; what has ended deserves its own full reading."""
        wanted = {int(ref): ref for ref in refs}
        oldest, start = min(wanted), max(wanted) + 1
        seen: dict[int, Mapping[str, Any]] = {}
        for _ in range(max(1, len(refs) // 10)):
            page, has_more = yield from self._search(alias=selector, status=_WAITING_STATUSES, start_at_run_id=start)
            is_stale = page.keys() <= seen.keys()
            seen |= page
            if not has_more or is_stale or wanted.keys() <= seen.keys() or min(page) < oldest:
                break
            start = [*page][-1]
        found = {ref: read_execution(ref, seen[run]) for run, ref in wanted.items() if run in seen}
        return {ref: one for ref, one in found.items() if one.phase in _WAITING}

    def understand(self, seen: Observation, options: Options) -> Observation:
        """A named status ends the wait, even an active one; a good end that is not named is a failure."""
        number = number_of(seen.status)
        success, skip = options.get("success_statuses"), options.get("skip_statuses")
        if number is None or (success is None and skip is None):
            return seen
        if number in expand(success or ()):
            return replace(seen, phase=Phase.SUCCEEDED)
        if number in expand(skip or ()):
            return replace(seen, phase=Phase.SKIPPED)
        named = {Phase.SUCCEEDED: success, Phase.SKIPPED: skip}.get(seen.phase)
        if named is None:
            return seen
        message = f"{seen.message} (status {number} is not among {named})"
        return replace(seen, phase=Phase.FAILED, message=message)

    def cancel(self, ref: str, options: Options | None = None) -> Flow[Effect]:
        """Cancel an execution, with its children unless the options say otherwise.

        The vendor documents that workflows, schedules and groups can be cancelled recursively, and names no field for
        it in public. The section is named like that of a restart, ``{"action": "restart", "restart": {...}}``. An
        engine that does not know it answers 400 and has done nothing.
        """
        try:
            if (options or {}).get("cancel_children", True):
                try:
                    yield from self._cancel(ref, {"cancel": {"recursive": True}})
                    return Effect.CANCELLED
                except RemoteError as error:
                    if error.status != 400:
                        raise
            yield from self._cancel(ref, {})
        except NotFoundError:
            return Effect.UNKNOWN
        except RemoteError as error:
            if error.status != 403 or not error.says(_ENDED_ALREADY):
                raise
            return Effect.ENDED
        return Effect.CANCELLED

    def _cancel(self, ref: str, details: Mapping[str, Any]) -> Flow[None]:
        call = send("POST", self._path("executions", ref, "status"), {"action": "cancel", **details})
        yield from ask(call, retry=PATIENT, refused=lambda _: True)

    def find(self, marker: str) -> Flow[str | None]:
        """The first execution with this alias. A ``#`` cannot be asked for; what follows it can."""
        alias = f"*{marker.rpartition('#')[2]}" if "#" in marker else marker
        page = yield from self._found(alias=alias)
        found = [run for run, one in page.items() if agrees(one, "alias", marker)]
        return str(min(found)) if found else None

    def successor(self, seen: Observation, options: Options) -> Flow[str | None]:
        if not options.get("follow_restarts"):
            return None
        page = yield from self._found(reference_run_id=seen.ref)
        others = ((run, one) for run, one in page.items() if run != int(seen.ref))
        restarts = [run for run, one in others if agrees(one, "reference_run_id", seen.ref)]
        return str(max(restarts)) if restarts else None

    def explain(self, seen: Observation, options: Options) -> Flow[str]:
        """The failed children, the last messages and, on request, the report's tail; each where it exists."""
        children = yield from _or_nothing(self._troubled_children(seen.ref))
        messages = yield from _or_nothing(self._tail(seen.ref, "ACT", lines=MESSAGE_LINES))
        report = yield from _or_nothing(self._report(seen.ref, lines=number_of(options.get("report_tail")) or 0))
        told = {"failed or blocked children": children, "last messages": messages, "report": report}
        return "\n".join(f"{title}:\n  " + "\n  ".join(lines) for title, lines in told.items() if lines)

    def read_callback(self, content: object, names: Mapping[str, str]) -> Callback:
        return read_callback(content, names)

    def page(self, ref: str) -> Mapping[str, str]:
        return {"ref": ref, "run_id": ref, "client": self._client}

    def probe(self) -> Flow[str]:
        try:
            yield from ask(get("/ping"))
        except NotFoundError as error:  # each engine has it, so the address is a wrong one
            if "base path" in error.message:
                raise
            raise error.with_message(f"{error.message}; check host, port and base path of the connection") from None
        yield from ask_json(get(self._path("executions"), {"max_results": 1}))
        return "the engine answers, and the executions of its client can be listed"

    def executions(self, limit: int, filters: Mapping[str, str | int | bool]) -> Flow[list[dict[str, Any]]]:
        """The newest executions that the filters let through, as they are; page by page."""
        found: dict[int, Mapping[str, Any]] = {}
        query = dict(filters)
        while len(found) < limit:
            page, has_more = yield from self._list(self._path("executions"), **query)
            is_stale = page.keys() <= found.keys()
            found |= page
            if is_stale or not has_more:
                break
            query["start_at_run_id"] = [*page][-1]
        return [dict(one) for one in found.values()][:limit]

    def _path(self, *parts: str) -> str:
        """A path below the client, with every part percent-encoded (``#`` occurs in names)."""
        return "".join(f"/{segment(part)}" for part in ((self._client, *parts) if self._client else parts))

    def _search(self, **filters: str | int) -> Flow[Page]:
        """Executions by filters, those that have ended and were deactivated among them."""
        return self._list(self._path("executions"), include_deactivated=True, **filters)

    def _found(self, **filters: str | int) -> Flow[dict[int, Observation]]:
        """The first page of executions by filters, read."""
        page, _ = yield from self._search(**filters)
        return _read(page)

    def _list(self, path: str, **query: str | int) -> Flow[Page]:
        """One page of a list. A reply without one is an error, lest it be mistaken for an empty one."""
        call = get(path, {**query, "max_results": PAGE_ENTRIES})
        reply = yield from ask(call)
        content = read_object(call, reply)
        if not isinstance(content.get("data"), list):
            raise unreadable(call, reply, "holds no list of executions")
        entries = (one for one in content["data"] if isinstance(one, Mapping))
        page = {int(run): one for one in entries if (run := run_id(one.get("run_id")))}
        return page, bool(content.get("hasmore"))

    def _troubled_children(self, ref: str) -> Flow[list[str]]:
        """The children that need a look, those of a nested workflow below it."""
        told: list[str] = []
        for child in (yield from self._trouble_below(ref))[:SHOWN_CHILDREN]:
            told.append(summary(child))
            if child.result["type"] in _CONTAINERS and len(told) < SHOWN_CHILDREN:
                nested = yield from _or_nothing(self._trouble_below(child.ref))
                told += [f"  {summary(one)}" for one in nested]
        return told[:SHOWN_CHILDREN]

    def _trouble_below(self, ref: str) -> Flow[list[Observation]]:
        """The first to fail first; those that were not run because of it last."""
        page, _ = yield from self._list(self._path("executions", ref, "children"))
        trouble = [one for one in _read(page).values() if one.phase in _TROUBLE]
        return sorted(trouble, key=lambda one: (one.status == _NOT_RUN, int(one.ref)))

    def _report(self, ref: str, *, lines: int) -> Flow[list[str]]:
        if lines <= 0:
            return []
        try:
            return (yield from self._tail(ref, "REP", lines=lines))
        except NotFoundError:
            return (yield from self._tail(ref, "LOG", lines=lines))

    def _tail(self, ref: str, kind: str, *, lines: int) -> Flow[list[str]]:
        """The last lines of a report; of a report of several pages, those of its last two."""
        path = self._path("executions", ref, "reports", kind)
        content = yield from ask_json(get(path))
        pages = number_of(content.get("total"))
        if content.get("hasmore") and pages:
            last = yield from ask_json(get(path, {"start_at": max(1, pages - 1), "max_results": 2}))
            content = last if last.get("data") else content
        return [printable(one[:TEXT_CHARACTERS]) for one in report_lines(content)[-lines:]]


def _read(page: Mapping[int, Mapping[str, Any]]) -> dict[int, Observation]:
    return {run: read_execution(str(run), one) for run, one in page.items()}


_T = TypeVar("_T")


def _or_nothing(flow: Flow[list[_T]]) -> Flow[list[_T]]:
    """What the flow finds, or nothing where the engine does not tell: explaining never hides a failure."""
    try:
        return (yield from flow)
    except (RemoteError, ReplyError, TransportError):
        return []
