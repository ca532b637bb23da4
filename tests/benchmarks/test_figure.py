"""The arithmetic behind what a wait costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.figure import Figures, busiest_tenth, gaps, goals, lateness, percentile
from tests.rows import each_row

FIGURES = Figures(
    name="single",
    watches=10,
    interval=5.0,
    delay=0.1,
    seconds=50.0,
    polls=100,
    single_reads=100,
    runner_cpu=0.3,
    supervisor_cpu=0.1,
    runner_memory=60_000,
    supervisor_memory=40_000,
    late_p99=0.5,
    gap_p5=5.0,
    gap_p95=5.5,
    busiest_tenth=0.11,
    connections=64,
    tokens=1,
    connection_reads=1,
    blocked=0,
    stretch_warnings=0,
    list_pages=0,
    page_entries=0.0,
    page_ours=0.0,
)


def named(name, **changes):
    return replace(FIGURES, name=name, **changes)


def thousand(**single):
    return {
        "idle": named("idle", polls=0, runner_cpu=0.1, supervisor_cpu=0.1),
        "http": named("http", runner_cpu=30.0),
        "bare": named("bare"),
        "single": named("single", **single),
        "many": named("many", runner_cpu=0.11, supervisor_cpu=0.1),
    }


def reached(found):
    return {goal.what: goal.is_reached for goal in found}


def test_cost_is_counted_per_poll_and_beyond_idle_per_watch_and_interval():
    idle = thousand()["idle"]
    assert (FIGURES.intended, FIGURES.made, FIGURES.cpu_per_poll) == (100.0, 1.0, pytest.approx(0.004))
    assert FIGURES.cpu_beyond(idle) == pytest.approx(0.2 / 50 * 5 / 10)


def test_a_poll_is_late_by_what_its_gap_exceeds_what_was_allowed():
    polls = [(1, 0.0), (2, 0.0), (1, 5.0), (2, 9.0), (1, 10.0)]
    assert lateness(polls, allowed=5.0, begin=1.0, end=12.0) == [0.0, 0.0, 4.0]


def test_what_is_not_looked_at_again_is_late_until_the_end():
    assert lateness([(1, 0.0)], allowed=5.0, begin=1.0, end=20.0) == [15.0]


def test_gaps_are_those_that_end_inside_the_window():
    assert gaps([(1, 0.0), (1, 4.0), (1, 9.0), (1, 30.0)], begin=5.0, end=20.0) == [5.0]


def test_a_percentile_of_nothing_is_zero():
    assert (percentile([], 0.99), percentile([1.0, 2.0, 3.0], 0.99), percentile([1.0, 2.0], 0.0)) == (0.0, 3.0, 1.0)


def test_an_even_spread_has_a_tenth_in_each_tenth():
    assert busiest_tenth([number / 2 for number in range(100)], 5.0) == 0.1
    assert busiest_tenth([3.0, 8.0, 13.1], 5.0) == 1.0
    assert busiest_tenth([], 5.0) == 0.0


def test_all_goals_of_a_thousand_can_be_reached():
    assert set(reached(goals(thousand())).values()) == {True}


@each_row(
    "worse, what",
    [
        ({"runner_cpu": 0.5}, "(c) CPU per poll, of (b)"),
        ({"polls": 98}, "(c) polls made"),
        ({"late_p99": 1.1}, "(c) lateness, p99, seconds"),
        ({"tokens": 2}, "(c) token requests"),
        ({"connection_reads": 9}, "(c) connection reads"),
        ({"connections": 65}, "(c) TCP connections"),
        ({"runner_cpu": 0.1, "supervisor_cpu": 0.15}, "(d) CPU per watch and interval, of (c), both beyond idle"),
    ],
)
def test_each_goal_can_be_missed(worse, what):
    assert not reached(goals(thousand(**worse)))[what]


def test_what_made_no_poll_has_no_cost_per_poll_to_compare_with():
    found = goals(thousand() | {"http": named("http", polls=0)})
    assert [(goal.value, goal.is_reached) for goal in found if goal.what.startswith("(a)")] == [
        ("(a) made no poll", False)
    ]


@each_row(
    "slow, is_reached",
    [
        ({"polls": 100, "late_p99": 0.9}, True),
        ({"polls": 60, "late_p99": 3.0, "stretch_warnings": 1, "gap_p5": 8.0, "gap_p95": 9.0}, True),
        ({"polls": 60, "late_p99": 3.0, "stretch_warnings": 0, "gap_p5": 8.0, "gap_p95": 9.0}, False),
        ({"polls": 60, "late_p99": 3.0, "stretch_warnings": 1, "gap_p5": 5.0, "gap_p95": 9.0}, False),
    ],
)
def test_a_slow_remote_is_kept_up_with_or_all_intervals_are_stretched_evenly(slow, is_reached):
    [goal] = goals({"single-slow": named("single-slow", **slow)})
    assert goal.is_reached is is_reached


def test_memory_is_what_each_further_watch_takes_beyond_a_further_idle_trigger():
    more = {"watches": 20}
    found = goals(
        thousand()
        | {
            "idle-10k": named("idle-10k", runner_memory=160_000, **more),
            "bare-10k": named("bare-10k", **more),
            "single-10k": named("single-10k", runner_memory=250_000, **more),
        }
    )
    assert {goal.value for goal in found if "kB of memory" in goal.what} == {"9.0"}


@each_row(
    "changes, what",
    [
        ({}, None),
        ({"list_pages": 12}, "(e) lists read per interval"),
        ({"single_reads": 1}, "(e) single reads"),
        ({"late_p99": 1.1}, "(e) lateness, p99, seconds"),
    ],
)
def test_one_list_serves_all_of_a_connection(changes, what):
    listed = named("listed", **{"list_pages": 11, "single_reads": 0, **changes})
    short = [name for name, is_reached in reached(goals({"listed": listed})).items() if not is_reached]
    assert short == ([what] if what else [])
