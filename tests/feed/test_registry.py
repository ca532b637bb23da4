"""Listeners, pumps and hubs that one process shares."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.feed import registry
from airflow_provider_taskwatch.feed.registry import feed_of, listener, reading
from airflow_provider_taskwatch.hub.hub import Hub
from airflow_provider_taskwatch.sandbox.server import Running
from tests.feed.remote import QueueFeed, RecordingWaiter, Remote
from tests.hub.conftest import settings_for
from tests.until import until


class QueueHub:
    """A hub whose remote has one queue."""

    def __init__(self) -> None:
        self.remote = Remote()
        self.users = 0
        self.connection = self

    async def __aenter__(self) -> QueueHub:
        self.users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.users -= 1

    async def converse(self, flow: Flow[Any], *, separate: bool) -> Any:
        assert separate
        return await self.remote.converse(flow)


@pytest.fixture(autouse=True)
def inbox_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")


async def test_an_event_loop_has_one_listener() -> None:
    assert listener() is listener()


async def test_all_waiters_for_a_feed_share_one_pump() -> None:
    hub: Any = QueueHub()
    async with reading(hub, QueueFeed(), RecordingWaiter().waiter), reading(hub, QueueFeed(), RecordingWaiter().waiter):
        await until(lambda: hub.remote.reads > 0)
        await asyncio.sleep(0.05)

    assert hub.remote.calls == ["begin None", "read 0"]


async def test_a_pushed_feed_is_not_read() -> None:
    hub: Any = QueueHub()
    async with reading(hub, QueueFeed(is_pushed=True), RecordingWaiter().waiter):
        await asyncio.sleep(0.05)

    assert hub.remote.calls == []


async def test_a_waiter_for_a_pushed_feed_is_warned_of_a_missing_receiver() -> None:
    hub: Any = QueueHub()
    waiting = RecordingWaiter()
    async with reading(hub, QueueFeed(is_pushed=True), waiting.waiter):
        await until(lambda: bool(waiting.warnings))

    assert waiting.warnings[0].startswith("the feed fake queue is pushed to a receiver, and no receiver has been heard")


async def test_a_hub_stays_open_until_the_last_read_of_the_feed_ends() -> None:
    hub: Any = QueueHub()
    async with reading(hub, QueueFeed(), RecordingWaiter().waiter):
        await until(lambda: hub.remote.reads > 0)
    assert hub.users == 1
    hub.remote.emit(1)
    await until(lambda: hub.remote.calls[-1] == "acknowledge")
    await until(lambda: hub.users == 0)


async def test_a_waiter_that_joins_after_the_last_one_left_gets_a_new_pump() -> None:
    hubs: list[Any] = [QueueHub(), QueueHub()]
    for number, hub in enumerate(hubs, 1):
        async with reading(hub, QueueFeed(), RecordingWaiter().waiter):
            await until(lambda hub=hub: hub.remote.reads > 0)
        hub.remote.emit(number)
        await until(lambda: all(pump.is_idle for pump in registry._pumps._held.values()))

    assert hubs[1].remote.calls[0] == "read 1"


async def test_a_feed_is_built_from_the_options_and_the_connection(box: Running) -> None:
    async def read() -> Settings:
        return settings_for(box, "acronis")

    async with Hub("acronis_default", read) as hub:
        await asyncio.sleep(0)  # a hub that has never run closes nothing
        feed = await feed_of(
            hub, {"topic": "cti.a.p.em.topic.v1.0~a.p.tenant.v1.0", "types": ["cti.a.p.em.event.v1.0~a"]}
        )
        assert feed.key.startswith("acronis acronis_default")
        with pytest.raises(ConfigurationError, match="topic is missing"):
            await feed_of(hub, {})
        hub.close()
