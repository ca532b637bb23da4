"""The schedule of a hub, with a number for a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_taskwatch.core.watch import Poll
from airflow_provider_taskwatch.hub.poll_queue import Entry, PollQueue


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that never runs; futures want one."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def agenda() -> PollQueue:
    return PollQueue()


def add(agenda: PollQueue, loop: asyncio.AbstractEventLoop, due: float, ref: str = "1", **poll: Any) -> Entry:
    return agenda.add(due, Poll(ref=ref, **{"after": 10.0, **poll}), loop.create_future())


def refs(groups: list[list[Entry]]) -> list[list[str]]:
    return [[entry.poll.ref for entry in group] for group in groups]


def test_nothing_is_due_before_its_time(agenda: PollQueue, loop: asyncio.AbstractEventLoop) -> None:
    add(agenda, loop, due=5.0)

    assert agenda.take(4.9) == []
    assert agenda.next_due() == 5.0


def test_what_is_due_comes_in_order_and_once(agenda: PollQueue, loop: asyncio.AbstractEventLoop) -> None:
    add(agenda, loop, due=2.0, ref="second")
    add(agenda, loop, due=1.0, ref="first")

    assert refs(agenda.take(3.0)) == [["first"], ["second"]]
    assert agenda.take(3.0) == []
    assert agenda.next_due() is None


def test_one_selector_is_taken_together_with_those_whose_time_is_nearly_half_over(
    agenda: PollQueue, loop: asyncio.AbstractEventLoop
) -> None:
    add(agenda, loop, due=1.0, ref="due", selector="A-*")
    add(agenda, loop, due=5.0, ref="soon", selector="A-*")
    add(agenda, loop, due=9.0, ref="later", selector="A-*")

    assert refs(agenda.take(1.0)) == [["due", "soon"]]
    assert refs(agenda.take(9.0)) == [["later"]]


def test_selectors_do_not_mix(agenda: PollQueue, loop: asyncio.AbstractEventLoop) -> None:
    add(agenda, loop, due=1.0, ref="a", selector="A-*")
    add(agenda, loop, due=1.0, ref="b", selector="B-*")

    assert refs(agenda.take(1.0)) == [["a"], ["b"]]


def test_a_watch_that_is_gone_is_not_asked_for(agenda: PollQueue, loop: asyncio.AbstractEventLoop) -> None:
    add(agenda, loop, due=1.0, ref="gone", selector="A-*").answer.cancel()
    add(agenda, loop, due=1.0, ref="gone too").answer.cancel()
    add(agenda, loop, due=2.0, ref="there", selector="A-*")

    assert agenda.next_due() == 2.0
    assert refs(agenda.take(2.0)) == [["there"]]


def test_what_was_answered_otherwise_leaves_nothing_behind(agenda: PollQueue, loop: asyncio.AbstractEventLoop) -> None:
    add(agenda, loop, due=1.0, selector="A-*").answer.set_result(None)
    add(agenda, loop, due=1.0, selector="B-*").answer.cancel()

    assert agenda.next_due() is None
    assert agenda.is_empty


def test_what_is_put_back_has_another_turn(agenda: PollQueue, loop: asyncio.AbstractEventLoop) -> None:
    entry = add(agenda, loop, due=1.0, selector="A-*")
    [[taken]] = agenda.take(1.0)
    agenda.put_back(taken, 11.0)

    assert agenda.take(10.9) == []
    [[again]] = agenda.take(11.0)
    assert again.answer is entry.answer
