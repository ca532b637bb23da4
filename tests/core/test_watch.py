from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_taskwatch.core.callback import Expectation
from airflow_provider_taskwatch.core.change_log import ChangeLog
from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    DeadlineError,
    MovedError,
    RemoteError,
    ReplyError,
    StrangerError,
    TokenError,
    TransportError,
)
from airflow_provider_taskwatch.core.flow import ask, ask_json
from airflow_provider_taskwatch.core.judge import Memory, Rules
from airflow_provider_taskwatch.core.outcome import MOVED, Ending
from airflow_provider_taskwatch.core.phase import Observation, Phase, absent
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.schedule import Rhythm
from airflow_provider_taskwatch.core.single_poll import last_poll, latest
from airflow_provider_taskwatch.core.system import SystemDefaults
from airflow_provider_taskwatch.core.watch import Poll, Seen, expire, watch, weigh
from airflow_provider_taskwatch.core.wire import get
from tests.play import play, reply, result_of, targets
from tests.rows import each_row

OVER = DeadlineError("the deadline was noon")
LOST = TransportError("reset by peer")
DOWN = RemoteError(method="GET", path="/x", status=503, message="down")
ODD = ReplyError("the reply is not JSON")


class Remote(SystemDefaults):
    """Follows restarts and explains failures, each with one request."""

    noun = "job"

    def selector(self, options):
        return options.get("together", "")

    def successor(self, seen, options):
        if not options.get("follow"):
            return None
        return (yield from ask_json(get(f"/heir/{seen.ref}"))).get("id")

    def explain(self, seen, options):
        return (yield from ask(get(f"/why/{seen.ref}"))).text()


class Silent(SystemDefaults):
    noun = "job"


def seen(age, phase=Phase.RUNNING, ref="7", **more):
    reading = Observation(ref=ref, phase=phase, status="s", result={"id": ref}, personal={"author": "me"}, **more)
    return Seen(age=age, observation=reading)


def failed(age, error=LOST):
    return Seen(age=age, error=error)


def run(*answers, system=None, age=0.0, **plan):
    """Play answers into a watch; its looks, and its outcome."""
    steps, outcome = play(watch(system or Silent(), Plan(ref="7", **plan), age), *answers)
    return [step for step in steps if isinstance(step, Poll)], outcome


def follow(*answers, **plan):
    """The same with a remote that follows restarts; the requests, and the outcome."""
    steps, outcome = play(watch(Remote(), Plan(ref="7", options={"follow": True}, **plan), 0.0), *answers)
    return targets([step for step in steps if not isinstance(step, Poll)]), outcome


# --- looking


def test_polls_that_may_share_a_read_stay_together():
    looks, _ = run(seen(0.0), seen(20.0, Phase.SUCCEEDED), system=Remote(), options={"together": "A-*"})
    assert [(poll.selector, poll.spread) for poll in looks] == [("A-*", 0.0)] * 2


def test_a_wait_looks_at_once_and_then_less_and_less_often():
    looks, outcome = run(seen(0.0), seen(2.0), seen(50.0), seen(900.0), seen(930.0, Phase.SUCCEEDED))
    assert [poll.after for poll in looks] == [0.0, 8.0, 8.5, 20.5, 30.0]
    assert [poll.spread for poll in looks] == [0.0, 0.1, 0.1, 0.1, 0.1]
    assert (outcome.ending, outcome.ref, outcome.result) == (Ending.SUCCEEDED, "7", {"id": "7"})


def test_a_wait_for_what_we_have_just_started_looks_a_little_later():
    looks, _ = run(seen(8.0), seen(18.0, Phase.SUCCEEDED), age=1.5, rhythm=Rhythm(is_own_start=True))
    assert looks == [Poll(ref="7", after=6.5), Poll(ref="7", after=10.0, spread=0.1)]


@pytest.mark.parametrize("ends_at, after", [(6.0, 2.5), (3.5, 0.0), (1.5, 0.0)])
def test_a_wait_with_little_time_takes_its_first_look_in_time(ends_at, after):
    looks, _ = run(seen(2.0, Phase.SUCCEEDED), age=1.5, rhythm=Rhythm(is_own_start=True), ends_at=ends_at)
    assert looks[0].after == after


def test_a_restarted_wait_goes_on_at_its_age_and_does_not_look_together_with_all_others():
    looks, _ = run(seen(100.0, Phase.SUCCEEDED), age=80.0)
    assert looks == [Poll(ref="7", after=28.0, spread=1.0)]
    assert run(seen(8.0, Phase.SUCCEEDED), age=8.0)[0] == [Poll(ref="7", after=10.0, spread=1.0)]


def test_a_restarted_wait_looks_at_random_twice():
    looks, _ = run(seen(100.0), seen(120.0), seen(150.0, Phase.SUCCEEDED), age=80.0)
    assert [poll.spread for poll in looks] == [1.0, 1.0, 0.1]


def test_a_restarted_wait_has_no_new_grace_for_what_is_not_there():
    _, outcome = run(Seen(age=400.0, observation=absent("7")), age=390.0)
    assert outcome.ending is Ending.LOST


QUIET = {"callback": Expectation(poll_seconds=300.0), "rhythm": Rhythm(is_own_start=True)}


def test_a_wait_that_will_be_called_back_looks_seldom_and_not_at_once():
    looks, _ = run(seen(300.0), seen(600.0, Phase.SUCCEEDED), **QUIET)
    assert looks == [Poll(ref="7", after=300.0, spread=0.1)] * 2


def test_a_restarted_wait_that_will_be_called_back_does_not_look_together_with_all_others():
    looks, _ = run(seen(200.0, Phase.SUCCEEDED), age=100.0, **QUIET)
    assert looks == [Poll(ref="7", after=300.0, spread=1.0)]


def test_a_wait_that_was_called_back_too_early_goes_on_as_if_nobody_would_call():
    early = replace(seen(40.0), is_called=True)
    looks, _ = run(early, seen(58.0), replace(seen(80.0, Phase.SUCCEEDED), is_called=True), **QUIET)
    assert [poll.after for poll in looks] == [300.0, 18.0, 22.5]


@pytest.mark.parametrize("phase", [Phase.BLOCKED, Phase.UNKNOWN])
def test_what_no_remote_tells_of_is_looked_at_as_without_a_callback(phase):
    looks, _ = run(seen(300.0, phase), seen(330.0), seen(640.0, Phase.SUCCEEDED), **QUIET)
    assert [poll.after for poll in looks] == [300.0, 30.0, 300.0]


def test_nobody_calls_back_for_what_took_over():
    looks = [
        step.after
        for step in play(
            watch(Remote(), Plan(ref="7", options={"follow": True}, **QUIET), 0.0),
            seen(300.0, Phase.FAILED),
            reply(200, {"id": "8"}),
            seen(302.0, Phase.SUCCEEDED, ref="8"),
        )[0]
        if isinstance(step, Poll)
    ]
    assert looks == [300.0, 30.0]


def test_a_fixed_rhythm_is_kept():
    looks, _ = run(seen(0.0), seen(5.0), seen(10.0, Phase.SUCCEEDED), rhythm=Rhythm(limit_seconds=5.0, adaptive=False))
    assert [poll.after for poll in looks] == [0.0, 5.0, 5.0]


def test_progress_and_usual_duration_say_when_to_look_next():
    looks, _ = run(
        seen(0.0),
        seen(20.0, progress=5.0),
        seen(80.0, progress=20.0),
        seen(140.0, progress=98.0),
        seen(164.0, elapsed_seconds=160.0, expected_seconds=600.0),
        seen(224.0, progress=100.0),
        seen(254.0, Phase.SUCCEEDED),
        rhythm=Rhythm(far_seconds=60.0),
    )
    assert [poll.after for poll in looks] == [0.0, 8.0, 60.0, 60.0, 24.0, 60.0, 30.0]


def test_watches_that_can_be_read_together_say_so():
    looks, _ = run(seen(0.0, Phase.SUCCEEDED), system=Remote(), options={"together": "etl-*"})
    assert looks[0].selector == "etl-*"


def test_readings_are_understood_as_the_options_say():
    class Strict(Silent):
        def understand(self, seen, options):
            return replace(seen, phase=options["phase"])

    assert run(seen(0.0), system=Strict(), options={"phase": Phase.CANCELLED})[1].ending is Ending.CANCELLED


def test_an_option_that_cannot_be_understood_is_an_error_of_the_user():
    class Strict(Silent):
        def understand(self, seen, options):
            raise ConfigurationError("no such status")

    with pytest.raises(ConfigurationError, match="no such status"):
        run(seen(0.0), system=Strict())


# --- a remote in trouble


@pytest.mark.parametrize("error", [LOST, DOWN, TokenError("endpoint is down", transient=True)])
def test_a_remote_that_is_down_is_waited_for_with_growing_pauses(error):
    looks, outcome = run(*(failed(age, error) for age in (0, 2, 6, 14, 30, 62, 122)), seen(600.0, Phase.SUCCEEDED))
    assert [poll.after for poll in looks] == [0.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert outcome.ending is Ending.SUCCEEDED


def test_after_trouble_the_usual_rhythm_returns():
    looks, _ = run(failed(0.0), failed(2.0), seen(48.0), seen(68.0, Phase.SUCCEEDED))
    assert [poll.after for poll in looks] == [0.0, 2.0, 4.0, 20.0]


def test_the_remotes_wish_to_wait_is_obeyed_but_not_beyond_the_deadline():
    busy = RemoteError(method="GET", path="/x", status=429, message="slow down", retry_after=900.0)
    looks, _ = run(failed(0.0, busy), seen(1.0, Phase.SUCCEEDED))
    assert looks[1].after == 900.0
    looks, _ = run(failed(0.0, busy), seen(1.0, Phase.SUCCEEDED), ends_at=100.0)
    assert looks[1].after == 98.0


@each_row("status", [400, 401, 403, 410])
def test_a_refusal_ends_the_wait_at_once_in_the_remotes_words(status):
    error = RemoteError(method="GET", path="/x", status=status, message="not yours")
    _, outcome = run(seen(0.0), failed(2.0, error), system=Remote())
    assert (outcome.ending, outcome.ref, outcome.phase) == (Ending.REFUSED, "7", None)
    assert outcome.message == f"job 7: GET /x answered {status}: not yours"


def test_a_reply_that_cannot_be_read_is_bounded_like_an_unknown_status():
    looks, outcome = run(failed(0.0, ODD), failed(150.0, ODD), failed(300.0, ODD))
    assert [poll.after for poll in looks] == [0.0, 8.0, 30.0]
    assert outcome.ending is Ending.UNKNOWN
    assert outcome.message.endswith("for more than 300 s: the reply is not JSON")


def test_a_page_of_html_before_a_404_does_not_make_the_ref_one_that_was_there():
    _, outcome = run(failed(0.0, ODD), Seen(age=2.0, observation=absent("7")), seen(4.0, Phase.SUCCEEDED))
    assert outcome.ending is Ending.SUCCEEDED


# --- the deadline


def test_a_last_look_is_taken_just_before_the_end():
    looks, _ = run(seen(0.0), seen(70.0), seen(78.0), OVER, ends_at=80.0)
    assert [poll.after for poll in looks] == [0.0, 8.0, 8.0, 27.5]


def test_a_wait_that_is_resumed_shortly_before_its_end_still_looks_in_time():
    looks, _ = run(OVER, age=95.0, ends_at=100.0)
    assert looks[0].after == 3.0


def test_the_deadline_ends_a_wait_and_tells_the_last_state():
    _, outcome = run(seen(0.0, progress=40.0), failed(2.0), OVER)
    assert (outcome.ending, outcome.phase, outcome.status) == (Ending.TIMED_OUT, Phase.RUNNING, "s")
    assert outcome.message == (
        "job 7 did not end in time (the deadline was noon); it was running (s) 40 %; the last poll failed: reset by "
        "peer"
    )


@pytest.mark.parametrize("before, why", [([], ""), ([failed(0.0)], ": reset by peer")])
def test_the_deadline_of_a_task_that_was_never_read(before, why):
    _, outcome = run(*before, OVER)
    assert (outcome.ending, outcome.ref, outcome.phase) == (Ending.TIMED_OUT, "7", None)
    assert outcome.message.endswith(f"; it could not be read once{why}")


def test_trouble_that_is_over_is_not_called_the_reason_of_a_time_out():
    _, outcome = run(failed(0.0), seen(2.0), OVER)
    assert outcome.message.endswith("; it was running (s)")


def test_the_deadline_of_a_task_that_was_never_found_says_so_and_not_that_it_is_pending():
    _, outcome = run(Seen(age=0.0, observation=absent("7")), OVER)
    assert outcome.ending is Ending.TIMED_OUT
    assert outcome.message.startswith(
        "job 7 was not found at the remote in time (the deadline was noon): there is none"
    )
    assert "pending" not in outcome.message


def test_the_deadline_while_a_failure_is_explained_does_not_hide_the_failure():
    program = Run(watch(Remote(), Plan(ref="7"), 0.0))
    program.send(seen(0.0, Phase.FAILED))
    assert program.step == get("/why/7")
    expire(program, OVER)
    assert program.result.ending is Ending.FAILED
    assert program.result.message == "job 7: failed (s)\n(the remote could not be asked why: the deadline was noon)"


def test_the_deadline_while_a_restart_is_looked_for_leaves_open_whether_there_is_one():
    program = Run(watch(Remote(), Plan(ref="7", options={"follow": True}), 0.0))
    program.send(seen(0.0, Phase.FAILED))
    assert program.step == get("/heir/7")
    expire(program, OVER)
    outcome = program.result
    assert (outcome.ending, outcome.phase, outcome.ref) == (Ending.TIMED_OUT, Phase.FAILED, "7")
    assert "did not end in time (the deadline was noon); it was failed (s)" in outcome.message


def test_a_look_tells_what_it_brought():
    refused = TransportError("lost")
    reading = Observation(ref="7", phase=Phase.RUNNING)
    assert (Seen(age=0.0, observation=reading).told, Seen(age=0.0, error=refused).told) == (reading, refused)


def test_the_deadline_between_two_looks():
    program = Run(watch(Silent(), Plan(ref="7"), 0.0))
    program.send(seen(0.0))
    expire(program, OVER)
    assert program.result.ending is Ending.TIMED_OUT


# --- the end


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.CANCELLED, Phase.LOST])
def test_a_bad_end_is_told_with_the_remotes_reason(phase):
    steps, outcome = play(watch(Remote(), Plan(ref="7"), 0.0), seen(0.0, phase), reply(200, "disk full"))
    assert targets(steps[1:]) == ["GET /why/7"]
    assert outcome.message == f"job 7: {phase} (s)\ndisk full"


def test_a_reason_that_is_empty_adds_nothing():
    assert run(seen(0.0, Phase.FAILED))[1].message == "job 7: failed (s)"


@pytest.mark.parametrize("error", [DOWN, LOST, TokenError("no", transient=False)])
def test_a_reason_that_cannot_be_asked_for_does_not_hide_the_failure(error):
    outcome = result_of(watch(Remote(), Plan(ref="7"), 0.0), seen(0.0, Phase.FAILED), error)
    assert outcome.ending is Ending.FAILED
    assert outcome.message == f"job 7: failed (s)\n(the remote could not be asked why: {error})"


def test_a_good_end_is_not_explained():
    assert run(seen(0.0, Phase.SKIPPED), system=Remote())[1].ending is Ending.SKIPPED


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED])
def test_people_are_in_the_result_only_when_asked_for(phase):
    assert run(seen(0.0, phase))[1].result == {"id": "7"}
    assert run(seen(0.0, phase), personal=True)[1].result == {"id": "7", "author": "me"}


# --- the last word


def last(*replies, **reading):
    """What is said of a task for which the time is over."""

    class Asked(Remote):
        def observe(self, ref):
            yield from ask(get(f"/{ref}"))
            return Observation(**{"ref": ref, "phase": Phase.RUNNING, "status": "s", **reading})

    return play(last_poll(Asked(), Plan(ref="7"), 100.0), *replies)[1]


@pytest.mark.parametrize("phase, ending", [(Phase.SUCCEEDED, Ending.SUCCEEDED), (Phase.FAILED, Ending.FAILED)])
def test_what_has_ended_although_nobody_saw_it_has_not_timed_out(phase, ending):
    replies = [reply(200), *([reply(200, "disk full")] if phase is Phase.FAILED else [])]
    assert last(*replies, phase=phase).ending is ending


@pytest.mark.parametrize("reading", [{}, {"phase": Phase.BLOCKED}, {"phase": Phase.LOST, "status": ""}])
def test_what_has_not_ended_or_is_gone_says_nothing_more(reading):
    why = [reply(200)] if reading.get("phase") is Phase.LOST else []
    assert last(reply(200), *why, **reading) is None


# --- restarts


def test_a_restart_is_followed_and_its_end_counts():
    requests, outcome = follow(
        seen(0.0, Phase.FAILED), reply(200, {"id": "8"}), seen(2.0, ref="8"), seen(4.0, Phase.SUCCEEDED, ref="8")
    )
    assert requests == ["GET /heir/7"]
    assert (outcome.ending, outcome.ref, outcome.result) == (Ending.SUCCEEDED, "8", {"id": "8"})


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED])
def test_the_latest_is_what_took_over_or_the_last_one_that_ended_badly(phase):
    class Asked(Remote):
        def observe(self, ref):
            yield from ask(get(f"/{ref}"))
            return Observation(ref=ref, phase=phase if ref == "8" else Phase.FAILED, status="s")

    replies = [reply(200), reply(200, {"id": "8"}), reply(200), *([reply(200, {})] if phase is Phase.FAILED else [])]
    _, last = play(latest(Asked(), "7", {"follow": True}), *replies)
    assert (last.ref, last.phase) == ("8", phase)


class Marked(Remote):
    """Whose readings carry a marker, which only ref 7 has."""

    def observe(self, ref):
        yield from ask(get(f"/{ref}"))
        return Observation(ref=ref, phase=Phase.FAILED, status="s")

    def is_own(self, seen, options):
        return seen.ref == options.get("mine", seen.ref)


def test_what_carries_another_marker_is_neither_the_latest_nor_the_last_word():
    for program in (
        latest(Marked(), "7", {"mine": "8"}),
        last_poll(Marked(), Plan(ref="7", options={"mine": "8"}), 0.0),
    ):
        with pytest.raises(StrangerError, match="job 7 is not the one that was started here"):
            play(program, reply(200))


def test_what_took_over_need_not_carry_our_marker():
    followed = {"mine": "7", "follow": True}
    replies = [reply(200), reply(200, {"id": "8"}), reply(200), reply(200, {})]
    _, last = play(latest(Marked(), "7", followed), *replies)
    _, again = play(latest(Marked(), "8", followed, is_restart=True), reply(200), reply(200, {}))
    assert (last.ref, again.ref) == ("8", "8")


def test_a_wait_ends_where_the_connection_leads_elsewhere():
    looks, outcome = run(failed(0.0, MovedError("c", "https://here", "https://there")), id_space="https://here")
    assert [one.id_space for one in looks] == ["https://here"]
    assert (outcome.ending, outcome.status) == (Ending.REFUSED, MOVED)
    assert all(words in outcome.message for words in ("job 7", "https://here", "https://there", "clear the task"))


def test_what_took_over_is_what_is_looked_at():
    looks = [
        step.ref
        for step in play(
            watch(Remote(), Plan(ref="7", options={"follow": True}), 0.0),
            seen(0.0, Phase.FAILED),
            reply(200, {"id": "8"}),
            failed(2.0),
            OVER,
        )[0]
        if isinstance(step, Poll)
    ]
    assert looks == ["7", "8", "8"]


def test_a_restart_of_a_restart_is_followed_too():
    requests, outcome = follow(
        seen(0.0, Phase.FAILED),
        reply(200, {"id": "8"}),
        seen(2.0, Phase.CANCELLED, ref="8"),
        reply(200, {"id": "9"}),
        seen(4.0, Phase.SUCCEEDED, ref="9"),
    )
    assert requests == ["GET /heir/7", "GET /heir/8"]
    assert outcome.ref == "9"


def test_a_bad_end_without_a_restart_stays_one():
    requests, outcome = follow(seen(0.0, Phase.FAILED), reply(200, {}), reply(200, "disk full"))
    assert requests == ["GET /heir/7", "GET /why/7"]
    assert (outcome.ending, outcome.message) == (Ending.FAILED, "job 7: failed (s)\ndisk full")


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.SKIPPED])
def test_after_a_good_end_nobody_asks_for_a_restart(phase):
    assert follow(seen(0.0, phase))[0] == []


def test_a_task_that_waits_for_a_person_has_not_ended_and_has_no_restart():
    requests, outcome = follow(seen(0.0, Phase.BLOCKED), reply(), rules=Rules(fail_on_blocked=True))
    assert (requests, outcome.ending) == (["GET /why/7"], Ending.BLOCKED)


def test_a_deadline_after_a_restart_names_what_took_over_so_that_this_is_cancelled():
    _, outcome = follow(seen(0.0, Phase.FAILED), reply(200, {"id": "8"}), OVER)
    assert (outcome.ending, outcome.ref) == (Ending.TIMED_OUT, "8")
    assert outcome.message.startswith("job 8 did not end in time")
    assert outcome.message.endswith("it was pending: took over from 7")


def test_what_took_over_late_may_be_unknown_for_a_while():
    deletions = Observation(ref="8", phase=Phase.LOST)
    _, outcome = follow(
        seen(5000.0, Phase.FAILED),
        reply(200, {"id": "8"}),
        Seen(age=5002.0, observation=deletions),
        seen(5004.0, Phase.SUCCEEDED, ref="8"),
    )
    assert outcome.ending is Ending.SUCCEEDED


@pytest.mark.parametrize("error", [LOST, DOWN])
def test_a_restart_that_cannot_be_asked_for_now_is_asked_for_again(error):
    steps, outcome = play(
        watch(Remote(), Plan(ref="7", options={"follow": True}), 0.0),
        *[seen(0.0, Phase.FAILED), error, seen(2.0, Phase.FAILED), error, seen(6.0, Phase.FAILED)],
        *[reply(200, {"id": "8"}), seen(8.0, Phase.SUCCEEDED, ref="8")],
    )
    assert [step.after for step in steps if isinstance(step, Poll)] == [0.0, 2.0, 4.0, 9.5]
    assert (outcome.ending, outcome.ref) == (Ending.SUCCEEDED, "8")


def test_a_wish_to_wait_counts_for_that_question_too():
    busy = RemoteError(method="GET", path="/x", status=429, message="slow down", retry_after=45.0)
    steps, _ = play(watch(Remote(), Plan(ref="7", options={"follow": True}), 0.0), seen(0.0, Phase.FAILED), busy, OVER)
    assert steps[-1].after == 45.0


def test_the_deadline_while_that_question_is_open_tells_how_the_task_was():
    _, outcome = follow(seen(0.0, Phase.FAILED), LOST, OVER)
    assert (outcome.ending, outcome.phase) == (Ending.TIMED_OUT, Phase.FAILED)


def test_a_refusal_to_tell_of_restarts_leaves_the_bad_end():
    refused = RemoteError(method="GET", path="/heir/7", status=403, message="not yours")
    requests, outcome = follow(seen(0.0, Phase.FAILED), refused, reply(200, "disk full"))
    assert requests == ["GET /heir/7", "GET /why/7"]
    assert (outcome.ending, outcome.ref) == (Ending.FAILED, "7")
    assert outcome.message == (
        "job 7: failed (s)\n(whether something took over could not be asked: GET /heir/7 answered 403: not yours)\n"
        "disk full"
    )


def test_answers_about_restarts_that_cannot_be_read_are_bounded_too():
    html = reply(200, "<html>")
    _, outcome = follow(
        *[seen(0.0, Phase.FAILED), html, seen(150.0, Phase.FAILED), html, seen(300.0, Phase.FAILED), html],
        reply(200, ""),
    )
    assert outcome.ending is Ending.UNKNOWN
    assert "the reply to GET /heir/7 (200) is not JSON: <html>" in outcome.message


# --- one look at a time, as a sensor that is rescheduled takes it


def test_memory_carries_a_wait_over_several_processes():
    plan = Plan(ref="7", options={"follow": True})
    first = result_of(weigh(Remote(), plan, Memory(), seen(10.0, Phase.FAILED)), reply(200, {"id": "8"}))
    assert (first.outcome, first.memory) == (None, Memory(ref="8", since=10.0, reached=True))
    assert first.observation.describe() == "pending: took over from 7"
    second = result_of(weigh(Remote(), plan, first.memory, seen(20.0, Phase.SUCCEEDED, ref="8")))
    assert (second.outcome.ref, second.observation.phase) == ("8", Phase.SUCCEEDED)
    assert second.memory == Memory(ref="8", since=10.0, seen=True, reached=True)


def test_a_look_that_brought_nothing_says_why():
    weighed = result_of(weigh(Silent(), Plan(ref="7"), Memory(failures=1), failed(5.0)))
    assert (weighed.outcome, weighed.observation, weighed.error) == (None, None, LOST)
    assert weighed.memory.failures == 2


# --- the log


def test_the_log_tells_changes_and_not_looks():
    changes, running = ChangeLog("job"), seen(0.0, progress=10.0).observation
    assert changes.line(running) == "job 7: running (s) 10 %"
    assert changes.line(running) is None
    assert changes.line(replace(running, progress=20.0)) == "job 7: running (s) 20 %"


def test_the_log_tells_progress_by_tenths_and_every_other_change_at_once():
    changes, running = ChangeLog("job"), seen(0.0, progress=10.0).observation
    told = [replace(running, progress=percent) for percent in (10.0, 19.0, 20.0, 29.0)]
    assert [changes.line(one) is not None for one in told] == [True, False, True, False]
    assert changes.line(replace(told[-1], message="copying")) == "job 7: running (s) 29 %: copying"
    assert changes.line(replace(told[-1], message="copying", progress=None)) == "job 7: running (s): copying"


def test_the_log_tells_the_end_however_small_the_step_to_it():
    changes, running = ChangeLog("job"), seen(0.0, progress=99.0).observation
    changes.line(running)
    assert changes.line(replace(running, phase=Phase.SUCCEEDED, progress=100.0)) == "job 7: succeeded (s) 100 %"


def test_the_log_tells_trouble_once_and_that_it_is_over():
    changes, running = ChangeLog("job"), seen(0.0).observation
    lines = [changes.line(told) for told in (running, LOST, LOST, running)]
    assert lines == ["job 7: running (s)", "still waiting: reset by peer", None, "job 7: running (s)"]


def test_trouble_that_lasts_is_told_again_at_pauses_that_grow():
    changes = ChangeLog("job")
    lines = [(minute, changes.line(LOST, then(9.0, after=60.0))) for minute in range(7 * 24 * 60)]
    told = [(minute, line) for minute, line in lines if line]
    assert [minute for minute, _ in told[:9]] == [0, 1, 2, 4, 8, 16, 32, 64, 124]
    assert len(told) < 180
    assert told[2][1].startswith("still waiting: reset by peer (for 120 s by now); the next poll is in 60 s")


def test_trouble_that_comes_back_after_a_reading_lasts_anew():
    changes, running = ChangeLog("job"), seen(0.0).observation
    lines = [changes.line(one, then(9.0, after=50.0)) for one in (LOST, LOST, running, LOST, LOST)]
    assert [line is not None for line in lines] == [True, False, True, True, False]


def then(patience=None, after=4.0):
    return Poll(ref="7", after=after, patience=patience)


def test_a_remote_that_fails_each_other_time_fills_no_log():
    changes, running = ChangeLog("job"), seen(0.0).observation
    lines = [changes.line(told, then(9.0)) for _ in range(1_000) for told in (LOST, running)]
    assert 10 < sum(line is not None for line in lines) < 30
    assert "due for the 512th time" in str(lines)
    assert changes.line(running) is None
    assert any(changes.line(LOST) for _ in range(1_100))
    assert changes.line(running) == "job 7: running (s)"


def test_words_that_change_at_each_poll_fill_no_log_and_the_end_is_told():
    changes, running = ChangeLog("job"), seen(0.0).observation
    ids = [RemoteError(method="GET", path="/x", status=500, message=f"request {number}") for number in range(1_000)]
    assert sum(changes.line(one, then(9.0)) is not None for one in ids) < 20
    told = [changes.line(replace(running, message=f"step {number}")) for number in range(1_000)]
    assert sum(line is not None for line in told) < 40
    assert "succeeded" in changes.line(replace(running, phase=Phase.SUCCEEDED))


def test_the_log_says_how_long_trouble_is_lived_through():
    assert ChangeLog("job").line(LOST, then(3590.4)) == (
        "still waiting: reset by peer; the next poll is in 4 s, with 3590 s left until the deadline"
    )
    assert ChangeLog("job").line(LOST, then()) == (
        "still waiting: reset by peer; the next poll is in 4 s, without a deadline"
    )


def test_the_log_says_how_long_an_unclear_state_is_lived_through():
    unknown, blocked = (replace(seen(0.0).observation, phase=phase) for phase in (Phase.UNKNOWN, Phase.BLOCKED))
    assert ChangeLog("job").line(unknown, then(300.0)) == "job 7: unknown (s); it may stay so for another 300 s"
    assert ChangeLog("job").line(blocked, then(60.0)) == "job 7: blocked (s); it may stay so for another 60 s"
    assert ChangeLog("job").line(blocked, then()) == "job 7: blocked (s)"
    assert (
        ChangeLog("job").line(absent("7"), then(292.0)) == "job 7 is not found yet; it may appear within another 292 s"
    )
    assert ChangeLog("job").line(absent("7")) == "job 7: lost: not found"


def test_less_patience_is_no_news():
    changes = ChangeLog("job")
    changes.line(absent("7"), then(292.0))
    assert changes.line(absent("7"), then(280.0)) is None
    changes.line(LOST, then(100.0))
    assert changes.line(LOST, then(90.0)) is None


def test_a_watch_says_how_much_patience_is_left():
    plan = Plan(ref="7", rules=Rules(not_found_grace=100.0, unknown_status_grace=50.0), ends_at=1000.0)
    run = Run(watch(Silent(), plan, 0.0))
    left = []
    for one in (
        Seen(age=10.0, observation=absent("7")),
        Seen(age=20.0, error=LOST),
        Seen(age=30.0, observation=Observation(ref="7", phase=Phase.UNKNOWN, status="?")),
        Seen(age=40.0, observation=Observation(ref="7", phase=Phase.UNKNOWN, status="?")),
        Seen(age=50.0, observation=Observation(ref="7", phase=Phase.RUNNING)),
    ):
        run.send(one)
        left.append(run.step.patience)
    assert left == [90.0, 980.0, 50.0, 40.0, None]


@each_row(
    "plan, age, words",
    [
        (Plan(ref="7"), 0.0, "the first poll is now, then at most every 30 s"),
        (
            Plan(ref="7", rhythm=Rhythm(is_own_start=True, far_seconds=60.0)),
            0.0,
            "the first poll is in 8 s, then at most every 30 s, or 60 s while the end is far",
        ),
        (Plan(ref="7", rhythm=Rhythm(limit_seconds=5.0, adaptive=False)), 0.0, "the first poll is now, then every 5 s"),
        (Plan(ref="7"), 3600.0, "the first poll is within 30 s, then at most every 30 s"),
        (
            Plan(ref="7", callback=Expectation(poll_seconds=300.0)),
            0.0,
            "it is to call back; until it does, it is polled every 300 s, the first time in 300 s",
        ),
    ],
)
def test_a_plan_says_when_it_polls(plan, age, words):
    assert plan.describe(age) == words


def test_the_log_does_not_promise_to_wait_after_a_refusal():
    refused = RemoteError(method="GET", path="/x", status=403, message="not yours")
    assert ChangeLog("job").line(refused) == "GET /x answered 403: not yours"


# --- what time does not cure


def lasting(patience=10.0, kind=TransportError):
    more = {"transient": True} if kind is TokenError else {}
    error = kind("the host name of https://x cannot be resolved", is_lasting=True, **more)
    error.patience = patience
    return error


@pytest.mark.parametrize("kind", [TransportError, TokenError])
def test_a_wait_that_never_reached_anything_ends_soon_where_time_is_no_cure(kind):
    looks, outcome = run(*(failed(age, lasting(kind=kind)) for age in (0.0, 2.0, 6.0)))
    assert ([poll.after for poll in looks[1:]], outcome.ending) == ([2.0, 4.0], Ending.REFUSED)
    assert outcome.message == (
        "job 7: the host name of https://x cannot be resolved; given up, as nothing was reached and waiting does not "
        "cure it; 'patience' in the connection is for how long it is tried"
    )


def test_who_asks_for_patience_gets_it_and_who_asks_for_none_gets_none():
    ages = (0.0, 2.0, 6.0, 14.0, 30.0, 62.0, 122.0)
    looks, outcome = run(*(failed(age, lasting(3600.0)) for age in ages), seen(200.0, Phase.SUCCEEDED))
    assert (len(looks), outcome.ending) == (8, Ending.SUCCEEDED)
    looks, outcome = run(failed(0.0, lasting(0.0)))
    assert (len(looks), outcome.ending) == (1, Ending.REFUSED)


@each_row("before", [seen(0.0), Seen(age=0.0, observation=absent("7")), failed(0.0, DOWN), failed(0.0, ODD)])
def test_a_wait_that_has_reached_the_remote_lives_through_it(before):
    troubles = [failed(age, lasting()) for age in (10.0, 100.0, 1000.0)]
    _, outcome = run(before, *troubles, seen(2000.0, Phase.SUCCEEDED))
    assert outcome.ending is Ending.SUCCEEDED


def test_a_wait_that_goes_on_after_a_restart_lives_through_it():
    troubles = [failed(age, lasting()) for age in (3600.0, 3700.0, 3800.0)]
    _, outcome = run(*troubles, seen(4000.0, Phase.SUCCEEDED), age=3500.0)
    assert outcome.ending is Ending.SUCCEEDED


def test_what_time_cures_is_lived_through_from_the_first_look_on():
    _, outcome = run(*(failed(age) for age in (0.0, 2.0, 6.0, 14.0, 30.0)), seen(100.0, Phase.SUCCEEDED))
    assert outcome.ending is Ending.SUCCEEDED


def test_the_log_tells_how_long_it_is_lived_through():
    assert ChangeLog("job").line(lasting()) == (
        "still waiting: the host name of https://x cannot be resolved; given up 10 s after the first such failure, "
        "unless the remote was reached before"
    )
