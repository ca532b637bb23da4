"""Messages that arrive together are committed together, and each sender hears only of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from airflow_provider_taskwatch.core.error import InboxError
from airflow_provider_taskwatch.inbox.cursor import Cursor
from airflow_provider_taskwatch.inbox.memory import MemoryInbox
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.receiver.writer import BATCH_MESSAGES, THREADS, Writer
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
    writer = Writer(inbox, lambda *counts: told.append(counts))
    async with asyncio.TaskGroup() as group:
        for first in range(THREADS):
            group.create_task(writer.add(message(first)))
            await until(lambda count=first + 1: len(inbox.batches) == count)
        for number in range(THREADS, THREADS + 2 * BATCH_MESSAGES + 1):
            group.create_task(writer.add(message(number)))
        inbox.go_on.set()
    assert [len(one) for one in inbox.batches] == [1] * THREADS + [BATCH_MESSAGES, BATCH_MESSAGES, 1]
    assert sum(new for new, _ in told) == len(inbox.read(Cursor())) == THREADS + 2 * BATCH_MESSAGES + 1


async def test_a_transaction_is_in_one_order_whatever_came_first(inbox: SlowInbox) -> None:
    inbox.go_on.set()
    writer = Writer(inbox, lambda new, known: None)
    await asyncio.gather(*(writer.add(message(number)) for number in (3, 1, 2)))
    assert inbox.batches == [["001", "002", "003"]]


async def test_what_was_there_is_told_apart_from_what_is_new(inbox: SlowInbox) -> None:
    inbox.go_on.set()
    told: list[tuple[int, int]] = []
    writer = Writer(inbox, lambda *counts: told.append(counts))
    await asyncio.gather(*(writer.add(message(number)) for number in (1, 2, 2)))
    await writer.add(message(1))
    assert told == [(2, 1), (0, 1)]


async def test_a_failure_is_everybody_s_who_shared_it_and_nobody_s_after(inbox: SlowInbox) -> None:
    inbox.go_on.set()
    inbox.is_well = False
    writer = Writer(inbox, lambda new, known: None)
    errors = await asyncio.gather(*(writer.add(message(number)) for number in (1, 2)), return_exceptions=True)
    assert [type(one) for one in errors] == [InboxError, InboxError]
    inbox.is_well = True
    await writer.add(message(1))
    assert len(inbox.read(Cursor())) == 1


async def test_who_goes_away_does_not_take_the_others_with_him(inbox: SlowInbox) -> None:
    writer = Writer(inbox, lambda new, known: None)
    leaver = asyncio.create_task(writer.add(message(1)))
    stayer = asyncio.create_task(writer.add(message(2)))
    await until(lambda: bool(inbox.batches))
    leaver.cancel()
    inbox.go_on.set()
    await stayer
    assert leaver.cancelled()
    assert len(inbox.read(Cursor())) == 2
