"""Holds requests for a while after a failure; then one of them probes, and a good reply lets the others pass."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from airflow_provider_taskwatch.core.limit import hold_seconds, is_failure
from airflow_provider_taskwatch.core.retry_after import RETRY_AFTER_LIMIT_SECONDS
from airflow_provider_taskwatch.core.wire import Reply

T = TypeVar("T", bound=Hashable)

PREFERRED_SECONDS = 5.0
"""How long an assumed hold keeps a preferred request from probing. The time doubles with each such probe that fails."""


class Gate(Generic[T]):
    """Closed during a hold, and after it until a probe succeeds. Lives in one event loop.

    A hold is *assumed* where the remote has not said that it concerns all requests of this gate.

    :param rank: the lowest probes first. Rank 0 is preferred: it may probe during an assumed hold.
    :param jitter: random share that is added to each hold.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        rank: Callable[[T], int] = lambda request: 1,
        jitter: float = 0.0,
    ) -> None:
        self._clock = clock
        self._rank = rank
        self._jitter = jitter
        self._failures = 0
        self._until: float | None = None
        self._is_assumed = False
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
        """How long the hold lasts from now on."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    @property
    def is_idle(self) -> bool:
        """Whether no request is held, waits, or probes."""
        return not self.held_seconds and not self._waiting and self._prober is None

    def is_probed_by(self, request: T) -> bool:
        return self._prober is request

    def is_closed_to(self, request: T) -> bool:
        return self._until is not None and self._prober is not request

    async def wait(self, request: T) -> None:
        """Returns when the gate opens, or when this request is to probe."""
        ready = self._waiting[request] = asyncio.get_running_loop().create_future()
        try:
            if self._until is not None and self._prober is None:
                if (at := self._probes_from(request, self._until)) <= self._clock():
                    self._choose_prober()
                else:
                    self._set_alarm(at)
            await ready
        finally:
            del self._waiting[request]

    def hold(
        self,
        request: T,
        reply: Reply | None,
        *,
        is_assumed: bool = False,
        limit: float = RETRY_AFTER_LIMIT_SECONDS,
    ) -> None:
        """Begins a hold, or extends one.

        :param reply: None where the request got none.
        :param limit: the longest hold for which the remote may ask.
        """
        if self._until is None or self._prober is request:  # a request from before the hold adds no failure
            failed = reply is None or is_failure(reply)
            self._failures = self._failures + 1 if failed else 0
        if self._prober is request and self._rank_of_prober == 0:
            self._preferred_failures += 1
        seconds = hold_seconds(reply, self._failures, limit)
        until = self._clock() + seconds * (1 + self._jitter * random.random())  # noqa: S311 - not for secrets
        was_asked_for = self._until is not None and not self._is_assumed and self._prober is not request
        self._is_assumed = is_assumed and not was_asked_for
        self._until = max(until, self._until or 0.0)
        self._preferred_from = self._clock() + PREFERRED_SECONDS * 2 ** min(self._preferred_failures, 4)
        self._set_alarm(self._until)

    def passed(self, request: T) -> None:
        """Opens the gate after a good reply to the probe, or, where the hold is assumed, to any request."""
        if self._until is None:
            self._failures = 0
        elif self._prober is request or self._is_assumed:
            self._failures, self._preferred_failures, self._until, self._prober = 0, 0, None, None
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None
            self.wake()

    def leave(self, request: T) -> None:
        """Lets another request probe where this one has not opened the gate."""
        if self._prober is request:
            self._prober = None
            self._choose_prober()

    def wake(self) -> None:
        """Lets all waiting requests check the gate again."""
        waiting = list(self._waiting.values())
        random.shuffle(waiting)  # the ones that have waited longest may be the ones that fail
        for ready in waiting:
            _wake(ready)

    def _probes_from(self, request: T, until: float) -> float:
        """When a request may probe."""
        return min(until, self._preferred_from) if self._is_assumed and self._rank(request) == 0 else until

    def _choose_prober(self) -> None:
        """Chooses at random among the lowest rank, because the ones that come first may be the ones that fail."""
        if self._until is None or self._prober is not None:
            return
        waiting = [request for request, ready in self._waiting.items() if not ready.done()]
        first = min(waiting, key=lambda request: (self._rank(request), random.random()), default=None)  # noqa: S311
        if first is None:
            return
        if (at := self._probes_from(first, self._until)) > self._clock():
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
        self._choose_prober()


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
