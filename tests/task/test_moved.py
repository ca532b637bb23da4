"""A connection that leads elsewhere: the same id may name another task there, so nothing is rejoined or cancelled."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, TaskDeferred

from airflow_provider_taskwatch.core.error import RemoteError
from airflow_provider_taskwatch.core.outcome import Ending
from airflow_provider_taskwatch.core.record import Record
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.sensors.automic import AutomicExecutionSensor
from airflow_provider_taskwatch.task.job import KEY
from airflow_provider_taskwatch.task.result import WaitTimedOut
from tests.task.life import Life, event_of
from tests.task.quick import Automic

ELSEWHERE = "localhost"
"""The sandbox as well, under a name by which its connections do not call it."""


def automic(**arguments: Any) -> Life:
    return Life(Automic, object_name="JOBS.T", poll_interval=0.05, adaptive=False, **arguments)


def started(box: Running) -> list[dict[str, Any]]:
    return box.sandbox.tasks(time.time())


def edit(box: Running, monkeypatch: pytest.MonkeyPatch, *, host: str = "", **changes: Any) -> None:
    """Edit Automic's connection."""
    given = box.connections()["automic_default"]
    extra = {**given["extra"], **changes.pop("extra", {})}
    moved = given["host"].replace("127.0.0.1", host or "127.0.0.1")
    content = {**given, "host": moved, **changes, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AUTOMIC_DEFAULT", json.dumps(content))


@pytest.fixture(autouse=True)
def _long(box: Running) -> None:
    accounts = [{}, {"user": "OTHER", "password": "rotated"}, {"client": "200"}]
    box.sandbox.change({"automic": {"accounts": accounts}}, 0.0)
    box.sandbox.add_rule(duration=600.0)


MOVES = pytest.mark.parametrize(
    "edited", [{"host": ELSEWHERE}, {"extra": {"client": "200"}, "login": "200/AIRFLOW/AIRFLOW"}]
)


@MOVES
def test_a_retry_rejoins_nothing_where_the_connection_leads_elsewhere(
    box: Running, monkeypatch: pytest.MonkeyPatch, edited: Any
) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    edit(box, monkeypatch, **edited)
    before = len(box.sandbox.log())
    with pytest.raises(AirflowFailException) as caught:
        life.retry()
    assert all(message in str(caught.value) for message in (ref, "127.0.0.1", "leads to", "Clear this task", "adopt d"))
    assert len(box.sandbox.log()) == before
    assert len(started(box)) == 1


@MOVES
def test_a_clear_starts_anew_and_cancels_nothing_where_the_connection_leads_elsewhere(
    box: Running, monkeypatch: pytest.MonkeyPatch, edited: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    edit(box, monkeypatch, **edited)
    life.max_tries += 1
    assert life.defer().trigger.ref != ref
    assert [one["cancelled"] for one in started(box)] == [False, False]
    assert f"{ref} is left alone: it was started at" in capsys.readouterr().out


def test_an_unknown_start_is_not_looked_up_elsewhere(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    life = automic()
    life.defer()
    life.store.set(KEY, replace(life.open_record, ref=None).to_json())
    edit(box, monkeypatch, host=ELSEWHERE)
    with pytest.raises(AirflowFailException, match="was started at"):
        life.retry()
    assert len(started(box)) == 1


def test_work_that_may_run_twice_is_started_again_elsewhere(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    life = automic(on_unknown_start="start_again")
    life.defer()
    edit(box, monkeypatch, host=ELSEWHERE)
    life.defer()
    assert [one["cancelled"] for one in started(box)] == [False, False]


@pytest.mark.parametrize(
    "edited",
    [
        {"login": "100/OTHER/AIRFLOW", "password": "rotated"},
        {"extra": {"client": "0100"}},
        {"extra": {"concurrency": 3, "read_timeout": 5, "ui_url": "https://ui.example/{ref}"}},
    ],
)
def test_an_edit_that_is_no_move_rejoins_and_cancels(
    box: Running, monkeypatch: pytest.MonkeyPatch, edited: Any
) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    edit(box, monkeypatch, **edited)
    assert life.defer().trigger.ref == ref
    life.max_tries += 1
    life.defer()
    assert [one["cancelled"] for one in started(box)] == [True, False]


@pytest.mark.parametrize("spelt", ["{}/", "{}", "{upper}"])
def test_another_spelling_of_the_same_address_is_no_move(
    box: Running, monkeypatch: pytest.MonkeyPatch, spelt: str
) -> None:
    given = box.connections()["automic_default"]["host"].replace("127.0.0.1", "localhost")
    edit(box, monkeypatch, host="localhost")
    life = automic()
    ref = life.defer().trigger.ref
    upper = given.replace("http://localhost", "HTTP://LocalHost")
    connection = {**box.connections()["automic_default"], "host": spelt.format(given, upper=upper)}
    monkeypatch.setenv("AIRFLOW_CONN_AUTOMIC_DEFAULT", json.dumps(connection))
    assert life.defer().trigger.ref == ref


def test_a_record_of_an_earlier_version_is_rejoined_wherever_the_connection_leads(
    box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    old = ("start_id", "fingerprint", "max_tries", "started_at", "ref", "marker", "is_called_back", "is_delivered")
    life.store.set(KEY, {name: life.open_record.to_json()[name] for name in old})
    edit(box, monkeypatch, host=ELSEWHERE)
    assert life.defer().trigger.ref == ref


def test_an_adopted_ref_belongs_to_where_the_connection_leads_now(
    box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    edit(box, monkeypatch, host=ELSEWHERE)
    life.store.set(KEY, replace(life.open_record, max_tries=None, id_space="").to_json())
    assert life.defer().trigger.ref == ref
    assert ELSEWHERE in life.open_record.id_space


# --- after a wait


@pytest.mark.parametrize("durable", [True, False])
def test_a_timed_out_wait_neither_takes_nor_cancels_the_execution_of_another_start(
    box: Running, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    life = automic(durable=durable, timeout=600)
    trigger = life.defer().trigger
    box.sandbox.end(trigger.ref, "success", time.time())
    edit(box, monkeypatch, host=ELSEWHERE)
    event = event_of(Ending.TIMED_OUT, trigger.ref) | {"wait": trigger.serialize()[1], "start_id": trigger.start_id}
    before = len(box.sandbox.log())
    with pytest.raises(WaitTimedOut):
        life.resume(event)
    assert len(box.sandbox.log()) == before


def test_a_sensor_whose_time_is_over_does_not_ask_elsewhere(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(AutomicExecutionSensor, run_id="7", timeout=600)
    trigger = life.defer().trigger
    edit(box, monkeypatch, host=ELSEWHERE)
    event = event_of(Ending.TIMED_OUT, "7") | {"wait": trigger.serialize()[1]}
    with pytest.raises(AirflowSensorTimeout):
        life.resume(event)
    assert box.sandbox.log() == []


def test_an_event_of_an_earlier_start_does_not_make_a_wait_at_another_place_of_this_one(
    box: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = automic()
    here = life.defer().trigger.plan["id_space"]
    edit(box, monkeypatch, host=ELSEWHERE)
    with pytest.raises(TaskDeferred) as deferred:
        life.resume(event_of(Ending.SUCCEEDED, "1") | {"start_id": "of another"})
    assert deferred.value.trigger.plan["id_space"] == here


# --- another marker


def with_alias_of(life: Life, box: Running, other: Life) -> None:
    """Let the record name the execution of another start, as after a restored engine."""
    stranger = other.open_record
    life.store.set(KEY, replace(life.open_record, ref=stranger.ref).to_json())


def test_an_execution_that_carries_another_marker_is_neither_rejoined_nor_cancelled(box: Running) -> None:
    life, other = automic(), automic()
    life.defer(), other.defer()
    with_alias_of(life, box, other)
    with pytest.raises(AirflowFailException, match="does not carry its marker"):
        life.retry()
    life.max_tries += 1
    life.defer()
    assert [one["cancelled"] for one in started(box)] == [False, False, False]


def test_work_that_may_run_twice_is_started_beside_an_execution_with_another_marker(box: Running) -> None:
    life, other = automic(on_unknown_start="start_again"), automic()
    life.defer(), other.defer()
    with_alias_of(life, box, other)
    life.defer()
    assert [one["cancelled"] for one in started(box)] == [False, False, False]


def test_a_timeout_leaves_alone_what_carries_another_marker(box: Running) -> None:
    life, other = automic(), automic()
    life.defer(), other.defer()
    with_alias_of(life, box, other)
    with pytest.raises(WaitTimedOut):
        life.resume(event_of(Ending.TIMED_OUT, str(other.open_record.ref)))
    assert not any(one["cancelled"] for one in started(box))


def test_an_adopted_execution_needs_no_marker(box: Running) -> None:
    life, other = automic(), automic()
    life.defer(), other.defer()
    adopted: Record = replace(life.open_record, ref=other.open_record.ref, max_tries=None, is_called_back=True)
    life.store.set(KEY, adopted.to_json())
    for _ in range(2):
        assert life.defer().trigger.ref == other.open_record.ref
    assert (life.open_record.marker, life.open_record.is_called_back) == ("", False)
    life.max_tries += 1
    life.defer()
    assert [one["cancelled"] for one in started(box)] == [False, True, False]


def test_a_retry_that_renders_another_alias_still_knows_its_own_execution(box: Running) -> None:
    life = automic(alias="try-1")
    ref = life.defer().trigger.ref
    life.arguments["alias"] = "try-2"
    assert life.defer().trigger.ref == ref


# --- a clear whose cancel is refused


def cleared(life: Life) -> Any:
    life.max_tries += 1
    return life.execute()


@pytest.mark.parametrize("message", ["You may not do this.", "11191: the task is not active"])
def test_a_clear_that_may_not_cancel_starts_nothing_beside_it(box: Running, message: str) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    box.sandbox.add_fault("forbidden", method="POST", path="/status$", message=message)
    with pytest.raises(AirflowFailException) as caught:
        cleared(life)
    assert all(
        message in str(caught.value)
        for message in (f"execution {ref} of", "403", "cancel_on_kill=False", "adopt d", "start_again")
    )
    with pytest.raises(AirflowFailException, match="could not be cancelled"):
        life.retry()
    assert len(started(box)) == 1


def test_a_clear_that_may_not_look_up_an_unknown_start_names_the_remedies(box: Running) -> None:
    life = automic()
    life.defer()
    life.store.set(KEY, replace(life.open_record, ref=None).to_json())
    box.sandbox.add_fault("forbidden", method="GET", message="no lists for you")
    with pytest.raises(
        AirflowFailException, match=r"the execution of the start \w{12} of .*no lists for you.*cancel_on_kill=False"
    ):
        cleared(life)
    life.arguments["cancel_on_kill"] = False
    life.defer()
    assert [one["cancelled"] for one in started(box)] == [False, False]


def test_a_clear_that_may_not_look_up_an_unknown_start_starts_work_that_may_run_twice(box: Running) -> None:
    life = automic(on_unknown_start="start_again")
    life.defer()
    life.store.set(KEY, replace(life.open_record, ref=None).to_json())
    box.sandbox.add_fault("forbidden", method="GET", times=1)
    life.max_tries += 1
    life.defer()
    assert [one["cancelled"] for one in started(box)] == [False, False]


@pytest.mark.parametrize("way", [{"cancel_on_kill": False}, {"on_unknown_start": "start_again"}])
def test_a_user_who_may_not_cancel_has_remedies(box: Running, way: dict[str, Any]) -> None:
    life = automic()
    life.defer()
    box.sandbox.add_fault("forbidden", method="POST", path="/status$")
    with pytest.raises(AirflowFailException):
        cleared(life)
    life.arguments |= way
    life.max_tries += 1
    life.defer()
    assert [one["cancelled"] for one in started(box)] == [False, False]


@pytest.mark.parametrize("fault, end", [("forbidden", "had ended already"), ("server_error", "has ended")])
def test_a_clear_starts_anew_where_what_could_not_be_cancelled_has_ended(
    box: Running, capsys: pytest.CaptureFixture[str], fault: str, end: str
) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    box.sandbox.add_fault(fault, method="POST", path="/status$")
    box.sandbox.add_fault("not_found", method="GET", times=1)
    box.sandbox.end(ref, "success", time.time())
    life.max_tries += 1
    assert life.defer().trigger.ref != ref
    assert f"execution {ref} {end}" in capsys.readouterr().out


def test_a_clear_whose_cancel_finds_nothing_starts_nothing_beside_what_a_read_shows(box: Running) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    box.sandbox.add_fault("not_found", method="POST", path="/status$")
    with pytest.raises(AirflowFailException, match=rf"execution {ref} of .*404.*nothing is started.*adopt d"):
        cleared(life)
    with pytest.raises(AirflowFailException, match="could not be cancelled"):
        life.retry()
    assert len(started(box)) == 1
    box.sandbox.clear_faults()
    life.max_tries += 1
    life.defer()
    assert [one["cancelled"] for one in started(box)] == [True, False]


def test_a_clear_whose_cancel_finds_nothing_starts_nothing_beside_what_cannot_be_read(box: Running) -> None:
    life = automic()
    life.defer()
    box.sandbox.add_fault("not_found", method="POST", path="/status$")
    box.sandbox.add_fault("forbidden", method="GET")
    with pytest.raises(AirflowFailException, match="could not be cancelled"):
        cleared(life)
    assert len(started(box)) == 1


def test_a_clear_whose_cancel_finds_nothing_starts_work_that_may_run_twice(
    box: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    life = automic(on_unknown_start="start_again")
    ref = life.defer().trigger.ref
    box.sandbox.add_fault("not_found", method="POST", path="/status$")
    life.max_tries += 1
    life.defer()
    assert [one["cancelled"] for one in started(box)] == [False, False]
    assert f"execution {ref} could not be cancelled and may go on" in capsys.readouterr().out


def test_a_clear_whose_cancel_finds_nothing_starts_anew_where_it_has_ended(
    box: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    life = automic()
    ref = life.defer().trigger.ref
    box.sandbox.add_fault("not_found", method="POST", path="/status$")
    box.sandbox.add_fault("not_found", method="GET", times=1)
    box.sandbox.end(ref, "success", time.time())
    life.max_tries += 1
    assert life.defer().trigger.ref != ref
    assert f"execution {ref} has ended" in capsys.readouterr().out


def test_a_clear_cancels_also_what_the_remote_does_not_show(box: Running) -> None:
    life = automic()
    life.defer()
    box.sandbox.add_fault("not_found", method="GET")
    life.max_tries += 1
    life.defer()
    assert [one["cancelled"] for one in started(box)] == [True, False]


@pytest.mark.parametrize("failing", [{"method": "POST", "path": "/status$"}, {}])
def test_a_cancel_that_fails_for_now_starts_nothing_beside_it_and_is_tried_again(
    box: Running, failing: dict[str, str]
) -> None:
    life = automic()
    life.defer()
    box.sandbox.add_fault("server_error", **failing)
    with pytest.raises(RemoteError, match="503"):
        cleared(life)
    assert len(started(box)) == 1
    box.sandbox.clear_faults()
    life.try_number += 1
    life.defer()
    assert [one["cancelled"] for one in started(box)] == [True, False]
