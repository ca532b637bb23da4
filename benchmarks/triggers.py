"""What our trigger is compared with, and a way to see when it fires."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from airflow.sdk import BaseHook
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_taskwatch.feed.registry import listener
from airflow_provider_taskwatch.triggers.watch import WatchTrigger

SIGNAL = "BENCHMARK_SIGNAL"
"""The environment variable with the path of the file that timed triggers wait for."""
FIRED = "BENCHMARK_FIRED"
"""The environment variable with the path of the file into which triggers write a line as they fire: their number, the
moment (epoch), and how often the inbox was read until then."""

_sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}
_signals: dict[asyncio.AbstractEventLoop, asyncio.Task[float]] = {}


class IdleTrigger(BaseTrigger):
    """Waits for nothing."""

    def __init__(self, *, number: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.number = number

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.IdleTrigger", {"number": self.number}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.Event().wait()
        yield TriggerEvent({})


def _note(number: int, reads: int) -> None:
    with Path(os.environ[FIRED]).open("a") as file:
        file.write(f"{number} {time.time()} {reads}\n")


class NotedTrigger(WatchTrigger):
    """Notes when it fires; what Airflow logs of that comes after whatever waits to be logged."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        async for event in super().run():
            _note(int(self.start_id or "", 16), listener().reads)
            yield event


class TimedTrigger(BaseTrigger):
    """Fires a number of seconds after the moment (epoch) that a file names, and does nothing else: Airflow alone.

    One of them reads a connection before, as any trigger does; the supervisor builds its API for that.
    """

    def __init__(self, *, number: int, seconds: float, conn_id: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.number = number
        self.seconds = seconds
        self.conn_id = conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.TimedTrigger", {"number": self.number, "seconds": self.seconds, "conn_id": self.conn_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        loop = asyncio.get_running_loop()
        if loop not in _signals:
            _signals[loop] = loop.create_task(self._signal())
        began = await asyncio.shield(_signals[loop])
        await asyncio.sleep(began + self.seconds - time.time())
        _note(self.number, 0)
        yield TriggerEvent({})

    async def _signal(self) -> float:
        await BaseHook.aget_connection(self.conn_id)
        return await asyncio.to_thread(_moment, Path(os.environ[SIGNAL]))


def _moment(file: Path) -> float:
    while not file.exists():
        time.sleep(0.1)
    return float(file.read_text())


class BareTrigger(BaseTrigger):
    """Asks again and again over one session for all, and reads the answer's status only.

    Each of its own polls is due one interval after the last one was due, so that it shows what a schedule can keep.
    """

    def __init__(self, *, url: str, bundle: str, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.url = url
        self.bundle = bundle
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.BareTrigger", {"url": self.url, "bundle": self.bundle, "seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            async with _session(self.bundle).get(self.url) as response:
                content = await response.json()
            if content["status"] == "completed":
                break
            due = max(clock(), due + self.seconds)
            await asyncio.sleep(due - clock())
        yield TriggerEvent(content)


def _session(bundle: str) -> aiohttp.ClientSession:
    loop = asyncio.get_running_loop()
    if loop not in _sessions:
        context = ssl.create_default_context(cafile=bundle)
        _sessions[loop] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=64))
    return _sessions[loop]
