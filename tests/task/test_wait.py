"""The wait of a start: in the triggerer or here, how its outcome becomes a result or an exception, and its end."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, AirflowTaskTimeout, TaskDeferred
from airflow.triggers.base import TriggerEvent

from airflow_provider_taskwatch.core.error import ConfigurationError, EventError
from airflow_provider_taskwatch.core.outcome import Ending
from airflow_provider_taskwatch.core.text import TEXT_CHARACTERS
from airflow_provider_taskwatch.sandbox.automic.remote import PASSWORD
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.sandbox.token import CLIENT_SECRET
from airflow_provider_taskwatch.task.job import KEY
from airflow_provider_taskwatch.task.result import RemoteTaskFailed, WaitFailed, WaitTimedOut
from airflow_provider_taskwatch.triggers.watch import WatchTrigger
from tests.any_airflow import TaskDeferralError, deserialize, serialize
from tests.rows import each_row
from tests.task.life import ODD_WAITS, Life, event_of
from tests.task.quick import Acquia, Automic

QUICK = {"poll_interval": 0.1}


def automic(**arguments: Any) -> Life:
    return Life(Automic, object_name="JOBS.T", **{**QUICK, **arguments})


def acquia(**arguments: Any) -> Life:
    return Life(Acquia, path="environments/1/databases", json={"name": "db", "source": "2"}, **{**QUICK, **arguments})


class AnHourAhead(datetime):
    """The clock of a host that is."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.now(tz) + timedelta(hours=1)


def here(**arguments: Any) -> Life:
    return automic(deferrable=False, poll_interval=0.02, adaptive=False, **arguments)


WHERE = "at Automic Automation Engine, connection automic_default"


def test_a_wait_logs_at_its_beginning_what_it_waits_for(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    box.sandbox.add_rule(duration=600.0)
    trigger = automic(poll_interval=None, timeout=3600).defer().trigger
    [line] = [one for one in capsys.readouterr().out.splitlines() if "waiting for" in one]
    assert f"waiting for execution {trigger.ref} (JOBS.T) {WHERE}; the first poll is in 8 s, then at most every" in line
    deadline = trigger.deadline_at
    assert f"deadline {deadline:%Y-%m-%d %H:%M:%S} UTC" in line


def test_a_wait_on_the_worker_says_so_too(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    box.sandbox.add_rule(duration=0.0)
    here().execute()
    [line] = [one for one in capsys.readouterr().out.splitlines() if "waiting for" in one]
    assert f"(JOBS.T) {WHERE}; the first poll is now, then every 0.02 s; no deadline" in line


def task_of(box: Running) -> dict[str, Any]:
    """The one task that was started."""
    [task] = box.sandbox.tasks(time.time())
    return task


def rebuilt(trigger: Any) -> WatchTrigger:
    """The trigger as a triggerer gets it: through Airflow's serialisation and JSON."""
    _, kwargs = trigger.serialize()
    return WatchTrigger(**deserialize(json.loads(json.dumps(serialize(kwargs), allow_nan=False))))


async def event_from(trigger: Any) -> Any:
    """The payload of its event, as it arrives on a worker."""
    again = rebuilt(trigger)
    again.task_instance = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)
    async with asyncio.timeout(20):
        event: TriggerEvent = await anext(again.run())
    return json.loads(json.dumps(event.payload))


# --- the deferral

MANY: dict[str, Any] = {
    "poll_interval": timedelta(minutes=1),
    "timeout": timedelta(hours=2),
    "not_found_grace": timedelta(seconds=9),
    "blocked_timeout": timedelta(days=1),
    "include_personal": True,
    "cancel_on_kill": False,
}


def test_the_arguments_of_the_trigger_are_plain_json_and_build_it_again(box: Running) -> None:
    trigger = automic(**MANY, success_statuses=(1900, "ANY_OK"), skip_statuses={1922}, report_tail=5).defer().trigger
    assert rebuilt(trigger).serialize() == trigger.serialize()
    plan = trigger.plan
    assert plan["options"]["success_statuses"] == [1900, "ANY_OK"]
    assert plan["options"]["skip_statuses"] == [1922]
    assert plan["rhythm"] == {
        "limit_seconds": 60.0,
        "far_seconds": None,
        "adaptive": True,
        "is_own_start": True,
    }
    assert plan["rules"]["not_found_grace"] == 9.0


@each_row("value", [range(1900, 1903), (one for one in (1900, 1901, 1902)), "ANY_OK", 1900, []])
def test_statuses_in_any_form_reach_the_trigger_as_a_list(box: Running, value: Any) -> None:
    expected = [value] if isinstance(value, (str, int)) else [1900, 1901, 1902] if value != [] else []
    life = automic(success_statuses=value if not hasattr(value, "send") else [*value])
    assert rebuilt(life.defer().trigger).plan["options"]["success_statuses"] == expected


@pytest.mark.parametrize("make, secret", [(automic, PASSWORD), (acquia, CLIENT_SECRET)])
def test_the_arguments_of_the_trigger_hold_no_secret(box: Running, make: Any, secret: str) -> None:
    life = make()
    stored = json.dumps(life.defer().trigger.serialize())
    assert secret not in stored
    assert secret not in json.dumps([life.store.kept, life.xcoms])


async def test_a_start_goes_through_the_triggerer_to_its_result(box: Running) -> None:
    life = automic()
    event = await event_from(life.defer().trigger)
    assert life.resume(event)["status"] == 1900


async def test_a_failure_goes_through_the_triggerer_with_the_remotes_message(box: Running) -> None:
    box.sandbox.add_rule(duration=0.0, outcome="failure", message="disk full")
    life = acquia()
    event = await event_from(life.defer().trigger)
    with pytest.raises(RemoteTaskFailed, match="disk full"):
        life.resume(event)


@pytest.mark.parametrize("given, far", [({"poll_interval": None}, 60.0), ({"poll_interval": 30}, None)])
def test_only_without_a_poll_interval_polls_may_be_farther_apart(
    box: Running, given: dict[str, Any], far: float | None
) -> None:
    rhythm = automic(**given).defer().trigger.plan["rhythm"]
    assert (rhythm["limit_seconds"], rhythm["far_seconds"]) == (30.0, far)


def test_without_a_limit_there_is_no_deadline(box: Running) -> None:
    deferred = automic().defer()
    assert (deferred.trigger.deadline_at, deferred.timeout) == (None, None)


@each_row(
    "limits, seconds",
    [
        ({"timeout": 600}, 600),
        ({"timeout": timedelta(minutes=10)}, 600),
        ({"execution_timeout": timedelta(minutes=5)}, 300),
        ({"timeout": 600, "execution_timeout": timedelta(minutes=5)}, 300),
        ({"timeout": 200, "execution_timeout": timedelta(minutes=5)}, 200),
        ({"timeout": 1e300}, 100 * 365 * 86400),
        ({"timeout": 10**400}, 100 * 365 * 86400),
        ({"timeout": timedelta.max}, 100 * 365 * 86400),
    ],
)
def test_the_deadline_is_the_trigger_s_and_airflow_s_timeout_stands_behind_it(
    box: Running, limits: dict[str, Any], seconds: float
) -> None:
    deferred = automic(poll_interval=10, **limits).defer()
    deadline = deferred.trigger.deadline_at
    left = (deadline - datetime.now(UTC)).total_seconds()
    assert left == pytest.approx(seconds, abs=5)
    assert deferred.timeout.total_seconds() == pytest.approx(left + 80, abs=5)


@pytest.mark.parametrize(
    "setting, deferrable, defers",
    [(None, None, True), (None, False, False), ("False", None, False), ("False", True, True)],
)
def test_whether_it_defers_is_said_by_the_argument_then_by_the_setting(
    box: Running, monkeypatch: pytest.MonkeyPatch, setting: str | None, deferrable: bool | None, defers: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "False")
    if setting:
        monkeypatch.setenv("AIRFLOW__TASKWATCH__DEFAULT_DEFERRABLE", setting)
    life = automic(deferrable=deferrable)
    assert (life.defer().trigger.ref if defers else str(life.execute()["run_id"])) == task_of(box)["ref"]


# --- waiting here


def test_waiting_here_logs_changes_and_not_polls(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    box.sandbox.add_rule(duration=0.6)
    here().execute()
    polls = [one for one in box.sandbox.log() if one["method"] == "GET" and one["ref"]]
    lines = [line for line in capsys.readouterr().out.splitlines() if " execution 1" in line and ":" in line]
    assert len(polls) >= 8
    assert len(lines) == len(set(lines)) <= 6


def test_waiting_here_ends_at_the_deadline(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    with pytest.raises(WaitTimedOut, match="did not end in time"):
        here(timeout=0.2).execute()
    assert task_of(box)["cancelled"]


def test_waiting_here_a_rejoined_wait_goes_on_at_its_age(box: Running) -> None:
    life = automic(not_found_grace=0.2)
    life.defer()
    box.sandbox.add_fault("not_found", method="GET")
    time.sleep(0.25)
    life.arguments |= {"deferrable": False}
    with pytest.raises(RemoteTaskFailed, match="is not found after"):
        life.retry()


# --- the outcomes

EXCEPTIONS = {
    Ending.FAILED: RemoteTaskFailed,
    Ending.CANCELLED: RemoteTaskFailed,
    Ending.LOST: RemoteTaskFailed,
    Ending.UNKNOWN: WaitFailed,
    Ending.BLOCKED: WaitFailed,
    Ending.REFUSED: WaitFailed,
    Ending.TIMED_OUT: WaitTimedOut,
}


@each_row("ending, exception", EXCEPTIONS.items())
def test_a_bad_outcome_is_an_exception_with_its_message(box: Running, ending: Ending, exception: Any) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic()
    ref = life.defer().trigger.ref
    with pytest.raises(exception, match="the remote's message") as caught:
        life.resume(event_of(ending, ref, status="1800", message="the remote's message"))
    assert type(caught.value) is exception


def test_every_ending_of_a_wait_but_two_is_an_exception() -> None:
    assert set(Ending) - set(EXCEPTIONS) == {Ending.SUCCEEDED, Ending.SKIPPED, Ending.CONTINUES}


@each_row(
    "outcome, options, exception",
    [
        ("failure", {}, RemoteTaskFailed),
        ("cancelled", {}, RemoteTaskFailed),
        ("lost", {}, RemoteTaskFailed),
        ("gone", {"not_found_grace": 0}, RemoteTaskFailed),
        ("unknown", {"unknown_status_grace": 0}, WaitFailed),
        ("blocked", {"fail_on_blocked": True}, WaitFailed),
        ("blocked", {"blocked_timeout": 0.1}, WaitFailed),
        ("skipped", {"on_skipped": "skip"}, AirflowSkipException),
        ("skipped", {"on_skipped": "fail"}, RemoteTaskFailed),
        ("success", {"success_statuses": [1901]}, RemoteTaskFailed),
        ("success", {"success_statuses": []}, RemoteTaskFailed),
    ],
)
def test_each_end_of_the_remote_task_becomes_its_exception(
    box: Running, outcome: str, options: dict[str, Any], exception: Any
) -> None:
    stages = [(0.0, 1560)] if outcome == "blocked" else ()
    box.sandbox.add_rule(duration=0.0 if outcome != "blocked" else 600.0, outcome=outcome, stages=stages)
    with pytest.raises(exception) as caught:
        here(**options).execute()
    assert type(caught.value) is exception


@pytest.mark.parametrize("options", [{}, {"on_skipped": "succeed"}, {"on_skipped": "skip", "success_statuses": [1930]}])
def test_a_skipped_end_may_be_a_success(box: Running, options: dict[str, Any]) -> None:
    box.sandbox.add_rule(duration=0.0, outcome="skipped")
    assert here(**options).execute()["status"] == 1930


def test_a_refused_poll_ends_the_wait_and_is_no_end_of_the_task(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    box.sandbox.add_fault("forbidden", method="GET")
    life = here()
    with pytest.raises(WaitFailed, match="403"):
        life.execute()
    assert not life.open_record.is_delivered


@pytest.mark.parametrize("on_timeout", ["cancel", "leave"])
def test_on_timeout_says_what_becomes_of_the_remote_task(box: Running, on_timeout: str) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic(on_timeout=on_timeout)
    ref = life.defer().trigger.ref
    with pytest.raises(WaitTimedOut):
        life.resume(event_of(Ending.TIMED_OUT, ref))
    assert task_of(box)["cancelled"] is (on_timeout == "cancel")
    assert not life.open_record.is_delivered


@pytest.mark.parametrize("entrance", ["trigger", "backstop"])
def test_a_task_that_ended_in_time_has_not_timed_out_although_no_triggerer_saw_it(box: Running, entrance: str) -> None:
    box.sandbox.add_rule(duration=0.0)
    life = automic(timeout=60)
    ref = life.defer().trigger.ref
    if entrance == "trigger":
        result = life.resume(event_of(Ending.TIMED_OUT, ref))
    else:
        result = life.go_on("__fail__", {"error": "Trigger timeout"})

    assert result["status"] == 1900
    assert not task_of(box)["cancelled"]


def test_a_bad_end_that_no_triggerer_saw_is_a_failure(box: Running) -> None:
    box.sandbox.add_rule(duration=0.0, outcome="failure", message="disk full")
    life = automic(timeout=60)
    ref = life.defer().trigger.ref
    with pytest.raises(RemoteTaskFailed, match="1800"):
        life.resume(event_of(Ending.TIMED_OUT, ref))
    assert life.open_record.is_delivered


def test_a_remote_that_cannot_be_asked_does_not_hide_the_timeout(box: Running) -> None:
    box.sandbox.add_rule(duration=0.0)
    life = automic(timeout=60, on_timeout="leave")
    ref = life.defer().trigger.ref
    box.sandbox.add_fault("server_error", method="GET")
    with pytest.raises(WaitTimedOut):
        life.resume(event_of(Ending.TIMED_OUT, ref))


async def test_a_triggerer_whose_clock_is_ahead_ends_no_wait_early(
    box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic(timeout=1800)
    trigger = life.defer().trigger
    monkeypatch.setattr("airflow_provider_taskwatch.triggers.base.datetime", AnHourAhead)
    event = await event_from(trigger)
    assert event["ending"] == "timed_out"

    with pytest.raises(TaskDeferred) as deferred:
        life.resume(event)
    again = deferred.value.trigger
    assert (again.plan, again.started_at) == (trigger.plan, trigger.started_at)
    assert again.ahead_seconds == pytest.approx(3600.0, abs=5.0)
    assert again._seconds_left() == pytest.approx(1800.0, abs=10.0)
    assert not task_of(box)["cancelled"]


async def test_a_deadline_that_has_passed_here_is_over(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic(timeout=0.2)
    event = await event_from(life.defer().trigger)
    with pytest.raises(WaitTimedOut):
        life.resume(event)
    assert task_of(box)["cancelled"]


def test_a_cancel_that_fails_does_not_hide_the_timeout(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic()
    ref = life.defer().trigger.ref
    box.sandbox.add_fault("server_error", method="POST")
    with pytest.raises(WaitTimedOut):
        life.resume(event_of(Ending.TIMED_OUT, ref))


def test_a_remote_without_cancel_goes_on_after_the_timeout_and_the_log_says_so(
    box: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = acquia()
    ref = life.defer().trigger.ref
    with pytest.raises(WaitTimedOut):
        life.resume(event_of(Ending.TIMED_OUT, ref))
    assert "acquia has no way to cancel it" in capsys.readouterr().out


# --- delivered


@each_row(
    "ending, status, is_delivered",
    [
        (Ending.SUCCEEDED, "1900", False),
        (Ending.SKIPPED, "1930", False),
        (Ending.FAILED, "1800", True),
        (Ending.CANCELLED, "1850", True),
        (Ending.LOST, "1815", True),
        (Ending.LOST, "", False),
        (Ending.UNKNOWN, "2999", False),
        (Ending.BLOCKED, "1560", False),
        (Ending.REFUSED, "", False),
        (Ending.TIMED_OUT, "1550", False),
    ],
)
def test_delivered_is_written_only_where_the_remote_has_ended_badly(
    box: Running, ending: Ending, status: str, is_delivered: bool
) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    with suppress(RemoteTaskFailed, WaitFailed):
        life.resume(event_of(ending, ref, status=status))
    assert [one["is_delivered"] for one in life.store.written] == [False, False] + [True] * is_delivered


@pytest.mark.parametrize("on_skipped, is_delivered", [("succeed", False), ("skip", False), ("fail", True)])
def test_an_end_without_work_is_delivered_where_it_is_a_failure(
    box: Running, on_skipped: str, is_delivered: bool
) -> None:
    life = automic(on_skipped=on_skipped)
    ref = life.defer().trigger.ref
    with suppress(RemoteTaskFailed, AirflowSkipException):
        life.resume(event_of(Ending.SKIPPED, ref, status="1930"))
    assert life.open_record.is_delivered == is_delivered


def test_delivered_is_written_after_the_last_request(box: Running) -> None:
    """Nothing is sent after it; a worker that dies before it delivers again."""
    box.sandbox.add_rule(duration=0.0, outcome="failure")
    life = here()
    requests: list[int] = []
    life.store.on_set = lambda value: requests.append(len(box.sandbox.log()))
    with pytest.raises(RemoteTaskFailed):
        life.execute()
    assert requests[-1] == len(box.sandbox.log())


def test_without_a_record_the_end_writes_nothing(box: Running) -> None:
    life = automic(durable=False)
    ref = life.defer().trigger.ref
    assert life.resume(event_of(Ending.SUCCEEDED, ref, result={"a": 1})) == {"a": 1}
    assert life.store.written == []


# --- events


@each_row(
    "event, message",
    [
        (None, "instead of an event"),
        ("success", "instead of an event"),
        ({}, "version None"),
        ({"version": 1}, "malformed"),
        ({"version": 1, "ending": "exploded", "ref": "1"}, "malformed"),
        ({"version": 2, "ending": "succeeded", "ref": "1"}, "install the same airflow-provider-taskwatch"),
    ],
)
def test_an_event_that_cannot_be_read_is_a_clear_failure_and_the_retry_rejoins(
    box: Running, event: Any, message: str
) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic()
    ref = life.defer().trigger.ref
    with pytest.raises(EventError, match=message):
        life.resume(event)
    assert life.defer().trigger.ref == ref


@each_row("wait", ODD_WAITS)
@each_row("at", [{}, {"at": "2026-01-31T06:00:00+00:00"}])
def test_a_timeout_whose_wait_cannot_be_read_is_a_clear_failure_and_sends_nothing(
    box: Running, wait: Any, at: dict[str, Any]
) -> None:
    life = automic(durable=False, timeout=600)
    ref = life.defer().trigger.ref
    before = len(box.sandbox.log())
    with pytest.raises((EventError, ConfigurationError), match=r"clear the task|let the task run again"):
        life.resume(event_of(Ending.TIMED_OUT, ref) | {"wait": wait} | at)
    assert len(box.sandbox.log()) == before


@each_row("wait", [None, {}])
def test_a_timeout_whose_wait_is_not_given_counts(box: Running, wait: Any) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic(durable=False, timeout=600)
    ref = life.defer().trigger.ref
    with pytest.raises(WaitTimedOut):
        life.resume(event_of(Ending.TIMED_OUT, ref) | {"wait": wait, "at": "2026-01-31T06:00:00+00:00"})


@each_row("at", [None, 5, "noon", "2026-01-31T06:00:00"])
def test_a_timeout_whose_time_cannot_be_read_is_a_clear_failure(box: Running, at: Any) -> None:
    life = automic(timeout=600)
    trigger = life.defer().trigger
    event = event_of(Ending.TIMED_OUT, trigger.ref) | {"wait": trigger.serialize()[1], "at": at}
    with pytest.raises(EventError, match="malformed"):
        life.resume(event)


def test_the_event_of_an_earlier_start_ends_no_later_wait(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic()
    earlier = life.defer().trigger
    with pytest.raises(TaskDeferred) as cleared:
        life.clear()
    event = event_of(Ending.CANCELLED, ref=earlier.ref, status="1850") | {"start_id": earlier.start_id}

    with pytest.raises(TaskDeferred) as again:
        life.resume(event)

    assert (again.value.trigger.ref, again.value.trigger.start_id) == (life.open_record.ref, life.open_record.start_id)
    assert again.value.trigger.ref == cleared.value.trigger.ref != earlier.ref


def test_no_event_at_all_is_a_clear_failure(box: Running) -> None:
    life = automic()
    life.defer()
    with pytest.raises(EventError, match="instead of an event"):
        life.go_on("execute_complete", None)


async def test_a_huge_explanation_makes_a_small_event(box: Running) -> None:
    report = "\n".join(f"line {number} " + "x" * 200 for number in range(2000))
    box.sandbox.add_rule(duration=0.0, outcome="failure", message="y" * 100_000, options={"report": report})
    life = automic(report_tail=2000)
    event = await event_from(life.defer().trigger)

    assert len(json.dumps(event)) < 2 * TEXT_CHARACTERS
    with pytest.raises(RemoteTaskFailed) as caught:
        life.resume(event)
    assert "1800" in str(caught.value)[:100]
    assert "characters left out" in str(caught.value)
    assert "line 1999" in str(caught.value)


def test_waiting_here_the_error_is_bounded_too(box: Running) -> None:
    box.sandbox.add_rule(duration=0.0, outcome="failure", message="y" * 100_000)
    with pytest.raises(RemoteTaskFailed) as caught:
        here().execute()
    assert len(str(caught.value)) <= TEXT_CHARACTERS


def test_a_huge_text_makes_a_small_result(box: Running) -> None:
    box.sandbox.add_rule(duration=0.0, options={"title": "x" * 100_000})
    assert len(json.dumps(here().execute())) < 2 * TEXT_CHARACTERS


# --- personal data


@pytest.mark.parametrize("include_personal", [False, True])
@pytest.mark.parametrize("make, who", [(automic, "AIRFLOW"), (acquia, "0e7a55b4")])
async def test_people_are_in_the_result_only_where_they_were_asked_for(
    box: Running, make: Any, who: str, include_personal: bool
) -> None:
    life = make(include_personal=include_personal)
    event = await event_from(life.defer().trigger)
    assert (who in json.dumps(life.resume(event))) is include_personal
    life.arguments["deferrable"] = False
    assert (who in json.dumps(life.clear())) is include_personal


# --- Airflow's own timeouts


def timed_out(life: Life) -> None:
    with pytest.raises(WaitTimedOut, match="no triggerer reported it"):
        life.go_on("__fail__", {"error": "Trigger timeout"})


@pytest.mark.parametrize("on_timeout", ["cancel", "leave"])
@pytest.mark.parametrize("durable", [True, False])
def test_the_backstop_honours_on_timeout(box: Running, on_timeout: str, durable: bool) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic(timeout=60, on_timeout=on_timeout, durable=durable)
    life.defer()
    timed_out(life)
    assert task_of(box)["cancelled"] is (on_timeout == "cancel")


def test_the_backstop_cancels_the_restart_that_is_followed(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    box.sandbox.add_rule(duration=0.0, outcome="failure", times=1)
    life = automic(timeout=60, follow_restarts=True)
    again = life.restart(life.defer().trigger.ref)
    timed_out(life)
    assert box.sandbox.task(again, time.time())["cancelled"]


def test_the_backstop_without_a_known_ref_cancels_nothing(box: Running) -> None:
    life = automic(timeout=60, durable=False)
    life.defer()
    life.xcoms.clear()
    timed_out(life)
    assert not task_of(box)["cancelled"]


def test_a_trigger_that_died_fails_the_task_and_the_retry_rejoins(box: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = automic()
    ref = life.defer().trigger.ref
    with pytest.raises(TaskDeferralError):
        life.go_on("__fail__", {"error": "Trigger failure", "traceback": ["boom"]})
    assert not task_of(box)["cancelled"]
    assert life.defer().trigger.ref == ref


@pytest.mark.parametrize("on_timeout", ["cancel", "leave"])
def test_execution_timeout_on_the_worker_honours_on_timeout(box: Running, on_timeout: str) -> None:
    box.sandbox.add_rule(duration=600.0)
    box.sandbox.add_fault("latency", method="GET", seconds=1.0)
    life = here(execution_timeout=timedelta(seconds=0.3), on_timeout=on_timeout)
    with pytest.raises(AirflowTaskTimeout):
        life.execute()
    assert task_of(box)["cancelled"] is (on_timeout == "cancel")


def test_a_start_by_a_worker_whose_clock_was_ahead_does_not_shorten_the_timeout(box: Running) -> None:
    box.sandbox.add_rule(duration=0.2)
    life = automic(timeout=60)
    ref = life.defer().trigger.ref
    life.store.set(KEY, replace(life.open_record, started_at=AnHourAhead.now(UTC).isoformat()).to_json())
    life.arguments["deferrable"] = False
    assert life.retry()["run_id"] == int(ref)
