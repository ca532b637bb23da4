"""The measurements of feeds, with a few events each; ``benchmarks/feeds.py`` takes thousands."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from airflow_provider_taskwatch.sandbox.server import Running
from benchmarks.feeds import CONN_ID, FEED, KEPT, Size, goals, gone_through, pumped, spread, steady
from tests.triggers.conftest import quick_listener

__all__ = ["quick_listener"]

SMALL = Size(waiters=5, per_second=50, seconds=1)


@pytest.fixture
def url(connected: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the inbox that Airflow's settings name."""
    url = f"sqlite:///{tmp_path}/inbox.db"
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", url)
    return url


def test_awaited_events_lie_evenly_among_the_others_and_one_comes_last() -> None:
    assert spread(["a", "b"], 6) == ["other", "other", "a", "other", "other", "b"]
    assert spread(["a", "b", "c"], 4) == ["a", "b", "other", "c"]
    assert spread(["a", "b"], 2) == ["a", "b"]


def test_a_try_has_as_many_waiters_and_at_least_an_event_for_each() -> None:
    tried = Size().scaled(0.01)
    assert (tried.waiters, tried.turns, tried.per_second) == (1_000, 3, 100)
    assert (tried.events, tried.backlog, tried.seconds) == (1_000, 1_000, 1)
    assert Size().scaled(1.0) == Size()


@pytest.mark.parametrize("share, is_reached", [(0.79, False), (0.8, True), (1.2, True)])
def test_many_that_wait_may_cost_a_fifth(share: float, is_reached: bool) -> None:
    (goal,) = goals({"sqlite": {"events a second, 1 waits": 100.0, f"{KEPT}, 1 fires": share}})
    assert goal.is_reached is is_reached


async def test_all_that_is_emitted_is_pumped(url: str, connected: Running) -> None:
    events = [{"type": "a.p.tenant.created", "subject": "{n}", "count": 250}]
    connected.sandbox.emit({"acronis": events}, time.time())
    found = await pumped(CONN_ID, FEED, 250)
    assert found["events"] == 250
    assert found["reads"] >= 3
    assert found["events a second"] > 0


async def test_a_backlog_is_gone_through_until_those_have_fired_that_should(url: str) -> None:
    drain = await gone_through(url, waiters=5, firing=2, backlog=1_500)
    assert drain.per_second > 0
    assert drain.core > 0


async def test_events_that_come_evenly_are_heard_within_a_round_or_two(url: str) -> None:
    found = await steady(url, waiters=5, size=SMALL)
    assert found["seconds until heard, 5 wait, median"] <= found["seconds until heard, 5 wait, p99"] < 5
    assert found["seconds until fired, 5 wait, median"] < 5
