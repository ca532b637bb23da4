"""Stretches the intervals of all polls of a connection evenly where it cannot carry them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_taskwatch.core.schedule import stretch

LASTING_SECONDS = 15.0
"""How long intervals are stretched before that is logged, because many waits may start together."""


@dataclass(slots=True, kw_only=True)
class Demand:
    """The polls that all waits of a connection want.

    :param warn: takes a format with the values for it.
    """

    warn: Callable[..., object]
    clock: Callable[[], float]
    polls_per_second: float = 0.0
    _stretched_since: float = field(default=math.inf, init=False)
    _is_logged: bool = field(default=False, init=False)

    def stretch(self, capacity: float) -> float:
        """The factor for all intervals. It is logged once, when it has been above 1 for a while.

        :param capacity: polls a second that the connection can carry.
        """
        factor = stretch(self.polls_per_second, capacity)
        if factor == 1.0:
            self._stretched_since = math.inf
        elif not self._is_logged:
            now = self.clock()
            self._stretched_since = min(self._stretched_since, now)
            self._is_logged = now >= self._stretched_since + LASTING_SECONDS
            if self._is_logged:
                self.warn(
                    "connection %r: %.1f polls a second are wanted and %.1f are possible, so all intervals are "
                    "stretched evenly; raise its 'concurrency' or 'rate_limit', or poll_interval",
                    self.polls_per_second,
                    capacity,
                )
        return factor
