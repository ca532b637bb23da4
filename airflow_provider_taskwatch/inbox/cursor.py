"""How far a reader has come, where numbers are given before they become visible.

A database numbers a row when it is inserted and shows it when its transaction commits, so a smaller number can show up
after a greater one. A cursor therefore remembers the numbers that it has passed without seeing them, and asks for them
again until the database says that each transaction which may hold them has ended. No clock is involved: a commit may
take minutes, where a disk or a standby stands still.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

MAX_HOLES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """Which transactions of a database may still show something. Transactions are numbered as they begin.

    :param ended: each transaction below this number has ended.
    :param begun: each transaction that has begun is below this number.
    """

    ended: int
    begun: int

    @property
    def is_clear(self) -> bool:
        """Whether all transactions that have begun have ended."""
        return self.ended >= self.begun


CLEAR = Horizon(ended=0, begun=0)
"""Of a database whose writers take turns: a number that is not visible never will be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where a reader is.

    :param last: the greatest number that it has passed.
    :param holes: smaller ones that it has not seen, each with the number of a transaction: once all below it have
        ended, the hole stays one. None where that number is not known yet.
    """

    last: int = 0
    holes: tuple[tuple[int, int | None], ...] = ()

    @property
    def missing(self) -> list[int]:
        """The numbers to ask for again."""
        return [number for number, _ in self.holes]

    def moved(self, numbers: Collection[int], horizon: Horizon | None = None) -> Cursor:
        """The cursor after a read that brought these numbers.

        :param horizon: of the database, asked for before that read and after the one before; None where it was not, or
            where the read had a limit, and may not have brought all that is visible.
        """
        seen = set(numbers)
        last = max(self.last, *seen) if seen else self.last
        kept = [hole for hole in self._open(horizon) if hole[0] not in seen]
        passed = range(max(self.last + 1, last - MAX_HOLES), last)
        return Cursor(last=last, holes=tuple([*kept, *_holes(passed, seen)][-MAX_HOLES:]))

    def _open(self, horizon: Horizon | None) -> list[tuple[int, int | None]]:
        """The holes that may still be filled. Whoever can fill one had begun before it was passed.

        Transactions are numbered anew in a database that was restored; what ran in the former one has ended.
        """
        if horizon is None:
            return list(self.holes)
        begun = horizon.begun
        until = [(number, begun if mark is None else min(mark, begun)) for number, mark in self.holes]
        return [(number, mark) for number, mark in until if horizon.ended < mark]


def cursor_at(newest: int, recent: Collection[int] = (), horizon: Horizon = CLEAR) -> Cursor:
    """A cursor for what comes after ``newest``, and for what has a smaller number and is not visible yet.

    :param recent: the visible ones of the last :data:`MAX_HOLES` numbers, read at the same moment as the horizon.
    """
    if horizon.is_clear:
        return Cursor(last=newest)
    return Cursor(last=newest, holes=_holes(range(max(1, newest - MAX_HOLES + 1), newest), recent))


def _holes(numbers: range, seen: Collection[int]) -> tuple[tuple[int, None], ...]:
    visible = set(seen)
    return tuple((number, None) for number in numbers if number not in visible)
