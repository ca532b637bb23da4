"""The life of a sensor: what it watches, in the triggerer and by poking, and how its end becomes Airflow's."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_taskwatch.core.error import ConfigurationError, EventError, TaskWatchError
from airflow_provider_taskwatch.core.outcome import Ending
from airflow_provider_taskwatch.sandbox.acquia.start import SHAPES
from airflow_provider_taskwatch.sandbox.automic.remote import PASSWORD
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.task.result import RemoteTaskFailed, WaitFailed, WaitMoved
from airflow_provider_taskwatch.task.sensor import MEMORY_KEY
from airflow_provider_taskwatch.triggers.watch import WatchTrigger
from tests.any_airflow import AirflowRescheduleException, TaskDeferralError, deserialize, serialize
from tests.rows import each_row
from tests.task.life import ODD_WAITS, Life, event_of
from tests.task.quick import AcquiaSensor, AutomicSensor, QuickAcquiaHook, QuickAutomicHook

UNKNOWN_ID = "6992a41d-a953-4ded-ae99-41d2f4d32ecb"
NO_PAUSE = {"poke_interval": 0.02}


def execution(box: Running, **rule: Any) -> str:
    """The run id of an execution that was started elsewhere."""
    box.sandbox.add_rule("JOBS.T", **{"duration": 0.0, **rule})
    reply = QuickAutomicHook().request("POST", "/100/executions", json={"object_name": "JOBS.T"})
    return str(reply.json()["run_id"])


def start_reply(box: Running, shape: str = "link", **rule: Any) -> dict[str, Any]:
    """What Acquia answers to a start that was made elsewhere."""
    box.sandbox.change({"acquia": {"shape": shape}}, 0.0)
    box.sandbox.add_rule(system="acquia", **{"duration": 0.0, **rule})
    reply: dict[str, Any] = QuickAcquiaHook().request("POST", "/environments/1/files", json={}).json()
    return reply


def automic(ref: str, **arguments: Any) -> Life:
    return Life(AutomicSensor, run_id=ref, **arguments)


def poking(ref: str, **arguments: Any) -> Life:
    return automic(ref, deferrable=False, **{**NO_PAUSE, **arguments})


def polls(box: Running) -> int:
    return len([one for one in box.sandbox.log() if one["method"] == "GET"])


# --- what it watches


def test_an_unlikely_id_is_warned_about_at_once_and_waited_for(
    box: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    Life(AcquiaSensor, notification_uuid="hello").defer()
    assert "hello does not look like a notification id" in capsys.readouterr().out
    Life(AcquiaSensor, notification_uuid=json.dumps(UNKNOWN_ID)).defer()
    assert "does not look like" not in capsys.readouterr().out


@each_row("form", ["uuid", "padded", "url", "foreign url", "reply", "json"])
def test_a_notification_is_known_by_its_id_its_url_or_the_whole_reply(box: Running, form: str) -> None:
    reply = start_reply(box)
    url = reply["_links"]["notification"]["href"]
    uuid = url.rpartition("/")[2]
    foreign = f"https://cloud.acquia.dev/api/notifications/{uuid}"
    given = {"uuid": uuid, "padded": f" {uuid}\n", "url": url, "foreign url": foreign, "reply": reply}
    life = Life(AcquiaSensor, notification_uuid=given.get(form, json.dumps(reply)), deferrable=False)
    assert life.execute()["uuid"] == uuid


@pytest.mark.parametrize("shape", sorted(set(SHAPES) - {"none", "operation-only", "empty-href", "empty-body"}))
def test_a_reply_is_understood_in_every_shape(box: Running, shape: str) -> None:
    reply = start_reply(box, shape)
    [task] = box.sandbox.tasks(time.time())
    assert Life(AcquiaSensor, notification_uuid=reply).defer().trigger.ref == task["ref"]


@each_row("make", [str, int, lambda ref: f" {ref} ", lambda ref: ref.zfill(10)])
def test_an_execution_is_known_by_its_run_id_in_any_form(box: Running, make: Any) -> None:
    ref = execution(box)
    assert Life(AutomicSensor, run_id=make(ref)).defer().trigger.ref == ref


# --- in the triggerer


def test_the_arguments_of_the_trigger_are_plain_json_without_a_secret(box: Running) -> None:
    life = automic("7", success_statuses=(1900,), skip_statuses={1922}, follow_restarts=True, timeout=60)
    trigger = life.defer().trigger
    _, kwargs = trigger.serialize()
    stored = json.dumps(serialize(kwargs), allow_nan=False)
    assert WatchTrigger(**deserialize(json.loads(stored))).serialize() == trigger.serialize()
    assert PASSWORD not in stored
    assert trigger.plan["options"] == {"success_statuses": [1900], "skip_statuses": [1922], "follow_restarts": True}
    assert (trigger.plan["cancel_on_kill"], trigger.start_id) == (False, None)


@pytest.mark.parametrize("statuses", [[], ()])
def test_no_status_at_all_is_not_the_same_as_the_usual_ones(box: Running, statuses: Any) -> None:
    assert automic("7", success_statuses=statuses).defer().trigger.plan["options"] == {"success_statuses": []}


@each_row(
    "given, seconds, far",
    [
        ({}, 30.0, 60.0),
        ({"poll_interval": 5}, 5.0, None),
        ({"poke_interval": 7}, 7.0, None),
        ({"poke_interval": timedelta(seconds=7)}, 7.0, None),
        ({"poll_interval": timedelta(seconds=5), "poke_interval": 7}, 5.0, None),
    ],
)
def test_poll_interval_is_poke_interval_where_it_is_not_given(
    box: Running, given: dict[str, Any], seconds: float, far: float | None
) -> None:
    rhythm = automic("7", **given).defer().trigger.plan["rhythm"]
    assert rhythm == {"limit_seconds": seconds, "far_seconds": far, "adaptive": True, "is_own_start": False}


@each_row(
    "limits, seconds",
    [
        ({"timeout": 600}, 600),
        ({"timeout": timedelta(minutes=10), "execution_timeout": timedelta(minutes=5)}, 300),
        ({}, 7 * 86400),
        ({"timeout": 1e10}, 100 * 365 * 86400),
    ],
)
def test_the_deadline_is_airflow_s_timeout(box: Running, limits: dict[str, Any], seconds: float) -> None:
    deferred = automic("7", poll_interval=10, **limits).defer()
    deadline = deferred.trigger.deadline_at
    left = (deadline - datetime.now(UTC)).total_seconds()
    assert left == pytest.approx(seconds, abs=5)
    assert deferred.timeout.total_seconds() == pytest.approx(left + 80, abs=5)


@pytest.mark.parametrize("value", ["True", "False"])
def test_the_setting_says_where_it_waits(box: Running, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__DEFAULT_DEFERRABLE", value)
    life = automic(execution(box))
    if value == "True":
        life.defer()
    else:
        assert life.execute()["status"] == 1900


def test_the_page_is_pushed_before_the_wait(box: Running) -> None:
    life = automic("7")
    life.defer()
    assert life.xcoms == {"taskwatch_page": f"{box.url}/_control/tasks/7"}


def test_without_a_template_in_the_connection_there_is_no_page(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    content = box.connections()["automic_default"]
    del content["extra"]["ui_url"]
    monkeypatch.setenv("AIRFLOW_CONN_AUTOMIC_DEFAULT", json.dumps(content))
    life = automic("7")
    life.defer()
    assert life.xcoms == {"taskwatch_page": ""}


async def test_a_sensor_goes_through_the_triggerer_to_its_result(box: Running) -> None:
    life = automic(execution(box), outlets=[])
    trigger = life.defer().trigger
    trigger.plan["finish"] = "resume"
    async with asyncio.timeout(20):
        event = await anext(trigger.run())
    assert life.resume(event.payload)["status"] == 1900


def test_the_bare_success_of_dag_test_brings_what_the_trigger_has_pushed(box: Running) -> None:
    """Airflow 3.3.2 resumes with this string there, where the scheduler would have ended the task."""
    life = automic("7")
    life.xcoms["return_value"] = {"status": 1900}
    assert life.resume("success") == {"status": 1900}


@each_row("event", [None, {}, "failed", {"version": 1}, event_of(Ending.FAILED) | {"version": 9}])
@each_row("options", [{}, {"soft_fail": True}])
def test_an_event_that_cannot_be_read_is_a_clear_failure(box: Running, event: Any, options: dict[str, Any]) -> None:
    with pytest.raises(EventError):
        automic("7", **options).resume(event)


@each_row("wait", ODD_WAITS)
def test_a_timeout_whose_wait_cannot_be_read_is_a_clear_failure_and_sends_nothing(box: Running, wait: Any) -> None:
    with pytest.raises((EventError, ConfigurationError), match=r"clear the task|let the task run again"):
        automic("7", timeout=600).resume(event_of(Ending.TIMED_OUT, "7") | {"wait": wait})
    assert box.sandbox.log() == []


ENDED = {
    Ending.FAILED: RemoteTaskFailed,
    Ending.LOST: RemoteTaskFailed,
    Ending.BLOCKED: WaitFailed,
    Ending.REFUSED: WaitFailed,
    Ending.UNKNOWN: WaitFailed,
    Ending.TIMED_OUT: AirflowSensorTimeout,
}


@pytest.mark.parametrize("options", [{}, {"soft_fail": True}, {"never_fail": True}])
def test_a_triggerer_whose_clock_is_ahead_ends_no_wait_early(box: Running, options: dict[str, Any]) -> None:
    life = automic("7", timeout=1800, **options)
    trigger = life.defer().trigger
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    event = {**event_of(Ending.TIMED_OUT, "7"), "at": ahead, "wait": trigger.serialize()[1]}
    with pytest.raises(TaskDeferred) as deferred:
        life.resume(event)
    assert deferred.value.trigger.plan == trigger.plan
    assert deferred.value.trigger.ahead_seconds == pytest.approx(3600.0, abs=5.0)


@each_row("ending, exception", ENDED.items())
def test_a_bad_outcome_is_an_exception_and_a_skip_where_the_user_says_so(
    box: Running, ending: Ending, exception: Any
) -> None:
    event = event_of(ending, "7", message="why")
    with pytest.raises(exception, match="why"):
        automic("7").resume(event)
    for option in ("soft_fail", "never_fail"):
        with pytest.raises(AirflowSkipException):
            automic("7", **{option: True}).resume(event)


@pytest.mark.parametrize("on_skipped, exception", [("skip", AirflowSkipException), ("fail", RemoteTaskFailed)])
def test_an_end_without_work_is_what_the_user_says(box: Running, on_skipped: str, exception: Any) -> None:
    event = event_of(Ending.SKIPPED, "7", result={"status": 1930})
    assert automic("7").resume(event) == {"status": 1930}
    with pytest.raises(exception):
        automic("7", on_skipped=on_skipped).resume(event)


def test_airflow_s_own_timeout_is_a_sensor_timeout(box: Running) -> None:
    with pytest.raises(AirflowSensorTimeout):
        automic("7").go_on("__fail__", {"error": "Trigger timeout"})
    with pytest.raises(AirflowSkipException):
        automic("7", soft_fail=True).go_on("__fail__", {"error": "Trigger timeout"})
    with pytest.raises(TaskDeferralError):
        automic("7").go_on("__fail__", {"error": "Trigger failure"})


@pytest.mark.parametrize("entrance", ["trigger", "airflow"])
def test_a_task_that_ended_in_time_has_not_timed_out_although_no_triggerer_saw_it(box: Running, entrance: str) -> None:
    ref = execution(box)
    life = automic(ref)
    if entrance == "trigger":
        result = life.resume(event_of(Ending.TIMED_OUT, ref))
    else:
        result = life.go_on("__fail__", {"error": "Trigger timeout"})
    assert result["status"] == 1900


# --- poking


def test_a_wait_logs_at_its_beginning_what_it_waits_for(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    ref = execution(box, duration=600.0)
    automic(ref, timeout=60).defer()
    [line] = [one for one in capsys.readouterr().out.splitlines() if "waiting for" in one]
    assert (
        f"waiting for execution {ref} at Automic Automation Engine, connection automic_default; the first poll" in line
    )
    assert "deadline 20" in line


def test_a_sensor_that_is_rescheduled_says_so_once(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    life = poking(execution(box, duration=600.0), mode="reschedule")
    for life.first_reschedule in (None, datetime.now(UTC)):
        with pytest.raises(AirflowRescheduleException):
            life.execute()
    assert capsys.readouterr().out.count("waiting for execution") == 1


def test_poking_says_how_long_an_id_may_be_unknown(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    life = poking("4711", mode="reschedule", not_found_grace=100)
    with pytest.raises(AirflowRescheduleException):
        life.execute()
    assert "execution 4711 is not found yet; the wait fails if it is not found within 100 s" in capsys.readouterr().out


@pytest.mark.parametrize("reschedule", [True, False])
def test_poking_through_trouble_says_how_much_is_left(
    box: Running, capsys: pytest.CaptureFixture[str], reschedule: bool
) -> None:
    box.sandbox.add_fault("server_error")
    life = poking("4711", timeout=60, **({"mode": "reschedule"} if reschedule else {}))
    life.first_reschedule = datetime.now(UTC) - timedelta(seconds=20) if reschedule else None
    assert life.make().poke(life.context()) is False
    assert f"with {40 if reschedule else 60} s left until the deadline" in capsys.readouterr().out


def test_poking_polls_until_the_end(box: Running) -> None:
    assert poking(execution(box, duration=0.4)).execute()["status"] == 1900
    assert polls(box) >= 2


def test_poking_logs_changes_and_not_polls(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    poking(execution(box, duration=1.0)).execute()
    lines = [line.partition(" execution 1")[2] for line in capsys.readouterr().out.splitlines()]
    logged = [line for line in lines if line]
    assert len(logged) == len(set(logged)) < polls(box)


@pytest.mark.parametrize("fault", ["server_error", "lost_reply", "too_many", "html", "empty_body"])
def test_a_failed_poll_is_followed_by_another(box: Running, fault: str) -> None:
    life = poking(execution(box))
    box.sandbox.add_fault(fault, method="GET", times=2)
    assert life.execute()["status"] == 1900


def test_one_poke_in_trouble_is_false_and_no_exception(box: Running) -> None:
    life = poking(execution(box))
    box.sandbox.add_fault("server_error", method="GET")
    task = life.make()
    assert task.poke(life.context()) is False


@pytest.mark.parametrize(
    "rule, options, exception",
    [
        ({"outcome": "failure", "message": "disk full"}, {}, RemoteTaskFailed),
        ({"outcome": "gone"}, {"not_found_grace": 0}, RemoteTaskFailed),
        ({"outcome": "unknown"}, {"unknown_status_grace": 0.05}, WaitFailed),
        ({"duration": 600.0, "stages": [(0.0, 1560)]}, {"fail_on_blocked": True}, WaitFailed),
        ({"duration": 600.0, "stages": [(0.0, 1560)]}, {"blocked_timeout": 0.05}, WaitFailed),
        ({"outcome": "skipped"}, {"on_skipped": "skip"}, AirflowSkipException),
        ({"duration": 600.0}, {"timeout": 0.1}, AirflowSensorTimeout),
    ],
)
def test_poking_ends_as_the_triggerer_would(
    box: Running, rule: dict[str, Any], options: dict[str, Any], exception: Any
) -> None:
    ref = execution(box, **rule)
    with pytest.raises(exception) as caught:
        poking(ref, **options).execute()
    assert type(caught.value) is exception
    for option in ("soft_fail", "never_fail"):
        with pytest.raises((AirflowSkipException, AirflowSensorTimeout)) as skipped:
            poking(ref, **options, **{option: True}).execute()
        assert isinstance(skipped.value, AirflowSkipException) or option == "never_fail"


def test_poking_a_refusal_ends_the_wait(box: Running) -> None:
    life = poking(execution(box))
    box.sandbox.add_fault("forbidden", method="GET")
    with pytest.raises(WaitFailed, match="403"):
        life.execute()
    assert polls(box) == 1


def test_poking_follows_a_restart(box: Running) -> None:
    ref = execution(box, outcome="failure", times=1)
    again = QuickAutomicHook().request("POST", f"/100/executions/{ref}/status", json={"action": "restart"})
    result = poking(ref, follow_restarts=True).execute()
    assert result["run_id"] == again.json()["run_id"]


@pytest.mark.parametrize("include_personal", [False, True])
def test_people_are_in_the_result_only_where_they_were_asked_for(box: Running, include_personal: bool) -> None:
    result = poking(execution(box), include_personal=include_personal).execute()
    assert ("AIRFLOW" in json.dumps(result)) is include_personal


# --- rescheduled


def rescheduled(life: Life) -> None:
    """One process of a sensor that gives its worker back."""
    with pytest.raises(AirflowRescheduleException):
        life.execute()
    life.first_reschedule = life.first_reschedule or datetime.now(UTC)


def test_a_rescheduled_sensor_ends_in_a_later_process(box: Running) -> None:
    ref = execution(box, duration=600.0)
    life = poking(ref, mode="reschedule")
    rescheduled(life)
    rescheduled(life)
    box.sandbox.end(ref, "success", time.time())
    assert life.execute()["status"] == 1900


def test_a_rescheduled_sensor_remembers_since_when_it_is_blocked(box: Running) -> None:
    life = poking(execution(box, duration=600.0, stages=[(0.0, 1560)]), mode="reschedule", blocked_timeout=0.2)
    rescheduled(life)
    time.sleep(0.25)
    with pytest.raises(WaitFailed, match="waits for a person"):
        life.execute()


def test_a_rescheduled_sensor_remembers_that_the_task_was_there(box: Running) -> None:
    life = poking(execution(box, duration=600.0), mode="reschedule")
    rescheduled(life)
    box.sandbox.add_fault("not_found", method="GET")
    with pytest.raises(RemoteTaskFailed, match="was there and is not found any more"):
        life.execute()


def test_a_rescheduled_sensor_remembers_whom_it_follows(box: Running) -> None:
    ref = execution(box, outcome="failure", times=1)
    box.sandbox.add_rule("JOBS.T", duration=600.0)
    again = QuickAutomicHook().request("POST", f"/100/executions/{ref}/status", json={"action": "restart"})
    life = poking(ref, mode="reschedule", follow_restarts=True)
    rescheduled(life)
    rescheduled(life)
    assert box.sandbox.log()[-1]["ref"] == str(again.json()["run_id"])


@pytest.mark.parametrize("is_seen", [True, False])
def test_a_rescheduled_sensor_does_not_ask_where_an_edit_of_the_connection_leads(
    box: Running, monkeypatch: pytest.MonkeyPatch, is_seen: bool
) -> None:
    life = poking(execution(box, duration=600.0) if is_seen else "424242", mode="reschedule")
    rescheduled(life)
    given = box.connections()["automic_default"]
    moved = {**given, "host": given["host"].replace("127.0.0.1", "localhost")}
    monkeypatch.setenv("AIRFLOW_CONN_AUTOMIC_DEFAULT", json.dumps(moved))
    before = polls(box)
    with pytest.raises(WaitMoved, match="leads to http://localhost"):
        life.execute()
    assert polls(box) == before


@pytest.mark.parametrize("change", ["retry", "other"])
def test_a_memory_is_not_taken_over_by_another_wait(box: Running, change: str) -> None:
    """Airflow keeps the store over retries and clears; what was seen then says nothing about now."""
    life = poking(execution(box, duration=600.0), mode="reschedule")
    rescheduled(life)
    box.sandbox.add_fault("not_found", method="GET")
    if change == "retry":
        life.try_number += 1
    else:
        life.arguments["run_id"] = "999"
    rescheduled(life)  # and has not failed: not found yet, instead of not found any more


@each_row("stored", ["text", [], {"memory": {}}, {"of": None}, 5])
def test_a_memory_that_cannot_be_read_is_none(box: Running, stored: Any) -> None:
    life = poking(execution(box), mode="reschedule")
    life.store.set(MEMORY_KEY, stored)
    assert life.execute()["status"] == 1900


def test_the_timeout_counts_from_the_first_process(box: Running) -> None:
    life = poking(execution(box, duration=600.0), mode="reschedule", timeout=60)
    life.first_reschedule = datetime.now(UTC) - timedelta(seconds=61)
    with pytest.raises(AirflowSensorTimeout):
        life.execute()


def test_the_grace_for_an_unknown_id_counts_from_the_first_process(box: Running) -> None:
    life = poking("999", mode="reschedule", not_found_grace=30)
    life.first_reschedule = datetime.now(UTC) - timedelta(seconds=31)
    with pytest.raises(RemoteTaskFailed, match="is not found after 31 s"):
        life.execute()


def test_without_reschedules_nothing_is_stored(box: Running) -> None:
    life = poking(execution(box, duration=0.1))
    life.execute()
    assert life.store.written == []


def test_no_connection_is_an_error_and_not_a_long_wait(box: Running) -> None:
    with pytest.raises(TaskWatchError, match="nowhere"):
        poking("7", automic_conn_id="nowhere").execute()
