"""What watches have to say in the logs of their tasks, at a pace that a triggerer can take."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

TELL_SECONDS = 5.0
TELL_OWNERS = 50
"""In a burst: five passes of the supervisor, during which nothing else waits long for it."""


class Log(Protocol):
    """Airflow's logger of a trigger, or Python's."""

    def log(self, level: int, event: str, /) -> object:
        """Say something."""


@dataclass(frozen=True, slots=True)
class _Line:
    context: contextvars.Context
    log: Log
    level: int
    words: str

    def say(self) -> None:
        self.context.run(self.log.log, self.level, self.words)


class LogThrottle:
    """Says lines in bursts, one after another: each owner's own in their order. Lives in one event loop.

    Whatever arrives at the triggerer's supervisor makes it look through the database (3.3.2), which takes ten times as
    long as a poll where a thousand triggers wait, and longer the more there are. In between it reads 4 kB of log, and
    whoever writes more than that waits: a thread here, not the event loop.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[_Line]] = {}
        self._task: asyncio.Task[None] | None = None

    def tell(self, owner: Hashable, log: Log, level: int, words: str) -> None:
        """Say something soon, in the present context, by which Airflow finds the log of a task.

        A warning is never left out. Of what is no warning, and has waited for its turn, only the newest is said.
        """
        lines = self._waiting.setdefault(owner, [])
        if level < logging.WARNING:
            lines[:] = [line for line in lines if line.level >= logging.WARNING]
        lines.append(_Line(contextvars.copy_context(), log, level, words))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._live(), context=contextvars.Context())

    async def flush(self, owner: Hashable, level: int = logging.NOTSET) -> None:
        """Say now what waits to be said for an owner, and never what is below that level."""
        await _say([line for line in self._waiting.pop(owner, ()) if line.level >= level])

    async def _live(self) -> None:
        while self._waiting:
            await asyncio.sleep(TELL_SECONDS)
            owners = list(islice(self._waiting, TELL_OWNERS))
            await _say([line for owner in owners for line in self._waiting.pop(owner)])


async def _say(lines: list[_Line]) -> None:
    if lines:
        await asyncio.to_thread(_say_each, lines)


def _say_each(lines: list[_Line]) -> None:
    for line in lines:
        line.say()
