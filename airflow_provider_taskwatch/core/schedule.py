"""When to look next: arithmetic on the age of a wait, so that a restarted wait goes on where it was."""

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
    """Seconds until the next look, ``age`` seconds after the start of a wait whose end seems to be ``left`` away.

    * The end is not announced: 8 s and a quarter of the age, so that the delay stays in proportion to the task.
    * It is far, even if the rest takes half an age less than it seems: until then, at most ``far`` or four ages.
    * It is near: half as long again as is left, rather late than twice, but no sooner than if it were not announced;
      at most 0.8 ``limit``. From an age of 200 ``limit`` on the whole, which bounds what a stuck progress may cost.

    Only a far end is not held to ``limit``. ``benchmarks/schedule.py`` weighs the numbers.
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
    """How often one wait looks.

    :param limit_seconds: the longest interval; the only one where ``adaptive`` is False.
    :param far_seconds: the longest one while the remote says that the end is far; None for ``limit_seconds``.
    :param adaptive: grow with the age of the wait, and heed what the remote says of its progress.
    :param is_own_start: the wait began with our own start, so that there is nothing to see at once.
    """

    limit_seconds: float = LIMIT_SECONDS
    far_seconds: float | None = None
    adaptive: bool = True
    is_own_start: bool = False

    def __post_init__(self) -> None:
        if not self.limit_seconds > 0:
            raise ConfigurationError(f"poll_interval must be greater than 0 seconds, not {self.limit_seconds:g}")

    def describe(self) -> str:
        """How often it looks, for people."""
        far = self.far_seconds or self.limit_seconds
        far_words = f", or {far:g} s while the end is far" if self.adaptive and far > self.limit_seconds else ""
        return f"{'at most ' if self.adaptive else ''}every {self.limit_seconds:g} s{far_words}"

    def first(self, age: float) -> float:
        """Seconds until the first look of a wait that has just begun."""
        return max(0.0, self.interval(0.0) - age) if self.adaptive and self.is_own_start else 0.0

    def interval(self, age: float, left: float | None = None) -> float:
        """Seconds until the next look; see :func:`interval`."""
        if not self.adaptive:
            return self.limit_seconds
        return interval(age, left, self.limit_seconds, self.far_seconds or self.limit_seconds)


def remaining_seconds(
    age: float, progress: float | None, elapsed: float | None = None, expected: float | None = None
) -> float | None:
    """What seems to be left of a task: by its usual duration where the remote knows it, else by its progress.

    Of an end that is overdue nothing is left. 0 and 100 % say nothing.
    """
    ran = age if elapsed is None else elapsed
    if expected:
        return max(0.0, expected - ran)
    if progress is not None and 0 < progress < 100:
        return ran * (100 - progress) / progress
    return None


def stretch(demand: float, capacity: float) -> float:
    """The factor for all intervals where ``demand`` looks a second are more than ``capacity`` allows."""
    return max(1.0, demand / capacity) if capacity > 0 else 1.0
