"""A hub over the sandbox, whose connection is read from the test instead of from Airflow."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.hub.hub import Hub
from airflow_provider_taskwatch.remotes import REMOTES
from airflow_provider_taskwatch.sandbox.server import Running


def settings_for(box: Running, system: str, **changes: Any) -> Settings:
    """What the sandbox's connection for a remote names."""
    given = dict(box.connections()[f"{system}_default"])
    raw = RawConnection(
        conn_id=f"{system}_default",
        conn_type=given["conn_type"],
        host=given["host"],
        login=given["login"],
        password=given["password"],
        extra=json.dumps(given["extra"]),
    )
    return replace(read_connection(REMOTES.form_of(raw.conn_id, system), raw), **changes)


OpenHub = Callable[..., Any]


@pytest.fixture
def open_hub(box: Running) -> OpenHub:
    """Open a hub for a remote of the sandbox; it is closed at the end of the block."""

    @asynccontextmanager
    async def opened(system: str, **changes: Any) -> AsyncIterator[Hub]:
        async def read() -> Settings:
            return settings_for(box, system, **changes)

        hub = Hub(f"{system}_default", read)
        async with hub:
            try:
                yield hub
            finally:
                hub.close()

    return opened


class LaterHub:
    """Opens a hub whose time can be put forward, and whose connection is edited between two reads of it.

    ``reads`` counts the reads of the connection.
    """

    def __init__(self, box: Running) -> None:
        self._box = box
        self.seconds = 0.0
        self.reads = 0

    @asynccontextmanager
    async def hub(self, system: str, *edits: dict[str, Any]) -> AsyncIterator[Hub]:
        """:param edits: what each read of the connection brings that differs from the sandbox's; the last one stays."""
        changes = itertools.chain(edits[:-1], itertools.repeat(edits[-1] if edits else {}))

        async def read() -> Settings:
            self.reads += 1
            return settings_for(self._box, system, **next(changes))

        hub = Hub(f"{system}_default", read, clock=lambda: time.monotonic() + self.seconds)
        async with hub:
            try:
                yield hub
            finally:
                hub.close()
                await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=5.0)


@pytest.fixture
def later(box: Running) -> LaterHub:
    return LaterHub(box)
