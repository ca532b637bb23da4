"""Events, as people see them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import ReplyError
from airflow_provider_taskwatch.core.feed import SHAPE_ERRORS, Batch, Event, delivery, instant, read_items, shown
from tests.rows import each_row

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


def test_a_shown_event_is_a_copy() -> None:
    shown(EVENT)["content"]["patient"] = "Eve"
    assert EVENT.content == {"patient": "Ada"}


def test_no_repr_shows_the_content_of_an_event() -> None:
    assert "Ada" not in repr(EVENT)


def read(item: object) -> Event:
    if isinstance(item, Exception):
        raise item
    return EVENT


@pytest.mark.parametrize("error", [*(kind("Ada") for kind in SHAPE_ERRORS), ReplyError("it has no time")], ids=repr)
def test_an_unreadable_item_does_not_affect_the_others(error: Exception) -> None:
    events, [odd] = read_items([{}, error, {}], read)
    batch = Batch(events=events, unreadable=(odd,))

    assert (events, batch.count) == ((EVENT, EVENT), 3)
    assert odd.problem == str(error) if isinstance(error, ReplyError) else "Ada" not in odd.problem


def test_the_delivery_of_events_is_described() -> None:
    assert "push" in delivery(SimpleNamespace(is_pushed=True))  # type: ignore[arg-type]
    assert "triggerers" in delivery(SimpleNamespace(is_pushed=False))  # type: ignore[arg-type]


def test_an_unreadable_item_is_kept_unchanged_and_no_repr_shows_it() -> None:
    def refuse(item: object) -> Event:
        raise ReplyError("it has no time")

    _, [odd] = read_items([{"b": "Ada", "a": [None]}], refuse)
    assert (json.loads(odd.content), "Ada" in repr(odd)) == ({"b": "Ada", "a": [None]}, False)


@each_row(
    "seconds, expected",
    [
        (0.5, "1970-01-01T00:00:00.500000+00:00"),
        (253_402_300_800.0, "9999-12-31T23:59:59+00:00"),
        (1e300, "9999-12-31T23:59:59+00:00"),
        (float("inf"), "9999-12-31T23:59:59+00:00"),
        (float("-inf"), "0001-01-01T00:00:00+00:00"),
        (float("nan"), "1970-01-01T00:00:00+00:00"),
    ],
)
def test_seconds_out_of_range_become_the_nearest_time(seconds: float, expected: str) -> None:
    assert instant(seconds).isoformat() == expected
    assert shown(Event(id="1", name="n", subject="", at=seconds, content={}))["at"] == expected


@given(st.floats() | st.integers())
def test_any_number_of_seconds_is_a_time(seconds: float) -> None:
    assert instant(seconds).tzinfo is UTC


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_survives_the_conversion_to_seconds(moment: datetime) -> None:
    assert abs((instant(moment.timestamp()) - moment).total_seconds()) <= 1
