"""Whether watches are read by lists or one by one: lists may be refused, or fail where single reads do not."""

from __future__ import annotations

SINGLY_SECONDS = 300.0
"""How long lists that were refused are left out."""
FAILURES = 3
FAILED_SECONDS = 60.0
"""How long a list is left out that has failed several times in a row: one of those in it may be the reason."""


class Lists:
    """The lists of one connection, by their selectors; without a clock."""

    def __init__(self) -> None:
        self._refused_until = 0.0
        self._failures: dict[str, int] = {}
        self._failed_until: dict[str, float] = {}

    def is_usable(self, selector: str, now: float) -> bool:
        """Whether those with this selector may be read together."""
        return now >= self._refused_until and now >= self._failed_until.get(selector, 0.0)

    def refused(self, now: float) -> bool:
        """Leave out all lists for a while; whether this is the first time."""
        was, self._refused_until = self._refused_until, now + SINGLY_SECONDS
        return not was

    def failed(self, selector: str, now: float) -> bool:
        """Count a failure; whether the list is left out for a while because of it."""
        self._failures[selector] = self._failures.get(selector, 0) + 1
        if self._failures[selector] < FAILURES:
            return False
        del self._failures[selector]
        self._failed_until[selector] = now + FAILED_SECONDS
        return True

    def worked(self, selector: str) -> None:
        """Forget the failures of a list."""
        self._failures.pop(selector, None)
        self._failed_until.pop(selector, None)
