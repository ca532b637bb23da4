"""What an attempt does about what an earlier one has left, row by row, up to the remote."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_taskwatch.command.adopt import adopted, adoption
from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError, TransportError
from airflow_provider_taskwatch.core.outcome import Ending
from airflow_provider_taskwatch.core.record import Record, fingerprint
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.task.job import KEY
from airflow_provider_taskwatch.task.result import RemoteTaskFailed
from tests.rows import each_row
from tests.task.life import Life, event_of
from tests.task.quick import Acquia, Automic


def automic(**arguments: Any) -> Life:
    return Life(Automic, object_name="JOBS.T", poll_interval=0.05, adaptive=False, **arguments)


def acquia(**arguments: Any) -> Life:
    body = {"name": "db", "source": "2"}
    return Life(Acquia, path="environments/1/databases", json=body, poll_interval=0.05, adaptive=False, **arguments)


def started(box: Running) -> list[dict[str, Any]]:
    return box.sandbox.tasks(time.time())


def dies_before_the_reply(life: Life, box: Running) -> None:
    """The request arrives once, and the worker is gone before it has written the ref."""
    life.die_before_the_reply()
    assert len(started(box)) == 1


def test_the_first_attempt_starts(box: Running) -> None:
    life = automic(deferrable=False)
    assert life.execute()["name"] == "JOBS.T"
    assert len(started(box)) == 1


def test_a_retry_rejoins_what_still_runs(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic()
    first = life.defer()
    assert life.defer().trigger.ref == first.trigger.ref
    assert len(started(box)) == 1


def test_a_retry_keeps_the_start_id_and_the_age_of_the_wait(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic()
    first, second = life.defer().trigger, life.defer().trigger
    assert (second.start_id, second.started_at) == (first.start_id, first.started_at)


def test_a_retry_takes_a_success_that_was_not_delivered(box: Running) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    life.arguments["deferrable"] = False
    assert life.retry()["run_id"] == int(ref)
    assert len(started(box)) == 1


def test_a_retry_starts_anew_after_a_failure_that_was_delivered(box: Running) -> None:
    box.sandbox.add_rule(duration=0.0, outcome="failure", times=1)
    life = automic(deferrable=False)
    with pytest.raises(RemoteTaskFailed):
        life.execute()
    assert life.open_record.is_delivered
    life.retry()
    assert len(started(box)) == 2


def test_a_retry_starts_anew_after_a_failure_that_was_not_delivered(box: Running) -> None:
    box.sandbox.add_rule(duration=0.0, outcome="failure", times=1)
    life = automic()
    first = life.defer().trigger
    second = life.defer().trigger
    assert second.ref != first.ref
    assert second.start_id != first.start_id


def test_a_retry_starts_anew_where_the_inputs_changed(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic(inputs={"DAY": "1"}, on_changed_inputs="start")
    life.defer()
    life.arguments["inputs"] = {"DAY": "2"}
    life.defer()
    assert [one["request"]["inputs"] for one in started(box)] == [{"DAY": "1"}, {"DAY": "2"}]
    assert not started(box)[0]["cancelled"]


def test_a_time_in_the_inputs_makes_no_second_execution(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic(inputs={"AT": "06:00:01", "DAY": "1", "PIN": "s3cret"})
    ref = life.defer().trigger.ref
    for second in (2, 3):
        life.arguments["inputs"] = {"AT": f"06:00:0{second}", "DAY": "1", "PIN": "s3cret"}
        assert life.defer().trigger.ref == ref
    assert len(started(box)) == 1
    log = capsys.readouterr().out
    assert "the inputs changed (request.inputs.AT) since" in log
    assert "clear the task" in log
    assert "s3cret" not in json.dumps(life.store.written)


@pytest.mark.parametrize(
    "count, end", [(10, "request.inputs.I09) since"), (11, "request.inputs.I09 and others) since")]
)
def test_of_many_changed_inputs_the_first_ten_are_named(
    box: Running, capsys: pytest.CaptureFixture[str], count: int, end: str
) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic(inputs={f"I{number:02}": "1" for number in range(count)})
    life.defer()
    life.arguments["inputs"] = {f"I{number:02}": "2" for number in range(count)}
    life.defer()
    log = capsys.readouterr().out
    assert end in log
    assert "I10" not in log


def test_an_unknown_start_of_other_inputs_is_rejoined_too(box: Running) -> None:
    life = automic(inputs={"DAY": "1"})
    dies_before_the_reply(life, box)
    life.arguments["inputs"] = {"DAY": "2"}
    assert life.defer().trigger.ref == started(box)[0]["ref"]
    assert len(started(box)) == 1


@pytest.mark.parametrize("dies", [False, True])
def test_a_person_may_be_asked_what_changed_inputs_mean(box: Running, dies: bool) -> None:
    life = automic(inputs={"DAY": "1"}, on_changed_inputs="fail")
    if dies:
        dies_before_the_reply(life, box)
    else:
        life.defer()
    life.arguments["inputs"] = {"DAY": "2", "NEW": ["x"]}
    with pytest.raises(
        AirflowFailException, match=r"changed \(request.inputs.DAY, request.inputs.NEW\).*clear this task"
    ):
        life.retry()
    assert len(started(box)) == 1


def test_changed_inputs_start_anew_after_a_failure_whatever_the_user_chose(box: Running) -> None:
    box.sandbox.add_rule(duration=0.0, outcome="failure", times=1)
    life = automic(inputs={"DAY": "1"})
    life.defer()
    life.arguments["inputs"] = {"DAY": "2"}
    life.defer()
    assert [one["request"]["inputs"] for one in started(box)] == [{"DAY": "1"}, {"DAY": "2"}]


def test_a_record_of_an_earlier_version_does_not_say_which_input_changed(
    box: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic(inputs={"DAY": "1"})
    life.defer()
    life.store.set(KEY, replace(life.open_record, inputs={}).to_json())
    life.arguments["inputs"] = {"DAY": "2"}
    life.defer()
    assert "(which, its record does not say)" in capsys.readouterr().out


def test_a_fingerprint_of_an_earlier_version_still_fits(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic(inputs={"DAY": "1"})
    life.defer()
    was = ["automic_default", {"object_name": "JOBS.T", "inputs": {"DAY": "1"}, "execution_option": "execute"}]
    assert life.open_record.fingerprint == fingerprint(was)


def test_a_retry_rejoins_where_only_the_alias_changed(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic(alias="try-1")
    life.defer()
    life.arguments["alias"] = "try-2"
    life.defer()
    assert len(started(box)) == 1


def test_a_retry_rejoins_an_execution_that_is_not_found_rather_than_start_a_second(box: Running) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    box.sandbox.add_fault("not_found", method="GET")
    assert life.defer().trigger.ref == ref


def test_a_retry_rejoins_where_the_remote_cannot_be_asked_now(box: Running) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    box.sandbox.add_fault("server_error", method="GET")
    assert life.defer().trigger.ref == ref


def test_a_retry_fails_at_once_where_the_remote_refuses_to_be_read(box: Running) -> None:
    life = automic()
    life.defer()
    box.sandbox.add_fault("forbidden", method="GET")
    with pytest.raises(RemoteError, match="403"):
        life.retry()
    assert len(started(box)) == 1


def test_a_retry_rejoins_a_failure_that_was_restarted(box: Running) -> None:
    box.sandbox.add_rule(duration=0.0, outcome="failure", times=1)
    life = automic(follow_restarts=True)
    ref = life.defer().trigger.ref
    life.restart(ref)
    assert life.defer().trigger.ref == ref
    assert len(started(box)) == 2


def test_a_retry_rejoins_a_failure_while_the_remote_cannot_say_whether_it_was_restarted(box: Running) -> None:
    box.sandbox.add_rule(duration=0.0, outcome="failure", times=1)
    life = automic(follow_restarts=True)
    ref = life.defer().trigger.ref
    box.sandbox.add_fault("server_error", method="GET", path="/executions$")
    assert life.defer().trigger.ref == ref


def test_a_retry_fails_at_once_where_the_remote_refuses_to_list_restarts(box: Running) -> None:
    box.sandbox.add_rule(duration=0.0, outcome="failure", times=1)
    life = automic(follow_restarts=True)
    life.defer()
    box.sandbox.add_fault("forbidden", method="GET", path="/executions$")
    with pytest.raises(RemoteError, match="403"):
        life.retry()
    assert len(started(box)) == 1


# --- cleared


def test_a_clear_cancels_what_still_runs_and_starts_anew(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0, times=1)
    life = automic()
    life.defer()
    life.arguments["deferrable"] = False
    life.clear()
    assert [one["cancelled"] for one in started(box)] == [True, False]


def test_a_clear_leaves_alone_what_is_not_to_be_cancelled(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0, times=1)
    life = automic(cancel_on_kill=False)
    life.defer()
    life.arguments["deferrable"] = False
    life.clear()
    assert [one["cancelled"] for one in started(box)] == [False, False]


def test_a_clear_of_a_success_starts_anew_and_cancels_nothing(box: Running) -> None:
    life = automic(deferrable=False)
    life.execute()
    life.clear()
    assert [one["cancelled"] for one in started(box)] == [False, False]


def test_a_clear_starts_anew_also_where_the_old_one_cannot_be_cancelled(
    box: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    box.sandbox.add_rule(duration=600.0, system="acquia")
    life = acquia()
    first = life.defer().trigger
    life.max_tries += 1
    assert life.defer().trigger.ref != first.ref
    assert f"{first.ref} goes on" in capsys.readouterr().out


def test_a_clear_finds_and_cancels_a_start_whose_reply_was_lost(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0, times=1)
    life = automic(alias="first")
    dies_before_the_reply(life, box)
    life.arguments |= {"alias": "second", "deferrable": False}
    life.clear()
    assert [one["cancelled"] for one in started(box)] == [True, False]


def test_a_clear_is_seen_as_one_though_the_retries_were_lowered_meanwhile(box: Running) -> None:
    """1 -> 0 and a success in the first try: ``max_tries`` is 1 as it was before."""
    life = automic(deferrable=False)
    life.max_tries = 1
    life.execute()
    life.clear(retries=0)
    assert life.max_tries == 1
    assert len(started(box)) == 2


def test_a_running_task_whose_worker_dies_after_a_clear_starts_anew(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic()
    life.defer()
    life.clear_running()
    life.try_number += 1
    life.defer()
    assert [one["cancelled"] for one in started(box)] == [True, False]


def test_a_clear_of_another_task_does_not_make_a_clear_of_a_retry(
    box: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic()
    ref = life.defer().trigger.ref
    life.clear_another()
    life.try_number += 1
    assert life.defer().trigger.ref == ref
    assert [one["cancelled"] for one in started(box)] == [False]
    assert "which an earlier attempt started; clearing the task starts anew" in capsys.readouterr().out


@pytest.mark.parametrize("carrier", ["", None])
def test_where_airflow_does_not_say_which_task_was_cleared_it_rejoins_and_says_so(
    box: Running, carrier: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic()
    life.carrier = carrier
    ref = life.defer().trigger.ref
    life.clear_running()
    assert life.defer().trigger.ref == ref
    assert "once more starts anew, as Airflow does not say" in capsys.readouterr().out


# --- a start whose reply was lost


@pytest.mark.parametrize("is_old", [False, True])
def test_an_unknown_start_is_found_by_its_marker_and_rejoined(box: Running, is_old: bool) -> None:
    life = automic(on_changed_inputs="fail")
    dies_before_the_reply(life, box)
    if is_old:
        life.store.set(KEY, replace(life.open_record, marker="").to_json())
    [task] = started(box)
    life.try_number += 1
    assert life.defer().trigger.ref == task["ref"]
    assert life.open_record.ref == task["ref"]
    assert len(started(box)) == 1


def test_an_unknown_start_is_found_though_the_retry_renders_another_alias(box: Running) -> None:
    life = automic(alias="nightly-try-1")
    dies_before_the_reply(life, box)
    life.arguments["alias"] = "nightly-try-2"
    life.defer()
    assert len(started(box)) == 1


def test_an_unknown_start_that_was_of_other_inputs_is_left_alone(box: Running) -> None:
    life = automic(inputs={"DAY": "1"}, on_changed_inputs="start")
    dies_before_the_reply(life, box)
    life.arguments["inputs"] = {"DAY": "2"}
    ref = life.defer().trigger.ref
    assert [one["ref"] for one in started(box)][1:] == [ref]


@pytest.mark.parametrize("alias", ["a b", "100 %", "#5 of 7", "a#b#c", "über", "50$ @home", "a&b=c", "nice+slow?"])
def test_an_alias_with_odd_characters_is_found_again(box: Running, alias: str) -> None:
    box.sandbox.change({"automic": {"alias_characters": "-#%&=+?"}}, 0.0)
    life = automic(alias=alias)
    dies_before_the_reply(life, box)
    life.defer()
    assert len(started(box)) == 1


def test_an_unknown_start_that_left_no_trace_is_started(box: Running) -> None:
    life = automic()
    box.sandbox.add_fault("lost_request", method="POST", times=1)
    with pytest.raises(TransportError):
        life.execute()
    assert life.open_record.ref is None
    life.defer()
    assert len(started(box)) == 1


def test_a_clear_of_an_unknown_start_that_left_no_trace_cancels_nothing(
    box: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    life = automic()
    box.sandbox.add_fault("lost_request", method="POST", times=1)
    with pytest.raises(TransportError):
        life.execute()
    life.max_tries += 1
    life.defer()
    assert len(started(box)) == 1
    assert "the earlier start is left alone" in capsys.readouterr().out
    assert not [one for one in box.sandbox.log() if one["path"].endswith("/status")]


def test_a_look_up_is_repeated_after_an_error(box: Running) -> None:
    life = automic()
    dies_before_the_reply(life, box)
    box.sandbox.add_fault("server_error", method="GET", times=2)
    life.defer()
    assert len(started(box)) == 1


def test_a_look_up_whose_retry_after_is_an_hour_is_given_up(box: Running) -> None:
    life = automic()
    dies_before_the_reply(life, box)
    box.sandbox.add_fault("too_many", method="GET", retry_after=3600)
    with pytest.raises(RemoteError, match="429"):
        life.retry()
    assert len(started(box)) == 1


def test_a_look_up_that_keeps_failing_does_not_count_as_not_found(box: Running) -> None:
    life = automic()
    dies_before_the_reply(life, box)
    box.sandbox.add_fault("server_error", method="GET")
    with pytest.raises(RemoteError, match="503"):
        life.retry()
    assert len(started(box)) == 1
    assert life.open_record.ref is None


def test_a_look_up_respects_retry_after(box: Running) -> None:
    life = automic()
    dies_before_the_reply(life, box)
    box.sandbox.add_fault("too_many", method="GET", retry_after=1, times=1)
    life.defer()
    asked = [one["at"] for one in box.sandbox.log() if one["method"] == "GET" and "ref" not in one["path"]]
    assert asked[1] - asked[0] >= 1.0
    assert len(started(box)) == 1


def test_a_worker_that_airflow_has_given_up_sends_its_start_no_more(box: Running) -> None:
    """It pauses after a 429; meanwhile its supervisor is dead, and Airflow refuses what it writes."""
    box.sandbox.add_fault("too_many", method="POST", times=1)
    life = automic()

    def refuse(value: Any) -> None:
        if life.store.written:
            raise EOFError

    life.store.on_set = refuse
    with pytest.raises(EOFError):
        life.execute()
    assert started(box) == []
    life.store.on_set = lambda value: None
    life.defer()
    assert len(started(box)) == 1


def test_a_list_that_lags_does_not_make_a_second_execution(box: Running) -> None:
    box.sandbox.change({"automic": {"list_lag": 0.3}}, 0.0)
    life = automic()
    dies_before_the_reply(life, box)
    life.kind = type("Patient", (Automic,), {"look_up_seconds": 2.0})
    life.defer()
    assert len(started(box)) == 1


def test_where_the_remote_keeps_no_marker_a_person_decides(box: Running) -> None:
    life = acquia()
    dies_before_the_reply(life, box)
    with pytest.raises(AirflowFailException, match="clear this task to start again") as caught:
        life.retry()
    assert f"taskwatch adopt d {life.run_id} t REF`" in str(caught.value)
    assert len(started(box)) == 1


@pytest.mark.parametrize("map_index", [0, 3])
def test_the_adopt_command_names_the_map_index_and_quotes_its_arguments(box: Running, map_index: int) -> None:
    life = acquia()
    life.run_id, life.map_index = "my run", map_index
    dies_before_the_reply(life, box)
    with pytest.raises(AirflowFailException, match=f"adopt d 'my run' t --map-index {map_index} REF"):
        life.retry()


def test_each_retry_asks_the_person_until_there_is_an_answer(box: Running) -> None:
    life = acquia()
    dies_before_the_reply(life, box)
    for _ in range(2):
        with pytest.raises(AirflowFailException):
            life.retry()
    assert life.open_record.ref is None
    assert len(started(box)) == 1


def test_a_clear_is_the_answer_start_again(box: Running) -> None:
    life = acquia(deferrable=False)
    dies_before_the_reply(life, box)
    assert life.clear()["event"] == "DatabaseCopied"
    assert len(started(box)) == 2


def test_work_that_may_run_twice_is_started_again(box: Running) -> None:
    life = acquia(on_unknown_start="start_again", deferrable=False)
    dies_before_the_reply(life, box)
    life.retry()
    assert len(started(box)) == 2


# --- adopted

RECORD = Record(start_id="0123456789ab", fingerprint="", max_tries=0, started_at="2026-01-31T06:00:00+00:00")


def adopt(life: Life, ref: str) -> None:
    """What ``taskwatch adopt`` does to the store."""
    record = adopted(life.open_record, ref)
    life.store.set(KEY, record.to_json())


def test_an_adopted_execution_is_rejoined_by_the_cleared_task(box: Running) -> None:
    life = acquia(deferrable=False)
    dies_before_the_reply(life, box)
    ref = started(box)[0]["ref"]
    adopt(life, f" {ref} ")
    assert life.clear()["uuid"] == ref
    assert len(started(box)) == 1


def test_an_adopted_execution_belongs_to_the_task_from_then_on(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = acquia()
    dies_before_the_reply(life, box)
    adopt(life, started(box)[0]["ref"])
    life.defer()
    assert life.open_record.max_tries == life.max_tries
    life.max_tries += 1
    life.defer()
    assert len(started(box)) == 2


def test_an_adopted_execution_that_ended_badly_fails_the_task_without_another_start(box: Running) -> None:
    box.sandbox.add_rule(duration=0.0, outcome="failure", message="disk full", times=1)
    life = acquia(deferrable=False)
    dies_before_the_reply(life, box)
    adopt(life, started(box)[0]["ref"])
    with pytest.raises(RemoteTaskFailed, match="disk full"):
        life.clear()
    assert len(started(box)) == 1


def test_a_task_that_has_started_nothing_has_nothing_to_adopt_for() -> None:
    with pytest.raises(ConfigurationError, match="has not tried to start anything"):
        adoption(None, "1000001", None, force=False)


@each_row("ref", ["", "a/b", "..", "a?b", "a#b", "a b"])
def test_what_cannot_be_an_id_is_not_adopted(ref: str) -> None:
    with pytest.raises(ConfigurationError, match="id"):
        adopted(RECORD, ref)


def test_what_cannot_be_an_id_of_this_remote_is_refused_before_any_request(box: Running) -> None:
    life = automic()
    life.store.set(KEY, RECORD.to_json())
    adopt(life, "0e7a55b4-9d2c-4b53-8c1f-5b1c1d7c0b11")
    with pytest.raises(ConfigurationError, match="is not an execution id"):
        life.execute()
    assert box.sandbox.log() == []


# --- the record


def test_a_record_that_cannot_be_read_stops_the_task_before_any_request(box: Running) -> None:
    life = automic()
    life.store.set(KEY, {"ref": "7"})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        life.execute()
    assert box.sandbox.log() == []


def test_without_durable_nothing_is_written_and_each_attempt_starts_anew(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic(durable=False)
    life.defer()
    life.defer()
    assert life.store.written == []
    assert len(started(box)) == 2


def test_a_failure_that_was_delivered_is_never_rejoined(box: Running) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    with pytest.raises(RemoteTaskFailed):
        life.resume(event_of(Ending.FAILED, ref, status="1800"))
    assert life.defer().trigger.ref != ref


def test_a_retry_takes_a_success_whose_worker_died(box: Running) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    life.resume(event_of(Ending.SUCCEEDED, ref, status="1900"))
    life.arguments["deferrable"] = False
    assert life.retry()["run_id"] == int(ref)
    assert len(started(box)) == 1


def test_a_retry_returns_the_ref_whose_worker_died(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic(wait_for_completion=False)
    assert life.execute() == life.retry()
    assert len(started(box)) == 1


def test_a_retry_does_not_repeat_a_start_that_was_answered_at_once_and_not_delivered(box: Running) -> None:
    box.sandbox.change({"acquia": {"shape": "none"}}, 0.0)
    life = acquia(on_missing_notification="succeed")
    life.execute()
    with pytest.raises(AirflowFailException, match="is not sent again"):
        life.retry()
    assert len(started(box)) == 1


def test_a_clear_cancels_the_restart_that_is_followed(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    box.sandbox.add_rule(duration=0.0, outcome="failure", times=1)
    life = automic(follow_restarts=True)
    again = life.restart(life.defer().trigger.ref)
    life.arguments["wait_for_completion"] = False
    life.clear()
    assert [one["ref"] for one in started(box) if one["cancelled"]] == [again]
    assert len(started(box)) == 3


def test_a_clear_of_what_has_ended_does_not_claim_to_cancel_it(
    box: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    life = acquia(deferrable=False)
    life.execute()
    life.clear()
    log = capsys.readouterr().out
    assert "has ended" in log
    assert "no way to cancel" not in log


def test_a_clear_of_what_the_remote_has_forgotten_says_so(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    life = automic(wait_for_completion=False)
    ref = life.execute()
    box.sandbox.reset()
    life.clear()
    log = capsys.readouterr().out
    assert f"execution {ref} is not known to the remote any more" in log
    assert f"{ref} was cancelled" not in log


def test_a_clear_starts_anew_where_the_remote_refuses_to_show_the_old_one(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic()
    first = life.defer().trigger
    box.sandbox.add_fault("forbidden", method="GET", times=1)
    life.max_tries += 1
    assert life.defer().trigger.ref != first.ref
    assert started(box)[0]["cancelled"]


def test_a_second_delivery_of_an_event_writes_nothing_more(box: Running) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    event = event_of(Ending.SUCCEEDED, ref, result={"run_id": 1})
    assert life.resume(event) == life.resume(event) == {"run_id": 1}
    assert [one["is_delivered"] for one in life.store.written] == [False, False]


def test_a_restart_at_each_write_ends_in_one_execution(box: Running) -> None:
    """The worker dies before the first write, the second, and so on: nothing is ever started twice."""
    for survived in range(3):
        box.sandbox.reset()
        box.sandbox.add_rule(duration=0.0)
        life = automic(deferrable=False)

        def die(value: Any, life: Life = life, survived: int = survived) -> None:
            if len(life.store.written) == survived:
                raise KeyboardInterrupt

        life.store.on_set = die
        if survived < 2:
            with pytest.raises(KeyboardInterrupt):
                life.execute()
            life.store.on_set = lambda value: None
            life.retry()
        else:
            life.execute()
        assert len(started(box)) == 1, f"died at write {survived + 1}"


def test_the_record_is_plain_json_and_knows_the_marker(box: Running) -> None:
    life = automic()
    life.defer()
    record = life.open_record
    assert record.marker == started(box)[0]["marker"] == f"JOBS-T-{record.start_id}"
    json.dumps(replace(record).to_json())
