from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.limit import hold_seconds, is_failure, repeated
from tests.play import reply

LAST = {"x-ratelimit-remaining": "0"}


def headed(status, headers):
    return reply(status, **headers)


@pytest.mark.parametrize(
    "status, fails", [(200, False), (401, False), (404, False), (429, True), (500, True), (503, True)]
)
def test_only_429_and_5xx_say_that_the_remote_is_in_trouble(status, fails):
    assert is_failure(reply(status)) is fails


def test_a_good_reply_holds_nobody_back():
    assert hold_seconds(reply(), 0) == 0.0


@pytest.mark.parametrize("answer", [None, reply(429), reply(503), reply(429, retry_after="soon")])
def test_without_a_wish_of_the_remote_the_pause_grows_up_to_a_minute(answer):
    assert [hold_seconds(answer, failures) for failures in (1, 2, 3, 7, 10_000)] == [1.0, 2.0, 4.0, 60.0, 60.0]


@pytest.mark.parametrize("status", [429, 503])
def test_the_remotes_wish_counts_for_everybody(status):
    assert hold_seconds(reply(status, retry_after="7"), 1) == 7.0
    assert hold_seconds(reply(status, retry_after="999999"), 1) == 3600.0


def test_a_remote_in_trouble_that_asks_for_no_pause_gets_one():
    assert hold_seconds(reply(503, retry_after="0"), 3) == 4.0


def test_a_wish_in_a_good_reply_is_about_something_else():
    assert hold_seconds(reply(202, retry_after="60"), 0) == 0.0


@pytest.mark.parametrize(
    "reset, seconds",
    [("30", 30.0), (" 5 ", 5.0), ("1800000000", 0.0), ("9" * 5000, 0.0), ("soon", 0.0), ("-1", 0.0), ("", 0.0)],
)
def test_a_used_up_allowance_is_waited_out_where_it_says_for_how_long(reset, seconds):
    assert hold_seconds(headed(200, {**LAST, "x-ratelimit-reset": reset}), 0) == seconds


def test_a_used_up_allowance_is_waited_out_until_its_moment():
    now = {"date": "Wed, 21 Oct 2026 07:00:00 GMT"}
    assert hold_seconds(headed(200, {**LAST, **now, "x-ratelimit-reset": "2026-10-21T07:00:40+00:00"}), 0) == 40.0
    assert hold_seconds(headed(200, {**LAST, **now, "x-ratelimit-reset": "2026-10-21T06:00:00Z"}), 0) == 0.0
    assert hold_seconds(headed(200, {**LAST, "x-ratelimit-reset": "2026-10-21T07:00:40+00:00"}), 0) == 0.0


def test_an_allowance_that_is_left_holds_nobody_back():
    assert hold_seconds(headed(200, {"x-ratelimit-remaining": "1", "x-ratelimit-reset": "30"}), 0) == 0.0
    assert hold_seconds(headed(200, LAST), 0) == 0.0


def test_a_refusal_told_once_more_asks_for_the_rest_of_its_time():
    told = repeated(reply(429, {"message": "slow down"}, retry_after="60"), 12.3)
    assert (told.status, told.headers["retry-after"], told.json()) == (429, "13", {"message": "slow down"})
