"""The trigger of an asset watcher, under Airflow's own manager of shared streams, against the sandbox."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_taskwatch.compat.shared_stream import AdvanceItem
from airflow_provider_taskwatch.core.error import ConfigurationError, InboxError
from airflow_provider_taskwatch.core.flow import Retry
from airflow_provider_taskwatch.feed import follower, pump
from airflow_provider_taskwatch.feed import producer as module
from airflow_provider_taskwatch.feed.producer import FeedProducer
from airflow_provider_taskwatch.inbox.store import SqlInbox
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.triggers.feed import FeedTrigger
from tests.any_airflow import deserialize, serialize
from tests.rows import each_row
from tests.triggers.conftest import CONN_ID, FEED, Emit
from tests.until import until

POSITION = "feed trigger orders"

shared_stream = pytest.mark.since("3.3", reason="Airflow confirms the events of a shared stream that it has stored")
pytestmark = pytest.mark.usefixtures("inbox", "connected")


def trigger_for(**arguments: Any) -> FeedTrigger:
    """A trigger that has gone through Airflow's serialisation."""
    classpath, kwargs = FeedTrigger(**{"name": "orders", "conn_id": CONN_ID, "feed": FEED, **arguments}).serialize()
    assert classpath == "airflow_provider_taskwatch.triggers.feed.FeedTrigger"
    return FeedTrigger(**deserialize(json.loads(json.dumps(serialize(kwargs)))))


class Triggerer:
    """What Airflow's triggerer does with event triggers; what it stores is confirmed when the test says so."""

    def __init__(self, trigger: FeedTrigger) -> None:
        from airflow.triggers.shared_stream import SharedStreamManager

        self.manager = SharedStreamManager()
        self.payloads: list[dict[str, Any]] = []
        self.error: Exception | None = None
        self._trigger = trigger
        self._key = trigger.shared_stream_key()
        self._numbers: list[int] = []

    async def run(self) -> None:
        stream = self.manager.subscribe(trigger_id=1, trigger=self._trigger, key=self._key)
        try:
            async for event in self._trigger.filter_shared_stream(stream):
                number = self.manager.bind_pending_event(trigger_id=1, key=self._key)
                assert number is not None
                self._numbers.append(number)
                self.payloads.append(event.payload)
        except Exception as error:  # noqa: BLE001 - Airflow catches all of them, too
            self.error = error
        finally:
            await self.manager.unsubscribe(1, self._key)

    def store(self) -> None:
        """All that was sent so far is in Airflow's database."""
        self.manager.confirm_persisted(self._numbers)
        self._numbers.clear()

    @property
    def subjects(self) -> list[str]:
        return [event["subject"] for payload in self.payloads for event in payload["events"]]


@asynccontextmanager
async def triggerer(inbox: SqlInbox, trigger: FeedTrigger | None = None) -> AsyncIterator[Triggerer]:
    """One that runs the trigger, once it bears its name; it is stopped as Airflow stops it."""
    running = Triggerer(trigger or trigger_for())
    task = asyncio.create_task(running.run())
    await until(lambda: inbox.position(POSITION) is not None and inbox.holder(POSITION) is not None)
    yield running
    task.cancel()
    await asyncio.wait([task])


def advance(number: int, *, acked: int = 1, failed: int = 0) -> AdvanceItem:
    """Airflow's word on a batch."""
    from airflow.triggers.shared_stream import AdvanceOutcome

    return AdvanceItem(number, AdvanceOutcome(acked=acked, failed=failed))


def begun(box: Running) -> bool:
    return any(one["path"].endswith("/offsets") for one in box.sandbox.log())


async def has_moved(inbox: SqlInbox, number: int = 1) -> None:
    await until(lambda: int(inbox.position(POSITION) or 0) >= number)


def test_the_trigger_is_made_again_from_its_arguments() -> None:
    given = {"names": ["*.created.*"], "subject": "7", "match": {"a.b": 1}, "batch_size": 5}
    trigger = FeedTrigger(name="orders", conn_id=CONN_ID, feed=FEED, **given)
    again = trigger_for(**given)

    assert again.serialize() == trigger.serialize()
    assert again.shared_stream_key() == trigger.shared_stream_key()
    assert BaseEventTrigger.hash(*again.serialize()) == BaseEventTrigger.hash(*trigger.serialize())


@each_row("change", [{"name": "b"}, {"conn_id": "c"}, {"names": ["x"]}, {"subject": "x"}, {"match": {"a": 1}}])
def test_triggers_that_differ_share_no_stream(change: dict[str, Any]) -> None:
    assert trigger_for(**change).shared_stream_key() != trigger_for().shared_stream_key()


@each_row(
    "wrong, message",
    [
        ({"name": ""}, "name is empty"),
        ({"batch_size": 257}, "not 257"),
        ({"names": "*.created.*"}, "names must be a list of strings"),
        ({"match": ["a.b"]}, "match must be a dict"),
        ({"match": {"a.b": None}}, "a number or a boolean"),
    ],
)
def test_wrong_arguments_are_refused_in_the_dag_file(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        trigger_for(**wrong)


@shared_stream
async def test_events_that_airflow_has_stored_are_not_sent_again(
    connected: Running, inbox: SqlInbox, emit: Emit
) -> None:
    async with triggerer(inbox) as first:
        await until(lambda: begun(connected))
        emit("1", "2")
        await until(lambda: first.subjects == ["1", "2"])
        first.store()
        await has_moved(inbox)
    emit("3")
    async with triggerer(inbox) as second:
        await until(lambda: bool(second.subjects))

    assert (first.error, second.error, second.subjects) == (None, None, ["3"])


@shared_stream
async def test_events_that_airflow_has_not_stored_are_sent_again(
    connected: Running, inbox: SqlInbox, emit: Emit
) -> None:
    async with triggerer(inbox) as first:
        await until(lambda: begun(connected))
        emit("1", "2")
        await until(lambda: first.subjects == ["1", "2"])
    async with triggerer(inbox) as second:
        await until(lambda: bool(second.subjects))

    assert second.subjects == ["1", "2"]


@shared_stream
async def test_a_batch_is_one_trigger_event(connected: Running, inbox: SqlInbox, emit: Emit) -> None:
    async with triggerer(inbox, trigger_for(batch_size=2, names=["*.created.*"])) as running:
        await until(lambda: begun(connected))
        emit("0", kind="a.p.tenant.deleted")
        emit("1", "2", "3")
        await until(lambda: len(running.subjects) == 3)
        running.store()
        await has_moved(inbox, 4)

    assert sum(len(payload["events"]) for payload in running.payloads) == 3
    assert all(payload["name"] == "orders" and len(payload["events"]) <= 2 for payload in running.payloads)
    json.dumps(running.payloads)


@shared_stream
async def test_events_beyond_the_limit_of_airflow_wait_until_it_has_stored_some(
    connected: Running, inbox: SqlInbox, emit: Emit
) -> None:
    events = 2 * follower.UNCONFIRMED_BUNDLES
    async with triggerer(inbox, trigger_for(batch_size=1)) as running:
        await until(lambda: begun(connected))
        emit(*map(str, range(events)))
        await until(lambda: len(running.subjects) == follower.UNCONFIRMED_BUNDLES)
        await asyncio.sleep(0.3)
        assert len(running.subjects) == follower.UNCONFIRMED_BUNDLES
        while len(running.subjects) < events:
            running.store()
            await asyncio.sleep(0.05)

    assert running.subjects == [str(number) for number in range(events)]


@shared_stream
async def test_a_batch_that_is_stored_at_the_last_moment_counts(
    connected: Running, inbox: SqlInbox, emit: Emit
) -> None:
    async with triggerer(inbox) as first:
        await until(lambda: begun(connected))
        emit("1")
        await until(lambda: first.subjects == ["1"])
        before = int(inbox.position(POSITION) or 0)
        first.store()
    assert first.error is None
    assert int(inbox.position(POSITION) or 0) > before
    assert inbox.holder(POSITION) is None


async def events_of(running: FeedProducer, hear: Callable[[Any], object]) -> None:
    async for one in running.open_stream():
        hear(one)


@asynccontextmanager
async def producing(inbox: SqlInbox) -> AsyncIterator[tuple[FeedProducer, list[Any]]]:
    """A producer without a manager, and what it has sent."""
    running, sent = FeedProducer(trigger_for()), list[Any]()
    task = asyncio.create_task(events_of(running, sent.append))
    await until(lambda: inbox.position(POSITION) is not None)
    yield running, sent
    task.cancel()
    await asyncio.wait([task])
    await running.aclose()


async def test_a_watcher_logs_its_filter_and_the_reader(
    connected: Running, inbox: SqlInbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with producing(inbox):
        await until(lambda: "the trigger 'orders' waits for events " in caplog.text)

    assert "one of the triggerers that share the inbox reads it" in caplog.text


@shared_stream
async def test_a_batch_that_airflow_could_not_store_ends_the_stream_and_is_not_confirmed(
    connected: Running, inbox: SqlInbox, emit: Emit
) -> None:
    async with producing(inbox) as (running, sent):
        await until(lambda: begun(connected))
        emit("1")
        await until(lambda: bool(sent))
        before, [(_, number)] = inbox.position(POSITION), sent
        with pytest.raises(RuntimeError, match="Airflow has not stored the events of 'orders'; they are sent again"):
            await running.advance([advance(number), advance(number, acked=0, failed=1)])
        assert inbox.position(POSITION) == before
        await running.advance([advance(number)])
        assert inbox.position(POSITION) == str(number)


@shared_stream
async def test_a_stored_batch_counts_even_after_the_stream_has_ended(
    connected: Running, inbox: SqlInbox, emit: Emit
) -> None:
    running, sent = FeedProducer(trigger_for()), list[Any]()
    task = asyncio.create_task(events_of(running, sent.append))
    await until(lambda: inbox.position(POSITION) is not None and begun(connected))
    emit("1")
    await until(lambda: bool(sent))
    task.cancel()
    await asyncio.wait([task])
    await running.advance([advance(sent[0][1])])
    await running.aclose()

    assert (inbox.position(POSITION), inbox.holder(POSITION)) == (str(sent[0][1]), None)


@shared_stream
async def test_a_watcher_survives_an_inbox_that_is_down_and_repeats_nothing_stored(
    connected: Running, inbox: SqlInbox, emit: Emit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(pump, "_PATIENCE", Retry(first_seconds=0.1))
    async with producing(inbox) as (running, sent):
        await until(lambda: begun(connected))
        emit("1")
        await until(lambda: len(sent) == 1)

        def down(*_: Any, **__: Any) -> Any:
            raise InboxError("the inbox is down")

        reader = running._follower
        assert reader is not None
        with monkeypatch.context() as broken:
            for name in ("save_position", "after", "page", "lease"):
                broken.setattr(SqlInbox, name, down)
            await running.advance([advance(sent[0][1])])
            reader.news.set()  # it would look again in five seconds
            await until(lambda: "receives no events for now: the inbox is down" in caplog.text)
        emit("2")
        await until(lambda: len(sent) == 2)

    assert [event["subject"] for events, _ in sent for event in events] == ["1", "2"]


@shared_stream
async def test_a_watcher_logs_wrong_settings_and_survives_them(
    inbox: SqlInbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "AGAIN_CONFIGURED_SECONDS", 0.05)
    running = Triggerer(trigger_for(conn_id="not_there"))
    task = asyncio.create_task(running.run())
    await until(lambda: caplog.text.count("not_there") > 1)
    task.cancel()
    await asyncio.wait([task])

    assert (running.error, running.payloads) == (None, [])


async def test_without_a_shared_stream_a_batch_counts_as_stored_after_some_seconds(
    connected: Running, inbox: SqlInbox, emit: Emit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_taskwatch.triggers.feed.STORED_SECONDS", 0.05)
    sent: list[TriggerEvent] = []

    async def run(enough: Callable[[], bool]) -> None:
        async with aclosing(trigger_for(batch_size=1).run()) as stream:
            async for event in stream:
                sent.append(event)
                if enough():
                    return

    task = asyncio.create_task(run(lambda: len(sent) == 2))
    await until(lambda: inbox.position(POSITION) is not None and begun(connected))
    emit("1")
    await has_moved(inbox)
    monkeypatch.setattr("airflow_provider_taskwatch.triggers.feed.STORED_SECONDS", 60.0)
    emit("2")
    await task
    assert inbox.holder(POSITION) is None
    await run(lambda: len(sent) == 3)

    assert [one["subject"] for event in sent for one in event.payload["events"]] == ["1", "2", "2"]


async def test_without_a_shared_stream_no_batch_of_the_last_seconds_is_lost(
    connected: Running, inbox: SqlInbox, emit: Emit
) -> None:
    """Airflow may not have stored them when the triggerer dies."""
    sent: list[str] = []

    async def run(number: int) -> None:
        async with aclosing(trigger_for(batch_size=1).run()) as stream:
            async for event in stream:
                sent.extend(one["subject"] for one in event.payload["events"])
                if len(sent) == number:
                    return

    task = asyncio.create_task(run(2))
    await until(lambda: inbox.position(POSITION) is not None and begun(connected))
    emit("1", "2")
    await task
    await run(4)

    assert sent == ["1", "2", "1", "2"]
