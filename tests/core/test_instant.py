"""Seconds since the epoch as a time."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.feed import Event, instant, shown
from tests.rows import each_row


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
def test_any_seconds_are_a_time(seconds: float, expected: str) -> None:
    assert instant(seconds).isoformat() == expected
    assert shown(Event(id="1", name="n", subject="", at=seconds, content={}))["at"] == expected


@given(st.floats() | st.integers())
def test_no_seconds_are_an_error(seconds: float) -> None:
    assert instant(seconds).tzinfo is UTC


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_that_there_is_comes_back(moment: datetime) -> None:
    assert abs((instant(moment.timestamp()) - moment).total_seconds()) <= 1
