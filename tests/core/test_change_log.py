from __future__ import annotations

from dataclasses import replace

from airflow_provider_taskwatch.core.change_log import ChangeLog
from airflow_provider_taskwatch.core.error import RemoteError
from airflow_provider_taskwatch.core.phase import Observation, Phase, absent
from airflow_provider_taskwatch.core.watch import Poll
from tests.core.job import LOST, lasting
from tests.rows import each_row

RUNNING = Observation(ref="7", phase=Phase.RUNNING, status="s", progress=10.0, message="m")


def then(patience=None, after=4.0):
    """The next poll."""
    return Poll(ref="7", after=after, patience=patience)


def logged(*contents, poll=None):
    """Whether each of them is logged."""
    changes = ChangeLog("job")
    return [changes.line(one, poll) is not None for one in contents]


# --- observations


def test_an_observation_is_logged_with_the_state_of_the_task():
    assert ChangeLog("job").line(RUNNING) == "job 7: running (s) 10 %: m"


@each_row(
    "change, expected",
    [
        ({}, False),
        ({"elapsed_seconds": 9.0}, False),
        ({"progress": 19.0}, False),
        ({"progress": 20.0}, True),
        ({"progress": None}, True),
        ({"message": "n"}, True),
        ({"status": "t"}, True),
        ({"phase": Phase.BLOCKED}, True),
        ({"ref": "8"}, True),
        ({"phase": Phase.SUCCEEDED, "progress": 11.0}, True),
    ],
)
def test_a_change_is_logged_and_of_progress_every_tenth(change, expected):
    assert logged(RUNNING, replace(RUNNING, **change)) == [True, expected]


def test_the_steps_of_progress_count_from_the_last_line():
    steps = [replace(RUNNING, progress=percent) for percent in (10.0, 19.0, 20.0, 29.0, 30.0)]
    assert logged(*steps) == [True, False, True, False, True]


def test_the_last_step_of_a_final_observation_is_logged_however_small():
    final = replace(RUNNING, phase=Phase.SUCCEEDED, progress=99.0)
    assert logged(final, replace(final, progress=100.0)) == [True, True]


def test_an_unclear_state_is_logged_with_the_patience_that_is_left():
    unknown, blocked = (Observation(ref="7", phase=phase, status="s") for phase in (Phase.UNKNOWN, Phase.BLOCKED))
    unless = "the wait fails if this does not change within"
    assert ChangeLog("job").line(unknown, then(300.0)) == f"job 7: unknown (s); {unless} 300 s"
    assert ChangeLog("job").line(blocked, then(60.0)) == f"job 7: blocked (s); {unless} 60 s"
    assert ChangeLog("job").line(blocked, then()) == "job 7: blocked (s)"
    missing = "job 7 is not found yet; the wait fails if it is not found within 292 s"
    assert ChangeLog("job").line(absent("7"), then(292.0)) == missing
    assert ChangeLog("job").line(absent("7")) == "job 7: lost: not found"


def test_less_patience_is_no_change():
    changes = ChangeLog("job")
    changes.line(absent("7"), then(292.0))
    assert changes.line(absent("7"), then(280.0)) is None
    changes.line(LOST, then(100.0))
    assert changes.line(LOST, then(90.0)) is None


# --- failures


def test_a_failure_is_logged_once_and_so_is_its_end():
    changes = ChangeLog("job")
    lines = [changes.line(one) for one in (RUNNING, LOST, LOST, RUNNING)]
    assert lines == ["job 7: running (s) 10 %: m", "still waiting: reset by peer", None, "job 7: running (s) 10 %: m"]


def test_a_failure_is_logged_with_the_next_poll_and_the_deadline():
    assert ChangeLog("job").line(LOST, then(3590.4)) == (
        "still waiting: reset by peer; the next poll is in 4 s, with 3590 s left until the deadline"
    )
    assert ChangeLog("job").line(LOST, then()) == (
        "still waiting: reset by peer; the next poll is in 4 s, without a deadline"
    )


def test_a_failure_that_time_does_not_cure_is_logged_with_the_patience_of_the_connection():
    assert ChangeLog("job").line(lasting()) == (
        "still waiting: the host name of https://x cannot be resolved; given up 10 s after the first such failure, "
        "unless the remote was reached before"
    )


def test_a_refusal_is_logged_without_a_promise_to_wait():
    refused = RemoteError(method="GET", path="/x", status=403, message="not yours")
    assert ChangeLog("job").line(refused) == "GET /x answered 403: not yours"


def test_a_failure_that_lasts_is_logged_again_after_growing_pauses():
    changes = ChangeLog("job")
    lines = [(minute, changes.line(LOST, then(9.0, after=60.0))) for minute in range(7 * 24 * 60)]
    repeated = [(minute, line) for minute, line in lines if line]
    assert [minute for minute, _ in repeated[:9]] == [0, 1, 2, 4, 8, 16, 32, 64, 124]
    assert len(repeated) < 180
    assert repeated[2][1].startswith("still waiting: reset by peer (for 120 s by now); the next poll is in 60 s")


def test_a_failure_that_returns_after_an_observation_counts_anew():
    contents = (LOST, LOST, RUNNING, LOST, LOST)
    assert logged(*contents, poll=then(9.0, after=50.0)) == [True, False, True, True, False]


def test_a_remote_that_fails_every_other_time_does_not_fill_the_log():
    changes = ChangeLog("job")
    lines = [changes.line(one, then(9.0)) for _ in range(1_000) for one in (LOST, RUNNING)]
    assert 10 < sum(line is not None for line in lines) < 30
    assert "(failure 512 of this wait; only some are logged)" in str(lines)
    assert changes.line(RUNNING) is None
    assert any(changes.line(LOST) for _ in range(1_100))
    assert changes.line(RUNNING) == "job 7: running (s) 10 %: m"


def test_messages_that_change_at_each_poll_do_not_fill_the_log_and_the_end_is_logged():
    changes = ChangeLog("job")
    errors = [RemoteError(method="GET", path="/x", status=500, message=f"request {number}") for number in range(1_000)]
    assert sum(changes.line(one, then(9.0)) is not None for one in errors) < 20
    steps = [changes.line(replace(RUNNING, message=f"step {number}")) for number in range(1_000)]
    assert sum(line is not None for line in steps) < 40
    assert "succeeded" in changes.line(replace(RUNNING, phase=Phase.SUCCEEDED))
