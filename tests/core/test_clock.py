from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_taskwatch.core.clock import ahead_seconds, rests_on_clock
from airflow_provider_taskwatch.core.outcome import Ending, Outcome

NOW = datetime(2026, 1, 31, 6, tzinfo=UTC)
LATE = Outcome(ending=Ending.TIMED_OUT, ref="1", status="1550")
ABSENT = Outcome(ending=Ending.LOST, ref="1")


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


def ahead(outcome: Outcome, at: float, **wait: object) -> float:
    """``at``: how far the triggerer's clock is ahead."""
    return ahead_seconds(outcome, {"at": ago(-at), "wait": {"started_at": ago(60), **wait}}, NOW)


def test_a_deadline_that_is_not_due_here_was_ended_by_a_clock_that_is_ahead():
    assert ahead(LATE, 3600, deadline=ago(-600)) == 3600.0


def test_a_wrong_clock_takes_not_even_the_last_second_of_a_wait():
    assert ahead(LATE, 3600, deadline=ago(-1)) == 3600.0


def test_a_deadline_that_is_due_here_is_over_whatever_the_other_clock_says():
    assert ahead(LATE, 3600, deadline=ago(1)) == 0.0


@pytest.mark.parametrize("at", [-3600, 0, 10])
def test_a_clock_that_is_not_ahead_is_believed(at):
    assert ahead(LATE, at, deadline=ago(-600)) == 0.0


def test_an_id_is_looked_for_as_long_as_the_workers_clock_allows():
    assert ahead(ABSENT, 3600, rules={"not_found_grace": 300.0}) == 3600.0
    assert ahead(ABSENT, 3600, rules={"not_found_grace": 60.0}) == 0.0


@pytest.mark.parametrize("wait", [{}, {"deadline": None}, {"rules": {}}, {"rules": None}])
def test_without_a_limit_there_is_nothing_to_be_early_for(wait):
    assert ahead(LATE, 3600, **wait) == 0.0
    assert ahead(ABSENT, 3600, **wait) == 0.0


def test_an_event_that_tells_no_time_is_believed():
    assert ahead_seconds(LATE, {"wait": {"deadline": ago(-600)}}, NOW) == 0.0
    assert ahead_seconds(LATE, {"at": ago(-3600)}, NOW) == 0.0


@pytest.mark.parametrize("ending", [one for one in Ending if one is not Ending.TIMED_OUT])
def test_what_the_remote_says_rests_on_no_clock(ending):
    outcome = Outcome(ending=ending, ref="1", status="1900")
    assert not rests_on_clock(outcome)
    assert ahead(outcome, 3600, deadline=ago(-600), rules={"not_found_grace": 300.0}) == 0.0
