"""What a wait writes into the log of its task: changes of a reading, and failures that last."""

from __future__ import annotations

from .error import TaskWatchError
from .judge import NOT_FOUND_YET
from .phase import Observation, Phase
from .watch import Poll

STEP_PERCENT = 10.0
"""Progress is logged in such steps: a line costs more than a poll."""
AGAIN_SECONDS, AGAIN_LIMIT_SECONDS = 60.0, 3600.0
"""The same trouble is told again after so long, then at pauses twice as long each, up to the limit."""
FEW_TROUBLES, FEW_NEWS = 4, 20
"""So many lines of a kind are told, then the 32nd, the 64th and so on: a remote may change its words at each poll."""


class ChangeLog:
    """What a watch tells its task's log: changes, not polls, and of progress every tenth."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._seen: Observation | None = None
        self._trouble = ""
        self._is_told = False
        """Whether the present trouble was told; so is its end then."""
        self._troubles = 0
        self._news = 0
        self._lasting = 0.0
        """For how many seconds the present trouble has lasted: the sum of the announced pauses."""
        self._told_at = 0.0
        self._after = 0.0

    def line(self, told: Observation | TaskWatchError, then: Poll | None = None) -> str | None:
        """A line for a reading or an error that differs from the one before.

        :param then: the look that follows, None where there is none.
        """
        if isinstance(told, Observation):
            return self._of_reading(told, None if then is None else then.patience)
        return self._of_trouble(told, then) if told.transient else str(told)

    def _of_trouble(self, error: TaskWatchError, then: Poll | None) -> str | None:
        line = f"still waiting: {error}{_patience(error)}"
        is_same = line == self._trouble
        self._lasting = self._lasting + self._after if is_same else 0.0
        self._after = 0.0 if then is None else then.after
        if is_same and self._is_told:
            return self._again(line, then)
        self._troubles += 1
        self._trouble, self._is_told, self._told_at = line, _is_due(self._troubles, FEW_TROUBLES), self._lasting
        if not self._is_told:
            return None
        few = self._troubles <= FEW_TROUBLES
        return _with_end(line if few else f"{line} (such a line is due for the {self._troubles}th time)", then)

    def _again(self, line: str, then: Poll | None) -> str | None:
        """The line of a trouble that was told and lasts, where its next turn has come."""
        if self._lasting - self._told_at < min(AGAIN_LIMIT_SECONDS, max(AGAIN_SECONDS, self._told_at)):
            return None
        self._told_at = self._lasting
        return _with_end(f"{line} (for {self._lasting:.0f} s by now)", then)

    def _of_reading(self, seen: Observation, patience: float | None) -> str | None:
        was_in_trouble, self._trouble, self._is_told = self._is_told, "", False
        if self._seen is not None and not was_in_trouble and not self._is_due(self._seen, seen):
            return None
        self._seen = seen.brief()
        if patience is None:
            return f"{self._noun} {seen.ref}: {seen.describe()}"
        if seen.phase is Phase.LOST or seen.message == NOT_FOUND_YET:
            return f"{self._noun} {seen.ref} is not found yet; it may appear within another {patience:.0f} s"
        return f"{self._noun} {seen.ref}: {seen.describe()}; it may stay so for another {patience:.0f} s"

    def _is_due(self, before: Observation, seen: Observation) -> bool:
        if (seen.phase, seen.ref) != (before.phase, before.ref):
            return True
        self._news += _is_news(before, seen)
        return _is_news(before, seen) and _is_due(self._news, FEW_NEWS)


def _is_due(number: int, few: int) -> bool:
    """Whether a line is told that is due for so many times."""
    return number <= few or not number & (number - 1)


def _with_end(line: str, then: Poll | None) -> str:
    """The line with when the next poll is, and when the wait ends."""
    if then is None:
        return line
    left = "without a deadline" if then.patience is None else f"with {then.patience:.0f} s left until the deadline"
    return f"{line}; the next poll is in {then.after:.0f} s, {left}"


def _patience(error: TaskWatchError) -> str:
    """How long an error is lived through, where that is less than the whole wait."""
    if error.patience is None:
        return ""
    return f"; given up {error.patience:g} s after the first such failure, unless the remote was reached before"


def _is_news(before: Observation, seen: Observation) -> bool:
    """Whether a reading is worth a line after the one that was told last."""
    was, now = before.progress, seen.progress
    if was is None or now is None or abs(now - was) >= STEP_PERCENT or seen.phase.is_final:
        return not seen.says_as_much_as(before)
    return (seen.phase, seen.status, seen.message, seen.ref) != (
        before.phase,
        before.status,
        before.message,
        before.ref,
    )
