"""The queue of a hub's polls, with a number for a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.watch import Poll
from airflow_provider_taskwatch.hub.poll_queue import Entry, PollQueue


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that never runs, for futures."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def queue() -> PollQueue:
    return PollQueue()


def add(queue: PollQueue, loop: asyncio.AbstractEventLoop, due: float, ref: str = "1", **poll: Any) -> Entry:
    return queue.add(due, Poll(ref=ref, **{"after": 10.0, **poll}), loop.create_future())


def refs(groups: list[list[Entry]]) -> list[list[str]]:
    return [[entry.poll.ref for entry in group] for group in groups]


def test_no_poll_is_taken_before_it_is_due(queue: PollQueue, loop: asyncio.AbstractEventLoop) -> None:
    add(queue, loop, due=5.0)

    assert queue.take(4.9) == []
    assert queue.next_due() == 5.0


def test_due_polls_are_taken_once_in_order(queue: PollQueue, loop: asyncio.AbstractEventLoop) -> None:
    add(queue, loop, due=2.0, ref="second")
    add(queue, loop, due=1.0, ref="first")

    assert refs(queue.take(3.0)) == [["first"], ["second"]]
    assert queue.take(3.0) == []
    assert queue.next_due() is None


def test_polls_with_one_selector_are_taken_together_from_nearly_half_their_interval_on(
    queue: PollQueue, loop: asyncio.AbstractEventLoop
) -> None:
    add(queue, loop, due=1.0, ref="due", selector="A-*")
    add(queue, loop, due=5.0, ref="soon", selector="A-*")
    add(queue, loop, due=9.0, ref="later", selector="A-*")

    assert refs(queue.take(1.0)) == [["due", "soon"]]
    assert refs(queue.take(9.0)) == [["later"]]


def test_each_selector_is_a_group(queue: PollQueue, loop: asyncio.AbstractEventLoop) -> None:
    add(queue, loop, due=1.0, ref="a", selector="A-*")
    add(queue, loop, due=1.0, ref="b", selector="B-*")

    assert refs(queue.take(1.0)) == [["a"], ["b"]]


def test_a_poll_whose_wait_has_ended_is_not_taken(queue: PollQueue, loop: asyncio.AbstractEventLoop) -> None:
    add(queue, loop, due=1.0, ref="gone", selector="A-*").answer.cancel()
    add(queue, loop, due=1.0, ref="gone too").answer.cancel()
    add(queue, loop, due=2.0, ref="there", selector="A-*")

    assert queue.next_due() == 2.0
    assert refs(queue.take(2.0)) == [["there"]]


def test_answered_polls_leave_nothing_behind(queue: PollQueue, loop: asyncio.AbstractEventLoop) -> None:
    add(queue, loop, due=1.0, selector="A-*").answer.set_result(None)
    add(queue, loop, due=1.0, selector="B-*").answer.cancel()

    assert queue.next_due() is None
    assert (queue.clear(), queue._by_selector) == ([], {})


def test_a_poll_that_is_put_back_is_taken_again(queue: PollQueue, loop: asyncio.AbstractEventLoop) -> None:
    entry = add(queue, loop, due=1.0, selector="A-*", hold=12.0)
    [[taken]] = queue.take(1.0)
    queue.put_back(taken, 11.0)

    assert queue.take(10.9) == []
    [[again]] = queue.take(11.0)
    assert (again.answer, again.until) == (entry.answer, 13.0)


def test_an_observation_without_a_change_is_held(queue: PollQueue, loop: asyncio.AbstractEventLoop) -> None:
    running = Observation(ref="1", phase=Phase.RUNNING)
    entry = add(queue, loop, due=1.0, known=running, hold=5.0)

    assert entry.is_held(running, 6.0)
    assert not entry.is_held(running, 6.1)
    assert not entry.is_held(Observation(ref="1", phase=Phase.BLOCKED), 6.0)
    assert not add(queue, loop, due=1.0).is_held(running, 2.0)
