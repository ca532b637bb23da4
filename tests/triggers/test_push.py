"""Docplanner pushes to a receiver on a real socket, and waits get its events without a pull."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.config.callback import CallbackOptions
from airflow_provider_taskwatch.core.error import InboxError
from airflow_provider_taskwatch.core.outcome import from_event
from airflow_provider_taskwatch.hooks.docplanner import DocplannerHook
from airflow_provider_taskwatch.hub import log_throttle
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.inbox.store import SqlInbox
from airflow_provider_taskwatch.receiver.app import create_app
from airflow_provider_taskwatch.receiver.push import ticket_for
from airflow_provider_taskwatch.receiver.token import Keys
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.triggers.event import EventTrigger
from airflow_provider_taskwatch.triggers.feed import FeedTrigger
from tests.receiver.served import serving
from tests.receiver.visitor import SECRET
from tests.until import until

CONN_ID = "docplanner_default"
Serve = Callable[..., Any]


class ShakyInbox(SqlInbox):
    """Takes nothing while it is down."""

    is_down = False

    def append(self, channel: str, messages: Sequence[Message], **arguments: Any) -> int:
        if self.is_down:
            raise InboxError("the database is down")
        return super().append(channel, messages, **arguments)


@pytest.fixture
def shaky(inbox: SqlInbox, tmp_path: Path) -> ShakyInbox:
    """The inbox that the receiver writes into; all processes share its database."""
    return ShakyInbox(f"sqlite:///{tmp_path}/inbox.db")


@pytest.fixture
def connect(connected: Running, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the connection to Docplanner say that it pushes."""

    def put(**extra: Any) -> None:
        given = connected.connections()[CONN_ID]
        content = {**given, "extra": {**given["extra"], "delivery": "push", **extra}}
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(content))

    put()
    return put


@pytest.fixture
def pushing(connected: Running, connect: Callable[..., None], shaky: ShakyInbox) -> Serve:
    """A receiver to which Docplanner pushes while the block runs, as the connection says."""

    @contextmanager
    def served(**extra: Any) -> Iterator[Running]:
        connect(**extra)
        with serving(create_app(shaky, Keys([SECRET]))) as url:
            settings = CallbackOptions(base_url=url, secrets=(SECRET,), require_https=True)
            address = settings.push_address(ticket_for(DocplannerHook().settings, needs_key=True))
            change(connected, push_url=address.url, push_headers={"X-Api-Key": address.key})
            yield connected

    return served


def change(box: Running, **settings: Any) -> None:
    box.sandbox.change({"docplanner": settings}, time.time())


def emit(box: Running, name: str, booking: str) -> None:
    about = {"visit_booking": {"id": booking, "patient": {"name": "hush-hush"}}}
    box.sandbox.emit({"docplanner": [{"name": name, "data": about}]}, time.time())


def statuses(box: Running) -> list[int]:
    return [one["status"] for one in box.sandbox.log() if one["endpoint"] == "callback"]


def names(inbox: SqlInbox) -> list[str]:
    channel = ticket_for(DocplannerHook().settings, needs_key=True).channel
    return [one.message.content["name"] for one in inbox.after(channel, 0)]


def waiting(**want: Any) -> EventTrigger:
    given = {"names": [], "subject": "", "match": {}, "since": time.time() - 60.0, **want}
    return EventTrigger(conn_id=CONN_ID, feed={}, want=given)


async def outcome_of(trigger: EventTrigger) -> Any:
    async with asyncio.timeout(20):
        return from_event((await anext(trigger.run())).payload)


async def test_a_sensor_gets_a_pushed_event_without_a_pull(pushing: Serve) -> None:
    with pushing() as box:
        task = asyncio.create_task(outcome_of(waiting(names=["slot-booked"], match={"visit_booking.id": "7"})))
        emit(box, "slot-booked", "8")
        emit(box, "slot-booked", "7")
        outcome = await task

    assert (outcome.status, outcome.result["subject"]) == ("slot-booked", "7")
    assert outcome.result["content"] == {"visit_booking": {"id": "7"}}
    assert not [one for one in box.sandbox.log() if "/notifications" in one["path"]]


async def test_an_asset_watcher_gets_a_pushed_event(pushing: Serve, inbox: SqlInbox) -> None:
    stream = FeedTrigger(name="pushed", conn_id=CONN_ID).run()
    with pushing() as box:
        task = asyncio.ensure_future(anext(stream))
        await until(lambda: inbox.position("feed trigger pushed") is not None)  # it begins with what comes from now on
        emit(box, "slot-booked", "7")
        async with asyncio.timeout(20):
            event = await task
    await stream.aclose()  # type: ignore[attr-defined]

    assert [one["subject"] for one in event.payload["events"]] == ["7"]


@pytest.mark.usefixtures("inbox", "connect")
async def test_a_missing_receiver_is_logged_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_throttle, "BURST_SECONDS", 0.2)
    lines: list[str] = []
    task = asyncio.create_task(outcome_of(waiting()))

    def is_logged() -> bool:
        lines.extend(one for one in capsys.readouterr().out.splitlines() if "no receiver has been heard of" in one)
        return any("triggers.event.EventTrigger" in one for one in lines)

    await until(is_logged)
    task.cancel()
    await asyncio.wait([task])
    is_logged()

    assert len([one for one in lines if "triggers.event.EventTrigger" in one]) == 1


async def test_an_event_that_is_pushed_twice_is_sent_once(pushing: Serve, inbox: SqlInbox) -> None:
    with pushing() as box:
        box.sandbox.add_fault("callback_duplicate", times=1)
        emit(box, "slot-booked", "7")
        await until(lambda: len(statuses(box)) == 2)
        assert (statuses(box), names(inbox)) == ([204, 204], ["slot-booked"])


async def test_an_event_that_could_not_be_stored_comes_with_a_release(
    pushing: Serve, inbox: SqlInbox, shaky: ShakyInbox
) -> None:
    with pushing() as box:
        shaky.is_down = True
        emit(box, "slot-booked", "7")
        await until(lambda: statuses(box) == [503])
        shaky.is_down = False
        assert names(inbox) == []
        await asyncio.to_thread(DocplannerHook().release_notifications)
        await until(lambda: names(inbox) == ["slot-booked"])


@pytest.mark.parametrize(
    "extra, answers, stored",
    [({}, [204, 204], ["slot-booking", "slot-booked"]), ({"denial_code": 7}, [409], ["slot-booking"])],
)
async def test_a_patient_books_only_where_the_connection_approves(
    pushing: Serve, inbox: SqlInbox, extra: dict[str, Any], answers: list[int], stored: list[str]
) -> None:
    with pushing(**extra) as box:
        box.sandbox.emit({"docplanner": [{"name": "slot-booking"}]}, time.time())
        await until(lambda: len(statuses(box)) == len(answers))
        remote: Any = box.sandbox.remotes["docplanner"]
        assert remote.pushes.buried(time.time()) == []

    assert (statuses(box), names(inbox)) == (answers, stored)
