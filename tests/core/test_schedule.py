from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.schedule import Rhythm, remaining_seconds, stretch


@pytest.mark.parametrize(
    "age, seconds", [(-5, 2.0), (0, 2.0), (5, 2.0), (20, 4.0), (100, 20.0), (150, 30.0), (90_000, 30.0)]
)
def test_the_interval_grows_with_the_age_of_the_wait(age, seconds):
    assert Rhythm().interval(age) == seconds


@pytest.mark.parametrize("remaining, seconds", [(0, 2.0), (3, 2.0), (20, 10.0), (1000, 30.0)])
def test_an_end_that_announces_itself_is_looked_for_more_closely(remaining, seconds):
    assert Rhythm().interval(3600, remaining) == seconds


def test_a_fixed_interval_is_kept_whatever_is_known():
    rhythm = Rhythm(limit_seconds=45.0, adaptive=False)
    assert [rhythm.interval(0), rhythm.interval(3600, 1.0)] == [45.0, 45.0]


def test_a_limit_below_the_first_interval_is_obeyed():
    assert Rhythm(limit_seconds=0.5).interval(0) == 0.5


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
@pytest.mark.parametrize("adaptive", [True, False])
def test_an_interval_that_would_never_pause_is_refused(seconds, adaptive):
    with pytest.raises(ConfigurationError, match="poll_interval must be greater than 0"):
        Rhythm(limit_seconds=seconds, adaptive=adaptive)


@pytest.mark.parametrize("progress, remaining", [(50, 100.0), (25, 300.0), (99, 1.01), (0.001, 1e7)])
def test_progress_tells_what_is_left(progress, remaining):
    assert remaining_seconds(100.0, progress) == pytest.approx(remaining, rel=0.01)


@pytest.mark.parametrize("progress", [None, 0, -5, 101, float("nan")])
def test_a_progress_that_says_nothing_gives_no_estimate(progress):
    assert remaining_seconds(100.0, progress) is None


def test_a_task_stuck_at_100_percent_is_not_looked_at_every_two_seconds_for_ever():
    assert remaining_seconds(3600.0, 100) is None


def test_the_remotes_own_clock_and_usual_duration_count_first():
    assert remaining_seconds(500.0, 50, elapsed=100.0) == 100.0
    assert remaining_seconds(500.0, 50, elapsed=100.0, expected=400.0) == 300.0
    assert remaining_seconds(100.0, None, expected=400.0) == 300.0
    assert remaining_seconds(100.0, 50, elapsed=0.0, expected=0.0) == 0.0


def test_an_overdue_end_is_looked_for_less_and_less_often():
    left = [remaining_seconds(age, None, expected=600.0) for age in (590.0, 600.0, 620.0, 700.0)]
    assert [Rhythm().interval(600.0, one) for one in left] == [5.0, 2.0, 10.0, 30.0]


@pytest.mark.parametrize(
    "demand, capacity, factor",
    [(5, 10, 1.0), (20, 10, 2.0), (2, 0.5, 4.0), (5, 0, 1.0), (5, float("inf"), 1.0), (0, 10, 1.0)],
)
def test_intervals_are_stretched_only_where_too_much_is_asked(demand, capacity, factor):
    assert stretch(demand, capacity) == factor
