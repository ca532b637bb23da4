"""When lists are read, and when each ref alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import RemoteError, ReplyError, TransportError
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.watch import Poll
from airflow_provider_taskwatch.hub.lists import FAILED_SECONDS, FAILURES, GATHER_SECONDS, REFUSED_SECONDS, Lists

SEEN = {"1": Observation(ref="1", phase=Phase.RUNNING)}
REFUSED = RemoteError(method="GET", path="/", status=403, message="no")
FAILED = RemoteError(method="GET", path="/", status=500, message="no")


class Connection:
    """A connection whose lists answer what a test wants."""

    def __init__(self, *, reads_alone: bool = True) -> None:
        self.reads_alone = reads_alone
        self.answer: Mapping[str, Observation] | Exception = SEEN
        self.held = 0.0
        self.warnings: list[str] = []
        self.now = 0.0

    async def run(self, make_flow: Any, *, about: str) -> Mapping[str, Observation]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def held_seconds(self, about: str) -> float:
        return self.held

    def warn(self, message: str, *values: object) -> None:
        self.warnings.append(message)

    def lists(self) -> Lists:
        connection: Any = self
        return Lists(connection=connection, clock=lambda: self.now)


def read(lists: Lists, selector: str = "A-*") -> Mapping[str, Observation]:
    return asyncio.run(lists.read([Poll(ref="1", after=5.0, selector=selector)]))


def test_polls_without_a_selector_are_read_one_by_one() -> None:
    assert Connection().lists().next_read("", 0.0) is None


def test_a_list_is_read_now_unless_the_limiter_holds_it() -> None:
    connection = Connection()
    lists = connection.lists()
    assert lists.next_read("A-*", 7.0) == 7.0
    connection.held = 3.0
    assert lists.next_read("A-*", 7.0) is None


def test_where_no_ref_can_be_read_alone_the_next_list_gathers_polls_and_waits_for_the_limiter() -> None:
    connection = Connection(reads_alone=False)
    connection.held = 3.0
    lists = connection.lists()
    assert [lists.next_read("A-*", at) for at in (7.0, 7.5, 7.9)] == [7.0, 7.0 + GATHER_SECONDS, 7.0 + GATHER_SECONDS]
    assert lists.next_read("B-*", 7.5) == 7.5
    assert lists.next_read("A-*", 8.0) == 8.0


@pytest.mark.parametrize("error", [REFUSED, ReplyError("no JSON")])
def test_no_list_is_read_for_a_while_after_one_was_refused_and_that_is_logged_once(error: Exception) -> None:
    connection = Connection()
    connection.answer = error
    lists = connection.lists()
    assert read(lists) == {}
    assert [lists.next_read(selector, REFUSED_SECONDS - 0.1) for selector in ("A-*", "B-*")] == [None, None]
    assert lists.next_read("A-*", REFUSED_SECONDS) == REFUSED_SECONDS
    assert read(lists) == {}
    assert [one.startswith("connection %r cannot read many at once") for one in connection.warnings] == [True]


def test_a_list_that_fails_several_times_in_a_row_is_not_read_for_a_while_and_others_are() -> None:
    connection = Connection()
    lists = connection.lists()
    for connection.now in (0.0, 1.0):
        connection.answer = FAILED
        assert read(lists) == {}
        connection.answer = SEEN
        assert read(lists) == SEEN
    connection.answer = TransportError("lost")
    for _ in range(FAILURES):
        assert lists.next_read("A-*", 1.0) == 1.0
        assert read(lists) == {}
    assert [lists.next_read(selector, 1.0) for selector in ("A-*", "B-*")] == [None, 1.0]
    assert lists.next_read("A-*", 1.0 + FAILED_SECONDS) == 1.0 + FAILED_SECONDS
    assert [one.startswith("connection %r: the list %r fails") for one in connection.warnings] == [True]


@pytest.mark.parametrize(
    "reads_alone, error",
    [
        (False, FAILED),
        (False, TransportError("lost")),
        (True, TransportError("refused", sent=False)),
        (True, RemoteError(method="GET", path="/", status=429, message="no")),
    ],
)
def test_a_failure_of_the_remote_is_the_answer_to_all_polls(reads_alone: bool, error: Exception) -> None:
    connection = Connection(reads_alone=reads_alone)
    connection.answer = error
    lists = connection.lists()
    for _ in range(FAILURES):
        with pytest.raises(type(error)):
            read(lists)
    assert lists.next_read("A-*", 2.0) == 2.0
    assert connection.warnings == []
