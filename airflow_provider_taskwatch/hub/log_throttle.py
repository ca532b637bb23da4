"""Logs lines of waits in bursts, at a pace that the triggerer's supervisor can process."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

BURST_SECONDS = 5.0
BURST_OWNERS = 50
"""Five passes of the supervisor, so that nothing else waits for it for long."""


class Log(Protocol):
    """Airflow's logger of a trigger, or Python's."""

    def log(self, level: int, event: str, /) -> object: ...


@dataclass(frozen=True, slots=True)
class _Line:
    context: contextvars.Context
    log: Log
    level: int
    message: str


class LogThrottle:
    """Logs in bursts, one after another, the lines of each owner in their order. Lives in one event loop.

    Airflow 3.3.2's supervisor queries its database for each message of the triggerer. That takes ten times as long as a
    poll where a thousand triggers wait. It reads 4 kB of log in between, and a writer of more blocks, so a thread
    writes.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[_Line]] = {}
        self._task: asyncio.Task[None] | None = None

    def log(self, owner: Hashable, log: Log, level: int, message: str) -> None:
        """Logs a line in the next burst, in the present context, by which Airflow finds the log of a task.

        Of the lines below a warning that wait for the burst, only the newest is logged.
        """
        lines = self._waiting.setdefault(owner, [])
        if level < logging.WARNING:
            lines[:] = [line for line in lines if line.level >= logging.WARNING]
        lines.append(_Line(contextvars.copy_context(), log, level, message))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._live(), context=contextvars.Context())

    async def flush(self, owner: Hashable, level: int = logging.NOTSET) -> None:
        """Logs the waiting lines of an owner now, and drops those below a level."""
        await _write([line for line in self._waiting.pop(owner, ()) if line.level >= level])

    async def _live(self) -> None:
        while self._waiting:
            await asyncio.sleep(BURST_SECONDS)
            owners = list(islice(self._waiting, BURST_OWNERS))
            await _write([line for owner in owners for line in self._waiting.pop(owner)])


async def _write(lines: list[_Line]) -> None:
    def write() -> None:
        for line in lines:
            line.context.run(line.log.log, line.level, line.message)

    if lines:
        await asyncio.to_thread(write)
