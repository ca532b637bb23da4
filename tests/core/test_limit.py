from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.limit import (
    Scope,
    Suspicion,
    hold_seconds,
    is_failure,
    renewed_in,
    repeated,
    scope_of,
)
from tests.play import reply
from tests.rows import each_row

LAST = {"x-ratelimit-remaining": "0"}
NOW = {"date": "Wed, 21 Oct 2026 07:00:00 GMT"}


def headed(status, headers):
    return reply(status, **headers)


@each_row(
    "status, fails", [(200, False), (401, False), (404, False), (429, True), (499, False), (500, True), (503, True)]
)
def test_only_429_and_5xx_are_failures_of_the_remote(status, fails):
    assert is_failure(reply(status)) is fails


def test_a_good_reply_holds_no_request():
    assert hold_seconds(reply(), 0) == 0.0


@each_row("answer", [None, reply(429), reply(503), reply(429, retry_after="soon")])
def test_without_retry_after_the_hold_grows_up_to_a_minute(answer):
    assert [hold_seconds(answer, failures) for failures in (1, 2, 3, 7, 10_000)] == [1.0, 2.0, 4.0, 60.0, 60.0]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_the_hold_up_to_an_hour(status):
    assert hold_seconds(reply(status, retry_after="7"), 1) == 7.0
    assert hold_seconds(reply(status, retry_after="999999"), 1) == 3600.0


def test_a_retry_after_of_0_does_not_end_the_hold():
    assert hold_seconds(reply(503, retry_after="0"), 3) == 4.0


def test_a_retry_after_in_a_good_reply_holds_no_request():
    assert hold_seconds(reply(202, retry_after="60"), 0) == 0.0


@each_row(
    "reset, seconds",
    [
        ("30", 30.0),
        (" 5 ", 5.0),
        ("1", 1.0),
        ("0", 0.0),
        ("1800000000", 0.0),
        ("9" * 5000, 0.0),
        ("soon", 0.0),
        ("-1", 0.0),
        ("", 0.0),
    ],
)
def test_a_used_up_allowance_holds_for_a_valid_reset(reset, seconds):
    assert hold_seconds(headed(200, {**LAST, "x-ratelimit-reset": reset}), 0) == seconds


def test_a_used_up_allowance_holds_until_the_time_of_its_reset():
    assert hold_seconds(headed(200, {**LAST, **NOW, "x-ratelimit-reset": "2026-10-21T07:00:40+00:00"}), 0) == 40.0
    assert hold_seconds(headed(200, {**LAST, **NOW, "x-ratelimit-reset": "2026-10-21T06:00:00Z"}), 0) == 0.0
    assert hold_seconds(headed(200, {**LAST, "x-ratelimit-reset": "2026-10-21T07:00:40+00:00"}), 0) == 0.0


def test_a_remaining_allowance_holds_no_request():
    assert hold_seconds(headed(200, {"x-ratelimit-remaining": "1", "x-ratelimit-reset": "30"}), 0) == 0.0
    assert hold_seconds(headed(200, LAST), 0) == 0.0


def test_a_repeated_refusal_has_the_rest_of_its_time():
    again = repeated(reply(429, {"message": "slow down"}, retry_after="60"), 12.3)
    assert (again.status, again.headers["retry-after"], again.json()) == (429, "13", {"message": "slow down"})


@pytest.mark.parametrize("reset", ["3600", "301"])
def test_a_used_up_allowance_holds_for_five_minutes_at_most(reset):
    assert hold_seconds(headed(200, {**LAST, "x-ratelimit-reset": reset}), 0) == 300.0
    assert renewed_in(headed(200, {**LAST, "x-ratelimit-reset": reset})) == float(reset)


# --- which requests a reply concerns


@each_row(
    "answer, sent, scope",
    [
        (reply(200), True, Scope.NONE),
        (reply(404), True, Scope.NONE),
        (reply(302), True, Scope.NONE),
        (reply(499), True, Scope.NONE),
        (reply(500), True, Scope.SUBJECT),
        (reply(503, retry_after="3600"), True, Scope.SUBJECT),
        (None, True, Scope.SUBJECT),
        (reply(429), True, Scope.QUOTA),
        (headed(200, {**LAST, "x-ratelimit-reset": "30"}), True, Scope.QUOTA),
        (headed(200, {**LAST, "x-ratelimit-reset": "0"}), True, Scope.NONE),
        (headed(200, {**LAST, "x-ratelimit-reset": "soon"}), True, Scope.NONE),
        (headed(200, {**LAST, **NOW, "x-ratelimit-reset": "2026-10-21T06:00:00Z"}), True, Scope.NONE),
        (None, False, Scope.CONNECTION),
    ],
)
def test_each_reply_has_its_scope(answer, sent, scope):
    assert scope_of(answer, sent=sent) is scope


class Watched:
    """A suspicion, with the times of failures and successes given."""

    def __init__(self):
        self.suspicion = Suspicion()

    def fails(self, *refs, at, asked_at=None):
        return [self.suspicion.failed(ref, at if asked_at is None else asked_at, at) for ref in refs][-1]

    def succeeds(self, *refs, at):
        for ref in refs:
            self.suspicion.succeeded(ref, at)


def test_three_refs_that_fail_for_some_seconds_are_a_failing_remote():
    remote = Watched()
    remote.succeeds("good", at=0.0)
    assert not remote.fails("a", "b", "c", at=1.0)
    assert not remote.fails("a", "b", "c", at=3.9)
    assert remote.fails("a", at=4.0)


def test_two_refs_that_fail_beside_a_good_one_are_no_failing_remote():
    remote = Watched()
    remote.succeeds("good", at=1000.0)
    remote.fails("a", "b", at=1001.0)
    assert not remote.fails("a", "b", at=1600.0)
    assert remote.fails("a", "b", at=1600.1)


@pytest.mark.parametrize("refs", [["a"], ["a", "b"]])
def test_all_refs_that_fail_are_a_failing_remote(refs):
    remote = Watched()
    remote.succeeds(*refs, at=0.0)
    assert not remote.fails(*refs, at=1.0)
    assert remote.fails(*refs, at=5.0)


def test_a_ref_that_was_not_polled_for_long_does_not_count():
    remote = Watched()
    remote.succeeds("ended", at=0.0)
    remote.fails("a", at=601.0)
    assert remote.fails("a", at=605.0)


def test_one_success_ends_the_suspicion():
    remote = Watched()
    remote.fails("a", "b", "c", at=1.0)
    remote.succeeds("good", at=9.0)
    assert not remote.fails("a", "b", "c", at=10.0)


def test_refs_that_failed_before_a_success_do_not_count():
    remote = Watched()
    remote.fails("a", "b", "c", at=1.0)
    remote.succeeds("good", at=9.0)
    remote.fails("a", at=10.0)
    assert not remote.fails("a", at=20.0)


def test_a_slow_failure_began_when_it_was_requested():
    remote = Watched()
    assert remote.fails("a", "b", "c", at=30.0, asked_at=0.0)
    remote.succeeds("good", at=31.0)
    assert not remote.fails("a", "b", "c", at=32.0, asked_at=2.0)


def test_an_unreachable_remote_is_suspected_until_it_answers():
    remote = Watched()
    remote.succeeds("good", at=0.0)
    remote.suspicion.unreachable(1.0)
    assert remote.fails("a", at=1.0)
    remote.suspicion.unreachable(2.0)
    remote.succeeds("good", at=2.0)
    assert not remote.fails("a", at=2.0)
    remote.succeeds("good", at=3.0)
    remote.suspicion.unreachable(4.0)
    remote.succeeds("good", at=5.0)
    assert not remote.fails("a", at=6.0)


def test_the_newest_good_refs_are_remembered():
    remote = Watched()
    remote.succeeds(*map(str, range(150)), at=0.0)
    assert [remote.suspicion.is_good(ref) for ref in ("0", "49", "50", "149")] == [False, False, True, True]
    remote.succeeds("50", "new", at=0.5)
    assert [remote.suspicion.is_good(ref) for ref in ("50", "51", "52")] == [True, False, True]
    remote.fails("149", at=1.0)
    assert not remote.suspicion.is_good("149")
