from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow_provider_taskwatch.core.clock import ahead_seconds
from tests.rows import each_row

NOW = datetime(2026, 1, 31, 6, tzinfo=UTC)
"""By the clock of the worker; the seconds in the rows count from here."""


@each_row(
    "ended_at, due, expected",
    [
        (3600, 600, 3600.0),
        (3600, 1, 3600.0),
        (3600, -1, 0.0),
        (10, 600, 0.0),
        (0, 600, 0.0),
        (-3600, 600, 0.0),
        (3600, None, 0.0),
    ],
    ids=[
        "a wait that is not due here",
        "its last second",
        "a wait that is due here",
        "a clock that agrees",
        "the same clock",
        "a clock that is behind",
        "a wait without a limit",
    ],
)
def test_a_clock_is_ahead_where_it_has_ended_a_wait_too_early(ended_at, due, expected):
    moment = None if due is None else NOW + timedelta(seconds=due)
    assert ahead_seconds(NOW + timedelta(seconds=ended_at), moment, NOW) == expected
