"""Heartbeat and readiness."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_taskwatch.core.error import InboxError
from airflow_provider_taskwatch.inbox.message import Heartbeat
from airflow_provider_taskwatch.receiver.health import Readiness
from tests.inbox.memory import MemoryInbox
from tests.receiver.visitor import Desk, ask, living
from tests.until import until


class FrailInbox(MemoryInbox):
    """Fails while it is not well; counts heartbeats written and read."""

    def __init__(self) -> None:
        super().__init__()
        self.is_well = True
        self.beats = self.reads = 0
        self.is_closed = False
        self.release = threading.Event()
        self.release.set()

    def beat(self, host: str, url: str) -> None:
        self.beats += 1
        self.release.wait(10)
        self._fail()
        super().beat(host, url)

    def heartbeats(self) -> list[Heartbeat]:
        self.reads += 1
        self._fail()
        return super().heartbeats()

    def close(self) -> None:
        self.is_closed = True

    def _fail(self) -> None:
        if not self.is_well:
            raise InboxError("the database is down")


@pytest.fixture
def inbox() -> FrailInbox:
    return FrailInbox()


async def test_a_receiver_writes_its_first_heartbeat_with_its_url_at_once(inbox: FrailInbox) -> None:
    app = Desk(inbox=inbox).app(host="dmz-1", url="https://calls.test")
    async with living(app):
        await until(inbox.heartbeats)
        assert [(one.host, one.url) for one in inbox.heartbeats()] == [("dmz-1", "https://calls.test")]
        assert not inbox.is_closed
    assert (inbox.beats, inbox.is_closed) == (1, True)


async def test_a_receiver_continues_its_heartbeats_through_an_outage(
    inbox: FrailInbox, caplog: pytest.LogCaptureFixture
) -> None:
    inbox.is_well = False
    async with living(Desk(inbox=inbox).app(beat_seconds=0.01)):
        await until(lambda: inbox.beats > 2)
        inbox.is_well = True
        await until(inbox.heartbeats)
    assert "the receiver cannot write its heartbeat into the inbox: the database is down" in caplog.text


async def test_a_receiver_stops_while_its_inbox_hangs(inbox: FrailInbox) -> None:
    inbox.release.clear()
    async with living(Desk(inbox=inbox).app()):
        await until(lambda: inbox.beats == 1)
    assert inbox.is_closed
    inbox.release.set()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_only_readiness_asks_the_inbox(inbox: FrailInbox, method: str) -> None:
    app = Desk(inbox=inbox).app()
    assert (await ask(app, method, "/health")).status == 200
    assert inbox.reads == 0
    assert (await ask(app, method, "/ready")).status == 200
    assert inbox.reads == 1


async def test_a_receiver_whose_inbox_is_down_is_healthy_but_not_ready(inbox: FrailInbox) -> None:
    inbox.is_well = False
    app = Desk(inbox=inbox).app()
    assert (await ask(app, "GET", "/health")).json() == {"service": "taskwatch receiver"}
    answer = await ask(app, "GET", "/ready")
    assert (answer.status, answer.body) == (503, b"")


async def test_readiness_asks_the_inbox_at_most_once_a_second(inbox: FrailInbox) -> None:
    now = 0.0
    readiness = Readiness(inbox, lambda: now)
    assert [await readiness.ask() for _ in range(5)] == [True] * 5
    inbox.is_well = False
    assert await readiness.ask()
    now = 1.0
    assert not await readiness.ask()
    assert inbox.reads == 2
