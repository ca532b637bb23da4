from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.schedule import Rhythm, remaining_seconds, stretch
from tests.rows import each_row


@each_row("age, seconds", [(-5, 8.0), (0, 8.0), (8, 10.0), (40, 18.0), (88, 30.0), (90_000, 30.0)])
def test_the_interval_grows_with_the_age_of_the_wait(age, seconds):
    assert Rhythm().interval(age) == seconds


@each_row("left, seconds", [(0, 13.0), (6, 13.0), (14, 21.0), (20, 24.0), (39, 24.0)])
def test_a_near_end_is_polled_for_when_it_has_probably_come(left, seconds):
    assert Rhythm().interval(20, left) == seconds


@each_row("age, seconds", [(60, 23.0), (5999, 24.0), (6000, 30.0), (90_000, 30.0)])
def test_a_task_that_is_stuck_near_its_end_is_polled_more_often_only_at_first(age, seconds):
    assert Rhythm(far_seconds=60.0).interval(age, 0.01 * age) == seconds


@each_row(
    "age, left, seconds", [(600, 5400, 60.0), (600, 350, 50.0), (600, 330, 24.0), (10, 990, 40.0), (7, 700, 30.0)]
)
def test_polls_are_farther_apart_while_the_end_is_surely_far(age, left, seconds):
    assert Rhythm(far_seconds=60.0).interval(age, left) == seconds


@each_row("limit", [0.5, 5.0, 30.0, 600.0])
@each_row("left", [None, 0.0, 10.0, 1e6])
def test_a_limit_of_the_user_is_the_longest_interval(limit, left):
    assert all(Rhythm(limit_seconds=limit).interval(age, left) <= limit for age in range(0, 20_000, 50))


@each_row(
    "rhythm, seconds",
    [
        (Rhythm(), 0.0),
        (Rhythm(is_own_start=True), 6.5),
        (Rhythm(is_own_start=True, limit_seconds=5.0), 3.5),
        (Rhythm(is_own_start=True, limit_seconds=1.0), 0.0),
        (Rhythm(is_own_start=True, adaptive=False), 0.0),
    ],
)
def test_our_own_start_is_polled_a_little_later(rhythm, seconds):
    assert rhythm.first(1.5) == seconds


def test_a_rhythm_with_a_limit_alone_polls_at_once():
    stored = Rhythm(limit_seconds=30.0, adaptive=True)
    assert (stored.interval(600, 5400), stored.first(0.0)) == (30.0, 0.0)


def test_a_fixed_interval_is_kept_at_any_progress():
    rhythm = Rhythm(limit_seconds=45.0, adaptive=False)
    assert [rhythm.interval(0), rhythm.interval(3600, 1.0)] == [45.0, 45.0]


def test_a_limit_below_the_first_interval_is_obeyed():
    assert Rhythm(limit_seconds=0.5).interval(0) == 0.5


@each_row("seconds", [0, -1, float("nan")])
@each_row("adaptive", [True, False])
def test_an_interval_without_a_pause_is_refused(seconds, adaptive):
    with pytest.raises(ConfigurationError, match="poll_interval must be greater than 0"):
        Rhythm(limit_seconds=seconds, adaptive=adaptive)


@each_row("progress, remaining", [(50, 100.0), (25, 300.0), (99, 1.01), (0.001, 1e7)])
def test_progress_gives_an_estimate_of_the_rest(progress, remaining):
    assert remaining_seconds(100.0, progress) == pytest.approx(remaining, rel=0.01)


@each_row("progress", [None, 0, -5, 101, float("nan")])
def test_a_progress_of_0_or_100_gives_no_estimate(progress):
    assert remaining_seconds(100.0, progress) is None


def test_a_task_that_is_stuck_at_100_percent_is_polled_at_growing_intervals():
    assert remaining_seconds(3600.0, 100) is None


def test_the_duration_that_the_remote_expects_counts_before_the_progress():
    assert remaining_seconds(500.0, 50, elapsed=100.0) == 100.0
    assert remaining_seconds(500.0, 50, elapsed=100.0, expected=400.0) == 300.0
    assert remaining_seconds(100.0, None, expected=400.0) == 300.0
    assert remaining_seconds(100.0, 50, elapsed=0.0, expected=0.0) == 0.0


def test_an_overdue_end_is_near_and_never_far():
    left = [remaining_seconds(age, None, expected=600.0) for age in (590.0, 600.0, 700.0, 9000.0)]
    assert left == [10.0, 0.0, 0.0, 0.0]


@each_row(
    "demand, capacity, factor",
    [(5, 10, 1.0), (20, 10, 2.0), (2, 0.5, 4.0), (5, 0, 1.0), (5, float("inf"), 1.0), (0, 10, 1.0)],
)
def test_intervals_are_stretched_only_where_demand_exceeds_capacity(demand, capacity, factor):
    assert stretch(demand, capacity) == factor
