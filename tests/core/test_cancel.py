"""A user's cancel: what is kept of it, when it still holds, and how it is carried out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.cancel import (
    Cancel,
    CancelEnd,
    cancel_from,
    carry_out,
    kept_message,
    lost_message,
    why_left,
)
from airflow_provider_taskwatch.core.error import RemoteError, ReplyError, StrangerError
from airflow_provider_taskwatch.core.flow import ask, ask_json
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.system import Effect, SystemDefaults
from airflow_provider_taskwatch.core.wire import get, send
from tests.play import play, reply, result_of, targets
from tests.rows import each_row

WANTED = Cancel(cancel_id="c", conn_id="x", ref="7", task_id="t", dag_id="d", run_id="r", options={"a": [1]})
EVERY_STATE = (
    *("running", "queued", "scheduled", "deferred", "up_for_retry", "up_for_reschedule", "restarting"),
    *("failed", "success", "skipped", "removed", "upstream_failed", "cleared", None),
)
ENDED = ("failed", "success", "skipped", "removed", "upstream_failed", "cleared")


class Jobs(SystemDefaults):
    name, noun, can_cancel = "jobs", "job", True
    effect = Effect.CANCELLED

    def observe(self, ref):
        job = yield from ask_json(get(f"/jobs/{ref}"))
        return Observation(ref=ref, phase=Phase(job["phase"]), status=job["status"])

    def successor(self, seen, options):
        yield from ()
        return options.get("restart") if seen.ref == "7" else None

    def is_own(self, seen, options):
        return seen.ref == "7"

    def cancel(self, ref, options):
        yield from ask(send("POST", f"/jobs/{ref}/cancel", {}))
        return self.effect


class Endless(Jobs):
    can_cancel = False


def job(phase, status=""):
    return reply(200, {"phase": phase, "status": status})


def test_a_cancel_survives_json():
    assert cancel_from(json.loads(json.dumps(WANTED.to_json()))) == WANTED


@each_row("content", [None, [], "x", {}, {"ref": "7"}, {"cancel_id": "c", "conn_id": "x"}])
def test_anything_but_a_cancel_is_none(content):
    assert cancel_from(content) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*WANTED.to_json(), "colour"]), inner),
)


@given(JSON)
def test_any_json_is_a_cancel_or_none(content):
    assert isinstance(cancel_from(content), Cancel | None)


def test_fields_of_a_newer_version_are_left_out():
    assert cancel_from({**WANTED.to_json(), "colour": "red"}) == WANTED


def test_the_task_is_named_with_its_map_index():
    assert WANTED.task == "d.t of r"
    assert replace(WANTED, map_index=0).task == "d.t[0] of r"
    assert replace(WANTED, map_index=3).task == "d.t[3] of r"


@each_row("keeps_record", [True, False])
@each_row("state", ENDED)
def test_a_task_that_a_user_has_ended_is_cancelled(state, keeps_record):
    assert not why_left(replace(WANTED, keeps_record=keeps_record), state)


@each_row("state", [one for one in EVERY_STATE if one not in (*ENDED, None)])
def test_an_attempt_that_knows_the_remote_task_decides_about_it(state):
    known = replace(WANTED, keeps_record=True)
    assert state in why_left(known, state)
    assert "next attempt" in why_left(replace(known, is_users=True), state)


@each_row("state", EVERY_STATE)
def test_without_a_record_a_kill_by_a_user_holds_in_every_state(state):
    assert not why_left(replace(WANTED, is_users=True), state)


@pytest.mark.parametrize("state, reason", [("deferred", "another triggerer"), (None, "does not know the task")])
def test_a_kill_that_may_not_be_by_a_user_cancels_nothing(state, reason):
    assert reason in why_left(WANTED, state)


def test_a_running_task_is_cancelled():
    steps, end = play(carry_out(Jobs(), WANTED, 0.0), job("running"), reply(204))
    assert end == (CancelEnd.CANCELLED, "7")
    assert targets(steps) == ["GET /jobs/7", "POST /jobs/7/cancel"]


@pytest.mark.parametrize("effect", Effect)
def test_the_effect_of_a_cancel_is_returned(effect):
    class Known(Jobs):
        pass

    Known.effect = effect
    read_again = [job("lost")] if effect is Effect.UNKNOWN else []
    end, _ = result_of(carry_out(Known(), WANTED, 0.0), job("running"), reply(204), *read_again)
    assert end.name == effect.name


class Unfindable(Jobs):
    """A remote that does not know a job when it is to be cancelled."""

    effect = Effect.UNKNOWN


class Refusing(Jobs):
    """The same, without a translation of the refusal."""

    def cancel(self, ref, options):
        yield from ask(send("POST", f"/jobs/{ref}/cancel", {}))
        return Effect.CANCELLED


@pytest.mark.parametrize("system, answer, error", [(Unfindable(), 204, ReplyError), (Refusing(), 404, RemoteError)])
@pytest.mark.parametrize("phase", ["pending", "running", "blocked", "unknown"])
def test_a_cancel_that_finds_no_task_is_an_error_where_the_task_is_shown(system, answer, error, phase):
    with pytest.raises(error, match=r"job 7|/jobs/7"):
        play(carry_out(system, WANTED, 0.0), job("running"), reply(answer), job(phase))


@pytest.mark.parametrize("system, answer", [(Unfindable(), 204), (Refusing(), 404)])
@pytest.mark.parametrize(
    "read_again, end", [(job("succeeded", "1"), CancelEnd.ENDED), (job("lost"), CancelEnd.UNKNOWN)]
)
def test_a_cancel_that_finds_no_task_is_settled_by_one_more_read(system, answer, read_again, end):
    flow = carry_out(system, WANTED, 0.0)
    assert result_of(flow, job("running"), reply(answer), read_again) == (end, "7")


@each_row("phase", ["succeeded", "skipped", "failed", "cancelled"])
def test_a_task_that_has_ended_is_not_cancelled(phase):
    assert result_of(carry_out(Jobs(), WANTED, 0.0), job(phase)) == (CancelEnd.ENDED, "7")


def test_a_task_that_the_remote_calls_lost_has_ended():
    assert result_of(carry_out(Jobs(), WANTED, 0.0), job("lost", "1850")) == (CancelEnd.ENDED, "7")
    assert result_of(carry_out(Jobs(), WANTED, 0.0), job("lost")) == (CancelEnd.UNKNOWN, "7")


def test_a_ref_that_the_remote_does_not_know_yet_is_an_error():
    young = replace(WANTED, unknown_until=10.0)
    with pytest.raises(ReplyError, match="job 7 yet"):
        play(carry_out(Jobs(), young, 9.0), job("lost"))
    assert result_of(carry_out(Jobs(), young, 10.0), job("lost")) == (CancelEnd.UNKNOWN, "7")
    assert result_of(carry_out(Jobs(), young, 9.0), job("running"), reply(204)) == (CancelEnd.CANCELLED, "7")


def test_a_refusal_is_ignored_where_the_task_has_ended_meanwhile():
    flow = carry_out(Jobs(), WANTED, 0.0)
    assert result_of(flow, job("running"), reply(409), job("succeeded")) == (CancelEnd.ENDED, "7")


def test_a_restart_is_cancelled_and_its_refusal_is_ignored_where_it_has_ended():
    restarted = replace(WANTED, options={"restart": "8"})
    steps, end = play(carry_out(Jobs(), restarted, 0.0), job("failed"), job("running"), reply(204))
    assert (targets(steps)[-1], end) == ("POST /jobs/8/cancel", (CancelEnd.CANCELLED, "8"))
    flow = carry_out(Jobs(), restarted, 0.0)
    assert result_of(flow, job("failed"), job("running"), reply(409), job("succeeded")) == (CancelEnd.ENDED, "8")


def test_a_ref_that_belongs_to_another_start_is_asked_no_cancel():
    with pytest.raises(StrangerError, match="job 9 is not the one"):
        play(carry_out(Jobs(), replace(WANTED, ref="9"), 0.0), job("running"))


@pytest.mark.parametrize("status, replies", [(403, [job("running")]), (503, [])])
def test_a_refusal_is_raised_where_the_task_still_runs(status, replies):
    with pytest.raises(RemoteError, match=str(status)):
        play(carry_out(Jobs(), WANTED, 0.0), job("running"), reply(status), *replies)


def test_nothing_is_sent_to_a_remote_that_cannot_cancel():
    assert result_of(carry_out(Endless(), WANTED, 0.0)) == (CancelEnd.IMPOSSIBLE, "7")


def test_a_failed_cancel_is_described_for_the_log():
    assert kept_message("job 7", "it answered 500", "the inbox").startswith(
        "job 7 was not cancelled: it answered 500. It is kept in the inbox;"
    )
    assert lost_message("job 7", "it answered 500", "no database").startswith(
        "job 7 was not cancelled (it answered 500), nor could that be kept (no database): cancel it"
    )
