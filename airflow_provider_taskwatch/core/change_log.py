"""The lines of a wait in the log of its task: changes of the observation, and failures that last."""

from __future__ import annotations

from .error import TaskWatchError
from .judge import NOT_FOUND_YET
from .phase import Observation, Phase
from .text import shown_ref
from .watch import Poll

STEP_PERCENT = 10.0
"""Progress is logged in these steps, because a line costs more than a poll."""
REPEAT_SECONDS, REPEAT_LIMIT_SECONDS = 60.0, 3600.0
"""A failure that lasts is logged again after the first, then at twice the time, up to the second."""
LOGGED_FAILURES, LOGGED_CHANGES = 4, 20
"""All are logged up to these numbers, then the 32nd, the 64th and so on: a remote may change its words at each poll."""


class ChangeLog:
    """Decides which poll results are logged.

    :param noun: the remote's word for a task.
    """

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._logged: Observation | None = None
        self._changes = 0
        self._failure = ""
        self._is_failure_logged = False
        self._failures = 0
        self._failing_seconds = 0.0
        self._failure_logged_at = 0.0
        self._next_after = 0.0

    def line(self, content: Observation | TaskWatchError, then: Poll | None = None) -> str | None:
        """The line for the result of a poll; None where it is not logged.

        :param then: the next poll; None where there is none.
        """
        if isinstance(content, Observation):
            return self._line_of_observation(content, None if then is None else then.patience)
        return self._line_of_failure(content, then) if content.transient else str(content)

    def _line_of_observation(self, observation: Observation, patience: float | None) -> str | None:
        was_failing, self._failure, self._is_failure_logged = self._is_failure_logged, "", False
        if self._logged is not None and not was_failing and not self._is_logged_change(self._logged, observation):
            return None
        self._logged = observation.brief()
        task = f"{self._noun} {shown_ref(observation.ref)}"
        if patience is None:
            return f"{task}: {observation.describe()}"
        if observation.phase is Phase.LOST or observation.message == NOT_FOUND_YET:
            return f"{task} is not found yet; the wait fails if it is not found within {patience:.0f} s"
        return f"{task}: {observation.describe()}; the wait fails if this does not change within {patience:.0f} s"

    def _is_logged_change(self, before: Observation, now: Observation) -> bool:
        if (now.phase, now.ref) != (before.phase, before.ref):
            return True
        if not _is_change(before, now):
            return False
        self._changes += 1
        return _is_logged(self._changes, LOGGED_CHANGES)

    def _line_of_failure(self, error: TaskWatchError, then: Poll | None) -> str | None:
        line = f"still waiting: {error}"
        if error.patience is not None:
            line += (
                f"; given up {error.patience:g} s after the first such failure, unless the remote was reached before"
            )
        is_same = line == self._failure
        self._failing_seconds = self._failing_seconds + self._next_after if is_same else 0.0
        self._next_after = 0.0 if then is None else then.after
        if is_same and self._is_failure_logged:
            return self._line_of_lasting_failure(line, then)
        self._failures += 1
        self._failure, self._failure_logged_at = line, self._failing_seconds
        self._is_failure_logged = _is_logged(self._failures, LOGGED_FAILURES)
        if not self._is_failure_logged:
            return None
        if self._failures > LOGGED_FAILURES:
            line += f" (failure {self._failures} of this wait; only some are logged)"
        return _with_next(line, then)

    def _line_of_lasting_failure(self, line: str, then: Poll | None) -> str | None:
        pause = min(REPEAT_LIMIT_SECONDS, max(REPEAT_SECONDS, self._failure_logged_at))
        if self._failing_seconds - self._failure_logged_at < pause:
            return None
        self._failure_logged_at = self._failing_seconds
        return _with_next(f"{line} (for {self._failing_seconds:.0f} s by now)", then)


def _is_change(before: Observation, now: Observation) -> bool:
    """Whether the state has changed, or the progress by a step."""
    if (now.status, now.message) != (before.status, before.message):
        return True
    if before.progress is None or now.progress is None or now.phase.is_final:
        return now.progress != before.progress
    return abs(now.progress - before.progress) >= STEP_PERCENT


def _is_logged(number: int, limit: int) -> bool:
    """Up to a limit all are logged, then each whose number is a power of two."""
    return number <= limit or not number & (number - 1)


def _with_next(line: str, then: Poll | None) -> str:
    """The line with when the next poll is, and when the wait ends."""
    if then is None:
        return line
    left = "without a deadline" if then.patience is None else f"with {then.patience:.0f} s left until the deadline"
    return f"{line}; the next poll is in {then.after:.0f} s, {left}"
