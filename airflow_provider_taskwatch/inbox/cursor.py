"""How far a reader has come, where numbers are given before they become visible.

A database numbers a row when it is inserted and shows it when its transaction commits, so a smaller number can show up
after a greater one. A cursor therefore remembers the numbers that it has passed without seeing them, and asks for them
again until no transaction can be so old: writers of the inbox are ended by their database after
:data:`WRITE_SECONDS`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

WRITE_SECONDS = 10
"""After so long, the database ends a writer that stands still."""
HOLE_SECONDS = 120.0
"""For so long a number that was not seen may still show up: six statements of one transaction, and what is between."""
LOOK_BACK = 256
"""How many numbers before the newest one a new cursor is unsure of, at least."""
MAX_HOLES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where a reader is.

    :param last: the greatest number that it has passed.
    :param holes: smaller ones that it has not seen, and when each was missed, in seconds of the caller's clock.
    """

    last: int = 0
    holes: tuple[tuple[int, float], ...] = ()

    @property
    def missing(self) -> list[int]:
        """The numbers to ask for again."""
        return [number for number, _ in self.holes]

    def moved(self, numbers: Collection[int], now: float) -> Cursor:
        """The cursor after a read that brought these numbers.

        :param now: seconds of a clock that does not jump.
        """
        seen = set(numbers)
        last = max(self.last, *seen) if seen else self.last
        kept = [(number, at) for number, at in self.holes if number not in seen and now - at < HOLE_SECONDS]
        passed = range(max(self.last + 1, last - MAX_HOLES), last)
        missed = [(number, now) for number in passed if number not in seen]
        return Cursor(last=last, holes=tuple([*kept, *missed][-MAX_HOLES:]))


def cursor_at(newest: int, recent: int | None = None) -> Cursor:
    """A cursor for what comes after ``newest``; what was numbered shortly before may not be visible yet.

    :param recent: the smallest number of the last :data:`HOLE_SECONDS`, if any came in.
    """
    unsure = newest - LOOK_BACK
    return Cursor(last=max(0, unsure if recent is None else min(unsure, recent - 1)))
