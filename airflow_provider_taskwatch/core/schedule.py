"""When to poll next: a function of the age of the wait, so that a restarted wait keeps its rhythm."""

from __future__ import annotations

from dataclasses import dataclass

from .error import ConfigurationError

FIRST_SECONDS = 8.0
AGE_SHARE = 0.25
LIMIT_SECONDS = 30.0
FAR_SECONDS = 60.0
NEAR_SHARE = 0.8
NEAR_INTERVALS = 200


def interval(age: float, left: float | None, limit: float, far: float) -> float:
    """Seconds until the next poll, ``age`` seconds after the start of a wait.

    * The end is not known: 8 s and a quarter of the age, so that the delay stays in proportion to the task.
    * It is far, even if ``left`` is too long by half an age: until then, at most ``far`` or four ages.
    * It is near: 1.5 ``left``, so that one late poll replaces two, but no sooner than if the end were not known; at
      most 0.8 ``limit``, or ``limit`` from an age of 200 ``limit`` on, which bounds the cost of a stuck progress.

    Only a far end exceeds ``limit``. ``benchmarks/schedule.py`` compares the numbers.

    :param left: the estimated seconds until the end; None where there is no estimate.
    """
    grown = FIRST_SECONDS + AGE_SHARE * max(0.0, age)
    if left is None:
        return min(limit, grown)
    sure = left - age / 2
    if sure > limit:
        return max(limit, min(far, sure, 4 * age))
    near = NEAR_SHARE * limit if age < NEAR_INTERVALS * limit else limit
    return min(near, max(grown, 1.5 * left))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How often one wait polls.

    :param limit_seconds: the longest interval; the only one where ``adaptive`` is False.
    :param far_seconds: the longest interval while the end is far; None for ``limit_seconds``.
    :param adaptive: the interval grows with the age of the wait, and follows the progress of the task.
    :param is_own_start: the wait began with our own start, so the first poll can be later.
    """

    limit_seconds: float = LIMIT_SECONDS
    far_seconds: float | None = None
    adaptive: bool = True
    is_own_start: bool = False

    def __post_init__(self) -> None:
        if not self.limit_seconds > 0:
            raise ConfigurationError(f"poll_interval must be greater than 0 seconds, not {self.limit_seconds:g}")

    def describe(self) -> str:
        """How often it polls, for a log."""
        far = self.far_seconds or self.limit_seconds
        far_text = f", or {far:g} s while the end is far" if self.adaptive and far > self.limit_seconds else ""
        return f"{'at most ' if self.adaptive else ''}every {self.limit_seconds:g} s{far_text}"

    def first(self, age: float) -> float:
        """Seconds until the first poll of a wait that has just begun."""
        return max(0.0, self.interval(0.0) - age) if self.adaptive and self.is_own_start else 0.0

    def interval(self, age: float, left: float | None = None) -> float:
        """Seconds until the next poll; see :func:`interval`."""
        if not self.adaptive:
            return self.limit_seconds
        return interval(age, left, self.limit_seconds, self.far_seconds or self.limit_seconds)


def remaining_seconds(
    age: float, progress: float | None, elapsed: float | None = None, expected: float | None = None
) -> float | None:
    """The estimated rest of a task: by its usual duration where the remote knows it, else by its progress.

    An overdue end is 0 seconds away. A progress of 0 or 100 % gives no estimate.
    """
    ran = age if elapsed is None else elapsed
    if expected:
        return max(0.0, expected - ran)
    if progress is not None and 0 < progress < 100:
        return ran * (100 - progress) / progress
    return None


def stretch(demand: float, capacity: float) -> float:
    """The factor for all intervals where ``demand`` polls per second exceed ``capacity``."""
    return max(1.0, demand / capacity) if capacity > 0 else 1.0
