"""Sensors that wait for an event: on a worker, and what they hand to the triggerer."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, TaskDeferred

from airflow_provider_taskwatch.config.inbox import open_inbox
from airflow_provider_taskwatch.core.error import ConfigurationError, EventError
from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.sandbox.acronis.topic import TENANT_TOPIC, TYPE_PREFIX
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.task.result import WaitFailed
from airflow_provider_taskwatch.triggers.event import EventTrigger, found
from tests.rows import each_row
from tests.task.life import Life, event_of
from tests.task.quick import AcronisEvent

WISHES: dict[str, Any] = {"topic": TENANT_TOPIC, "types": [f"{TYPE_PREFIX}a.p.tenant.*"]}


@pytest.fixture(autouse=True)
def _inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")


class EventLife(Life):
    """A task instance of a DAG run that has begun a minute ago."""

    begun = datetime.now(UTC) - timedelta(minutes=1)

    def context(self) -> Any:
        return {**super().context(), "dag_run": SimpleNamespace(start_date=self.begun)}


def emit(box: Running, *subjects: str) -> None:
    box.sandbox.emit({"acronis": [{"type": "a.p.tenant.created", "subject": one} for one in subjects]}, time.time())


def poking(**arguments: Any) -> EventLife:
    return EventLife(AcronisEvent, **{**WISHES, "deferrable": False, "poke_interval": 0.02, **arguments})


def test_an_event_that_came_before_the_sensor_is_found(box: Running) -> None:
    emit(box, "a", "b")
    event = poking(subject="b", timeout=20).execute()
    assert (event["subject"], event["name"]) == ("b", f"{TYPE_PREFIX}a.p.tenant.created.v1.0")
    assert event["content"]["subject"] == "b"


def test_one_poke_finds_an_event_behind_any_number_of_batches(box: Running) -> None:
    emit(box, *map(str, range(450)))
    event = poking(subject="449", poke_interval=60.0, timeout=30).execute()
    assert event["subject"] == "449"


def test_an_event_from_before_since_is_not(box: Running) -> None:
    emit(box, "a")
    since = datetime.now(UTC) + timedelta(hours=1)
    with pytest.raises(AirflowSensorTimeout):
        poking(since=since.isoformat(), timeout=0.1).execute()


def test_fields_of_the_content_are_compared(box: Running) -> None:
    emit(box, "a", "b")
    assert poking(match={"subject": "a"}, timeout=20).execute()["subject"] == "a"


@pytest.mark.parametrize(
    "deferrable, reader",
    [(True, "one of the triggerers that share the inbox reads it"), (False, "this worker reads it every")],
)
def test_a_wait_logs_at_its_beginning_what_it_waits_for_and_which_process_reads(
    box: Running, capsys: pytest.CaptureFixture[str], deferrable: bool, reader: str
) -> None:
    emit(box, "a")
    arguments = {"subject": "a", "match": {"subject": "a"}, "timeout": 20, "poke_interval": 0.02}
    life = EventLife(AcronisEvent, **WISHES, **arguments, deferrable=deferrable)
    with suppress(TaskDeferred):
        life.execute()
    [line] = [one for one in capsys.readouterr().out.splitlines() if "waiting for" in one]
    assert f"an event of the types {WISHES['types'][0]} about a with a given subject, since 20" in line
    assert f"from the feed {life.task.feed.key} of connection acronis_default; {reader}" in line
    assert "deadline 20" in line


def deferred(**arguments: Any) -> tuple[EventLife, EventTrigger]:
    life = EventLife(AcronisEvent, **{**WISHES, "deferrable": True, **arguments})
    with pytest.raises(TaskDeferred) as caught:
        life.execute()
    assert isinstance(caught.value.trigger, EventTrigger)
    return life, caught.value.trigger


def test_it_waits_in_the_triggerer_from_the_start_of_the_dag_run(box: Running) -> None:
    life, trigger = deferred(subject="a", match={"data.id": 1}, cel="event.source == 'x'", timeout=60)
    volatile = {"deadline": None, "asked_at": None, "resumable_from": None}
    assert trigger.serialize()[1] | volatile == {
        "conn_id": "acronis_default",
        "feed": {**WISHES, "cel": "event.source == 'x'"},
        "want": {"names": [], "subject": "a", "match": {"data.id": 1}, "since": life.begun.timestamp()},
        "deadline": None,
        "ahead_seconds": 0.0,
        "resumable_from": None,
        "asked_at": None,
    }
    assert trigger.deadline is not None


def test_the_event_is_the_result(box: Running) -> None:
    life, trigger = deferred()
    emit(box, "a")
    event = poking(timeout=20).execute()
    payload = Outcome(ending=Ending.SUCCEEDED, ref="1", result=event).to_event()
    assert life.task.execute_complete(life.context(), payload) == event
    assert trigger.serialize()[0].endswith("EventTrigger")
    assert found.__doc__


@pytest.mark.parametrize("ending, error", [(Ending.TIMED_OUT, AirflowSensorTimeout), (Ending.REFUSED, WaitFailed)])
def test_a_wait_that_ends_badly_says_why(box: Running, ending: Ending, error: type[Exception]) -> None:
    life, _ = deferred()
    with pytest.raises(error, match="so it is"):
        life.task.execute_complete(life.context(), Outcome(ending=ending, ref="", message="so it is").to_event())


@each_row("wait", [5, "text", ["conn_id"], {"conn_id": "acronis_default"}, {"conn_id": "a", "feed": 5, "want": {}}])
def test_a_timeout_whose_wait_cannot_be_read_is_a_clear_failure(box: Running, wait: Any) -> None:
    life, _ = deferred()
    event = event_of(Ending.TIMED_OUT, "") | {"at": datetime.now(UTC).isoformat(), "wait": wait}
    with pytest.raises(EventError, match="the trigger's event is malformed"):
        life.task.execute_complete(life.context(), event)


def test_a_wait_that_only_the_triggerer_s_clock_has_ended_goes_on(box: Running) -> None:
    life, trigger = deferred(timeout=60)
    payload = Outcome(ending=Ending.TIMED_OUT, ref="", message="late").to_event()
    payload |= {"at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(), "wait": trigger.serialize()[1]}
    with pytest.raises(TaskDeferred) as caught:
        life.task.execute_complete(life.context(), payload)
    assert caught.value.trigger.ahead_seconds == pytest.approx(3600, abs=5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"since": "yesterday"}, "since='yesterday' is not a time"),
        ({"match": {"a": None}}, "match: 'a' must be a dotted path"),
        ({"topic": "tenants"}, "topic must begin with"),
    ],
)
def test_a_wrong_argument_is_named_before_it_waits(box: Running, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EventLife(AcronisEvent, **{**WISHES, "deferrable": True, **arguments}).execute()


def test_a_poke_goes_on_after_a_transient_error_and_logs_it_once(
    box: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    life = poking(subject="a", timeout=60)
    task, context = life.make(), life.context()
    box.sandbox.add_fault("server_error", retry_after=0, endpoint="api")
    assert [task.poke(context) for _ in range(2)] == [False, False]
    assert capsys.readouterr().out.count("cannot be read for now") == 1
    box.sandbox.clear_faults()
    emit(box, "a")
    assert task.poke(context).xcom_value["subject"] == "a"


def lose(life: EventLife) -> None:
    """An event that came in two days ago, and was pruned."""
    key, at = life.make().feed.key, time.time() - 2 * 86_400
    inbox = open_inbox()
    inbox.append(key, [Message(channel=key, subject="x", delivery="x", content={}, received_at=at)])
    inbox.prune(at + 1, limit=10)


LONG_AGO = "2026-01-01T00:00:00Z"


def test_a_sensor_that_wants_deleted_events_says_so(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    emit(box, "a")
    sensor = poking(subject="a", since=LONG_AGO, timeout=20)
    lose(sensor)
    assert sensor.execute()["subject"] == "a"
    assert capsys.readouterr().out.count("up to 1 of its events were deleted before they could be read") == 1


def test_or_fails(box: Running) -> None:
    sensor = poking(subject="a", since=LONG_AGO, timeout=20, on_events_lost="fail")
    lose(sensor)
    with pytest.raises(AirflowFailException, match="up to 1 of its events were deleted"):
        sensor.execute()


@pytest.mark.parametrize("arguments", [{}, {"since": LONG_AGO, "mode": "reschedule"}])
def test_deleted_events_that_are_not_wanted_or_were_seen_are_not_mentioned(
    box: Running, arguments: dict[str, Any]
) -> None:
    emit(box, "a")
    sensor = poking(subject="a", timeout=20, on_events_lost="fail", **arguments)
    sensor.first_reschedule = datetime.now(UTC)
    lose(sensor)
    assert sensor.execute()["subject"] == "a"


def test_events_that_are_deleted_between_two_pokes_are_logged(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    sensor = poking(subject="a", timeout=20)
    task, context = sensor.make(), sensor.context()
    assert task.poke(context) is False
    lose(sensor)
    assert task.poke(context) is False
    assert ": 1 of its events were deleted before they could be read" in capsys.readouterr().out


def test_a_value_that_no_message_to_airflow_can_carry_is_compared_as_a_text(box: Running) -> None:
    deferred = EventLife(AcronisEvent, **{**WISHES, "match": {"data.id": 2**70}}).defer()
    assert deferred.trigger.serialize()[1]["want"]["match"] == {"data.id": str(2**70)}
