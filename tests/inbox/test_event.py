"""Events as messages in an inbox."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_taskwatch.core.feed import Event
from airflow_provider_taskwatch.inbox.event import event_of, message_of
from airflow_provider_taskwatch.inbox.protocol import Inbox

EVENT = Event(id="17 made", name="made", subject="42", at=99.5, content={"deep": [{"a": None}]})


def test_an_event_is_read_unchanged(inbox: Inbox) -> None:
    inbox.append("queue", [message_of("queue", EVENT, 100.0)])

    [found] = inbox.after("queue", 0)
    assert event_of(found.message) == EVENT
    assert (found.message.subject, found.message.received_at) == ("42", 100.0)


def test_an_event_that_is_read_again_is_the_same_delivery(inbox: Inbox) -> None:
    assert inbox.append("queue", [message_of("queue", EVENT, 100.0), message_of("queue", EVENT, 200.0)]) == 1


@pytest.mark.parametrize("long", ["x" * 3_000, "\U0001f600" * 1_000, "".join(map(chr, range(0x4E00, 0x5200)))])
def test_ids_and_subjects_of_any_length_stay_intact_and_distinct(inbox: Inbox, long: str) -> None:
    events = [replace(EVENT, id=long + end, subject=long + end) for end in ("a", "b")]
    assert inbox.append("q" * 199, [message_of("q" * 199, one, 100.0) for one in events]) == 2
    assert inbox.append("q" * 199, [message_of("q" * 199, one, 100.0) for one in events]) == 0

    assert [event_of(one.message).subject for one in inbox.after("q" * 199, 0)] == [long + "a", long + "b"]
