"""A task that waits for one event, against the sandbox."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent

from airflow_provider_taskwatch.core import limit
from airflow_provider_taskwatch.core.flow import Retry
from airflow_provider_taskwatch.core.outcome import Ending, Outcome, from_event
from airflow_provider_taskwatch.feed import pump
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.inbox.store import SqlInbox
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.acronis.feed import AcronisFeed, feed_of
from airflow_provider_taskwatch.triggers.event import EventTrigger
from tests.any_airflow import deserialize, serialize
from tests.hub.conftest import settings_for
from tests.triggers.conftest import CONN_ID, CREATED, FEED, Emit
from tests.until import until

pytestmark = pytest.mark.usefixtures("inbox")


def trigger_for(**arguments: Any) -> EventTrigger:
    """A trigger that has gone through Airflow's serialisation."""
    want = {"names": [], "subject": "", "match": {}, "since": time.time() - 60.0, **arguments.pop("want", {})}
    classpath, kwargs = EventTrigger(**{"conn_id": CONN_ID, "feed": FEED, "want": want, **arguments}).serialize()
    assert classpath == "airflow_provider_taskwatch.triggers.event.EventTrigger"
    return EventTrigger(**deserialize(json.loads(json.dumps(serialize(kwargs)))))


async def first_event(trigger: EventTrigger) -> TriggerEvent:
    async with asyncio.timeout(20):
        return await anext(trigger.run())


async def outcome_of(trigger: EventTrigger) -> Outcome:
    return from_event((await first_event(trigger)).payload)


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def reads(box: Running) -> int:
    """How many are over; a read stays open until something comes."""
    return sum(one["path"].endswith("/events") for one in box.sandbox.log())


def has_begun(box: Running) -> bool:
    return any(one["path"].endswith("/offsets") for one in box.sandbox.log())


def test_the_trigger_is_made_again_from_its_arguments() -> None:
    given = {"conn_id": "c", "feed": FEED, "want": {"names": ["a"]}, "deadline": in_seconds(1), "ahead_seconds": 2.0}
    lost = {"on_events_lost": "fail", "asked_at": 5.0}
    _, kwargs = EventTrigger(**given, **lost).serialize()

    assert kwargs == given | lost
    assert EventTrigger(**given).serialize()[1] == given
    assert EventTrigger(**kwargs).serialize()[1] == given | lost


async def test_an_event_ends_the_wait_with_its_content(connected: Running, emit: Emit) -> None:
    task = asyncio.create_task(first_event(trigger_for(want={"subject": "7"})))
    await until(lambda: has_begun(connected))
    emit("6", "7")

    payload = (await task).payload
    outcome = from_event(payload)
    assert outcome.ending is Ending.SUCCEEDED
    assert (outcome.result["subject"], outcome.result["name"], outcome.status) == ("7", CREATED, CREATED)
    assert outcome.ref == outcome.result["id"]
    assert "wait" not in payload
    json.dumps(payload)


async def test_an_event_that_came_before_the_wait_is_found(emit: Emit) -> None:
    emit("7")

    assert (await outcome_of(trigger_for(want={"subject": "7"}))).ending is Ending.SUCCEEDED


async def test_an_event_before_since_is_ignored(emit: Emit) -> None:
    emit("7")
    want = {"subject": "7", "since": time.time() + 60.0}
    outcome = await outcome_of(trigger_for(want=want, deadline=in_seconds(0.6)))

    assert outcome.ending is Ending.TIMED_OUT


async def test_many_waits_share_one_reader(connected: Running, emit: Emit) -> None:
    tasks = [asyncio.create_task(outcome_of(trigger_for(want={"subject": str(number)}))) for number in range(50)]
    await until(lambda: has_begun(connected))
    emit(*map(str, range(50)))
    outcomes = await asyncio.gather(*tasks)

    assert [outcome.result["subject"] for outcome in outcomes] == [str(number) for number in range(50)]
    assert reads(connected) <= 4


@pytest.mark.usefixtures("connected")
async def test_the_event_of_a_deadline_carries_the_wait_and_the_time() -> None:
    trigger = trigger_for(want={"subject": "7"}, deadline=in_seconds(0.5))
    payload = (await first_event(trigger)).payload

    outcome = from_event(payload)
    assert outcome.ending is Ending.TIMED_OUT
    assert outcome.message == f"no such event came until {trigger.deadline}"
    assert payload["wait"] == trigger.serialize()[1]
    assert abs((datetime.fromisoformat(payload["at"]) - datetime.now(UTC)).total_seconds()) < 10.0


async def test_a_clock_that_is_ahead_ends_the_wait_later(emit: Emit) -> None:
    emit("7")
    late = trigger_for(want={"subject": "7"}, deadline=in_seconds(-50), ahead_seconds=70.0)

    assert (await outcome_of(late)).ending is Ending.SUCCEEDED


async def test_a_deadline_that_passed_while_no_triggerer_ran_ends_the_wait_at_once() -> None:
    assert (await outcome_of(trigger_for(deadline=in_seconds(-3600)))).ending is Ending.TIMED_OUT


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"conn_id": "not_there"}, "not_there"),
        ({"conn_id": "automic_default"}, "has no events"),
        ({"feed": {**FEED, "topic": ""}}, "topic is missing"),
    ],
)
@pytest.mark.usefixtures("connected")
async def test_a_wrong_setting_ends_the_wait_with_the_reason(arguments: dict[str, Any], message: str) -> None:
    outcome = await outcome_of(trigger_for(**arguments))

    assert outcome.ending is Ending.REFUSED
    assert message in outcome.message


async def test_a_wrong_inbox_url_ends_the_wait(connected: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", "mysql://host/inbox")
    outcome = await outcome_of(trigger_for())

    assert outcome.ending is Ending.REFUSED
    assert "an inbox is in SQLite or PostgreSQL, not in 'mysql'" in outcome.message


async def test_a_failure_that_passes_is_logged_once_for_the_task(
    connected: Running, emit: Emit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "_PATIENCE", Retry(first_seconds=0.1))
    monkeypatch.setattr(limit, "FIRST_SECONDS", 0.1)
    connected.sandbox.add_fault("server_error", system="acronis", path="/events$", times=2)
    emit("7")

    assert (await outcome_of(trigger_for(want={"subject": "7"}))).ending is Ending.SUCCEEDED
    assert [one["status"] for one in connected.sandbox.log() if one["path"].endswith("/events")][:2] == [503, 503]
    lines = [line for line in capsys.readouterr().out.splitlines() if "EventTrigger" in line]
    assert [("cannot be read for now" in line) for line in lines] == [True]


async def test_a_wait_that_is_cancelled_leaves_nothing_behind(connected: Running, inbox: SqlInbox, emit: Emit) -> None:
    from airflow_provider_taskwatch.feed.registry import listener

    task = asyncio.create_task(first_event(trigger_for(want={"subject": "7"})))
    await until(lambda: has_begun(connected))
    task.cancel()
    await asyncio.wait([task])
    emit("7")
    await until(lambda: listener().is_idle)

    assert task.cancelled()
    assert (listener()._newcomers, listener()._waiter_indexes) == ({}, {})


def lose(inbox: SqlInbox, feed: AcronisFeed) -> None:
    """An event that came in two days ago, and was pruned."""
    at = time.time() - 2 * 86_400
    inbox.append(feed.key, [Message(channel=feed.key, subject="7", delivery="x", content={}, received_at=at)])
    inbox.prune(at + 1, limit=10)


@pytest.mark.parametrize(
    "asked, on_events_lost, message",
    [
        (0.0, "fail", "up to 1 of its events were deleted"),
        (0.0, "continue", ""),
        (7200.0, "fail", ""),
        (None, "fail", ""),
    ],
)
async def test_events_that_were_deleted_before_the_wait_are_reported(
    connected: Running, inbox: SqlInbox, emit: Emit, asked: float | None, on_events_lost: str, message: str
) -> None:
    lose(inbox, feed_of(settings_for(connected, "acronis", conn_id=CONN_ID), FEED))
    emit("7")
    asked_at = None if asked is None else time.time() - asked
    want = {"subject": "7", "since": time.time() - 3 * 86_400}
    outcome = await outcome_of(trigger_for(want=want, asked_at=asked_at, on_events_lost=on_events_lost))

    assert outcome.ending is (Ending.REFUSED if message else Ending.SUCCEEDED)
    assert message in outcome.message
