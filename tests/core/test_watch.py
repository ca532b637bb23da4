from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_taskwatch.core.callback import Expectation
from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    DeadlineError,
    MovedError,
    RemoteError,
    ReplyError,
    TokenError,
    TransportError,
)
from airflow_provider_taskwatch.core.flow import ask
from airflow_provider_taskwatch.core.judge import Memory, WaitRules
from airflow_provider_taskwatch.core.mask import Mask
from airflow_provider_taskwatch.core.outcome import MOVED, Ending
from airflow_provider_taskwatch.core.phase import Observation, Phase, absent
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.schedule import Rhythm
from airflow_provider_taskwatch.core.watch import Poll, PollResult, assess, expire, next_poll, watch
from airflow_provider_taskwatch.core.wire import get
from tests.core.job import DOWN, LOST, OVER, Silent, Talkative, failed, lasting, seen
from tests.play import play, reply, result_of, targets
from tests.rows import each_row

ODD = ReplyError("the reply is not JSON")


def run(*answers, system=None, age=0.0, **plan):
    """Plays answers into a watch; its polls, and its outcome."""
    steps, outcome = play(watch(system or Silent(), Plan(ref="7", **plan), age), *answers)
    return [step for step in steps if isinstance(step, Poll)], outcome


def follow(*answers, **plan):
    """The same where restarts are followed; the requests, and the outcome."""
    steps, outcome = play(watch(Talkative(), Plan(ref="7", options={"follow": True}, **plan), 0.0), *answers)
    return targets([step for step in steps if not isinstance(step, Poll)]), outcome


# --- when it polls


def together(*answers, **plan):
    """The polls of a watch that may share requests with others."""
    polls, _ = run(*answers, system=Talkative(), options={"together": "A-*"}, **plan)
    return polls


def test_polls_that_may_share_a_request_stay_together():
    polls = together(seen(0.0), seen(20.0, Phase.SUCCEEDED))
    assert [(poll.selector, poll.spread) for poll in polls] == [("A-*", 0.0)] * 2


def test_a_shared_observation_without_a_change_may_be_held():
    _, second, third, fourth = together(seen(0.0), seen(20.0), seen(90.0), seen(120.0, Phase.SUCCEEDED))
    assert (second.known.phase, second.hold) == (Phase.RUNNING, 9 * second.after)
    assert third.hold == 9 * third.after
    assert (fourth.after, fourth.hold) == (30.0, 270.0)


def test_a_shared_observation_is_not_held_beyond_the_last_poll():
    _, second = together(seen(0.0), seen(20.0, Phase.SUCCEEDED), ends_at=50.0)
    assert second.hold == 48.0


@each_row("result", [failed(20.0), seen(20.0, Phase.UNKNOWN), seen(20.0, Phase.BLOCKED)])
def test_no_observation_is_held_where_patience_is_counted(result):
    assert together(seen(0.0), result, seen(40.0, Phase.SUCCEEDED))[2].hold == 0.0


def test_no_observation_is_held_where_the_end_is_far():
    rhythm = Rhythm(limit_seconds=30.0, far_seconds=60.0)
    polls = together(seen(0.0), seen(100.0, progress=1.0), seen(160.0, Phase.SUCCEEDED), rhythm=rhythm)
    assert (polls[2].after, polls[2].hold) == (60.0, 0.0)


def test_no_observation_of_a_single_ref_is_held():
    polls, _ = run(seen(0.0), seen(20.0, Phase.SUCCEEDED))
    assert [(one.known, one.hold) for one in polls] == [(None, 0.0)] * 2


def test_a_wait_polls_at_once_and_then_less_and_less_often():
    polls, outcome = run(seen(0.0), seen(2.0), seen(50.0), seen(900.0), seen(930.0, Phase.SUCCEEDED))
    assert [poll.after for poll in polls] == [0.0, 8.0, 8.5, 20.5, 30.0]
    assert [poll.spread for poll in polls] == [0.0, 0.1, 0.1, 0.1, 0.1]
    assert (outcome.ending, outcome.ref, outcome.result) == (Ending.SUCCEEDED, "7", {"id": "7"})


def test_a_wait_for_our_own_start_polls_a_little_later():
    polls, _ = run(seen(8.0), seen(18.0, Phase.SUCCEEDED), age=1.5, rhythm=Rhythm(is_own_start=True))
    assert polls == [Poll(ref="7", after=6.5), Poll(ref="7", after=10.0, spread=0.1)]


@each_row("ends_at, after", [(6.0, 2.5), (3.5, 0.0), (1.5, 0.0)])
def test_a_wait_with_little_time_makes_its_first_poll_in_time(ends_at, after):
    polls, _ = run(seen(2.0, Phase.SUCCEEDED), age=1.5, rhythm=Rhythm(is_own_start=True), ends_at=ends_at)
    assert polls[0].after == after


def test_a_restarted_wait_keeps_its_age_and_polls_at_random():
    polls, _ = run(seen(100.0, Phase.SUCCEEDED), age=80.0)
    assert polls == [Poll(ref="7", after=28.0, spread=1.0)]
    assert run(seen(8.0, Phase.SUCCEEDED), age=8.0)[0] == [Poll(ref="7", after=10.0, spread=1.0)]


def test_a_restarted_wait_polls_at_random_twice():
    polls, _ = run(seen(100.0), seen(120.0), seen(150.0, Phase.SUCCEEDED), age=80.0)
    assert [poll.spread for poll in polls] == [1.0, 1.0, 0.1]


def test_a_restarted_wait_gets_no_new_grace_for_an_unknown_ref():
    _, outcome = run(PollResult(age=400.0, observation=absent("7")), age=390.0)
    assert outcome.ending is Ending.LOST


QUIET = {"callback": Expectation(poll_seconds=300.0), "rhythm": Rhythm(is_own_start=True)}


def test_a_wait_for_a_callback_polls_seldom_and_not_at_once():
    polls, _ = run(seen(300.0), seen(600.0, Phase.SUCCEEDED), **QUIET)
    assert polls == [Poll(ref="7", after=300.0, spread=0.1)] * 2


def test_a_restarted_wait_for_a_callback_polls_at_random():
    polls, _ = run(seen(200.0, Phase.SUCCEEDED), age=100.0, **QUIET)
    assert polls == [Poll(ref="7", after=300.0, spread=1.0)]


def test_a_wait_whose_callback_came_too_early_goes_on_without_one():
    early = replace(seen(40.0), is_called=True)
    polls, _ = run(early, seen(58.0), replace(seen(80.0, Phase.SUCCEEDED), is_called=True), **QUIET)
    assert [poll.after for poll in polls] == [300.0, 18.0, 22.5]


@each_row("phase", [Phase.BLOCKED, Phase.UNKNOWN])
def test_a_state_without_a_callback_is_polled_as_usual(phase):
    polls, _ = run(seen(300.0, phase), seen(330.0), seen(640.0, Phase.SUCCEEDED), **QUIET)
    assert [poll.after for poll in polls] == [300.0, 30.0, 300.0]


def test_a_restart_is_polled_without_a_callback():
    polls = [
        step.after
        for step in play(
            watch(Talkative(), Plan(ref="7", options={"follow": True}, **QUIET), 0.0),
            seen(300.0, Phase.FAILED),
            reply(200, {"id": "8"}),
            seen(302.0, Phase.SUCCEEDED, ref="8"),
        )[0]
        if isinstance(step, Poll)
    ]
    assert polls == [300.0, 30.0]


def test_a_fixed_rhythm_is_kept():
    polls, _ = run(seen(0.0), seen(5.0), seen(10.0, Phase.SUCCEEDED), rhythm=Rhythm(limit_seconds=5.0, adaptive=False))
    assert [poll.after for poll in polls] == [0.0, 5.0, 5.0]


def test_progress_and_usual_duration_set_the_next_poll():
    polls, _ = run(
        seen(0.0),
        seen(20.0, progress=5.0),
        seen(80.0, progress=20.0),
        seen(140.0, progress=98.0),
        seen(164.0, elapsed_seconds=160.0, expected_seconds=600.0),
        seen(224.0, progress=100.0),
        seen(254.0, Phase.SUCCEEDED),
        rhythm=Rhythm(far_seconds=60.0),
    )
    assert [poll.after for poll in polls] == [0.0, 8.0, 60.0, 60.0, 24.0, 60.0, 30.0]


def test_polls_carry_the_selector_of_their_system():
    polls, _ = run(seen(0.0, Phase.SUCCEEDED), system=Talkative(), options={"together": "etl-*"})
    assert polls[0].selector == "etl-*"


def test_the_system_understands_observations_by_the_options():
    class Strict(Silent):
        def understand(self, seen, options):
            return replace(seen, phase=options["phase"])

    assert run(seen(0.0), system=Strict(), options={"phase": Phase.CANCELLED})[1].ending is Ending.CANCELLED


def test_a_wrong_option_is_an_error_of_the_user():
    class Strict(Silent):
        def understand(self, seen, options):
            raise ConfigurationError("no such status")

    with pytest.raises(ConfigurationError, match="no such status"):
        run(seen(0.0), system=Strict())


# --- a remote that fails


@each_row("error", [LOST, DOWN, TokenError("endpoint is down", transient=True)])
def test_a_remote_that_is_down_is_polled_after_growing_pauses(error):
    polls, outcome = run(*(failed(age, error) for age in (0, 2, 6, 14, 30, 62, 122)), seen(600.0, Phase.SUCCEEDED))
    assert [poll.after for poll in polls] == [0.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert outcome.ending is Ending.SUCCEEDED


def test_the_usual_rhythm_returns_after_failures():
    polls, _ = run(failed(0.0), failed(2.0), seen(48.0), seen(68.0, Phase.SUCCEEDED))
    assert [poll.after for poll in polls] == [0.0, 2.0, 4.0, 20.0]


def test_retry_after_is_obeyed_but_not_beyond_the_deadline():
    busy = RemoteError(method="GET", path="/x", status=429, message="slow down", retry_after=900.0)
    polls, _ = run(failed(0.0, busy), seen(1.0, Phase.SUCCEEDED))
    assert polls[1].after == 900.0
    polls, _ = run(failed(0.0, busy), seen(1.0, Phase.SUCCEEDED), ends_at=100.0)
    assert polls[1].after == 98.0


@each_row("status", [400, 401, 403, 410])
def test_a_refusal_ends_the_wait_at_once_with_the_message_of_the_remote(status):
    error = RemoteError(method="GET", path="/x", status=status, message="not yours")
    _, outcome = run(seen(0.0), failed(2.0, error), system=Talkative())
    assert (outcome.ending, outcome.ref, outcome.phase) == (Ending.REFUSED, "7", None)
    assert outcome.message == f"job 7: GET /x answered {status}: not yours"


def test_a_reply_that_cannot_be_read_is_bounded_like_an_unknown_status():
    polls, outcome = run(failed(0.0, ODD), failed(150.0, ODD), failed(300.0, ODD))
    assert [poll.after for poll in polls] == [0.0, 8.0, 30.0]
    assert outcome.ending is Ending.UNKNOWN
    assert "for more than 300 s: the reply is not JSON; the wait ends" in outcome.message


def test_a_page_of_html_does_not_prove_that_the_remote_knows_the_ref():
    _, outcome = run(failed(0.0, ODD), PollResult(age=2.0, observation=absent("7")), seen(4.0, Phase.SUCCEEDED))
    assert outcome.ending is Ending.SUCCEEDED


# --- the deadline


def test_a_last_poll_is_made_just_before_the_deadline():
    polls, _ = run(seen(0.0), seen(70.0), seen(78.0), OVER, ends_at=80.0)
    assert [poll.after for poll in polls] == [0.0, 8.0, 8.0, 27.5]
    polls, _ = run(seen(0.0), seen(77.5), OVER, ends_at=80.0)
    assert [poll.after for poll in polls] == [0.0, 8.0, 0.5]


def test_a_wait_that_is_restarted_shortly_before_its_deadline_still_polls_in_time():
    polls, _ = run(OVER, age=95.0, ends_at=100.0)
    assert polls[0].after == 3.0


def test_the_deadline_ends_a_wait_with_the_last_state():
    _, outcome = run(seen(0.0, progress=40.0), failed(2.0), OVER)
    assert (outcome.ending, outcome.phase, outcome.status) == (Ending.TIMED_OUT, Phase.RUNNING, "s")
    assert outcome.message == (
        "job 7 did not end in time (the deadline was noon); it was running (s) 40 %; the last poll failed: reset by "
        "peer"
    )


@each_row("before, why", [([], ""), ([failed(0.0)], ": reset by peer")])
def test_the_deadline_of_a_task_that_was_never_observed(before, why):
    _, outcome = run(*before, OVER)
    assert (outcome.ending, outcome.ref, outcome.phase) == (Ending.TIMED_OUT, "7", None)
    assert outcome.message.endswith(f"; it could not be read once{why}")


def test_a_failure_that_is_over_is_not_named_at_the_deadline():
    _, outcome = run(failed(0.0), seen(2.0), OVER)
    assert outcome.message.endswith("; it was running (s)")


def test_the_deadline_of_a_task_that_was_never_found_says_so():
    _, outcome = run(PollResult(age=0.0, observation=absent("7")), OVER)
    assert outcome.ending is Ending.TIMED_OUT
    assert outcome.message.startswith(
        "job 7 was not found at the remote in time (the deadline was noon): there is none"
    )
    assert "pending" not in outcome.message


def test_the_deadline_while_a_failure_is_explained_does_not_hide_the_failure():
    program = Run(watch(Talkative(), Plan(ref="7"), 0.0))
    program.send(seen(0.0, Phase.FAILED))
    assert program.step == get("/why/7")
    expire(program, OVER)
    assert program.result.ending is Ending.FAILED
    assert program.result.message == "job 7: failed (s)\n(the remote could not be asked why: the deadline was noon)"


def test_the_deadline_while_a_restart_is_asked_for_is_a_time_out():
    program = Run(watch(Talkative(), Plan(ref="7", options={"follow": True}), 0.0))
    program.send(seen(0.0, Phase.FAILED))
    assert program.step == get("/restart/7")
    expire(program, OVER)
    outcome = program.result
    assert (outcome.ending, outcome.phase, outcome.ref) == (Ending.TIMED_OUT, Phase.FAILED, "7")
    assert "did not end in time (the deadline was noon); it was failed (s)" in outcome.message


def test_a_poll_brings_an_observation_or_an_error():
    running = Observation(ref="7", phase=Phase.RUNNING)
    assert (PollResult(age=0.0, observation=running).content, PollResult(age=0.0, error=LOST).content) == (
        running,
        LOST,
    )


def test_the_deadline_between_two_polls():
    program = Run(watch(Silent(), Plan(ref="7"), 0.0))
    program.send(seen(0.0))
    expire(program, OVER)
    assert program.result.ending is Ending.TIMED_OUT


# --- the end


@each_row("phase", [Phase.FAILED, Phase.CANCELLED, Phase.LOST])
def test_a_bad_end_comes_with_the_reason_of_the_remote(phase):
    steps, outcome = play(watch(Talkative(), Plan(ref="7"), 0.0), seen(0.0, phase), reply(200, "disk full"))
    assert targets(steps[1:]) == ["GET /why/7"]
    assert outcome.message == f"job 7: {phase} (s)\ndisk full"


def test_an_empty_reason_adds_nothing():
    assert run(seen(0.0, Phase.FAILED))[1].message == "job 7: failed (s)"


@each_row("error", [DOWN, LOST, TokenError("no", transient=False)])
def test_a_reason_that_cannot_be_asked_for_does_not_hide_the_failure(error):
    outcome = result_of(watch(Talkative(), Plan(ref="7"), 0.0), seen(0.0, Phase.FAILED), error)
    assert outcome.ending is Ending.FAILED
    assert outcome.message == f"job 7: failed (s)\n(the remote could not be asked why: {error})"


def test_a_good_end_is_not_explained():
    assert run(seen(0.0, Phase.SKIPPED), system=Talkative())[1].ending is Ending.SKIPPED


@each_row("phase", [Phase.SUCCEEDED, Phase.FAILED])
def test_personal_data_is_in_the_result_only_when_asked_for(phase):
    assert run(seen(0.0, phase))[1].result == {"id": "7"}
    assert run(seen(0.0, phase), personal=True)[1].result == {"id": "7", "author": "me"}


SECRET = "secret-of-the-connection"


def ended(**more):
    """The outcome of a success where personal data is asked for."""
    success = Observation(ref=f"7-{SECRET}", phase=Phase.SUCCEEDED, mask=Mask((SECRET,)), **more)
    return run(PollResult(age=0.0, observation=success), personal=True)[1]


def test_personal_data_is_in_the_result_without_secrets_but_with_the_ref():
    personal = {"author": SECRET, "run": f"7-{SECRET}"}
    assert ended(personal=personal).result == {"author": "***", "run": f"7-{SECRET}"}


@each_row("cut", ["result", "personal"])
def test_a_result_that_is_cut_says_so(cut):
    other = {"result": "personal", "personal": "result"}[cut]
    assert ended(**{cut: {"log": "x" * 200_000}, other: {"id": "7"}}).loss == "1 long texts are cut"
    assert not ended(**{other: {"id": "7"}}).loss


# --- restarts


def test_a_restart_is_followed_and_its_end_counts():
    requests, outcome = follow(
        seen(0.0, Phase.FAILED), reply(200, {"id": "8"}), seen(2.0, ref="8"), seen(4.0, Phase.SUCCEEDED, ref="8")
    )
    assert requests == ["GET /restart/7"]
    assert (outcome.ending, outcome.ref, outcome.result) == (Ending.SUCCEEDED, "8", {"id": "8"})


def test_a_wait_ends_where_the_connection_leads_to_another_place():
    polls, outcome = run(failed(0.0, MovedError("c", "https://here", "https://there")), id_space="https://here")
    assert [one.id_space for one in polls] == ["https://here"]
    assert (outcome.ending, outcome.status) == (Ending.REFUSED, MOVED)
    assert all(part in outcome.message for part in ("job 7", "https://here", "https://there", "clear the task"))


def test_a_restart_is_polled_in_place_of_the_first_task():
    polls = [
        step.ref
        for step in play(
            watch(Talkative(), Plan(ref="7", options={"follow": True}), 0.0),
            seen(0.0, Phase.FAILED),
            reply(200, {"id": "8"}),
            failed(2.0),
            OVER,
        )[0]
        if isinstance(step, Poll)
    ]
    assert polls == ["7", "8", "8"]


def test_the_refusal_of_a_restart_names_the_restart():
    forbidden = RemoteError(method="GET", path="/x", status=403, message="not yours")
    _, outcome = follow(seen(0.0, Phase.FAILED), reply(200, {"id": "8"}), failed(2.0, forbidden))
    assert (outcome.ending, outcome.ref) == (Ending.REFUSED, "8")


def test_the_patience_with_a_restart_is_not_known_before_its_first_poll():
    steps, _ = play(
        watch(Talkative(), Plan(ref="7", options={"follow": True}), 0.0),
        *[PollResult(age=0.0, observation=absent("7")), seen(2.0, Phase.FAILED), reply(200, {"id": "8"}), OVER],
    )
    assert [step.patience for step in steps if isinstance(step, Poll)] == [None, 300.0, None]


def test_a_restart_of_a_restart_is_followed_too():
    requests, outcome = follow(
        seen(0.0, Phase.FAILED),
        reply(200, {"id": "8"}),
        seen(2.0, Phase.CANCELLED, ref="8"),
        reply(200, {"id": "9"}),
        seen(4.0, Phase.SUCCEEDED, ref="9"),
    )
    assert requests == ["GET /restart/7", "GET /restart/8"]
    assert outcome.ref == "9"


def test_a_bad_end_without_a_restart_stays_one():
    requests, outcome = follow(seen(0.0, Phase.FAILED), reply(200, {}), reply(200, "disk full"))
    assert requests == ["GET /restart/7", "GET /why/7"]
    assert (outcome.ending, outcome.message) == (Ending.FAILED, "job 7: failed (s)\ndisk full")


@each_row("phase", [Phase.SUCCEEDED, Phase.SKIPPED])
def test_no_restart_is_asked_for_after_a_good_end(phase):
    assert follow(seen(0.0, phase))[0] == []


def test_a_task_that_waits_for_a_person_has_not_ended_and_has_no_restart():
    requests, outcome = follow(seen(0.0, Phase.BLOCKED), reply(), rules=WaitRules(fail_on_blocked=True))
    assert (requests, outcome.ending) == (["GET /why/7"], Ending.BLOCKED)


def test_a_deadline_after_a_restart_names_the_restart_so_that_it_is_cancelled():
    _, outcome = follow(seen(0.0, Phase.FAILED), reply(200, {"id": "8"}), OVER)
    assert (outcome.ending, outcome.ref) == (Ending.TIMED_OUT, "8")
    assert outcome.message.startswith("job 8 did not end in time")
    assert outcome.message.endswith("it was pending: took over from 7")


def test_a_late_restart_may_be_unknown_for_a_while():
    deletions = Observation(ref="8", phase=Phase.LOST)
    _, outcome = follow(
        seen(5000.0, Phase.FAILED),
        reply(200, {"id": "8"}),
        PollResult(age=5002.0, observation=deletions),
        seen(5004.0, Phase.SUCCEEDED, ref="8"),
    )
    assert outcome.ending is Ending.SUCCEEDED


@each_row("error", [LOST, DOWN])
def test_a_failed_request_for_a_restart_is_repeated_after_another_poll(error):
    steps, outcome = play(
        watch(Talkative(), Plan(ref="7", options={"follow": True}), 0.0),
        *[seen(0.0, Phase.FAILED), error, seen(2.0, Phase.FAILED), error, seen(6.0, Phase.FAILED)],
        *[reply(200, {"id": "8"}), seen(8.0, Phase.SUCCEEDED, ref="8")],
    )
    assert [step.after for step in steps if isinstance(step, Poll)] == [0.0, 2.0, 4.0, 9.5]
    assert (outcome.ending, outcome.ref) == (Ending.SUCCEEDED, "8")


def test_retry_after_counts_for_that_request_too():
    busy = RemoteError(method="GET", path="/x", status=429, message="slow down", retry_after=45.0)
    steps, _ = play(
        watch(Talkative(), Plan(ref="7", options={"follow": True}), 0.0), seen(0.0, Phase.FAILED), busy, OVER
    )
    assert steps[-1].after == 45.0


def test_the_deadline_while_that_request_is_repeated_keeps_the_state_of_the_task():
    _, outcome = follow(seen(0.0, Phase.FAILED), LOST, OVER)
    assert (outcome.ending, outcome.phase) == (Ending.TIMED_OUT, Phase.FAILED)


def test_a_refusal_of_that_request_leaves_the_bad_end():
    refused = RemoteError(method="GET", path="/restart/7", status=403, message="not yours")
    requests, outcome = follow(seen(0.0, Phase.FAILED), refused, reply(200, "disk full"))
    assert requests == ["GET /restart/7", "GET /why/7"]
    assert (outcome.ending, outcome.ref) == (Ending.FAILED, "7")
    assert outcome.message == (
        "job 7: failed (s)\n(whether something took over could not be asked: GET /restart/7 answered 403: not yours)\n"
        "disk full"
    )


def test_an_unreadable_reply_to_that_request_is_bounded_too():
    html = reply(200, "<html>")
    _, outcome = follow(
        *[seen(0.0, Phase.FAILED), html, seen(150.0, Phase.FAILED), html, seen(300.0, Phase.FAILED), html],
        reply(200, ""),
    )
    assert outcome.ending is Ending.UNKNOWN
    assert "the reply to GET /restart/7 (200) is not JSON: <html>" in outcome.message
    plan = Plan(ref="7", options={"follow": True})
    assessed = result_of(assess(Talkative(), plan, Memory(), seen(0.0, Phase.FAILED)), html)
    assert (assessed.observation.phase, assessed.outcome) == (Phase.UNKNOWN, None)


# --- one poll per process, as in a sensor that is rescheduled


def test_memory_carries_a_wait_over_several_processes():
    plan = Plan(ref="7", options={"follow": True})
    first = result_of(assess(Talkative(), plan, Memory(), seen(10.0, Phase.FAILED)), reply(200, {"id": "8"}))
    assert (first.outcome, first.memory) == (None, Memory(ref="8", since=10.0, reached=True))
    assert first.observation.describe() == "pending: took over from 7"
    second = result_of(assess(Talkative(), plan, first.memory, seen(20.0, Phase.SUCCEEDED, ref="8")))
    assert (second.outcome.ref, second.observation.phase) == ("8", Phase.SUCCEEDED)
    assert second.memory == Memory(ref="8", since=10.0, seen=True, reached=True)


def test_a_poll_without_an_observation_says_why():
    assessed = result_of(assess(Silent(), Plan(ref="7"), Memory(failures=1), failed(5.0)))
    assert (assessed.outcome, assessed.observation, assessed.error) == (None, None, LOST)
    assert assessed.memory.failures == 2


def test_a_poll_that_ends_the_wait_says_why():
    refused = RemoteError(method="GET", path="/x", status=403, message="not yours")
    assessed = result_of(assess(Silent(), Plan(ref="7"), Memory(), failed(5.0, refused)))
    assert (assessed.outcome.ending, assessed.error) == (Ending.REFUSED, refused)


def test_an_observation_ends_the_failures_that_were_counted_before():
    assessed = result_of(assess(Silent(), Plan(ref="7"), Memory(failures=2, failing_since=0.0), seen(5.0)))
    assert assessed.memory == Memory(seen=True, reached=True)


def test_a_poll_says_how_much_patience_is_left():
    plan = Plan(ref="7", rules=WaitRules(not_found_grace=100.0, unknown_status_grace=50.0), ends_at=1000.0)
    run = Run(watch(Silent(), plan, 0.0))
    left = []
    for one in (
        PollResult(age=10.0, observation=absent("7")),
        PollResult(age=20.0, error=LOST),
        PollResult(age=30.0, observation=Observation(ref="7", phase=Phase.UNKNOWN, status="?")),
        PollResult(age=40.0, observation=Observation(ref="7", phase=Phase.UNKNOWN, status="?")),
        PollResult(age=50.0, observation=Observation(ref="7", phase=Phase.RUNNING)),
        PollResult(age=1001.0, error=LOST),
    ):
        run.send(one)
        left.append(run.step.patience)
    assert left == [90.0, 980.0, 50.0, 40.0, None, 0.0]


# --- failures that time does not cure


@each_row("kind, more", [(TransportError, {}), (TokenError, {"transient": True})])
def test_a_wait_that_never_reached_the_remote_ends_soon(kind, more):
    polls, outcome = run(*(failed(age, lasting(kind=kind, **more)) for age in (0.0, 2.0, 6.0)))
    assert ([poll.after for poll in polls[1:]], outcome.ending) == ([2.0, 4.0], Ending.REFUSED)
    assert outcome.message == (
        "job 7: the host name of https://x cannot be resolved; given up, as nothing was reached and waiting does not "
        "cure it; 'patience' of the connection limits the retries"
    )


def test_the_patience_of_the_connection_limits_the_wait():
    ages = (0.0, 2.0, 6.0, 14.0, 30.0, 62.0, 122.0)
    polls, outcome = run(*(failed(age, lasting(3600.0)) for age in ages), seen(200.0, Phase.SUCCEEDED))
    assert (len(polls), outcome.ending) == (8, Ending.SUCCEEDED)
    polls, outcome = run(failed(0.0, lasting(0.0)))
    assert (len(polls), outcome.ending) == (1, Ending.REFUSED)


@each_row("first, patience, second", [(0.0, 2.0, None), (5.0, 10.0, 7.0)])
def test_patience_counts_from_the_first_failure_to_the_next_poll(first, patience, second):
    failures = [failed(age, lasting(patience)) for age in (first, second) if age is not None]
    _, outcome = run(*failures, seen(12.0, Phase.SUCCEEDED), age=first)
    assert outcome.ending is Ending.SUCCEEDED


@each_row("before", [seen(0.0), PollResult(age=0.0, observation=absent("7")), failed(0.0, DOWN), failed(0.0, ODD)])
def test_a_wait_that_has_reached_the_remote_goes_on(before):
    troubles = [failed(age, lasting()) for age in (10.0, 100.0, 1000.0)]
    _, outcome = run(before, *troubles, seen(2000.0, Phase.SUCCEEDED))
    assert outcome.ending is Ending.SUCCEEDED


@each_row("age", [8.0, 3500.0])
def test_a_wait_that_was_restarted_goes_on(age):
    troubles = [failed(age + after, lasting()) for after in (100.0, 200.0, 300.0)]
    _, outcome = run(*troubles, seen(4000.0, Phase.SUCCEEDED), age=age)
    assert outcome.ending is Ending.SUCCEEDED


def test_a_failure_that_time_cures_does_not_end_a_wait():
    _, outcome = run(*(failed(age) for age in (0.0, 2.0, 6.0, 14.0, 30.0)), seen(100.0, Phase.SUCCEEDED))
    assert outcome.ending is Ending.SUCCEEDED


def test_the_next_poll_of_a_wait_is_known_until_it_is_over():
    run = Run(watch(Silent(), Plan(ref="7"), 0.0))
    step = run.step
    assert isinstance(step, Poll)
    assert next_poll(run) is step
    run.send(seen(0.0, Phase.SUCCEEDED))
    assert next_poll(run) is None


def test_a_watch_that_asks_for_a_reason_asks_for_no_poll():
    run = Run(watch(Talkative(), Plan(ref="7"), 0.0))
    run.send(seen(0.0, Phase.FAILED))
    assert next_poll(run) is None


# --- a task that goes on, and results that take a request


class Resulting(Silent):
    """A task whose result takes a request of its own."""

    def complete(self, seen, options):
        answer = yield from ask(get("/result"))
        return replace(seen, result=answer.json())


def test_a_task_that_goes_on_under_another_ref_ends_this_wait():
    polls, outcome = run(
        PollResult(age=1.0, observation=Observation(ref="7?sig=x", phase=Phase.PENDING, moved_to="8#build"))
    )
    assert (len(polls), outcome.ending, outcome.ref) == (1, Ending.CONTINUES, "8#build")
    assert "sig" not in outcome.message


def test_a_success_has_the_result_of_its_own_request():
    _, outcome = run(seen(1.0, Phase.SUCCEEDED), reply(200, {"rows": 3}), system=Resulting())
    assert (outcome.ending, outcome.result) == (Ending.SUCCEEDED, {"rows": 3})


def test_a_result_that_fails_for_now_is_another_poll():
    answers = [seen(1.0, Phase.SUCCEEDED), reply(503), seen(9.0, Phase.SUCCEEDED), reply(200, {"rows": 3})]
    polls, outcome = run(*answers, system=Resulting())
    assert (len(polls), outcome.result) == (2, {"rows": 3})


def test_a_result_that_is_refused_fails_the_task():
    _, outcome = run(seen(1.0, Phase.SUCCEEDED), reply(404), system=Resulting())
    assert outcome.ending is Ending.REFUSED
    assert "cannot be read, so the task fails; a retry reads it again" in outcome.message


def test_a_deadline_while_the_result_is_read():
    _, outcome = run(seen(1.0, Phase.SUCCEEDED), DeadlineError("10 s after its start"), system=Resulting())
    assert outcome.ending is Ending.TIMED_OUT
