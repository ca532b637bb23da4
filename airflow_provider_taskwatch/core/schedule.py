"""When to look next: arithmetic on the age of a wait, so that a restarted wait goes on where it was."""

from __future__ import annotations

from dataclasses import dataclass

from .error import ConfigurationError

FIRST_SECONDS = 2.0
AGE_SHARE = 0.2
REMAINING_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How often one wait looks.

    :param limit_seconds: the longest interval; the only one where ``adaptive`` is False.
    :param adaptive: start short, grow with the age of the wait, and look more closely towards the expected end.
    """

    limit_seconds: float = 30.0
    adaptive: bool = True

    def __post_init__(self) -> None:
        if not self.limit_seconds > 0:
            raise ConfigurationError(f"poll_interval must be greater than 0 seconds, not {self.limit_seconds:g}")

    def interval(self, age: float, remaining: float | None = None) -> float:
        """Seconds until the next look, ``age`` seconds after the start of the wait.

        A fifth of the age, so that the delay of the detection stays in proportion to the task; and no more than
        half of what seems to remain, so that an end that announces itself is seen soon.
        """
        if not self.adaptive:
            return self.limit_seconds
        wanted = age * AGE_SHARE
        if remaining is not None:
            wanted = min(wanted, remaining * REMAINING_SHARE)
        return min(self.limit_seconds, max(FIRST_SECONDS, wanted))


def remaining_seconds(
    age: float, progress: float | None, elapsed: float | None = None, expected: float | None = None
) -> float | None:
    """What seems to be left of a task: by its usual duration where the remote knows it, else by its progress.

    An end that is overdue counts as far ahead as it lies behind, and 100 % say nothing: a task that is stuck there
    must not be looked at every two seconds for ever.
    """
    ran = age if elapsed is None else elapsed
    if expected:
        return abs(expected - ran)
    if progress is not None and 0 < progress < 100:
        return ran * (100 - progress) / progress
    return None


def stretch(demand: float, capacity: float) -> float:
    """The factor for all intervals where ``demand`` looks a second are more than ``capacity`` allows."""
    return max(1.0, demand / capacity) if capacity > 0 else 1.0
