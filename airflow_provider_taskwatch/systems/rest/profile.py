"""A profile: one REST API with tasks, as data. The fields are described in docs/profiles.md.

The models check each field, and give the JSON Schema for editors. :mod:`.reader` reads a profile, and checks the rules
that span several fields, too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.phase import Phase

from .expression import Expression
from .field import (
    Content,
    Duration,
    Headers,
    HostPattern,
    ItemExpression,
    Path,
    Query,
    ReplyExpression,
    ReplyExpressions,
    Text,
    Words,
)

FORMAT = 1
RANGE = re.compile(r"([0-9]{1,18})\.\.([0-9]{1,18})")
TIMEOUT = 86_400.0
"""Of a profile that names none, in seconds."""
MAX_RESOLVED_BYTES = 16 * 1024
"""Of what a trigger carries."""

PhaseName = Literal["pending", "running", "blocked", "succeeded", "skipped", "failed", "cancelled", "lost"]
Phases = Literal[PhaseName, "otherwise"]
Examples = Literal[PhaseName, "next"]
Code = Annotated[int, Field(ge=200, le=599)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True)


class Example(_Model):
    """One recorded or documented reply.

    :ivar ref: the ref of the task in it, where a poll's reply leads to the next stage.
    """

    status_code: Annotated[int, Field(ge=100, le=599)] = 200
    headers: dict[str, str] = {}
    body: Any = None


class Request(_Model):
    """Method, path, query, headers and body of one request.

    :ivar body, form, multipart: JSON, form fields, or fields of ``multipart/form-data``; one of the three.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: Path
    query: Query = {}
    headers: Headers = {}
    body: Content = None
    form: Content = None
    multipart: Content = None


class Start(Request):
    """The request that starts a task.

    :ivar accepted: the status codes that mean *started*.
    :ivar replay: ``same`` where a repeated request names the same task, so that a lost reply is no loss.
    :ivar replay_within: for how long the remote knows a repeated request.
    :ivar conflict: ``adopt`` where a 409 means that the task exists, under the id that we chose.
    :ivar retry_query, retry_headers: what a repeated request adds.
    :ivar read: whether the reply may show the end of the task; it is read like that of a poll.
    """

    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    accepted: list[Code] = [200, 201, 202]
    replay: Literal["same"] | None = None
    replay_within: Duration | None = None
    conflict: Literal["adopt"] | None = None
    retry_query: Query = {}
    retry_headers: Headers = {}
    read: bool = False
    example: Example | None = None


class Ref(_Model):
    """Where the remote's id of the task is.

    :ivar source: expressions over the reply of the start; the first that has a value counts.
    :ivar kind: ``id``; ``name``, which may have slashes; or ``link``, of which path and query count.
    :ivar link_host: ``refuse`` a link to another host, or ``ignore`` the host, for remotes that do not know their own.
    """

    source: ReplyExpressions = Field(alias="from")
    kind: Literal["id", "name", "link"] = "id"
    link_host: Literal["refuse", "ignore"] = "refuse"


class Acceptor(_Model):
    """A phase for the replies for which an expression is true."""

    when: ReplyExpression
    phase: PhaseName


class Progress(_Model):
    """Progress in percent: a value (of which ``scale`` is the whole), or ``done`` of ``total``."""

    value: ReplyExpressions | None = None
    scale: Annotated[float, Field(gt=0)] = 100.0
    done: ReplyExpression | None = None
    total: ReplyExpression | None = None


class Poll(Request):
    """The request that reads a task, and how its reply is understood.

    :ivar path: absent where the ref is a link that is polled itself.
    :ivar accepted: further status codes, beyond 2xx, whose replies are readings.
    :ivar acceptors: in order; the first that is true gives the phase.
    :ivar status: where the remote's word for the state is, for the table ``phases``.
    :ivar phases: the words of each phase, compared without case, and ranges of numbers such as ``1300..1799``, of which
        the smallest counts; a number by itself goes before a range. ``otherwise`` is the phase of any other word;
        without it, such a word is an unknown status.
    :ivar retry_after: seconds, or a date, before which no poll is made.
    """

    path: Path | None = None  # type: ignore[assignment]
    accepted: list[Code] = []
    acceptors: list[Acceptor] = []
    status: ReplyExpressions = []
    phases: Mapping[Phases, Words] = {}
    progress: Progress | None = None
    message: ReplyExpressions = []
    retry_after: ReplyExpression = Expression("headers.retry_after")
    examples: dict[Examples, Example] = {}

    @cached_property
    def ranges(self) -> Sequence[tuple[range, Phase]]:
        """The phases of numbers that are given as ``1300..1799``, the smallest range first."""
        found = [
            (range(int(hit[1]), int(hit[2]) + 1), Phase(name))
            for name, words in self.phases.items()
            for word in words
            if (hit := RANGE.fullmatch(word))
        ]
        return sorted(found, key=lambda one: len(one[0]))

    def phase_of(self, word: str) -> Phase:
        """The phase of a status in the form of :func:`~.field.as_word`."""
        phase = self.table.get(word)
        if phase is None and self.ranges and word.isdecimal() and len(word) < 20:
            phase = next((one for numbers, one in self.ranges if int(word) in numbers), None)
        return self.otherwise if phase is None else phase

    @cached_property
    def table(self) -> Mapping[str, Phase]:
        """The phase of each word."""
        return {word: Phase(name) for name, words in self.phases.items() if name != "otherwise" for word in words}

    @cached_property
    def otherwise(self) -> Phase:
        """The phase of a word that the table lacks."""
        return Phase(self.phases["otherwise"][0]) if "otherwise" in self.phases else Phase.UNKNOWN


class Cancel(Request):
    """The request that cancels a task.

    :ivar accepted: further status codes, beyond 2xx, that mean *cancelled*.
    :ivar over: status codes that mean *it has ended*.
    """

    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    accepted: list[Code] = []
    over: list[Code] = []


class Result(_Model):
    """What a success returns.

    :ivar path: of a last read.
    :ivar link: of a last read, in the last reply.
    :ivar hosts: other hosts that a link may name, as patterns; they are read without credentials.
    :ivar select: what becomes the XCom, of the last reply.
    """

    path: Path | None = None
    headers: Headers = {}
    link: ReplyExpressions | None = None
    hosts: list[HostPattern] = []
    select: ReplyExpression | None = None
    example: Example | None = None


class Page(_Model):
    """How a list goes on.

    :ivar query, next: the parameter of the next page, and its value in the reply.
    :ivar link: the link of the next page, in the reply.
    :ivar offset, limit: the parameter that counts entries, and how many a page has.
    """

    query: str | None = None
    next: ReplyExpression | None = None
    link: ReplyExpression | None = None
    offset: str | None = None
    limit: Annotated[int, Field(ge=1, le=10_000)] | None = None


Paging = Annotated[Literal["link"] | Page | None, Field(description="'link': the header Link (RFC 8288)")]


class Where(_Model):
    """What a member of an entry must be: one of the three."""

    equals: Text | None = None
    contains: Text | None = None
    starts_with: Text | None = None


class Listing(Request):
    """A request that reads many entries.

    :ivar items: where they are in the reply.
    :ivar ref: where the ref of an entry is in it.
    """

    method: Literal["GET", "POST"] = "GET"
    items: ReplyExpression
    ref: ItemExpression
    page: Paging = None


class Find(Listing):
    """Looks for the task that carries our marker; the first entry that fits counts."""

    where: Mapping[str, Where]


class Many(Listing):
    """Reads many tasks at once, by ``{refs}`` or as the list of those that run.

    :ivar max: how many refs one request may name.
    :ivar absent: what an entry that is missing means: ``single`` reads it alone, ``lost`` believes that it is gone.
    :ivar ended: how the end of a task is read: from its ``entry``, or by a ``single`` read, as some lists hold less.
    :ivar shape: the body of a poll's reply, made of an entry, where polls have an envelope: ``{data: @}``.
    """

    max: Annotated[int, Field(ge=1, le=1000)] = 100
    absent: Literal["single", "lost"] = "single"
    ended: Literal["entry", "single"] = "entry"
    shape: ItemExpression | None = None


class Probe(Request):
    """A cheap read with credentials, for the connection test."""

    method: Literal["GET"] = "GET"


class Stage(_Model):
    """A part of a task's life in which it has one ref and is polled in one way."""

    ref: Ref
    poll: Poll
    cancel: Cancel | None = None
    then: Then | None = None

    @property
    def stages(self) -> Mapping[str, Stage]:
        """This stage and those after it, by their names; the first has none."""
        made: dict[str, Stage] = {"": self}
        then = self.then
        while then is not None:
            made[then.name] = then
            then = then.then
        return made


class Then(Stage):
    """The stage after another one: it begins when ``ref.from`` has a value in the reply of the poll before it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]


class Source(_Model):
    """Where a profile comes from, and what it was checked against.

    :ivar url: the document.
    :ivar read: when, as a date.
    :ivar checked: ``recording``, ``schema`` or ``documentation``.
    """

    url: str
    read: Annotated[str, BeforeValidator(str)]
    checked: Literal["recording", "schema", "documentation"]
    note: str = ""


class Profile(Stage):
    """One REST API with tasks.

    :ivar noun: the remote's term for a task, for messages.
    :ivar inputs: what each input means, for people; empty: not described.
    :ivar timeout: the longest wait of a task that names none, in seconds.
    """

    profile: Literal[1]
    name: str = ""
    title: str = ""
    noun: Annotated[str, Field(pattern=r"^[a-z][a-z -]{0,30}$")] = "task"
    docs: str = ""
    source: Source | None = None
    base_url: str = ""
    auth: str = ""
    inputs: dict[str, str] = {}
    timeout: Duration = TIMEOUT
    start: Start | None = None
    result: Result | None = None
    find: Find | None = None
    many: Many | None = Field(default=None, alias="list")
    probe: Probe | None = None

    @cached_property
    def can_cancel(self) -> bool:
        """Whether a task can be cancelled; then it can in each stage."""
        return self.cancel is not None

    @cached_property
    def chooses_ref(self) -> bool:
        """Whether the ref is in our own request."""
        return self.start is not None and all(one.roots == {"request"} for one in self.ref.source)

    @cached_property
    def keeps_marker(self) -> bool:
        """Whether a task can be found whose start got no reply."""
        return self.find is not None or self.chooses_ref


_WATCHED = ("profile", "name", "noun", "ref", "poll", "cancel", "then", "result", "list")
"""The fields that a wait needs."""


def content_of(profile: Profile) -> dict[str, Any]:
    """The plain data of a profile that was made in Python."""
    return profile.model_dump(mode="json", by_alias=True, exclude_unset=True)


def watched_part(content: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a profile that a wait needs, without examples.

    :raises ConfigurationError: it is too long for a trigger.
    """
    part: dict[str, Any] = _without_examples({name: content[name] for name in _WATCHED if name in content})
    if (size := len(json.dumps(part))) > MAX_RESOLVED_BYTES:
        raise ConfigurationError(
            f"the profile has {size} bytes in ref, poll, result, cancel, list and then; a trigger carries at most "
            f"{MAX_RESOLVED_BYTES}"
        )
    return part


_OF_USERS = frozenset(("body", "form", "headers", "inputs", "multipart", "phases", "query"))
"""Fields whose members have names of the remote or of the user."""


def _without_examples(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {
            name: one if name in _OF_USERS else _without_examples(one)
            for name, one in content.items()
            if name not in ("examples", "example")
        }
    return [_without_examples(one) for one in content] if isinstance(content, list) else content


def hash_of(content: object) -> str:
    """A short hash of plain data, whatever the order of names."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
