"""A plan says what one wait waits for, and how. An operator makes it, a trigger carries it as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .callback import Expectation
from .error import ConfigurationError, TaskWatchError
from .flow import Retry
from .judge import Memory, WaitRules, patience
from .phase import Observation
from .schedule import FIRST_SECONDS, Rhythm, remaining_seconds
from .system import Options

PLAN_VERSION = 1
"""Raise it whenever a field is added, removed or gets another meaning."""

POLL_RETRY = Retry(first_seconds=2.0, limit_seconds=60.0)
"""Between polls that fail."""
LAST_POLL_SECONDS = 2.0
"""The last poll is made this long before the deadline."""
SPREAD = 0.1
HELD_POLLS = 9
"""After this number of polls without a change a wait gets an observation again, and chooses its interval anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to wait for, and how. Ages are seconds since the wait began.

    :param ref: the remote's id of the task.
    :param id_space: where the ref means this task; see :meth:`~.system.System.id_space`. Empty: not known.
    :param options: how the system reads the remote's replies; plain JSON.
    :param callback: what is expected of a callback; None where none is asked for, or where a worker waits.
    :param personal: put personal data (authors, users) into the result.
    :param ends_at: the age at which the wait ends; None for never.
    :param cancel_on_kill: cancel the remote task when a user ends the Airflow task.
    :param keeps_record: whether the next attempt knows of this one, and cancels what belongs to it after a clear.
    :param finish: how a trigger ends a success: ``resume`` a worker, ``succeed`` without one, or ``push`` the result as
        XCom and succeed.
    """

    ref: str
    id_space: str = ""
    options: Options = field(default_factory=dict)
    rules: WaitRules = field(default_factory=WaitRules)
    rhythm: Rhythm = field(default_factory=Rhythm)
    callback: Expectation | None = None
    personal: bool = False
    ends_at: float | None = None
    cancel_on_kill: bool = False
    keeps_record: bool = False
    finish: str = "resume"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON with the version of its fields."""
        return {"version": PLAN_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Plan:
        """The plan that :meth:`to_json` wrote.

        :raises ConfigurationError: where another version of this package wrote it, or it is damaged.
        """
        version = stored.get("version")
        if version != PLAN_VERSION:
            raise ConfigurationError(
                f"the task was deferred by another version of airflow-provider-taskwatch: its plan has the version "
                f"{version!r}, and this process reads {PLAN_VERSION}. Install the same version of the package on "
                "workers and triggerers, restart them, and let the task run again"
            )
        try:
            callback = stored.get("callback")
            return cls(
                **{name: value for name, value in stored.items() if name not in ("version", *_VALUES)},
                rules=WaitRules(**stored["rules"]),
                rhythm=Rhythm(**stored["rhythm"]),
                callback=None if callback is None else Expectation(**callback),
            )
        except (KeyError, TypeError) as cause:
            raise ConfigurationError(
                f"the plan of a deferred task is damaged ({cause!r}); let the task run again"
            ) from cause

    def ending_in(self, left_seconds: float | None, age: float) -> Plan:
        """The plan with its end by the clock of this process, as the clock that wrote ``started_at`` may be ahead."""
        return self if left_seconds is None else replace(self, ends_at=age + left_seconds)

    def first(self, age: float) -> tuple[float, float]:
        """Seconds until the first poll, and the share of them that may be cut off.

        After a restart, spread the first two polls over the full interval so that waits do not poll together.
        """
        if age >= FIRST_SECONDS:
            return self.interval(age), 1.0
        if self.callback is not None:
            return self.interval(age), SPREAD
        return max(0.0, min(self.rhythm.first(age), self._until_last(age))), 0.0

    def describe(self, age: float) -> str:
        """When it polls, for the log at the beginning of the wait."""
        after, spread = self.first(age)
        first = f"{'within' if spread == 1 else 'in'} {after:.0f} s" if after >= 1 else "now"
        if self.callback is None:
            return f"the first poll is {first}, then {self.rhythm.describe()}"
        polls = self.callback.rhythm.describe()
        return f"a callback is expected; until then it is polled {polls}, the first time {first}"

    def patience(self, memory: Memory, age: float) -> float | None:
        """Seconds until the wait ends if the next polls bring what the last one brought; None for never."""
        if memory.failures:
            return None if self.ends_at is None else max(0.0, self.ends_at - age)
        return patience(memory, self.rules, age)

    def interval(self, age: float, seen: Observation | None = None) -> float:
        """Seconds until the next poll."""
        rhythm = self.rhythm if self.callback is None else self.callback.rhythm
        after = rhythm.interval(age, None if seen is None else _remaining(seen, age))
        wanted = None if seen is None else seen.retry_after
        return self.capped(after if wanted is None else max(after, wanted), age)

    def pause(self, memory: Memory, error: TaskWatchError | None, age: float, last: Observation | None) -> float:
        """Seconds from one poll to the next."""
        if memory.failures:
            wanted = getattr(error, "retry_after", None)
            return self.capped(POLL_RETRY.seconds(memory.failures, wanted), age)
        if memory.unknown_since is not None or memory.blocked_since is not None:
            return replace(self, callback=None).interval(age, last)  # no remote calls back about these
        return self.interval(age, last)

    def hold(self, memory: Memory, after: float, age: float) -> float:
        """For how many seconds observations without a change need not be passed on.

        With 1,000 waits in one list, that saves a third of the triggerer's CPU time, and the polls keep their interval,
        however long the list takes.
        """
        if memory.failures or memory.unknown_since is not None or memory.blocked_since is not None:
            return 0.0
        return self.capped(HELD_POLLS * after, age) if after <= self.rhythm.limit_seconds else 0.0

    def capped(self, after: float, age: float) -> float:
        """``after``, or less where the wait would end before."""
        last = self._until_last(age)
        return min(after, last) if last > 0 else after

    def _until_last(self, age: float) -> float:
        return math.inf if self.ends_at is None else self.ends_at - age - LAST_POLL_SECONDS


_VALUES = ("rules", "rhythm", "callback")


def _remaining(seen: Observation, age: float) -> float | None:
    return remaining_seconds(age, seen.progress, seen.elapsed_seconds, seen.expected_seconds)
