"""Automic Automation Engine REST API: an object is started; its execution has a run id and a status number.

* https://docs.automic.com/documentation/webhelp/english/ALL/components/DOCU/12.3/Automic%20Automation%20Guides/Content/REST_API/AE_REST_API_GeneralInfo.htm
* https://docs.automic.com/documentation/WEBHELP/English/all/components/DOCU/21.0.5/Automic%20Automation%20Guides/Content/REST_API/AE_REST_API_General_PollingCallback.htm
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_provider_taskwatch.core.callback import Callback
from airflow_provider_taskwatch.core.check import listed
from airflow_provider_taskwatch.core.error import ConfigurationError, NotFoundError, RemoteError
from airflow_provider_taskwatch.core.flow import PATIENT, Flow, Retry, ask, ask_json, nothing, read_object, unreadable
from airflow_provider_taskwatch.core.phase import Observation, Phase, absent
from airflow_provider_taskwatch.core.record import Started
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.system import Effect, Options, SystemDefaults, safe_ref
from airflow_provider_taskwatch.core.wire import get, segment, send

from .callback import read_callback
from .execution import read_execution, run_id, with_doubt
from .explanation import explain
from .group import expand
from .listing import find_alias, find_restart, newest, read_waiting
from .request import input_problem
from .status import number_of

_ENDED_ALREADY = "11191"
_MARKER = re.compile(r"([^#*]+)-[0-9a-f]{12}")
_MARKER_END = re.compile(r"-[0-9a-f]{12}\Z")
_OPTIONS = ("success_statuses", "skip_statuses", "alias", "follow_restarts", "report_tail", "cancel_children")


def from_settings(settings: Settings) -> Automic:
    """The system behind a connection of the type ``automic``."""
    return Automic(client=settings.own.get("client") or "")


class Automic(SystemDefaults):
    """Starts, reads and cancels executions of one client of an Automation Engine.

    Options of a watch:

    * ``success_statuses``, ``skip_statuses``: lists of status numbers and of the vendor's group names;
    * ``alias``: the whole alias that marks the execution; executions whose aliases have the same beginning are read
      together;
    * ``follow_restarts``: true to go on with the execution that restarts an ended one;
    * ``cancel_children``: false to leave the children of a cancelled execution running;
    * ``report_tail``: how many of the report's last lines the explanation of a failure includes.

    :param client: as it is written in paths; empty: paths without a client.
    """

    name = "automic"
    noun = "execution"
    can_cancel = True
    keeps_marker = True

    def __init__(self, *, client: str = "") -> None:
        self._client = client and safe_ref(client, "client")
        self._executions = self._path("executions")

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
        """By the random end of the alias, as the part before it may differ between attempts."""
        alias, end = seen.result.get("alias"), _MARKER_END.search(options.get("alias") or "")
        return end is None or not alias or str(alias).casefold().endswith(end[0])

    def check_options(self, options: Options) -> None:
        """Raise :class:`ConfigurationError` for an unknown option, status or group name."""
        if unknown := sorted(set(options) - set(_OPTIONS)):
            raise ConfigurationError(f"unknown option {', '.join(unknown)}; known are {', '.join(_OPTIONS)}")
        for name in ("success_statuses", "skip_statuses"):
            try:
                if statuses := options.get(name):
                    expand(statuses)
            except ConfigurationError as error:
                raise ConfigurationError(f"{name}: {error}") from None
        if number_of(options.get("report_tail") or 0) is None:
            raise ConfigurationError("report_tail must be a number of lines")

    def start(self, request: Mapping[str, Any]) -> Flow[Started]:
        """Send a request of :func:`execution_request`.

        :raises ReplyError: the reply has no run id, so the execution may have been started.
        """
        call = send("POST", self._executions, dict(request))
        reply = yield from ask(call, retry=PATIENT)
        content = read_object(call, reply)
        ref = run_id(content.get("run_id") or content.get("runid"))
        if ref is None:
            raise unreadable(call, reply, "holds no run id")
        return Started(ref=ref, reply=content)

    def inputs_problems(self, object_name: str, inputs: Mapping[str, Any]) -> Flow[list[str]]:
        """The problems of ``inputs`` by the object's PromptSets; empty if there are none."""
        call = get(self._path("objects", object_name, "inputs"))
        content = yield from ask_json(call, retry=Retry(attempts=3))
        sets = (one for one in content.values() if isinstance(one, Mapping))
        known = {name: default for variables in sets for name, default in variables.items()}
        return [problem for name, value in inputs.items() if (problem := input_problem(known, name, value))]

    def observe(self, ref: str) -> Flow[Observation]:
        try:
            content = yield from ask_json(get(f"{self._executions}/{segment(ref)}"))
        except NotFoundError:
            return absent(ref)
        return read_execution(ref, content)

    def selector(self, options: Options) -> str:
        marked = _MARKER.fullmatch(options.get("alias") or "")
        return f"{marked[1]}-*" if marked else ""

    def observe_many(self, selector: str, refs: Sequence[str]) -> Flow[Mapping[str, Observation]]:
        return read_waiting(self._executions, selector, refs)

    def understand(self, seen: Observation, options: Options) -> Observation:
        """A status that an option names ends the wait, even an active one. A good end that none names is a failure."""
        number = number_of(seen.status)
        success, skip = options.get("success_statuses"), options.get("skip_statuses")
        if number is None:
            return seen
        if success is None and skip is None:
            return with_doubt(seen, number)
        if number in expand(success or ()):
            return replace(seen, phase=Phase.SUCCEEDED)
        if number in expand(skip or ()):
            return replace(seen, phase=Phase.SKIPPED)
        name, named = {Phase.SUCCEEDED: ("success_statuses", success), Phase.SKIPPED: ("skip_statuses", skip)}.get(
            seen.phase, ("", None)
        )
        if named is None:
            return with_doubt(seen, number)
        message = f"{seen.message} (status {number} is not among the {name} {named}, so it counts as failed)".strip()
        return replace(seen, phase=Phase.FAILED, message=message)

    def cancel(self, ref: str, options: Options | None = None) -> Flow[Effect]:
        """Cancel an execution, and its children unless the options say otherwise.

        The vendor documents a recursive cancel of workflows, schedules and groups, but no field for it. The section has
        the form of a restart's, ``{"action": "restart", "restart": {...}}``. An engine that does not know the section
        answers 400 and does nothing.
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
        call = send("POST", f"{self._executions}/{segment(ref)}/status", {"action": "cancel", **details})
        yield from ask(call, retry=PATIENT, refused=lambda _: True)

    def find(self, marker: str) -> Flow[str | None]:
        return find_alias(self._executions, marker)

    def successor(self, seen: Observation, options: Options) -> Flow[str | None]:
        return find_restart(self._executions, seen.ref) if options.get("follow_restarts") else nothing(None)

    def explain(self, seen: Observation, options: Options) -> Flow[str]:
        return explain(self._executions, seen.ref, number_of(options.get("report_tail")) or 0)

    def read_callback(self, content: object, names: Mapping[str, str]) -> Callback:
        return read_callback(content, names)

    def page(self, ref: str) -> Mapping[str, str]:
        return {"ref": ref, "run_id": ref, "client": self._client}

    def probe(self) -> Flow[str]:
        try:
            yield from ask(get("/ping"))
        except NotFoundError as error:  # every engine has /ping, so the address is wrong
            if "base path" in error.message:
                raise
            raise error.with_message(f"{error.message}; check host, port and base path of the connection") from None
        yield from ask_json(get(self._executions, {"max_results": 1}))
        return "the engine answers, and the executions of its client can be listed"

    def executions(self, limit: int, filters: Mapping[str, str | int | bool]) -> Flow[list[dict[str, Any]]]:
        """The newest executions that match the filters, as the engine describes them; page by page."""
        return newest(self._executions, limit, filters)

    def _path(self, *parts: str) -> str:
        """A path below the client. Every part is percent-encoded, as names may contain ``#``."""
        return "".join(f"/{segment(part)}" for part in ((self._client, *parts) if self._client else parts))


READING = ("success_statuses", "skip_statuses", "follow_restarts", "report_tail")
"""Arguments of operators and sensors that say how the engine's answers are read."""


def reading_options(task: Any) -> dict[str, Any]:
    """The arguments :data:`READING` of an operator or a sensor as options of :class:`Automic`."""
    given = {
        "success_statuses": listed("success_statuses", task.success_statuses),
        "skip_statuses": listed("skip_statuses", task.skip_statuses),
        "follow_restarts": bool(task.follow_restarts),
        "report_tail": task.report_tail,
    }
    return {name: value for name, value in given.items() if value or value == []}
