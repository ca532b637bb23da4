"""One gate for all requests of a connection in a process: how many at once, how many a second, and not now."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from types import TracebackType

from airflow_provider_taskwatch.core.limit import hold_seconds, is_failure
from airflow_provider_taskwatch.core.wire import Reply


class Limiter:
    """Enter it around each request, and :meth:`note` what came back.

    While the remote asks everybody to wait, nobody passes; afterwards one request probes, and the others follow
    only when it was answered well.

    :param concurrency: requests at a time.
    :param rate: requests a second, None for no limit.
    """

    def __init__(
        self, concurrency: int, rate: float | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._spacing = 1.0 / rate if rate else 0.0
        self._clock = clock
        self._next_start = 0.0
        self._failures = 0
        self._held_until: float | None = None
        self._prober: asyncio.Task[object] | None = None
        self._probed = asyncio.Event()

    @property
    def held_seconds(self) -> float:
        """For how long nobody may ask."""
        return 0.0 if self._held_until is None else max(0.0, self._held_until - self._clock())

    async def __aenter__(self) -> None:
        await self._slots.acquire()
        try:
            await self._pass()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def note(self, reply: Reply | None) -> None:
        """Learn from a reply, or from a lost connection (None)."""
        failed = reply is None or is_failure(reply)
        if self._held_until is None or self._is_prober:  # what was under way when the hold began says nothing new
            self._failures = self._failures + 1 if failed else 0
        seconds = hold_seconds(reply, self._failures)
        if seconds:
            until = self._clock() + seconds * (1 + 0.2 * random.random())  # noqa: S311 - not for secrets
            self._held_until = max(until, self._held_until or 0.0)
        elif self._is_prober:
            self._held_until = None

    @property
    def _is_prober(self) -> bool:
        return self._prober is not None and self._prober is asyncio.current_task()

    async def _pass(self) -> None:
        await self._wait_for_leave()
        while self._spacing:
            await self._take_turn()
            if self._held_until is None or self._is_prober:
                break
            await self._wait_for_leave()

    async def _wait_for_leave(self) -> None:
        while self._held_until is not None:
            if self.held_seconds:
                await asyncio.sleep(self.held_seconds)
            elif self._prober is None:
                self._prober = asyncio.current_task()
                self._probed.clear()
                break
            else:
                await self._probed.wait()

    async def _take_turn(self) -> None:
        start = max(self._clock(), self._next_start)
        self._next_start = start + self._spacing
        await asyncio.sleep(start - self._clock())

    def _leave(self) -> None:
        """Give the slot back, and let another probe, also where this one never came to ask."""
        self._slots.release()
        if self._is_prober:
            self._prober = None
            self._probed.set()
