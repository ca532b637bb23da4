"""Messages that arrive together are committed together, and each sender hears only of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import InboxError
from airflow_provider_taskwatch.inbox.cursor import Cursor
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.receiver.writer import (
    BATCH_MESSAGES,
    CALLBACKS,
    CHECKED,
    COUNTED,
    THREADS,
    PushedFeeds,
    Signals,
    Writer,
)
from tests.inbox.memory import MemoryInbox
from tests.until import until


class SlowInbox(MemoryInbox):
    """Takes what it is given when it is told to, or fails then."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.batches: list[list[str]] = []
        self.is_well = True

    def add(self, messages: Sequence[Message]) -> int:
        self.batches.append([one.delivery for one in messages])
        self.go_on.wait(10)
        if not self.is_well:
            raise InboxError("the database is down")
        return super().add(messages)


@pytest.fixture
def inbox() -> SlowInbox:
    return SlowInbox()


def message(delivery: int) -> Message:
    return Message(channel="automic", subject="s", delivery=f"{delivery:03}", content=None, received_at=0.0)


async def test_those_who_wait_share_a_transaction_which_stays_short(inbox: SlowInbox) -> None:
    told: list[tuple[int, int]] = []
    writer = Writer(Signals(inbox).add, lambda *counts: told.append(counts))
    async with asyncio.TaskGroup() as group:
        for first in range(THREADS):
            group.create_task(writer.add(message(first)))
            await until(lambda count=first + 1: len(inbox.batches) == count)
        for number in range(THREADS, THREADS + 2 * BATCH_MESSAGES + 1):
            group.create_task(writer.add(message(number)))
        inbox.go_on.set()
    # in any order, as the threads race to write theirs down
    assert sorted(len(one) for one in inbox.batches) == [1] * THREADS + [1, BATCH_MESSAGES, BATCH_MESSAGES]
    assert sum(new for new, _ in told) == len(inbox.read(Cursor())) == THREADS + 2 * BATCH_MESSAGES + 1


async def test_a_transaction_is_in_one_order_whatever_came_first(inbox: SlowInbox) -> None:
    inbox.go_on.set()
    writer = Writer(Signals(inbox).add, lambda new, known: None)
    await asyncio.gather(*(writer.add(message(number)) for number in (3, 1, 2)))
    assert inbox.batches == [["001", "002", "003"]]


async def test_events_keep_the_order_in_which_they_came_each_feed_in_one_transaction() -> None:
    class Watched(MemoryInbox):
        """Remembers its transactions."""

        def __init__(self) -> None:
            super().__init__()
            self.appended: list[tuple[str, list[str]]] = []

        def append(self, channel: str, messages: Sequence[Message], **_: Any) -> int:
            self.appended.append((channel, [one.delivery for one in messages]))
            return super().append(channel, messages)

    inbox = Watched()
    told: list[tuple[int, int]] = []
    writer = Writer(PushedFeeds(inbox).append, lambda *counts: told.append(counts))
    other = replace(message(2), channel="another")
    await asyncio.gather(*(writer.add(one) for one in (message(3), other, message(1), message(3))))
    assert inbox.appended == [("automic", ["003", "001", "003"]), ("another", ["002"])]
    assert told == [(3, 1)]


async def test_what_was_there_is_told_apart_from_what_is_new(inbox: SlowInbox) -> None:
    inbox.go_on.set()
    told: list[tuple[int, int]] = []
    writer = Writer(Signals(inbox).add, lambda *counts: told.append(counts))
    await asyncio.gather(*(writer.add(message(number)) for number in (1, 2, 2)))
    await writer.add(message(1))
    assert told == [(2, 1), (0, 1)]


async def test_a_failure_is_everybody_s_who_shared_it_and_nobody_s_after(inbox: SlowInbox) -> None:
    inbox.go_on.set()
    inbox.is_well = False
    writer = Writer(Signals(inbox).add, lambda new, known: None)
    errors = await asyncio.gather(*(writer.add(message(number)) for number in (1, 2)), return_exceptions=True)
    assert [type(one) for one in errors] == [InboxError, InboxError]
    inbox.is_well = True
    await writer.add(message(1))
    assert len(inbox.read(Cursor())) == 1


async def test_who_goes_away_does_not_take_the_others_with_him(inbox: SlowInbox) -> None:
    writer = Writer(Signals(inbox).add, lambda new, known: None)
    leaver = asyncio.create_task(writer.add(message(1)))
    stayer = asyncio.create_task(writer.add(message(2)))
    await until(lambda: bool(inbox.batches))
    leaver.cancel()
    inbox.go_on.set()
    await stayer
    assert leaver.cancelled()
    assert len(inbox.read(Cursor())) == 2


@pytest.mark.parametrize("size", [1, BATCH_MESSAGES])
def test_however_often_a_start_is_called_back_the_newest_are_kept(inbox: SlowInbox, size: int) -> None:
    inbox.go_on.set()
    deleted: list[int] = []
    signals = Signals(inbox, deleted.append)
    for first in range(0, 200, size):
        batch = [message(number) for number in range(first, first + size)]
        assert signals.add(batch) == size
        assert len(inbox.read(Cursor())) < CALLBACKS + CHECKED

    assert [one.message.delivery for one in inbox.read(Cursor())] == [f"{n:03}" for n in range(180, 200)]
    assert sum(deleted) == 180


def test_what_was_added_is_stored_even_where_the_older_ones_cannot_be_deleted(caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn(MemoryInbox):
        def keep_newest(self, subjects: Collection[str], limit: int) -> int:
            raise InboxError("the disk is full")

    assert Signals(Stubborn()).add([message(number) for number in range(CHECKED)]) == CHECKED
    assert "no older callbacks were deleted: the disk is full" in caplog.text


def test_starts_that_call_once_cost_no_question_however_many_they_are() -> None:
    class Asked(MemoryInbox):
        questions = 0

        def keep_newest(self, subjects: Collection[str], limit: int) -> int:
            self.questions += 1
            return super().keep_newest(subjects, limit)

    inbox = Asked()
    signals = Signals(inbox)
    for number in range(COUNTED + 100):
        signals.add([replace(message(0), subject=f"start {number}", delivery=str(number))])
    assert (inbox.questions, len(signals._counts)) == (0, COUNTED)


def event(number: int, channel: str = "docplanner") -> Message:
    return Message(channel=channel, subject="7", delivery=f"{number:03}", content="x" * 98, received_at=0.0)


def test_a_feed_that_fills_the_disk_loses_its_oldest_events_and_says_how_many(caplog: pytest.LogCaptureFixture) -> None:
    inbox, deleted = MemoryInbox(), list[int]()
    feeds = PushedFeeds(inbox, deleted.append, limit=16_000)
    inbox.append("another", [event(number, "another") for number in range(500)])
    for number in range(500):
        assert feeds.append([event(number)]) == 1
        assert len(inbox.after("docplanner", 0)) <= 160

    kept = [one.message.delivery for one in inbox.after("docplanner", 0)]
    assert (kept[0], kept[-1]) == (f"{500 - len(kept):03}", "499")
    assert len(kept) + sum(deleted) == 500
    assert len(inbox.after("another", 0)) == 500
    assert "the feed docplanner exceeds its limit in the inbox: its oldest" in caplog.text


def test_a_feed_that_was_too_large_before_a_restart_is_bounded_at_once() -> None:
    inbox = MemoryInbox()
    inbox.append("docplanner", [event(number) for number in range(500)])
    PushedFeeds(inbox, limit=16_000).append([event(500)])

    assert len(inbox.after("docplanner", 0)) == 150


def test_an_event_is_stored_even_where_the_size_of_its_feed_cannot_be_learned(caplog: pytest.LogCaptureFixture) -> None:
    class Opaque(MemoryInbox):
        def keep_bytes(self, channel: str, limit: int) -> int:
            raise InboxError("the disk is slow")

    assert PushedFeeds(Opaque()).append([event(1)]) == 1
    assert "the size of the feed docplanner in the inbox is not known: the disk is slow" in caplog.text
