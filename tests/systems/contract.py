"""What each remote says to the contract of systems and feeds: the samples that ``test_contract.py`` plays.

A remote has a module ``case.py`` in its folder, with ``SYSTEM`` where it has tasks to watch and ``FEED`` where it has
events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_taskwatch.core.feed import Feed
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.record import Started
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.system import Effect, System
from airflow_provider_taskwatch.core.wire import Call, Pause, Reply
from tests.play import T, reply

Content = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class StartCase:
    """A remote whose tasks are started here.

    :param reply: to a start, naming the ref of the case.
    :param members: of a reply, which may name a ref.
    :param unnamed: replies that name none.
    """

    start: Callable[[], Flow[Started]]
    reply: Reply
    members: Sequence[str]
    unnamed: Sequence[Reply]


@dataclass(frozen=True, kw_only=True)
class SystemCase:
    """A remote with tasks to watch.

    :param make: makes the system of a connection's settings.
    :param settings: of a connection.
    :param ref: in its usual form.
    :param spellings: that mean the same ref.
    :param not_refs: what is refused before any request.
    :param content: a whole reading of the ref.
    :param states: changes of that content, one at least for each phase that the remote has.
    :param unknown: changes of that content, each with its raw status.
    :param absent: replies that say that there is no such task.
    :param people: names of what the content says of people.
    :param answer: the reply that holds readings by ref, to a single read.
    :param listed: the reply that holds readings by ref, to :meth:`System.observe_many`; None: one ref per request.
    :param options: of a watch that is read with others.
    :param effects: replies to a cancel, each with its effect.
    :param found: a marker, and a reply that finds the ref by it; None: the remote keeps no marker.
    :param probe: replies to a connection test that succeeds.
    """

    make: Callable[[Settings], System]
    settings: Settings
    ref: str
    spellings: Sequence[str] = ()
    not_refs: Sequence[str]
    content: Content
    states: Sequence[tuple[Content, Phase]]
    unknown: Sequence[tuple[Content, str]]
    absent: Sequence[Sequence[Reply]]
    people: Sequence[str] = ()
    answer: Callable[[Mapping[str, Content]], Reply] = lambda contents: reply(200, next(iter(contents.values())))
    listed: Callable[[Mapping[str, Content]], Reply] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    starting: StartCase | None = None
    effects: Sequence[tuple[Sequence[Reply], Effect]] = ()
    found: tuple[str, Reply, Reply] | None = None
    probe: Sequence[Reply]

    @property
    def system(self) -> System:
        return self.make(self.settings)


@dataclass(frozen=True, kw_only=True)
class FeedCase:
    """A remote with events.

    :param feed: of a connection.
    :param others: of other connections, or with other options: other feeds.
    :param event: as the remote sends it.
    :param other: another one.
    :param name: of both events.
    :param subjects: of the two.
    :param answer: the reply that holds events, to a read at ``position``.
    :param empty: replies without events.
    """

    feed: Callable[[], Feed]
    others: Sequence[Feed]
    event: Content
    other: Content
    name: str
    subjects: tuple[str, str]
    answer: Callable[[Sequence[object]], Reply]
    position: str
    empty: Sequence[Reply]


HOSTILE: Mapping[str, str] = {
    "nested": "[" * 450 + "]" * 450,
    "number of 20 digits": "12345678901234567890",
    "number of 4000 digits": "9" * 4000,
    "infinite": "1e999",
    "no number": "NaN",
    "negative": "-1",
    "many": json.dumps([{"a" * 40: number} for number in range(2_100)]),
    "wide": json.dumps({f"{number:040}": number for number in range(2_100)}),
    "long": json.dumps("x" * 400_000),
    "half of a surrogate pair": '"\\ud800 \\u0000 \\u001b[31m\\n"',
    "page": '"<html><script>alert(1)</script></html>"',
    "true": "true",
    "null": "null",
    "empty string": '""',
    "empty list": "[]",
    "empty object": "{}",
    "object in lists": '[[{"a": [null, {"b": 1.5}]}]]',
}
"""JSON in the place of one member's value."""

BODIES: Mapping[str, bytes] = {
    "empty": b"",
    "blank": b" \r\n",
    "page": b"<!DOCTYPE html><html><title>Sign in</title></html>",
    "cut": b'{"status": 19',
    "null": b"null",
    "string": b'"done"',
    "number": b"12345678901234567890",
    "list": b"[1, [], {}]",
    "empty object": b"{}",
    "no text": b"\xff\xfe\x00",
    "nested": b"[" * 100_000,
}
"""Bodies of replies that hold nothing to read."""


@dataclass(frozen=True)
class Raw:
    """JSON that :func:`spliced` puts into a reply as it is."""

    text: str


def with_member(content: Content, name: str, text: str) -> dict[str, Any]:
    """The content with raw JSON as one member's value."""
    return {**content, name: Raw(text)}


def spliced(make: Callable[[Content], Reply], content: Content) -> Reply:
    """The reply that ``make`` builds of a content, with its :class:`Raw` values as they are."""
    raw = {f"@{name}@": value.text for name, value in content.items() if isinstance(value, Raw)}
    made = make({name: f"@{name}@" if isinstance(value, Raw) else value for name, value in content.items()})
    body = made.body.decode()
    for mark, text in raw.items():
        body = body.replace(json.dumps(mark), text)
    return Reply(status=made.status, headers=made.headers, body=body.encode())


def finish(flow: Flow[T], *replies: Reply | Exception) -> T:
    """The result of a flow; the last reply answers all further requests, and pauses pass."""
    answers = list(replies)
    answer: Any = None
    while True:
        try:
            step = flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        is_last = len(answers) == 1
        answer = None if isinstance(step, Pause) else answers[0] if is_last else answers.pop(0)


def first_call(flow: Flow[Any]) -> Call:
    """The first request of a flow."""
    call = next(flow)
    assert isinstance(call, Call)
    return call
