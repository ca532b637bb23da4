from __future__ import annotations

from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.feed import instant
from airflow_provider_taskwatch.systems.moment import day, duration, moment, seconds_between
from tests.rows import each_row


@each_row(
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


@each_row(
    "text, expected",
    [
        ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999999+00:00"),
        ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59.999999+00:00"),
        ("9999-12-31T24:00:00Z", "9999-12-31T23:59:59.999999+00:00"),
        ("0001-01-01T00:00:00+05:00", "0001-01-01T00:00:00+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00"),
        ("2017-01-01T00:59:60.25+01:00", "2017-01-01T00:00:00.250000+00:00"),
        ("20161231T235960Z", "2017-01-01T00:00:00+00:00"),
        ("2026-01-31T24:00:00Z", "2026-02-01T00:00:00+00:00"),
        ("2026-01-31T24:00Z", "2026-02-01T00:00:00+00:00"),
        ("2026-01-31t06:00:00z", "2026-01-31T06:00:00+00:00"),
    ],
)
def test_times_that_python_does_not_have_are_the_nearest_that_it_has(text, expected):
    assert moment(text).isoformat() == expected
    assert instant(moment(text).timestamp()).tzinfo is UTC


TIMES = st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@given(st.text("0123456789PTZW:.,+-YMDHS/ \u0661\ud800"), TIMES)
def test_no_text_is_an_error(text, time):
    for one in (text, time, f"{time}{text}"):
        found = moment(one)
        assert found is None or instant(found.timestamp()).isoformat()
        assert all(isinstance(read, str | None) for read in (day(one), duration(one)))
        assert isinstance(seconds_between(one, time), float | None)


@each_row(
    "value",
    [
        "",
        "0000-01-01T00:00:00Z",
        "0000-00-00T00:00:00Z",
        "2026-01-31T24:30:00Z",
        "2026-01-31T25:00:00Z",
        "2026-01-31T06:00:00Z" + "0" * 1000,
        1e30,
        float("nan"),
        [],
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
def test_a_value_without_a_time_and_a_zone_is_none(value):
    assert moment(value) is None


@each_row("value", ["2026-01-31T06:00:00-96", "20260131", "2026-01-31/P1D", "3:,2", None])
def test_odd_texts_are_neither_days_nor_durations(value):
    assert (day(value), duration(value)) == (None, None)


def test_seconds_are_counted_across_zones():
    assert seconds_between("2026-01-31T06:00:00Z", "2026-01-31T07:01:30.5+01:00") == 90.5


def test_an_end_before_its_start_is_unknown():
    assert seconds_between("2026-01-31T06:00:00Z", "2026-01-31T05:00:00Z") is None
