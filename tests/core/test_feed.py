"""Events, as people see them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from airflow_provider_taskwatch.core.error import ReplyError
from airflow_provider_taskwatch.core.feed import SHAPE_ERRORS, Batch, Event, delivery, read_items, shown

EVENT = Event(id="1", name="made", subject="42", at=1_769_839_200.5, content={"patient": "Ada"})


def test_an_event_is_shown_with_its_time_in_utc() -> None:
    assert shown(EVENT) == {
        "id": "1",
        "name": "made",
        "subject": "42",
        "at": "2026-01-31T06:00:00.500000+00:00",
        "content": {"patient": "Ada"},
    }
    json.dumps(shown(EVENT))


def test_what_is_shown_is_a_copy() -> None:
    shown(EVENT)["content"]["patient"] = "Eve"
    assert EVENT.content == {"patient": "Ada"}


def test_no_repr_shows_whom_an_event_concerns() -> None:
    assert "Ada" not in repr(EVENT)


def read(item: object) -> Event:
    if isinstance(item, Exception):
        raise item
    return EVENT


@pytest.mark.parametrize("error", [*(kind("Ada") for kind in SHAPE_ERRORS), ReplyError("it has no time")], ids=repr)
def test_one_item_that_cannot_be_read_takes_no_other_with_it(error: Exception) -> None:
    events, [odd] = read_items([{}, error, {}], read)
    batch = Batch(events=events, unreadable=(odd,))

    assert (events, batch.count) == ((EVENT, EVENT), 3)
    assert odd.problem == str(error) if isinstance(error, ReplyError) else "Ada" not in odd.problem


def test_who_brings_events_is_known() -> None:
    assert "push" in delivery(SimpleNamespace(is_pushed=True))  # type: ignore[arg-type]
    assert "triggerers" in delivery(SimpleNamespace(is_pushed=False))  # type: ignore[arg-type]


def test_what_cannot_be_read_is_kept_as_it_came_and_no_repr_shows_it() -> None:
    def refuse(item: object) -> Event:
        raise ReplyError("it has no time")

    _, [odd] = read_items([{"b": "Ada", "a": [None]}], refuse)
    assert (json.loads(odd.content), "Ada" in repr(odd)) == ({"b": "Ada", "a": [None]}, False)
