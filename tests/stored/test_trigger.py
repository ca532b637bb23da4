"""The serialized triggers of deferred tasks and asset watchers, and the contents of their events."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_taskwatch.core.outcome import Ending, Outcome, from_event
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.triggers.event import EventTrigger
from airflow_provider_taskwatch.triggers.feed import FeedTrigger
from tests.task.life import Life
from tests.task.quick import AcquiaSensor, Automic
from tests.triggers.conftest import CONN_ID, CREATED, FEED, Emit, emit, inbox, quick_listener

__all__ = ["emit", "inbox", "quick_listener"]

WATCH = "airflow_provider_taskwatch.triggers.watch.WatchTrigger"
EVENT = "airflow_provider_taskwatch.triggers.event.EventTrigger"
FEEDS = "airflow_provider_taskwatch.triggers.feed.FeedTrigger"

EVENT_KWARGS: dict[str, Any] = {
    "conn_id": "acronis_default",
    "feed": {"topic": "t", "types": ["a"]},
    "want": {"names": ["a"], "subject": "7", "match": {"x": 1}, "since": 5.5},
    "deadline": "2026-01-31T06:00:00+00:00",
    "ahead_seconds": 1.5,
    "resumable_from": "2026-01-31T05:00:00+00:00",
    "on_events_lost": "fail",
    "asked_at": 6.5,
}
FEED_KWARGS: dict[str, Any] = {
    "name": "orders",
    "conn_id": "acronis_default",
    "feed": {"topic": "t", "types": ["a"]},
    "names": ["a", "b*"],
    "subject": "7",
    "match": {"x": 1},
    "batch_size": 7,
}
ENDED: dict[str, Any] = {
    "version": 1,
    "ending": "failed",
    "ref": "1000001",
    "phase": "failed",
    "status": "1800",
    "message": "execution 1000001: failed",
    "result": {"run_id": 1000001},
    "loss": "a part is left out",
}
FEED_EVENT = ["id", "name", "subject", "at", "content"]


# --- triggers


def test_the_trigger_of_an_event_is_serialized_in_this_form_and_rebuilt() -> None:
    assert EventTrigger(**EVENT_KWARGS).serialize() == (EVENT, EVENT_KWARGS)


def test_the_trigger_of_a_watcher_is_serialized_in_this_form_and_rebuilt() -> None:
    trigger = FeedTrigger(**FEED_KWARGS)
    assert trigger.serialize() == (FEEDS, FEED_KWARGS)
    assert trigger.fingerprint == "279d0757c6fd35f9"
    assert trigger.shared_stream_key() == ("taskwatch", "orders", trigger.fingerprint)


def test_the_trigger_of_an_operator_and_of_a_sensor_has_this_path(box: Running, connected: Running) -> None:
    operator = Life(Automic, object_name="JOBS.T").defer()
    sensor = Life(AcquiaSensor, notification_uuid="6992a41d-a953-4ded-ae99-41d2f4d32ecb").defer()
    assert {one.trigger.serialize()[0] for one in (operator, sensor)} == {WATCH}
    assert {one.method_name for one in (operator, sensor)} == {"execute_complete"}


# --- events


def test_the_event_of_a_wait_is_read_and_written_in_this_form() -> None:
    outcome = from_event(ENDED)
    assert outcome == Outcome(
        ending=Ending.FAILED,
        ref="1000001",
        phase=Phase.FAILED,
        status="1800",
        message="execution 1000001: failed",
        result={"run_id": 1000001},
        loss="a part is left out",
    )
    assert json.dumps(outcome.to_event()) == json.dumps(ENDED)


def test_the_ends_of_a_wait_have_these_names() -> None:
    assert [str(one) for one in Ending] == [
        "succeeded",
        "skipped",
        "failed",
        "cancelled",
        "lost",
        "unknown",
        "blocked",
        "refused",
        "timed_out",
        "continues",
    ]
    assert [str(one) for one in Phase] == [
        "pending",
        "running",
        "blocked",
        "succeeded",
        "skipped",
        "failed",
        "cancelled",
        "lost",
        "unknown",
    ]


async def first_event(trigger: BaseTrigger) -> TriggerEvent:
    async with asyncio.timeout(20):
        return await anext(trigger.run())


@pytest.mark.usefixtures("inbox")
async def test_the_event_of_an_event_trigger_has_these_fields(connected: Running, emit: Emit) -> None:
    want = {"names": [CREATED], "subject": "7", "match": {}, "since": time.time() - 60.0}
    emit("7")
    payload = (await first_event(EventTrigger(conn_id=CONN_ID, feed=FEED, want=want))).payload
    assert set(payload) == {"version", "ending", "ref", "phase", "status", "message", "result"}
    assert list(payload["result"]) == FEED_EVENT
    assert payload["status"] == payload["result"]["name"] == CREATED
    assert payload["ref"] == payload["result"]["id"]


@pytest.mark.usefixtures("inbox")
async def test_the_event_of_a_deadline_also_holds_its_time_and_its_wait(connected: Running) -> None:
    trigger = EventTrigger(conn_id=CONN_ID, feed=FEED, want={}, deadline=datetime.now(UTC).isoformat())
    payload = (await first_event(trigger)).payload
    assert set(payload) == {"version", "ending", "ref", "phase", "status", "message", "result", "at", "wait"}
    assert payload["ending"] == "timed_out"
    assert payload["wait"] == trigger.serialize()[1]


@pytest.mark.usefixtures("inbox")
async def test_the_event_of_a_watcher_holds_its_name_and_events(connected: Running, emit: Emit) -> None:
    trigger = FeedTrigger(name="orders", conn_id=CONN_ID, feed=FEED)
    firing = asyncio.create_task(first_event(trigger))
    while not firing.done():
        emit("7")
        await asyncio.wait([firing], timeout=0.5)
    payload = firing.result().payload
    assert list(payload) == ["name", "events"]
    assert payload["name"] == "orders"
    assert list(payload["events"][0]) == FEED_EVENT
