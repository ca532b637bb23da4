"""Hubs over the sandbox, whose connections are read from the test instead of from Airflow."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.hub.hub import Hub
from airflow_provider_taskwatch.hub.live_connection import OpenConnection
from airflow_provider_taskwatch.remotes import REMOTES
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.acquia.system import Acquia
from airflow_provider_taskwatch.systems.automic.request import execution_request
from airflow_provider_taskwatch.systems.automic.system import Automic

ALIAS = "DAILY-0123456789ab"
SELECTOR = "DAILY-*"


def settings_for(box: Running, system: str, **changes: Any) -> Settings:
    """The settings of the sandbox's connection for a remote."""
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


class Hubs:
    """Opens hubs whose clock can be put forward, and whose connection can change between two reads.

    ``seconds`` is added to the clock, ``reads`` counts the reads of connections.
    """

    def __init__(self, box: Running) -> None:
        self._box = box
        self.seconds = 0.0
        self.reads = 0

    @asynccontextmanager
    async def open(self, system: str, *edits: dict[str, Any]) -> AsyncIterator[Hub]:
        """A hub that is closed, with all its tasks, at the end of the block.

        :param edits: for each read, what differs from the sandbox's connection; the last one stays.
        """
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
                if others := asyncio.all_tasks() - {asyncio.current_task()}:
                    await asyncio.wait(others, timeout=5.0)


@pytest.fixture
def hubs(box: Running) -> Hubs:
    return Hubs(box)


async def notifications(hub: Hub, count: int) -> list[str]:
    """The refs of tasks that are started at Acquia."""

    def start(opened: OpenConnection) -> Any:
        assert isinstance(opened.system, Acquia)
        return opened.system.start("POST", "applications/a/databases", {"name": "x"})

    return [str((await hub.connection.run(start)).ref) for _ in range(count)]


async def executions(hub: Hub, count: int, alias: str = ALIAS) -> list[str]:
    """The refs of executions that are started at Automic."""

    def start(opened: OpenConnection) -> Any:
        assert isinstance(opened.system, Automic)
        return opened.system.start(execution_request("JOBS.X", alias=alias))

    return [str((await hub.connection.run(start)).ref) for _ in range(count)]


def requests(box: Running, endpoint: str = "api", **wanted: Any) -> list[dict[str, Any]]:
    """The requests that the sandbox has received."""
    entries = [one for one in box.sandbox.log() if one["endpoint"] == endpoint]
    return [one for one in entries if all(one[name] == value for name, value in wanted.items())]


def polled(box: Running) -> tuple[int, int]:
    """The number of lists, and of single executions, that Automic was asked for."""
    paths = [one["path"].rpartition("/")[2] for one in requests(box, method="GET")]
    return paths.count("executions"), len(paths) - paths.count("executions")
