"""A gate that a remote may close for a while, and that one probe opens for the others."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from airflow_provider_taskwatch.core.flow import RETRY_AFTER_LIMIT_SECONDS
from airflow_provider_taskwatch.core.limit import hold_seconds, is_failure
from airflow_provider_taskwatch.core.wire import Reply

T = TypeVar("T", bound=Hashable)

PREFERRED_SECONDS = 5.0
"""Until a preferred one may probe although a supposed hold is not over; longer each time that this fails."""


class Gate(Generic[T]):
    """While it is held, nobody passes; afterwards one request probes, and the others follow when it was answered well.

    :param rank: who probes first: the lowest. 0 may probe even during a hold that is only supposed.
    :param jitter: share of a hold that is added at random.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        rank: Callable[[T], int] = lambda one: 1,
        jitter: float = 0.0,
    ) -> None:
        self._clock = clock
        self._rank = rank
        self._jitter = jitter
        self._failures = 0
        self._until: float | None = None
        self._is_supposed = False
        self._prober: T | None = None
        self._rank_of_prober = 0
        self._preferred_from = 0.0
        self._preferred_failures = 0
        self._waiting: dict[T, asyncio.Future[None]] = {}
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        return self._until is None

    @property
    def held_seconds(self) -> float:
        """For how long nobody passes."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    @property
    def is_idle(self) -> bool:
        """Whether it holds nobody back."""
        return not self.held_seconds and not self._waiting and self._prober is None

    def is_probed_by(self, one: T) -> bool:
        return self._prober is one

    def is_closed_to(self, one: T) -> bool:
        return self._until is not None and self._prober is not one

    async def wait(self, one: T) -> None:
        """Wait until the gate opens, or until it is one's turn to probe."""
        ready = self._waiting[one] = asyncio.get_running_loop().create_future()
        try:
            self._expect(one)
            await ready
        finally:
            del self._waiting[one]

    def hold(
        self,
        one: T,
        reply: Reply | None,
        *,
        is_supposed: bool = False,
        limit: float = RETRY_AFTER_LIMIT_SECONDS,
    ) -> None:
        """Close after a reply, or after a lost one; a hold is never shortened.

        :param is_supposed: whether the remote has not said that it is about all who come through this gate.
        """
        if self._until is None or self._prober is one:  # what was under way when the hold began says nothing new
            failed = reply is None or is_failure(reply)
            self._failures = self._failures + 1 if failed else 0
        if self._prober is one and self._rank_of_prober == 0:
            self._preferred_failures += 1
        seconds = hold_seconds(reply, self._failures, limit)
        until = self._clock() + seconds * (1 + self._jitter * random.random())  # noqa: S311 - not for secrets
        was_asked_for = self._until is not None and not self._is_supposed and self._prober is not one
        self._is_supposed = is_supposed and not was_asked_for
        self._until = max(until, self._until or 0.0)
        self._preferred_from = self._clock() + PREFERRED_SECONDS * 2 ** min(self._preferred_failures, 4)
        self._set_alarm(self._until)

    def passed(self, one: T) -> None:
        """Open after a good reply to the probe; what was under way when a hold began opens it if it was supposed."""
        if self._until is None:
            self._failures = 0
        elif self._prober is one or self._is_supposed:
            self._open()

    def leave(self, one: T) -> None:
        """Let another one probe, also where this one never came to ask."""
        if self._prober is one:
            self._prober = None
            self._pick()

    def wake(self) -> None:
        """Let all who wait have another look at the gate."""
        waiting = list(self._waiting.values())
        random.shuffle(waiting)  # whoever has waited longest may be what fails
        for ready in waiting:
            _wake(ready)

    def _open(self) -> None:
        self._failures, self._preferred_failures, self._until, self._prober = 0, 0, None, None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self.wake()

    def _expect(self, one: T) -> None:
        """See to it that somebody probes in time."""
        if self._until is None or self._prober is not None:
            return
        if (at := self._due(one, self._until)) <= self._clock():
            self._pick()
        else:
            self._set_alarm(at)

    def _due(self, one: T, until: float) -> float:
        """When one may probe."""
        return min(until, self._preferred_from) if self._is_supposed and self._rank(one) == 0 else until

    def _pick(self) -> None:
        """Choose who probes; by chance among equals, as those who come first may be the ones that fail."""
        if self._until is None or self._prober is not None:
            return
        waiting = [one for one, ready in self._waiting.items() if not ready.done()]
        first = min(waiting, key=lambda one: (self._rank(one), random.random()), default=None)  # noqa: S311
        if first is None:
            return
        if (at := self._due(first, self._until)) > self._clock():
            self._set_alarm(at)
            return
        self._prober, self._rank_of_prober = first, self._rank(first)
        _wake(self._waiting[first])

    def _set_alarm(self, at: float) -> None:
        loop = asyncio.get_running_loop()
        when = loop.time() + max(0.0, at - self._clock())
        if self._alarm is not None:
            if self._alarm.when() <= when:
                return
            self._alarm.cancel()
        self._alarm = loop.call_at(when, self._ring, context=contextvars.Context())

    def _ring(self) -> None:
        self._alarm = None
        self._pick()


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
