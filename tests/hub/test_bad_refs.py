"""Failures of a few refs do not hold the polls of the others; in virtual time."""

from __future__ import annotations

import itertools
import logging

import pytest

from airflow_provider_taskwatch.core.error import TransportError
from airflow_provider_taskwatch.core.wire import Reply
from tests.hub.fleet import RUNNING, Answer, Fleet

BROKEN = Reply(status=500)
SECONDS = 120.0
GOOD = [f"good-{number}" for number in range(100)]
MANY = [f"good-{number}" for number in range(200)]
"""Some of them ask at any moment."""
HEALTHY = 100 * SECONDS / 5.05  # an interval of five seconds, and what the answer takes


def bad(count: int) -> list[str]:
    return [f"bad-{number}" for number in range(count)]


def interleaved(count: int) -> list[str]:
    share = len(GOOD) // count
    return [ref for number, one in enumerate(bad(count)) for ref in (one, *GOOD[number * share : (number + 1) * share])]


def failing(*replies: Reply | TransportError) -> Answer:
    """Bad refs answer these in turn."""
    turn = itertools.cycle(replies)
    return lambda ref, at: next(turn) if ref.startswith("bad") else RUNNING


@pytest.mark.parametrize("refs", [GOOD + bad(20), bad(20) + GOOD, interleaved(20), bad(5) + GOOD, interleaved(50)])
@pytest.mark.parametrize(
    "answers",
    [
        (BROKEN,),
        (Reply(status=503, headers={"retry-after": "20"}),),
        (Reply(status=502, headers={"retry-after": "3600"}), BROKEN),
        (TransportError("closed without a reply"), Reply(status=504)),
    ],
    ids=["500", "503 with Retry-After", "502 for an hour", "lost"],
)
def test_good_refs_are_polled_as_usual_beside_bad_ones(
    refs: list[str], answers: tuple[Reply | TransportError, ...]
) -> None:
    fleet = Fleet(refs, failing(*answers)).watched(SECONDS / 2)
    assert fleet.polls("good") >= 0.95 * HEALTHY / 2
    assert max(gap for ref in GOOD[::20] for gap in fleet.gaps(ref)) < 7.0


def test_refs_that_fail_for_a_while_delay_no_others() -> None:
    fleet = Fleet(interleaved(20), lambda ref, at: BROKEN if ref < "c" and 30 < at < 60 else RUNNING).watched(SECONDS)
    assert fleet.polls("good") >= 0.95 * HEALTHY
    assert fleet.polls("bad", since=90.0) >= 0.95 * 20 * 30 / 5.05


def test_retry_after_holds_the_ref_for_that_time() -> None:
    fleet = Fleet(["bad", *GOOD], failing(Reply(status=503, headers={"retry-after": "20"}))).watched(70.0)
    assert [20.0 <= gap < 21.0 for gap in fleet.gaps("bad")[:2]] == [True] * 2


def test_a_good_ref_with_a_long_interval_is_polled_beside_many_bad_ones() -> None:
    fleet = Fleet([*bad(100), "good"], failing(BROKEN), interval=60.0).watched(1200.0)
    assert fleet.polls("good") >= 19


def test_refs_that_are_slow_to_fail_leave_slots_for_the_others() -> None:
    slow = Fleet(bad(40) + GOOD, failing(BROKEN), latency=lambda ref: 30.0 if ref < "c" else 0.05).watched(300.0)
    assert slow.polls("good", since=150.0) >= 0.95 * 100 * 150 / 5.05


# --- lists

AUTOMIC = {"connection_type": "automic", "auth": "basic", "own": {"client": "100"}}
RUNS = [str(1_000_000 + number) for number in range(30)]


def automic(list_answers: Reply | TransportError, until: float = 1e9) -> Answer:
    """An engine whose lists are named ``executions`` by their path."""
    return lambda ref, at: list_answers if ref == "executions" and at < until else Reply(status=200, body=ACTIVE)


ACTIVE = b'{"status": 1550, "data": [], "hasmore": false}'


def test_the_refs_of_a_failing_list_are_polled_alone() -> None:
    options = {"alias": "DAILY-0123456789ab"}
    fleet = Fleet(RUNS, automic(BROKEN), options=options, **AUTOMIC).watched(SECONDS)
    assert 3 <= fleet.polls("executions") < 20
    assert min(len(fleet.gaps(run)) for run in RUNS) >= 10


@pytest.mark.parametrize(
    "reply", [BROKEN, Reply(status=503, headers={"retry-after": "3600"}), TransportError("lost")], ids=str
)
def test_a_failing_list_delays_none_of_its_refs(reply: Reply | TransportError) -> None:
    fleet = Fleet(RUNS, automic(reply), options={"alias": "DAILY-0123456789ab"}, **AUTOMIC).watched(300.0)
    assert min(fleet.polls(run) for run in RUNS) >= 0.9 * 300 / 5
    assert max(gap for run in RUNS for gap in fleet.gaps(run)) < 8.0


# --- the remote is down


def down(since: float, until: float = 1e9, reply: Reply | TransportError = BROKEN) -> Answer:
    return lambda ref, at: reply if since <= at < until else RUNNING


@pytest.mark.parametrize("refs", [["good"], ["good", "other"], GOOD])
@pytest.mark.parametrize(
    "reply", [BROKEN, Reply(status=429), TransportError("refused", sent=False), TransportError("lost")], ids=str
)
def test_a_remote_that_is_down_gets_one_probe_at_a_time(refs: list[str], reply: Reply | TransportError) -> None:
    fleet = Fleet(refs, down(30.0, reply=reply)).watched(400.0)
    assert 4 <= fleet.polls(since=100.0) <= 30


def test_a_remote_that_is_down_from_the_beginning_gets_few_probes() -> None:
    fleet = Fleet(GOOD, down(0.0)).watched(400.0)
    assert 4 <= fleet.polls(since=5.0) <= 40  # pauses are spread at random; most often there are 11 to 16


@pytest.mark.parametrize("settings", [{}, {"concurrency": 4}, {"rate_limit": 20.0}], ids=str)
def test_when_the_remote_is_back_all_refs_are_polled_within_seconds_and_no_faster_than_allowed(
    settings: dict[str, float],
) -> None:
    fleet = Fleet(GOOD, down(30.0, until=60.0), **settings).watched(200.0)
    first = min(at for _, at in fleet.asked if at > 60.0)
    assert first <= 60.0 + 40.0
    assert {ref for ref, at in fleet.asked if first <= at <= first + 15.0} == set(GOOD)
    assert fleet.most <= settings.get("concurrency", 16)
    times = [at for _, at in fleet.asked if at > 60.0]
    if rate := settings.get("rate_limit"):
        assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= 0.99 / rate


def test_a_lasting_failure_reaches_all_waits_at_once_by_one_probe() -> None:
    unknown = TransportError("the host name cannot be resolved", sent=False, is_lasting=True)
    fleet = Fleet(GOOD, down(0.0, reply=unknown), patience=10.0).watched(120.0)
    assert fleet.ended.keys() == set(GOOD)
    assert max(fleet.ended.values()) < 30.0
    assert fleet.polls() < 40


# --- holds of the connection


@pytest.mark.parametrize("seconds", [10.0, 40.0])
def test_a_429_holds_the_connection(seconds: float) -> None:
    limited = Reply(status=429, headers={"retry-after": f"{seconds:.0f}"})
    fleet = Fleet(MANY, lambda ref, at: limited if 30.0 <= at < 30.2 else RUNNING).watched(100.0)
    assert not [at for _, at in fleet.asked if 30.5 < at < 30.0 + seconds]
    assert fleet.polls(since=30.0 + seconds * 1.2 + 1.0) > 200


def used_up(reset: float, until: float) -> Answer:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{reset:.0f}"}
    return lambda ref, at: Reply(status=200, headers=headers, body=RUNNING.body) if 30.0 <= at < until else RUNNING


def test_an_allowance_that_is_used_up_for_an_hour_holds_for_five_minutes_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fleet = Fleet(MANY, used_up(3600.0, until=31.0)).watched(600.0)
    [line] = [one.message for one in caplog.records if one.levelno == logging.WARNING]
    assert "3600 s" in line
    assert "acquia_default" in line
    assert not [at for _, at in fleet.asked if 31.5 < at < 330.0]
    assert fleet.polls(since=395.0) > 1000


def test_an_allowance_that_stays_used_up_is_ignored_after_a_good_probe(caplog: pytest.LogCaptureFixture) -> None:
    fleet = Fleet(GOOD, used_up(3600.0, until=1e9)).watched(600.0)
    assert fleet.polls(since=400.0) >= 0.95 * 100 * 200 / 5.05
    assert [one.message for one in caplog.records if "ignored" in one.message]
