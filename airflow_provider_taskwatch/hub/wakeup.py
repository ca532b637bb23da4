"""Lets a signal end the wait for the next poll."""

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
    """The signals for one wait, which may come between its polls and during them. Lives in one event loop.

    ``contents`` holds the newest signals; None stands for one that cannot be read.

    :param warn: takes a warning for the log of the task.
    :param on_first: called for the first signal.
    """

    __slots__ = ("_answer", "_has_doubts", "_is_rung", "_on_first", "_warn", "contents")

    def __init__(self, warn: Callable[[str], object], on_first: Callable[[], object] = lambda: None) -> None:
        self.contents: deque[Any] = deque(maxlen=KEPT)
        self._answer: Future[Observation | Turn] | None = None
        self._is_rung = False
        self._has_doubts = False
        self._warn = warn
        self._on_first = on_first

    def ring(self, content: Any) -> None:
        """Makes the wait poll now. A poll under way may be too early, so another one follows it."""
        if not self.contents:
            self._on_first()
        self.contents.append(content)
        self._is_rung = True
        self._answer_now()

    def wait_on(self, answer: Future[Observation | Turn]) -> None:
        """Answers :attr:`~.poll_queue.Turn.POLL_ALONE` at a signal; now where one came since the last poll."""
        self._answer = answer
        if self._is_rung:
            self._answer_now()

    def doubt(self, message: str) -> None:
        """Warns once that no signal may come."""
        if not self._has_doubts:
            self._has_doubts = True
            self._warn(message)

    def _answer_now(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._is_rung = False
            self._answer.set_result(Turn.POLL_ALONE)


async def happens(event: asyncio.Event, within_seconds: float) -> bool:
    """Waits for an event, at most ``within_seconds``; whether it has happened."""
    try:
        async with asyncio.timeout(within_seconds):
            return await event.wait()
    except TimeoutError:
        return False
