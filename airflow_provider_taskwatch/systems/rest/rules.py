"""The rules of a profile that span several fields, each as a sentence that names the field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from airflow_provider_taskwatch.core.error import TaskWatchError
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.wire import Reply, get

from .document import Document
from .expression import Expression
from .profile import RANGE
from .reading import first_value, read_observation
from .template import Placeholder, Template

if TYPE_CHECKING:
    from .profile import Example, Page, Profile, Request, Result, Stage, Start

NOT_FOR_REPLIES = frozenset((401, 403, 425, 429)) | frozenset(range(500, 600))
"""Status codes that are no readings: they are about the credentials, or everybody, and polls are repeated for them.

408 is one where a profile says so: some remotes send it for a task that has reached its own timeout.
"""


def placeholders_in(content: Any) -> Iterator[Placeholder]:
    """All placeholders in models and plain values."""
    if isinstance(content, Template):
        yield from content.placeholders
    elif isinstance(content, BaseModel):
        for name in type(content).model_fields:
            yield from placeholders_in(getattr(content, name))
    elif isinstance(content, Mapping):
        for one in content.values():
            yield from placeholders_in(one)
    elif isinstance(content, (list, tuple)):
        for one in content:
            yield from placeholders_in(one)


def _expressions_in(content: Any) -> Iterator[Expression]:
    if isinstance(content, Expression):
        yield content
    elif isinstance(content, BaseModel):
        for name in type(content).model_fields:
            yield from _expressions_in(getattr(content, name))
    elif isinstance(content, (Mapping, list)):
        for one in content.values() if isinstance(content, Mapping) else content:
            yield from _expressions_in(one)


def input_names(*contents: Any) -> set[str]:
    """The inputs that requests and expressions use, by the first part of their names."""
    names = {one.name.split(".")[1] for one in placeholders_in(list(contents)) if one.root == "inputs"}
    for expression in _expressions_in(list(contents)):
        names |= expression.inputs
    return names


def needed_inputs(content: Any) -> set[str]:
    """The inputs that a request cannot do without."""
    found = (one for one in placeholders_in(content) if one.root == "inputs" and not one.is_optional)
    return {one.name.split(".")[1] for one in found}


def problems(profile: Profile) -> list[str]:
    """What is wrong; empty for a valid profile."""
    found = [*_places(profile), *_start_problems(profile)]
    for name, stage in profile.stages.items():
        found += _stage_problems(_prefix(profile, name), stage)
    found += _repeated_stages(profile)
    for place, listing in (("find.page", profile.find), ("list.page", profile.many)):
        found += _page_problems(place, listing.page) if listing else ()
    found += _result_problems(profile.result)
    if len({stage.cancel is None for stage in profile.stages.values()}) > 1:
        found.append("cancel: give it for each stage, or for none; a task may be cancelled in any of them")
    return found or list(_example_problems(profile))


def _repeated_stages(profile: Profile) -> Iterator[str]:
    seen: set[str] = set()
    stage, place = profile.then, "then"
    while stage is not None:
        if stage.name in seen:
            yield f"{place}.name: {stage.name!r} is the name of an earlier stage; a ref names its stage"
        seen.add(stage.name)
        stage, place = stage.then, f"{place}.then"


def _result_problems(result: Result | None) -> Iterator[str]:
    if result is None:
        return
    if result.path is not None and result.link is not None:
        yield "result: give path or link, not both"
    if result.hosts and result.link is None:
        yield "result.hosts: only a link may lead to another host"


def _prefix(profile: Profile, name: str) -> str:
    """The place of a stage: ``then.`` for each stage before it."""
    return "then." * list(profile.stages).index(name)


_IN_START = frozenset(("inputs", "secret", "start", "marker", "callback"))
_IN_POLL = frozenset(("inputs", "secret", "ref"))


def _places(profile: Profile) -> Iterator[str]:
    """Placeholders that have no value where they stand."""
    for name, content, allowed in (
        ("start", profile.start, _IN_START),
        ("result", profile.result, _IN_POLL),
        ("find", profile.find, frozenset(("inputs", "secret", "marker"))),
        ("list", profile.many, frozenset(("inputs", "secret", "refs"))),
        ("probe", profile.probe, frozenset(("secret",))),
    ):
        yield from _misplaced(name, content, allowed)
    for name, stage in profile.stages.items():
        before = _prefix(profile, name)
        yield from _misplaced(f"{before}poll", stage.poll, _IN_POLL)
        yield from _misplaced(f"{before}cancel", stage.cancel, _IN_POLL)


def _misplaced(place: str, content: Any, allowed: frozenset[str]) -> Iterator[str]:
    for root in sorted({one.root for one in placeholders_in(content)} - allowed):
        known = ", ".join(sorted(allowed))
        yield f"{place}: {{{root}}} has no value here; what has is {known}"


def _start_problems(profile: Profile) -> Iterator[str]:
    start = profile.start
    if start is None:
        if profile.find is not None:
            yield "find: there is no start that leaves a marker"
        return
    yield from _replay_problems(start)
    if start.conflict and not _chooses_own_ref(profile, start):
        yield (
            "start.conflict: adopt needs a ref that we choose: ref.from reads it from 'request', and that part of the "
            "start holds {start.id}, {start.uuid} or {marker}; else a clear would adopt the old task"
        )
    if profile.find is not None and "marker" not in {one.name for one in placeholders_in(start)}:
        yield "find: the start leaves no {marker}"
    for place, fields in (("form", start.form), ("multipart", start.multipart)):
        is_placeholder = isinstance(fields, Template) and isinstance(fields.parts[0], Placeholder)
        if not (fields is None or isinstance(fields, dict) or is_placeholder):
            yield f"start.{place}: it must be an object with the names and values of fields"
    if sum(one is not None for one in (start.body, start.form, start.multipart)) > 1:
        yield "start: give one of body, form and multipart"


def _replay_problems(start: Start) -> Iterator[str]:
    own = {one.name for one in placeholders_in(start)} & {"start.id", "start.uuid", "marker"}
    if start.replay and not own and start.method in ("POST", "PATCH"):
        yield "start.replay: a request that may be repeated holds {start.id}, {start.uuid} or {marker}"
    if start.replay_within is not None and not start.replay:
        yield "start.replay_within: only with replay"
    if (start.retry_query or start.retry_headers) and not start.replay:
        yield "start.retry_query, start.retry_headers: only with replay"


def _chooses_own_ref(profile: Profile, start: Start) -> bool:
    """Whether the ref comes from a part of the start request that differs for each start."""
    parts: dict[str, Any] = {
        "path": start.path,
        "query": start.query,
        "headers": {name.lower().replace("-", "_"): value for name, value in start.headers.items()},
        "body": start.body,
        "form": start.form,
        "multipart": start.multipart,
    }
    for expression in profile.ref.source:
        if expression.roots != {"request"}:
            return False
        part: Any = parts
        for name in expression.text.split(".")[1:]:
            part = part.get(name) if isinstance(part, Mapping) else None
        own = {one.name for one in placeholders_in(part)} & {"start.id", "start.uuid", "marker"}
        if not own:
            return False
    return True


def _stage_problems(before: str, stage: Stage) -> Iterator[str]:
    poll = stage.poll
    if poll.path is None and stage.ref.kind != "link":
        yield f"{before}poll.path: it may be absent only where ref.kind is 'link'"
    if not poll.acceptors and not poll.status:
        yield f"{before}poll: give status and phases, or acceptors"
    if bool(poll.status) != bool(poll.phases):
        yield f"{before}poll: status and phases belong together"
    reached = {one.phase for one in poll.acceptors} | set(poll.phases)
    if "succeeded" not in reached and poll.phases.get("otherwise") != ["succeeded"] and stage.then is None:
        yield f"{before}poll: no status and no acceptor is 'succeeded', so that no task would ever succeed"
    yield from _word_problems(before, stage)
    for place, codes in (("poll.accepted", poll.accepted), ("cancel.over", stage.cancel.over if stage.cancel else [])):
        if wrong := sorted(set(codes) & NOT_FOR_REPLIES):
            yield f"{before}{place}: {', '.join(map(str, wrong))} is never a reading; such a poll is repeated"


def _word_problems(before: str, stage: Stage) -> Iterator[str]:
    known: dict[str, str] = {}
    for phase, words in stage.poll.phases.items():
        if phase == "otherwise":
            if len(words) != 1 or words[0] not in _OTHERWISE:
                yield f"{before}poll.phases.otherwise: it must be one of {', '.join(_OTHERWISE)}"
            continue
        for word in words:
            if (numbers := RANGE.fullmatch(word)) and int(numbers[1]) > int(numbers[2]):
                yield f"{before}poll.phases: {word!r} has no number; the smaller one is first"
            if known.setdefault(word, phase) != phase:
                yield f"{before}poll.phases: {word!r} is {known[word]} and {phase}; words are compared without case"


_OTHERWISE = ("pending", "running", "blocked", "succeeded", "skipped", "failed", "cancelled", "lost")


def _page_problems(place: str, page: Page | str | None) -> Iterator[str]:
    if page is None or isinstance(page, str):
        return
    ways = (page.query is not None and page.next is not None, page.link is not None, page.offset is not None)
    if sum(ways) != 1 or (page.query is None) != (page.next is None) or (page.offset is None) != (page.limit is None):
        yield f"{place}: give query and next, or link, or offset and limit, or the text 'link'"


# --- examples


def _example_problems(profile: Profile) -> Iterator[str]:
    """Examples that are not read as what they stand for."""
    for name, stage in profile.stages.items():
        before = _prefix(profile, name)
        for expected, example in stage.poll.examples.items():
            place = f"{before}poll.examples.{expected}"
            try:
                found = phase_in(stage, example)
            except TaskWatchError as error:
                yield f"{place}: {error}"
                continue
            if found != expected:
                yield f"{place}: it is read as {found}"
    start = profile.start
    if start is not None and start.example is not None and start.example.status_code not in start.accepted:
        yield f"start.example: {start.example.status_code} is not in start.accepted"


def phase_in(stage: Stage, example: Example) -> str:
    """The phase that an example is read as; ``next`` where it leads to the next stage."""
    poll = stage.poll
    if not (200 <= example.status_code < 300 or example.status_code in poll.accepted):
        return f"no reading, as {example.status_code} is not in poll.accepted"
    document = document_of(example)
    if stage.then is not None and first_value(stage.then.ref.source, document) is not None:
        return "next"
    seen = read_observation("example", poll, document)
    return seen.phase.value if seen.phase is not Phase.UNKNOWN else f"unknown (the status {seen.status!r})"


def document_of(example: Example, inputs: Mapping[str, Any] | None = None) -> Document:
    """An example as a reply."""
    headers = {"content-type": "application/json", **{name.lower(): value for name, value in example.headers.items()}}
    if isinstance(example.body, str):
        body = example.body.encode()
    else:
        body = b"" if example.body is None else json.dumps(example.body).encode()
    return Document(get("/example"), Reply(status=example.status_code, headers=headers, body=body), inputs or {})


def roots_of(request: Request) -> set[str]:
    """The roots of the placeholders in a request."""
    return {one.root for one in placeholders_in(request)}
