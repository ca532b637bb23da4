"""Runs a profile over a recorded exchange: what it would ask, which recorded reply that gets, and what it reads."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError, TaskWatchError
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.mask import Mask
from airflow_provider_taskwatch.core.pattern import Matched, RequestPattern
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.text import line, shown_ref
from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.systems.rest.document import Document
from airflow_provider_taskwatch.systems.rest.profile import Profile, content_of
from airflow_provider_taskwatch.systems.rest.reading import first_value, read_observation
from airflow_provider_taskwatch.systems.rest.reference import ref_in, split_stage
from airflow_provider_taskwatch.systems.rest.system import RestRemote, RestTasks

from .exchange import Recorded, mask_of
from .tape import NotRecordedError, Tape

MAX_STEPS = 1000
SHOWN_CHARACTERS = 2000
_SECRET = re.compile(r"\{secret\.([A-Za-z0-9_.-]+)\??\}")
_QUERY = re.compile(r"(https?://[^\s\"'?]*)\?[^\s\"'<>]*")

T = TypeVar("T")
Lines = Iterator[tuple[str, str]]
LinesOfRef = Generator[tuple[str, str], None, str]
"""Lines, and then the ref of the task; empty where it has ended."""


class RepeatedError(TaskWatchError):
    """A reply after which a request is repeated."""


@dataclass(kw_only=True)
class Rehearsal:
    """One run of a profile over a recording.

    :ivar is_good: whether the task ended, and each status was known.
    """

    profile: Profile
    recorded: list[Recorded]
    is_good: bool = True
    values: dict[str, Any] = field(default_factory=dict)
    _last: str = ""

    def __post_init__(self) -> None:
        self._content = content_of(self.profile)
        self._mask = mask_of(self.recorded)
        self._tape = Tape(recorded=self.recorded)
        self._origin = ""

    def run(self) -> Lines:
        """Each line of what happens, with its colour; without secrets of the recording."""
        for colour, text in self._lines():
            yield colour, _without_queries(self._mask, text)

    def _lines(self) -> Lines:
        try:
            yield from self._prepare()
            ref = yield from self._begin()
            if ref:
                yield from self._wait(ref)
        except TaskWatchError as error:
            self.is_good = False
            yield "red", f"   {error}"
        yield from self._tape.unused()

    # --- what the recording is about

    def _prepare(self) -> Lines:
        self._tape.base = self._base()
        yield from self._base_line("")
        self._learn()
        secrets = (str(value) for name, value in self.values.items() if name.startswith("secret."))
        self._mask = self._mask.also(*secrets)
        inputs = _inputs(self.values)
        if inputs:
            yield "", f"inputs, as the recording has them: {_shown(inputs)}"
        settings = Settings(
            conn_id="recording",
            connection_type="taskwatch",
            base_url=f"{self._origin or self.recorded[0].origin}{self._tape.base}",
            auth="bearer",
            login="",
            password="",
            own={"secrets": dict.fromkeys(_SECRET.findall(json.dumps(self._content)), "***")},
        )
        self._tasks: RestTasks = RestRemote(settings).tasks(self.profile, inputs)
        self._base_url = settings.base_url

    def _base_line(self, known: str) -> Lines:
        """A line about the base of the recording, where it is news."""
        base = self._tape.base
        if base != known:
            yield "", f"the paths of the recording begin with {base}, which is taken for the base of the connection"

    def _learn(self) -> None:
        """The values of placeholders, from the start at first, and then from all requests that fit wholly."""
        found = [
            (name != "start", matched.misses, number, matched.values)
            for name, pattern in self._patterns()
            for number, one in enumerate(self.recorded)
            if (matched := pattern.match(one.call, self._tape.base)) is not None
            if name == "start" or not matched.misses
        ]
        for _, _, number, values in sorted(found, key=lambda one: one[:3]):
            self._origin = self._origin or self.recorded[number].origin
            self.values = {**values, **self.values}

    def _patterns(self) -> Iterator[tuple[str, RequestPattern]]:
        """The requests of the profile that have a path: the start first."""
        content = self._content
        if "start" in content:
            yield "start", RequestPattern(content["start"], "POST")
        stage: Mapping[str, Any] | None = content
        while stage is not None:
            for name, method in (("poll", "GET"), ("cancel", "POST")):
                if (stage.get(name) or {}).get("path"):
                    yield name, RequestPattern(stage[name], method)
            stage = stage.get("then")
        for name in ("find", "list", "result"):
            if (content.get(name) or {}).get("path"):
                yield name, RequestPattern(content[name])

    def _base(self) -> str:
        """The path before the profile's paths: that of its base URL where it fits, else the shortest that does.

        A path without a word of its own would fit with any base, so others are asked first.
        """
        usual = urlsplit(self.profile.base_url).path.rstrip("/")
        patterns = [pattern for _, pattern in self._patterns()]
        for pattern in sorted(patterns, key=_fits_anywhere):
            self._tape.is_guessed = _fits_anywhere(pattern)
            same = [one.call for one in self.recorded if one.call.method == pattern.method]
            for base in (usual, ""):
                if any(pattern.match(call, base) for call in same):
                    return base
            found = next(filter(None, (pattern.path.base_of(call.path) for call in same)), None)
            if found is not None:
                return found
        if patterns:
            asked = ", ".join(f"{pattern.method} {pattern.shown_path}" for pattern in patterns)
            raise ConfigurationError(f"no recorded request is one of the profile's: {asked}")
        return usual

    # --- the start

    def _begin(self) -> LinesOfRef:
        """The lines of the start; returns the ref of the task, or nothing."""
        found = self._recorded_start()
        if found is None:
            ref = self._known_ref()
            yield "", f"the recording has no start; the {self.profile.noun} {shown_ref(ref)} is waited for"
            return ref
        number, matched = found
        one = self.recorded[number]
        yield self._tape.step(number)
        return (yield from self._started(one, number, matched))

    def _recorded_start(self) -> tuple[int, Matched] | None:
        start = self._content.get("start")
        if start is None:
            return None
        pattern = RequestPattern(start, "POST")
        found = [
            (number, matched)
            for number, one in enumerate(self.recorded)
            if (matched := pattern.match(one.call, self._tape.base)) is not None
        ]
        return min(found, key=lambda pair: pair[1].misses, default=None)

    def _started(self, one: Recorded, number: int, matched: Matched) -> LinesOfRef:
        start = self.profile.start
        assert start is not None  # noqa: S101 - for mypy
        self._tape.at = number + 1
        if matched.misses:
            yield (
                "yellow",
                f"   values that the recorded request lacks, or has otherwise: {matched.misses}",
            )
        is_adopted = one.reply.status == 409 and start.conflict == "adopt"
        if one.reply.status not in start.accepted and not is_adopted:
            accepted = ", ".join(map(str, start.accepted))
            raise ConfigurationError(f"{one.reply.status} is not one of start.accepted ({accepted}): it is a refusal")
        call = Call(method=one.call.method, path=one.call.path.removeprefix(self._tape.base))
        document = Document(call, one.reply, self._tasks.inputs, _request(one.call))
        ended = None
        if start.read:
            seen = read_observation("", self.profile.poll, document)
            ended = seen if seen.phase.is_final else None
        value = first_value(self.profile.ref.source, document)
        if ended is not None:
            yield "green", f"   {_seen(ended)}: it has ended at once"
            return ""
        if value is None and self.profile.find is not None:
            return (yield from self._found())
        ref = ref_in(value, self.profile.ref, self.profile.noun, self._base_url, call.path)
        yield "", f"   ref {shown_ref(ref)}"
        return ref

    def _found(self) -> LinesOfRef:
        marker = str(self.values.get("marker", ""))
        yield "", f"   the reply names no {self.profile.noun}; it is looked for by its marker {marker!r}"
        numbers: list[int] = []
        ref = self._tape.run(self._tasks.find(marker), numbers)
        for number in numbers:
            yield self._tape.step(number)
        if ref is None:
            raise ConfigurationError("no entry of the recorded list has the marker")
        yield "", f"   ref {shown_ref(ref)}"
        return ref

    def _known_ref(self) -> str:
        pattern = RequestPattern(self._content["poll"]) if self.profile.poll.path is not None else None
        for one in self.recorded if pattern else ():
            matched = pattern.match(one.call, self._tape.base) if pattern else None
            if matched is not None and "ref" in matched.values:
                return self._tasks.check_ref(str(matched.values["ref"]))
        raise ConfigurationError("the recording has neither a start nor a poll that names a task")

    # --- the wait

    def _wait(self, ref: str) -> Lines:
        for _ in range(MAX_STEPS):
            numbers: list[int] = []
            base = self._tape.base
            try:
                seen = self._tape.run(self._tasks.observe(ref), numbers)
            except NotRecordedError as error:
                yield from self._cancelled(ref, len(self.recorded))
                last = f"the last phase is {self._last}, so" if self._last else "so"
                raise ConfigurationError(f"{error}; {last} the {self.profile.noun} never ends") from None
            except RemoteError as error:
                yield from self._asked(ref, numbers)
                if not error.transient:
                    raise
                yield "yellow", f"   {error.status}: no reading; it is asked again"
                continue
            yield from self._base_line(base)
            yield from self._asked(ref, numbers)
            yield from self._read(seen)
            if seen.phase.is_final and seen.phase is not Phase.LOST:
                yield from self._complete(seen)
                return
            ref = seen.moved_to or ref
        raise ConfigurationError(f"the {self.profile.noun} has not ended after {MAX_STEPS} replies")

    def _asked(self, ref: str, numbers: list[int]) -> Lines:
        yield from self._cancelled(ref, numbers[0])
        for number in numbers:
            yield self._tape.step(number)

    def _read(self, seen: Observation) -> Lines:
        if seen.moved_to:
            yield "", f"   it goes on as {shown_ref(seen.moved_to)}"
            return
        self._last = str(seen.phase)
        if seen.phase is Phase.UNKNOWN:
            self.is_good = False
            yield "red", f"   {_seen(seen)}: this status is in no list of poll.phases, and no acceptor is true"
        elif seen.phase is Phase.LOST:
            yield "yellow", "   phase lost: it is not found; right after a start that is asked again"
        else:
            yield "green" if seen.phase.is_ok else "", f"   {_seen(seen)}"

    def _cancelled(self, ref: str, before: int) -> Lines:
        """A recorded cancel before a poll."""
        name = split_stage(ref)[1]
        if self.profile.stages[name].cancel is None:
            return
        flow = self._tasks.cancel(ref)
        call = flow.send(None)
        number = self._tape.find(call, self._tape.began, before) if isinstance(call, Call) else None
        if number is None or number in self._tape.used:
            return
        self._tape.used.add(number)
        yield self._tape.step(number)
        try:
            yield "", f"   the {self.profile.noun} {_result_of(flow, self.recorded[number].reply)}"
        except TaskWatchError as error:
            yield "yellow", f"   the cancel is refused: {error}"

    def _complete(self, seen: Observation) -> Lines:
        numbers: list[int] = []
        try:
            whole = self._tape.run(self._tasks.complete(seen, {}), numbers)
        except NotRecordedError as error:
            yield "yellow", f"   the result is not shown: {error}"
            return
        except TaskWatchError as error:
            self.is_good = False
            yield "red", f"   the result cannot be read: {error}"
            return
        for number in numbers:
            yield self._tape.step(number)
        if seen.phase.is_ok:
            yield "", f"   result {_shown(dict(whole.result))}"


def _fits_anywhere(pattern: RequestPattern) -> bool:
    return pattern.shown_path.startswith(("{", "/{+"))


def _result_of(flow: Flow[T], reply: Reply) -> T:
    try:
        flow.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RepeatedError(f"{reply.status}: it is sent again")


def _inputs(values: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs in learnt values, as objects where names have dots."""
    made: dict[str, Any] = {}
    for name in sorted(one for one in values if one.startswith("inputs.")):
        inner = made
        *outer, last = name.split(".")[1:]
        for part in outer:
            inner = inner.setdefault(part, {})
        if isinstance(inner, dict):
            inner.setdefault(last, values[name])
    return made


def _request(call: Call) -> dict[str, Any]:
    """A recorded start as expressions see it."""
    try:
        body = call.json()
    except (ValueError, RecursionError):
        body = None
    return {
        "method": call.method,
        "path": call.path,
        "query": dict(call.query),
        "headers": {name.lower().replace("-", "_"): value for name, value in call.headers.items()},
        "body": body,
        "form": dict(parse_qsl((call.body or b"").decode(errors="replace"))),
    }


def _seen(seen: Observation) -> str:
    parts: Iterable[str] = (
        f"phase {seen.phase}",
        f"status {seen.status_line}" if seen.status else "",
        "" if seen.progress is None else f"progress {seen.progress:g} %",
        f"message {seen.message_line}" if seen.message else "",
        "" if seen.retry_after is None else f"retry after {seen.retry_after:g} s",
    )
    return ", ".join(filter(None, parts))


def _shown(value: Any) -> str:
    return line(json.dumps(value, ensure_ascii=False), SHOWN_CHARACTERS)


def _without_queries(mask: Mask, text: str) -> str:
    """A text without the secrets of the recording, and without the queries of links, which may be signed."""
    return mask.text(_QUERY.sub(r"\1?...", text))
