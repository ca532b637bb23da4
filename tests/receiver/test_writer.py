"""Messages that arrive together are committed together; each sender gets the result of its own message."""

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
    """Stores a batch, or fails, once the test sets ``go_on``."""

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


async def test_waiting_messages_share_a_transaction_of_limited_size(inbox: SlowInbox) -> None:
    counted: list[tuple[int, int]] = []
    writer = Writer(Signals(inbox).add, lambda *counts: counted.append(counts))
    async with asyncio.TaskGroup() as group:
        for first in range(THREADS):
            group.create_task(writer.add(message(first)))
            await until(lambda count=first + 1: len(inbox.batches) == count)
        for number in range(THREADS, THREADS + 2 * BATCH_MESSAGES + 1):
            group.create_task(writer.add(message(number)))
        inbox.go_on.set()
    # in any order: the threads race to record their batches
    assert sorted(len(one) for one in inbox.batches) == [1] * THREADS + [1, BATCH_MESSAGES, BATCH_MESSAGES]
    assert sum(new for new, _ in counted) == len(inbox.read(Cursor())) == THREADS + 2 * BATCH_MESSAGES + 1


async def test_signals_of_a_transaction_are_sorted(inbox: SlowInbox) -> None:
    inbox.go_on.set()
    writer = Writer(Signals(inbox).add, lambda new, known: None)
    await asyncio.gather(*(writer.add(message(number)) for number in (3, 1, 2)))
    assert inbox.batches == [["001", "002", "003"]]


async def test_events_of_a_feed_keep_their_order_in_one_transaction() -> None:
    class Watched(MemoryInbox):
        """Records its transactions."""

        def __init__(self) -> None:
            super().__init__()
            self.appended: list[tuple[str, list[str]]] = []

        def append(self, channel: str, messages: Sequence[Message], **_: Any) -> int:
            self.appended.append((channel, [one.delivery for one in messages]))
            return super().append(channel, messages)

    inbox = Watched()
    counted: list[tuple[int, int]] = []
    writer = Writer(PushedFeeds(inbox).append, lambda *counts: counted.append(counts))
    other = replace(message(2), channel="another")
    await asyncio.gather(*(writer.add(one) for one in (message(3), other, message(1), message(3))))
    assert inbox.appended == [("automic", ["003", "001", "003"]), ("another", ["002"])]
    assert counted == [(3, 1)]


async def test_new_messages_and_duplicates_are_counted_separately(inbox: SlowInbox) -> None:
    inbox.go_on.set()
    counted: list[tuple[int, int]] = []
    writer = Writer(Signals(inbox).add, lambda *counts: counted.append(counts))
    await asyncio.gather(*(writer.add(message(number)) for number in (1, 2, 2)))
    await writer.add(message(1))
    assert counted == [(2, 1), (0, 1)]


async def test_a_failed_transaction_fails_its_own_messages_only(inbox: SlowInbox) -> None:
    inbox.go_on.set()
    inbox.is_well = False
    writer = Writer(Signals(inbox).add, lambda new, known: None)
    errors = await asyncio.gather(*(writer.add(message(number)) for number in (1, 2)), return_exceptions=True)
    assert [type(one) for one in errors] == [InboxError, InboxError]
    inbox.is_well = True
    await writer.add(message(1))
    assert len(inbox.read(Cursor())) == 1


async def test_a_cancelled_sender_does_not_cancel_the_others(inbox: SlowInbox) -> None:
    writer = Writer(Signals(inbox).add, lambda new, known: None)
    cancelled = asyncio.create_task(writer.add(message(1)))
    remaining = asyncio.create_task(writer.add(message(2)))
    await until(lambda: bool(inbox.batches))
    cancelled.cancel()
    inbox.go_on.set()
    await remaining
    assert cancelled.cancelled()
    assert len(inbox.read(Cursor())) == 2


@pytest.mark.parametrize("size", [1, BATCH_MESSAGES])
def test_only_the_newest_callbacks_of_a_start_are_kept(inbox: SlowInbox, size: int) -> None:
    inbox.go_on.set()
    deleted: list[int] = []
    signals = Signals(inbox, deleted.append)
    for first in range(0, 200, size):
        batch = [message(number) for number in range(first, first + size)]
        assert signals.add(batch) == size
        assert len(inbox.read(Cursor())) < CALLBACKS + CHECKED

    assert [one.message.delivery for one in inbox.read(Cursor())] == [f"{n:03}" for n in range(180, 200)]
    assert sum(deleted) == 180


def test_callbacks_are_stored_although_deleting_older_ones_fails(caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn(MemoryInbox):
        def keep_newest(self, subjects: Collection[str], limit: int) -> int:
            raise InboxError("the disk is full")

    assert Signals(Stubborn()).add([message(number) for number in range(CHECKED)]) == CHECKED
    assert "no older callbacks were deleted: the disk is full" in caplog.text


def test_starts_with_one_callback_each_cause_no_query() -> None:
    class CountingInbox(MemoryInbox):
        queries = 0

        def keep_newest(self, subjects: Collection[str], limit: int) -> int:
            self.queries += 1
            return super().keep_newest(subjects, limit)

    inbox = CountingInbox()
    signals = Signals(inbox)
    for number in range(COUNTED + 100):
        signals.add([replace(message(0), subject=f"start {number}", delivery=str(number))])
    assert (inbox.queries, len(signals._counts)) == (0, COUNTED)


def event(number: int, channel: str = "docplanner") -> Message:
    return Message(channel=channel, subject="7", delivery=f"{number:03}", content="x" * 98, received_at=0.0)


def test_a_feed_beyond_its_limit_loses_its_oldest_events_and_counts_them(caplog: pytest.LogCaptureFixture) -> None:
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


def test_a_feed_too_large_before_a_restart_is_cut_at_once() -> None:
    inbox = MemoryInbox()
    inbox.append("docplanner", [event(number) for number in range(500)])
    PushedFeeds(inbox, limit=16_000).append([event(500)])

    assert len(inbox.after("docplanner", 0)) == 150


def test_an_event_is_stored_although_the_size_of_its_feed_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    class Opaque(MemoryInbox):
        def keep_bytes(self, channel: str, limit: int) -> int:
            raise InboxError("the disk is slow")

    assert PushedFeeds(Opaque()).append([event(1)]) == 1
    assert "the size of the feed docplanner in the inbox is not known: the disk is slow" in caplog.text
