"""Who hears of which event, and how few are asked."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.core.feed import Event
from airflow_provider_taskwatch.feed.waiter_index import Waiter, WaiterIndex
from tests.feed.remote import Listening, event
from tests.rows import each_row


class CountingWant(EventFilter):
    """Counts how often anybody is asked."""

    asked = 0

    def accepts(self, event: Event) -> bool:
        CountingWant.asked += 1
        return super().accepts(event)


@each_row(
    "want",
    [
        {},
        {"names": ["ma*"]},
        {"subject": "7"},
        {"match": {"booking.id": 7}},
        {"match": {"booking.id": "7", "number": 1}},
        {"subject": "7", "match": {"booking.id": 7}},
    ],
)
def test_whoever_wants_an_event_hears_it_once(want: dict[str, Any]) -> None:
    audience, listening = WaiterIndex(), Listening(EventFilter(**want))
    audience.join(listening.waiter)
    audience.tell(event(1, subject="7", booking={"id": 7}))

    assert listening.heard == ["1"]


@each_row(
    "want",
    [
        {"names": ["moved"]},
        {"subject": "8"},
        {"match": {"booking.id": 8}},
        {"match": {"booking.id": 7, "number": 2}},
        {"subject": "7", "names": ["moved"]},
        {"since": 1e9},
    ],
)
def test_whoever_wants_something_else_does_not(want: dict[str, Any]) -> None:
    audience, listening = WaiterIndex(), Listening(EventFilter(**want))
    audience.join(listening.waiter)
    audience.tell(event(1, subject="7", booking={"id": 7}))

    assert listening.heard == []


@pytest.mark.parametrize("want_of", [lambda n: {"subject": str(n)}, lambda n: {"match": {"booking.id": n}}])
def test_thousands_who_wait_are_not_all_asked(want_of: Any) -> None:
    audience, all_ = WaiterIndex(), [Listening(CountingWant(**want_of(number))) for number in range(5_000)]
    for one in all_:
        audience.join(one.waiter)
    CountingWant.asked = 0
    audience.tell(event(1, subject="7", booking={"id": 7}))

    assert (CountingWant.asked, all_[7].heard) == (1, ["1"])
    assert sum(len(one.heard) for one in all_) == 1


@pytest.mark.parametrize("want", [{}, {"subject": "7"}, {"match": {"booking.id": 7}}])
def test_nothing_is_left_of_those_who_have_left(want: dict[str, Any]) -> None:
    audience, listening = WaiterIndex(), Listening(EventFilter(**want))
    first, second = listening.waiter, listening.waiter
    for one in (first, second):
        audience.join(one)
    assert list(audience) == [first, second]

    audience.leave(first)
    audience.tell(event(1, subject="7", booking={"id": 7}))
    assert (listening.heard, bool(audience)) == (["1"], True)
    audience.leave(second)
    audience.leave(second)
    assert (bool(audience), list(audience), vars(audience)) == (False, [], {"_by_key": {}, "_others": {}})


def test_one_may_leave_while_he_hears() -> None:
    audience, heard = WaiterIndex(), list[str]()
    waiters: list[Waiter] = []

    def hear(told: Event) -> None:
        heard.append(told.id)
        audience.leave(waiters.pop(0))

    waiters.extend(Waiter(EventFilter(subject="7"), hear) for _ in range(3))
    for one in waiters:
        audience.join(one)
    audience.tell(event(1, subject="7"))

    assert (heard, bool(audience)) == (["1"] * 3, False)


def test_who_has_heard_of_the_past_is_not_told_it_again() -> None:
    audience, listening = WaiterIndex(), Listening()
    audience.join(listening.waiter, after=5)
    for number in (4, 5, 6):
        audience.tell(event(number), number)
    assert listening.heard == ["6"]
