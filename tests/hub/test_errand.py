"""A worker's way to the events of a feed."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_provider_taskwatch.core.feed import Batch, sort_out
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.hub.errand import Errand
from airflow_provider_taskwatch.inbox.aside import asides
from airflow_provider_taskwatch.inbox.memory import MemoryInbox
from airflow_provider_taskwatch.inbox.seal import Seal
from tests.hub.remote import NOW, QueueFeed, event
from tests.play import reply


class PagedFeed(QueueFeed):
    """Two items at a time; those that are no numbers are no events."""

    items: tuple[object, ...] = ("a", "b", 1, "c", "d", "e", 2)

    def batch(self, reply: Any, position: str) -> Batch:
        at = int(position)
        events, unreadable = sort_out(self.items[at : at + 2], lambda one: event(one + 0))
        return Batch(events=events, unreadable=unreadable, position=str(min(at + 2, len(self.items))))


def converse(flow: Flow[Any]) -> Any:
    run: Run[Any, Any] = Run(flow)
    while not run.is_over:
        run.send(reply(200, json.dumps([])))
    return run.result


def test_events_that_cannot_be_read_do_not_end_it_early(caplog: pytest.LogCaptureFixture) -> None:
    inbox, counted = MemoryInbox(), list[tuple[str, int]]()
    errand = Errand(
        PagedFeed(), inbox, converse, lambda: Seal([]), clock=lambda: NOW, count=lambda *one: counted.append(one)
    )
    with caplog.at_level(logging.ERROR):
        errand.fetch(None, limit=100)

    assert [one.delivery for one in errand.between(0, 1_000)] == ["1", "2"]
    assert (len(list(asides(inbox))), sum(number for _, number in counted)) == (5, 5)
    assert "2 of its events cannot be read and are set aside" in caplog.text
