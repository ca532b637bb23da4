"""What watches have to say in the logs of their tasks, at a pace that a triggerer can take."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Hashable
from functools import partial
from itertools import islice
from typing import NamedTuple, Protocol

TELL_SECONDS = 5.0
TELL_OWNERS = 100
"""In a burst. Their lines fit into the socket to the supervisor, where a full one makes the whole event loop wait."""


class Log(Protocol):
    """Airflow's logger of a trigger, or Python's."""

    def log(self, level: int, event: str, /) -> object:
        """Say something."""


class _Line(NamedTuple):
    level: int
    say: Callable[[], object]


class Teller:
    """Says lines in bursts, one after another: each owner's own in their order. Lives in one event loop.

    Whatever arrives at the triggerer's supervisor makes it look through the database (3.3.2), which takes ten times as
    long as a poll where a thousand triggers wait, and longer the more there are. In between it reads 4 kB of log.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[_Line]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._aside = contextvars.Context()

    def tell(self, owner: Hashable, log: Log, level: int, words: str) -> None:
        """Say something soon, in the present context, by which Airflow finds the log of a task."""
        say = partial(contextvars.copy_context().run, log.log, level, words)
        self._waiting.setdefault(owner, []).append(_Line(level, say))
        self._set_timer()

    def flush(self, owner: Hashable, level: int = logging.NOTSET) -> None:
        """Say now what waits to be said for an owner, and never what is below that level."""
        for line in self._waiting.pop(owner, ()):
            if line.level >= level:
                line.say()
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TELL_SECONDS, self._burst, context=self._aside)

    def _burst(self) -> None:
        self._timer = None
        for owner in list(islice(self._waiting, TELL_OWNERS)):
            self.flush(owner)
        if self._waiting:
            self._set_timer()
