"""Which waiters receive an event, and how few filters are evaluated."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.core.feed import Event
from airflow_provider_taskwatch.feed.waiter_index import Waiter, WaiterIndex
from tests.feed.remote import RecordingWaiter, event
from tests.rows import each_row


class CountingFilter(EventFilter):
    """Counts how often a filter is evaluated."""

    evaluations = 0

    def accepts(self, event: Event) -> bool:
        CountingFilter.evaluations += 1
        return super().accepts(event)


@each_row(
    "arguments",
    [
        {},
        {"names": ["ma*"]},
        {"subject": "7"},
        {"match": {"booking.id": 7}},
        {"match": {"booking.id": "7", "number": 1}},
        {"subject": "7", "match": {"booking.id": 7}},
    ],
)
def test_a_waiter_receives_a_matching_event_once(arguments: dict[str, Any]) -> None:
    index, waiting = WaiterIndex(), RecordingWaiter(EventFilter(**arguments))
    index.join(waiting.waiter)
    index.tell(event(1, subject="7", booking={"id": 7}))

    assert waiting.received == ["1"]


@each_row(
    "arguments",
    [
        {"names": ["moved"]},
        {"subject": "8"},
        {"match": {"booking.id": 8}},
        {"match": {"booking.id": 7, "number": 2}},
        {"subject": "7", "names": ["moved"]},
        {"since": 1e9},
    ],
)
def test_a_waiter_does_not_receive_another_event(arguments: dict[str, Any]) -> None:
    index, waiting = WaiterIndex(), RecordingWaiter(EventFilter(**arguments))
    index.join(waiting.waiter)
    index.tell(event(1, subject="7", booking={"id": 7}))

    assert waiting.received == []


@pytest.mark.parametrize("arguments_of", [lambda n: {"subject": str(n)}, lambda n: {"match": {"booking.id": n}}])
def test_an_event_is_checked_against_few_of_thousands_of_waiters(arguments_of: Any) -> None:
    index, all_ = WaiterIndex(), [RecordingWaiter(CountingFilter(**arguments_of(number))) for number in range(5_000)]
    for one in all_:
        index.join(one.waiter)
    CountingFilter.evaluations = 0
    index.tell(event(1, subject="7", booking={"id": 7}))

    assert (CountingFilter.evaluations, all_[7].received) == (1, ["1"])
    assert sum(len(one.received) for one in all_) == 1


@pytest.mark.parametrize("arguments", [{}, {"subject": "7"}, {"match": {"booking.id": 7}}])
def test_a_waiter_that_left_leaves_nothing_in_the_index(arguments: dict[str, Any]) -> None:
    index, waiting = WaiterIndex(), RecordingWaiter(EventFilter(**arguments))
    first, second = waiting.waiter, waiting.waiter
    for one in (first, second):
        index.join(one)
    assert list(index) == [first, second]

    index.leave(first)
    index.tell(event(1, subject="7", booking={"id": 7}))
    assert (waiting.received, bool(index)) == (["1"], True)
    index.leave(second)
    index.leave(second)
    assert (bool(index), list(index), vars(index)) == (False, [], {"_by_key": {}, "_others": {}})


def test_a_waiter_may_leave_while_it_receives_an_event() -> None:
    index, received = WaiterIndex(), list[str]()
    waiters: list[Waiter] = []

    def receive(event: Event) -> None:
        received.append(event.id)
        index.leave(waiters.pop(0))

    waiters.extend(Waiter(EventFilter(subject="7"), receive) for _ in range(3))
    for one in waiters:
        index.join(one)
    index.tell(event(1, subject="7"))

    assert (received, bool(index)) == (["1"] * 3, False)


def test_a_waiter_that_has_caught_up_does_not_receive_older_events() -> None:
    index, waiting = WaiterIndex(), RecordingWaiter()
    index.join(waiting.waiter, after=5)
    for number in (4, 5, 6):
        index.tell(event(number), number)
    assert waiting.received == ["6"]
