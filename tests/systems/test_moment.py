from __future__ import annotations

import pytest

from airflow_provider_taskwatch.systems.moment import day, duration, moment, seconds_between


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T06:00:00Z",
        "2026-01-31 07:00:00+01:00",
        "2026-01-31T01:00:00-0500",
        "2026-01-31T06:00:00.0000001Z",
        "2026-01-31T06:00:00.000000001Z",
    ],
)
def test_all_spellings_of_a_time_are_the_same_moment(text):
    assert moment(text).isoformat() == "2026-01-31T06:00:00+00:00"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "now",
        "3:,2",
        "06:30",
        "2026-01-31",
        "2026-01-31T06:00:00",
        "2026-01-31T06:00:00-96",
        "PT5M",
        5,
        None,
    ],
)
def test_what_is_no_time_in_a_zone_is_none(value):
    assert moment(value) is None


@pytest.mark.parametrize("value", ["2026-01-31T06:00:00-96", "20260131", "2026-01-31/P1D", "3:,2", None])
def test_odd_texts_are_neither_days_nor_durations(value):
    assert (day(value), duration(value)) == (None, None)


def test_seconds_are_counted_across_zones():
    assert seconds_between("2026-01-31T06:00:00Z", "2026-01-31T07:01:30.5+01:00") == 90.5


def test_an_end_before_its_start_is_unknown():
    assert seconds_between("2026-01-31T06:00:00Z", "2026-01-31T05:00:00Z") is None
