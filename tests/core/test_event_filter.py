"""Which events a waiter takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.event_filter import EventFilter, value_at
from airflow_provider_taskwatch.core.feed import Event
from tests.rows import each_row

EVENT = Event(
    id="1",
    name="booking-moved",
    subject="42",
    at=100.0,
    content={"data": {"booking": {"id": 42, "is_new": True, "note": None, "parts": [1]}}, "a.b": 1},
)


@each_row(
    "want",
    [
        {},
        {"names": ["booking-moved"]},
        {"names": ["other", "booking-*"]},
        {"names": ["*"]},
        {"subject": "42"},
        {"match": {"data.booking.id": 42}},
        {"match": {"data.booking.id": "42", "data.booking.is_new": "true"}},
        {"match": {"data.booking.is_new": True}},
        {"since": 100.0},
    ],
)
def test_an_event_that_meets_the_conditions_is_accepted(want: dict[str, Any]) -> None:
    assert EventFilter(**want).accepts(EVENT)


@each_row(
    "want",
    [
        {"names": ["booking"]},
        {"names": ["booking.moved"]},
        {"names": ["*-canceled"]},
        {"subject": "4"},
        {"match": {"data.booking.id": 43}},
        {"match": {"data.booking.id": 42, "data.booking.is_new": False}},
        {"match": {"data.booking.missing": "None"}},
        {"match": {"data.booking.note": "None"}},
        {"match": {"data.booking": "x"}},
        {"since": 101.0},
    ],
)
def test_an_event_that_misses_a_condition_is_not_accepted(want: dict[str, Any]) -> None:
    assert not EventFilter(**want).accepts(EVENT)


@each_row("at, is_taken", [(100.0, True), (99.0, False), (100.5, False), (100.8, True)])
def test_a_time_in_whole_seconds_stands_for_any_moment_of_its_second(at: float, is_taken: bool) -> None:
    assert EventFilter(since=100.7).accepts(replace(EVENT, at=at)) is is_taken


@each_row(
    "path, value",
    [("data.booking.id", "42"), ("data.booking.parts", None), ("data.booking.id.x", None), ("a.b", None)],
)
def test_a_path_leads_to_a_single_value_or_to_none(path: str, value: str | None) -> None:
    assert value_at(EVENT.content, path) == value


@pytest.mark.parametrize(
    "want, clue",
    [
        ({"subject": "42", "match": {"a": 1}}, ("", "42")),
        ({"match": {"a": 1, "b": 2}}, ("a", "1")),
        ({"names": ["x"]}, None),
    ],
)
def test_the_index_key_is_a_required_value(want: dict[str, Any], clue: object) -> None:
    assert EventFilter(**want).index_key == clue


@each_row(
    "want, message",
    [
        ({"names": "booking-*"}, "names must be a list of strings"),
        ({"names": [""]}, "names must be a list of strings that are not empty"),
        ({"match": ["a"]}, "match must be a dict"),
        ({"match": {"a": None}}, "match: 'a' must be a dotted path and None a string"),
        ({"match": {"": 1}}, "match: '' must be a dotted path"),
    ],
)
def test_a_filter_that_cannot_match_is_refused(want: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EventFilter(**want).check()
    EventFilter(names=["a"], match={"b": 1}).check()


@pytest.mark.parametrize(
    "arguments, types, message",
    [
        ({}, [], "of any type"),
        ({"since": 1_700_000_000.0}, ["a", "b.*"], "of the types a, b.*, since 2023-11-14 22:13:20 UTC"),
        (
            {"subject": "17", "match": {"patient.name": "A. Person", "id": 3}},
            ["a"],
            "of the types a about 17 with a given patient.name, id",
        ),
    ],
)
def test_the_log_describes_a_filter_without_its_values(arguments, types, message):
    assert EventFilter(**arguments).describe(types) == message


def test_an_event_may_arrive_before_it_happens_by_our_clock():
    assert EventFilter(since=10_000.0).received_since == 6400.0
