"""The sensor for Docplanner's notifications: what it accepts, and what it refuses before it waits."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred

from airflow_provider_taskwatch.config.inbox import open_inbox
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.hooks.docplanner import DocplannerHook
from airflow_provider_taskwatch.inbox.event import message_of
from airflow_provider_taskwatch.inbox.seal import fresh_key
from airflow_provider_taskwatch.receiver.push import ticket_for
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.sensors.docplanner import DocplannerNotificationSensor
from airflow_provider_taskwatch.systems.docplanner.feed import push_event
from airflow_provider_taskwatch.triggers.event import EventTrigger
from tests.task.life import Life

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_KEYS", fresh_key())


class RunLife(Life):
    """A task instance of a DAG run."""

    def context(self) -> Any:
        return {**super().context(), "dag_run": SimpleNamespace(start_date=BEGUN)}


def life(**arguments: Any) -> RunLife:
    return RunLife(DocplannerNotificationSensor, **arguments)


def poking(**arguments: Any) -> RunLife:
    return life(**{"deferrable": False, "poke_interval": 0.02, "timeout": 20, **arguments})


def emit(box: Running, name: str, **data: Any) -> None:
    box.sandbox.emit({"docplanner": [{"name": name, "data": data}]}, time.time())


def test_a_notification_is_found_by_its_name_and_the_booking(box: Running) -> None:
    emit(box, "slot-booked", visit_booking={"id": "8"})
    emit(box, "booking-canceled", visit_booking={"id": "7"})
    emit(box, "slot-booked", visit_booking={"id": "7", "booked_by": "integration", "comment": "private"})
    event = poking(names="slot-booked", match={"visit_booking.id": 7}).execute()
    assert (event["name"], event["subject"]) == ("slot-booked", "7")
    assert event["content"] == {"visit_booking": {"id": "7", "booked_by": "integration"}}


@pytest.mark.parametrize("name", ["break-*", ["break-moved", "break-removed"]])
def test_one_of_many_names_will_do(box: Running, name: str | list[str]) -> None:
    emit(box, "slot-booked", visit_booking={"id": "7"})
    emit(box, "break-removed", **{"break": {"id": "9"}})
    assert poking(names=name).execute()["subject"] == "9"


def test_a_move_is_found_by_the_id_that_the_booking_had(box: Running) -> None:
    emit(box, "booking-moved", old_visit_booking={"id": "7"}, new_visit_booking={"id": "8"})
    event = poking(subject="7").execute()
    assert event["content"]["new_visit_booking"]["id"] == "8"


def test_one_of_before_the_dag_run_is_not_found(box: Running) -> None:
    emit(box, "slot-booked", visit_booking={"id": "7"})
    with pytest.raises(AirflowSensorTimeout):
        poking(subject="7", since="2126-01-01T00:00:00Z", timeout=0.1).execute()


def pushed(box: Running, monkeypatch: pytest.MonkeyPatch) -> str:
    """The channel of the notifications, which Docplanner pushes from now on."""
    given = box.connections()["docplanner_default"]
    content = {**given, "extra": {**given["extra"], "delivery": "push"}}
    monkeypatch.setenv("AIRFLOW_CONN_DOCPLANNER_DEFAULT", json.dumps(content))
    monkeypatch.delenv("AIRFLOW__TASKWATCH__INBOX_KEYS")
    return ticket_for(DocplannerHook().settings, needs_key=False).channel


@pytest.mark.parametrize("beats", [True, False])
def test_a_pushed_notification_is_found_on_a_worker_which_says_if_no_receiver_is_alive(
    box: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], beats: bool
) -> None:
    channel, inbox = pushed(box, monkeypatch), open_inbox()
    if beats:
        inbox.beat("api", "https://airflow.example.com")
    body = b'{"name": "slot-booked", "data": {"visit_booking": {"id": "7"}}}'
    inbox.append(channel, [message_of(channel, push_event(body, "ids", now=time.time()), time.time())])
    assert poking(subject="7").execute()["name"] == "slot-booked"
    assert capsys.readouterr().out.count("no receiver has been heard of") == (0 if beats else 1)
    assert box.sandbox.log() == []


@pytest.mark.parametrize("is_pushed", [True, False])
def test_a_wait_for_pushed_notifications_names_the_inbox(
    box: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_pushed: bool
) -> None:
    if is_pushed:
        pushed(box, monkeypatch)
    with pytest.raises(TaskDeferred):
        life(deferrable=True).execute()
    [line] = [one for one in capsys.readouterr().out.splitlines() if "waiting for" in one]
    assert ("by the settings of this worker, they come through the inbox sqlite:////" in line) == is_pushed


def test_it_waits_in_the_triggerer_and_takes_nothing_secret_along(box: Running) -> None:
    with pytest.raises(TaskDeferred) as caught:
        life(names="slot-booked", match={"visit_booking.id": "7"}, deferrable=True, timeout=60).execute()
    trigger = caught.value.trigger
    assert isinstance(trigger, EventTrigger)
    assert trigger.serialize()[1] | {"deadline": None, "resumable_from": None, "asked_at": None} == {
        "conn_id": "docplanner_default",
        "feed": {},
        "want": {
            "names": ["slot-booked"],
            "subject": "",
            "match": {"visit_booking.id": "7"},
            "since": BEGUN.timestamp(),
        },
        "deadline": None,
        "ahead_seconds": 0.0,
        "resumable_from": None,
        "asked_at": None,
    }


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_field_that_is_not_stored_is_refused_before_it_waits(box: Running, deferrable: bool) -> None:
    with pytest.raises(ConfigurationError, match=r"'visit_booking.patient.email' cannot be matched.*store_payload="):
        life(match={"visit_booking.patient.email": "x"}, deferrable=deferrable).execute()
    assert box.sandbox.log() == []
