"""What lets a signal end the wait for the next look."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Callable
from typing import Any

from airflow_provider_taskwatch.core.phase import Observation

from .poll_queue import Turn

KEPT = 5


class Wakeup:
    """One watch that hears of signals, between its looks and during them. Lives in one event loop.

    :param warn: takes a warning for the log of the task.
    :param heard: called for the first signal.
    """

    __slots__ = ("_answer", "_has_doubts", "_heard", "_is_rung", "_warn", "contents")

    def __init__(self, warn: Callable[[str], object], heard: Callable[[], object] = lambda: None) -> None:
        self.contents: deque[Any] = deque(maxlen=KEPT)
        """What the newest signals have brought, None for what could not be read."""
        self._answer: Future[Observation | Turn] | None = None
        self._is_rung = False
        self._has_doubts = False
        self._warn = warn
        self._heard = heard

    def ring(self, content: Any) -> None:
        """Look now; where a look is under way, that may have been too early, and another one follows it."""
        if not self.contents:
            self._heard()
        self.contents.append(content)
        self._is_rung = True
        self._pass_on()

    def wait_on(self, answer: Future[Observation | Turn]) -> None:
        """Makes it the wait's own turn to poll when it rings; at once where it has rung since the last poll."""
        self._answer = answer
        if self._is_rung:
            self._pass_on()

    def doubt(self, words: str) -> None:
        """Say once that no signal may come."""
        if not self._has_doubts:
            self._has_doubts = True
            self._warn(words)

    def _pass_on(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._is_rung = False
            self._answer.set_result(Turn.POLL_ALONE)


async def happens(event: asyncio.Event, within_seconds: float) -> bool:
    """Wait for something, and no longer than so long; whether it has happened."""
    try:
        async with asyncio.timeout(within_seconds):
            return await event.wait()
    except TimeoutError:
        return False
