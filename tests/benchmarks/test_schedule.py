"""The claims about when to poll, on a few hundred tasks of each kind; ``benchmarks/schedule.py`` plays more."""

from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.schedule import FAR_SECONDS
from benchmarks.schedule import (
    DISTRIBUTIONS,
    GIVEN,
    OURS,
    SHAPES,
    STRATEGIES,
    Figures,
    RemoteTask,
    exponential,
    figures,
    fixed,
    polls_of,
    stuck,
    surplus,
    table_of,
    tasks_of,
)
from tests.rows import each_row

COUNT = 200
EVERY_30 = fixed(30.0)
DOUBLING = exponential(2.0, 30.0)
each_distribution = pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda one: one.name)


@each_distribution
def test_with_progress_fewer_polls_see_the_end_earlier_than_every_30_seconds(distribution):
    tasks = tasks_of(distribution, COUNT, progress=True)
    assert figures(tasks, STRATEGIES[OURS]).beats(figures(tasks, EVERY_30))


@each_distribution
def test_without_progress_it_is_no_worse_than_an_exponential_one(distribution):
    """On long tasks both end up at every 30 s, so that only the phase differs: 1 % is noise."""
    tasks = tasks_of(distribution, COUNT, progress=False)
    ours, theirs = figures(tasks, STRATEGIES[OURS]), figures(tasks, DOUBLING)
    assert ours.is_no_worse_than(theirs, tolerance=0.01)
    assert ours.requests < theirs.requests


def test_no_single_task_without_progress_takes_more_polls_than_an_exponential_one():
    for end in range(1, 300):
        task = RemoteTask(length=end, end=end)
        assert polls_of(task, STRATEGIES[OURS])[0] <= polls_of(task, DOUBLING)[0]


def test_a_task_that_is_stuck_for_hours_costs_few_more_polls_than_every_30_seconds():
    assert max(surplus(stuck(percent, 2.5), STRATEGIES[OURS]) for percent in range(100)) <= 55


@each_distribution
@pytest.mark.parametrize("strategy, seconds", [(OURS, FAR_SECONDS), (GIVEN, 30.0)])
def test_no_end_is_seen_later_than_the_longest_interval(distribution, strategy, seconds):
    tasks = tasks_of(distribution, COUNT // 3, progress=True)
    assert max(polls_of(task, STRATEGIES[strategy])[1] for task in tasks) <= seconds


# --- the simulation itself


def test_the_intervals_of_others_are_what_they_are_called():
    task = RemoteTask(length=100.0, end=100.0)
    assert [DOUBLING(task, polls, 0.0) for polls in range(7)] == [0.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert polls_of(task, EVERY_30) == (5, 20.0)
    assert polls_of(task, fixed(30.0, at_once=False)) == (4, 20.0)
    assert polls_of(task, fixed(5.0)) == (21, 0.0)


@each_row("name", [name for name, shape in SHAPES.items() if shape])
@each_row("knob", [0.0, 1.0])
def test_progress_never_falls_and_is_a_percentage_below_100(name, knob):
    task = RemoteTask(length=200.0, end=200.0, shape=SHAPES[name], knob=knob)
    reported = [task.percent(task.shape, age) for age in range(0, 220, 2)]
    assert reported == sorted(reported)
    assert (reported[0], reported[-1]) == (0, 99)


def test_tasks_differ_only_in_what_the_remote_says_of_them():
    with_progress, without = (tasks_of(DISTRIBUTIONS[0], 48, progress=progress) for progress in (True, False))
    assert [task.end for task in with_progress] == [task.end for task in without]
    assert sum(task.is_failure for task in with_progress) == 4
    assert all(task.left(5.0) is None for task in without)


def test_better_means_better_in_everything():
    good = Figures(requests=1.0, mean_delay=1.0, p95_delay=1.0, mean_delay_of_failures=9.0)
    mixed = Figures(requests=2.0, mean_delay=2.0, p95_delay=0.9, mean_delay_of_failures=1.0)
    assert not good.beats(mixed)
    assert not good.beats(good)
    assert good.is_no_worse_than(good)
    assert not good.is_no_worse_than(mixed)


def test_the_table_has_a_row_for_each_strategy():
    one = Figures(requests=1.0, mean_delay=1.0, p95_delay=1.0, mean_delay_of_failures=1.0)
    assert table_of({"seconds": {OURS: one, GIVEN: one}}).row_count == 2
