"""What our trigger is compared with: one that does nothing, and the least that a poll can cost."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from airflow.triggers.base import BaseTrigger, TriggerEvent

SIGNAL = "BENCHMARK_SIGNAL"
"""The environment variable with the path of the file that timed triggers wait for."""

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


class TimedTrigger(BaseTrigger):
    """Fires so long after the moment (epoch) that a file names, and does nothing else: Airflow alone."""

    def __init__(self, *, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.TimedTrigger", {"seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        loop = asyncio.get_running_loop()
        if loop not in _signals:
            _signals[loop] = loop.create_task(asyncio.to_thread(_signal, Path(os.environ[SIGNAL])))
        began = await asyncio.shield(_signals[loop])
        await asyncio.sleep(began + self.seconds - time.time())
        yield TriggerEvent({})


def _signal(file: Path) -> float:
    while not file.exists():
        time.sleep(0.1)
    return float(file.read_text())


class BareTrigger(BaseTrigger):
    """Asks again and again over one session for all, and looks at the answer's status only.

    Each of its own looks is due one interval after the last one was due, so that it shows what a schedule can keep.
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
