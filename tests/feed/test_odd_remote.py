"""An Acronis feed with malformed events, over HTTP, read by the worker's driver and by the triggerer's."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import MAX_REPLY_BYTES
from airflow_provider_taskwatch.drive.blocking import BlockingDriver
from airflow_provider_taskwatch.feed.pump import Pump
from airflow_provider_taskwatch.feed.worker_reader import WorkerFeedReader
from airflow_provider_taskwatch.hub.hub import Hub
from airflow_provider_taskwatch.inbox.aside import asides
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.seal import Seal
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.acronis.feed import AcronisFeed, feed_of
from tests.feed.remote import NOW, RecordingWaiter
from tests.hub.conftest import settings_for
from tests.inbox.memory import MemoryInbox
from tests.systems.acronis.case import OPTIONS
from tests.until import until

GOOD = {"type": "cti.a.p.em.event.v1.0~a.p.task.created.v1.0", "time": "2026-01-31T06:00:00Z", "subject": "s"}
ODD: dict[int, bytes] = {
    3: b'{"sequence": 3}',
    20: b'{"sequence": 20, "data": "' + b"x" * MAX_REPLY_BYTES + b'"}',
    21: b"[" * 50_000 + b"]" * 50_000,
    400: b'{"sequence": 400, "data": "\xff"}',
    401: b"null",
    2_000: b"}",
}
SEQUENCES = (1, 3, 5, 20, 21, 22, 400, 401, 402, 2_000, 2_001)
READABLE = ["1", "5", "22", "402", "2001"]


class Handler(BaseHTTPRequestHandler):
    """Answers as the Event Manager; its events are those of :data:`SEQUENCES`."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_token = self.path.endswith("/token")
        self._send(200 if is_token else 409, b'{"access_token": "t", "expires_in": 3600, "token_type": "bearer"}')

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if "offsets" in url.path:
            return self._send(200, json.dumps({"offset": 0 if asked["position"] == "TIMESTAMP" else 2_001}).encode())
        after, limit = int(asked["offset"]), int(asked["limit"])
        ahead = [one for one in SEQUENCES if one > after][:limit]
        if not ahead:
            return self._send(202, b"")
        events = b", ".join(ODD.get(one) or json.dumps({**GOOD, "sequence": one}).encode() for one in ahead)
        return self._send(200, b'{"offset": %d, "events": [%b]}' % (ahead[-1], events))

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def _send(self, status: int, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            """The client closes a connection whose reply is too long."""


@pytest.fixture
def settings(box: Running) -> Iterator[Settings]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    yield settings_for(box, "acronis", base_url=url, token_url=f"{url}/token")
    server.shutdown()
    server.server_close()


def feed_for(settings: Settings) -> AcronisFeed:
    return feed_of(settings, OPTIONS)


def read(inbox: Inbox, feed: AcronisFeed) -> list[str]:
    return [one.message.delivery.split()[0] for one in inbox.after(feed.key, 0)]


def check(inbox: Inbox, feed: AcronisFeed) -> None:
    kept = [one.open(lambda: Seal([])) for one in asides(inbox)]
    assert read(inbox, feed) == READABLE
    assert inbox.position(feed.key) == "2001"
    assert len(kept) == len(ODD)
    assert max(map(len, kept)) <= 3 * 65_536  # escaped bytes outside UTF-8 take more room


def test_a_worker_stores_every_readable_event(settings: Settings) -> None:
    inbox, feed = MemoryInbox(), feed_for(settings)
    driver = BlockingDriver(settings)
    WorkerFeedReader(feed, inbox, driver.run, lambda: Seal([]), clock=lambda: NOW).fetch(0.0, 1_000)
    driver.close()

    check(inbox, feed)


async def test_the_triggerer_stores_every_readable_event(settings: Settings) -> None:
    inbox, feed = MemoryInbox(), feed_for(settings)

    async def opened() -> Inbox:
        return inbox

    async def known() -> Settings:
        return settings

    hub = Hub("acronis_default", known)
    async with hub:
        converse = partial(hub.connection.converse, separate=True)
        pump = Pump(feed, opened, converse, lambda: Seal([]), clock=lambda: NOW)
        async with pump.serving(RecordingWaiter(EventFilter(since=1.0)).waiter):
            async with asyncio.timeout(120):
                await until(lambda: inbox.position(feed.key) == "2001")
        await until(lambda: pump.is_idle)
        hub.close()
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=5.0)

    check(inbox, feed)
