"""Reading the events of a feed on a worker."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_provider_taskwatch.core.feed import Batch, read_items
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.feed.checkpoint import BACK_SECONDS
from airflow_provider_taskwatch.feed.worker_reader import WorkerFeedReader
from airflow_provider_taskwatch.inbox.aside import asides
from airflow_provider_taskwatch.inbox.checkpoint import Checkpoint
from airflow_provider_taskwatch.inbox.event import message_of
from airflow_provider_taskwatch.inbox.seal import Seal
from tests.feed.remote import NOW, QueueFeed, event
from tests.inbox.memory import MemoryInbox
from tests.inbox.replaceable import ReplaceableInbox
from tests.play import reply


class PagedFeed(QueueFeed):
    """Two items in each batch; only numbers are events."""

    items: tuple[object, ...] = ("a", "b", 1, "c", "d", "e", 2)

    def batch(self, reply: Any, position: str) -> Batch:
        at = int(position)
        events, unreadable = read_items(self.items[at : at + 2], lambda one: event(one + 0))
        return Batch(events=events, unreadable=unreadable, position=str(min(at + 2, len(self.items))))


def converse(flow: Flow[Any]) -> Any:
    run: Run[Any, Any] = Run(flow)
    while not run.is_over:
        run.send(reply(200, json.dumps([])))
    return run.result


def test_unreadable_events_do_not_end_a_fetch_early(caplog: pytest.LogCaptureFixture) -> None:
    inbox, counted = MemoryInbox(), list[tuple[str, int]]()
    reader = WorkerFeedReader(
        PagedFeed(), inbox, converse, lambda: Seal([]), clock=lambda: NOW, count=lambda *one: counted.append(one)
    )
    with caplog.at_level(logging.ERROR):
        reader.fetch(None, limit=100)

    assert [one.delivery for one in reader.between(0, 1_000)] == ["1", "2"]
    assert (len(list(asides(inbox))), sum(number for _, number in counted)) == (5, 5)
    assert "2 of its events cannot be read and are set aside" in caplog.text


class Time:
    """A clock that advances when a reader sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def reader_on(inbox: Any, time: Time, *counted: list[tuple[str, int]]) -> WorkerFeedReader:
    return WorkerFeedReader(
        PagedFeed(),
        inbox,
        converse,
        lambda: Seal([]),
        clock=lambda: NOW,
        count=lambda *one: [each.append(one) for each in counted],
        now=time.now,
        sleep=time.sleep,
    )


def bring(inbox: Any, at: float, *numbers: int) -> None:
    inbox.append("fake queue", [message_of("fake queue", event(number), at) for number in numbers])


def read(reader: WorkerFeedReader, checkpoint: Checkpoint) -> tuple[list[str], Checkpoint]:
    ids, checkpoint = list[str](), reader.again(checkpoint)
    for page in reader.pages(checkpoint):
        ids += [one.message.delivery for one in page.rows]
        checkpoint, _ = checkpoint.after(page.rows, page)
    return ids, checkpoint


def test_a_restored_inbox_is_logged_and_read_from_its_own_position(caplog: pytest.LogCaptureFixture) -> None:
    inbox, time, counted = ReplaceableInbox(), Time(), list[tuple[str, int]]()
    reader = reader_on(inbox, time, counted)
    bring(inbox, NOW, 1, 2)
    saved = inbox.backup()
    bring(inbox, NOW + 100, 3, 4)
    _, checkpoint = read(reader, Checkpoint(passed=0))
    inbox.present = saved
    bring(inbox, NOW + 200, 11, 12, 13)

    assert read(reader, checkpoint)[0] == ["11", "12", "13"]
    assert (time.seconds, counted) == (BACK_SECONDS, [("inbox.went_back", 1)])
    assert "it does not hold number 4 of the feed fake queue any more" in caplog.text


def test_a_reader_waits_for_a_lagging_replica(caplog: pytest.LogCaptureFixture) -> None:
    inbox, time = ReplaceableInbox(), Time()
    reader = reader_on(inbox, time)
    bring(inbox, NOW, 1)
    behind = inbox.backup()
    bring(inbox, NOW, 2)
    _, checkpoint = read(reader, Checkpoint(passed=0))
    primary, inbox.present = inbox.present, behind
    time.sleep = lambda seconds: setattr(inbox, "present", primary)  # type: ignore[method-assign]
    bring(primary, NOW, 3)

    assert read(reader_on(inbox, time), checkpoint)[0] == ["3"]
    assert caplog.text == ""
