"""The cursor of a reader of all channels, where numbers are assigned before they become visible.

A database numbers a row at its insertion and shows it at the commit of its transaction, so a smaller number can become
visible after a greater one. A cursor therefore remembers the numbers that it has passed without seeing them (holes),
and asks for them again until the database says that every transaction which may hold them has ended. It uses no clock:
a commit may take minutes while a disk or a standby is stalled.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

MAX_HOLES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """The running transactions of a database. Transactions are numbered as they begin.

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
"""The horizon of a database whose writers take turns: a number that is not visible never becomes visible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a reader has come.

    :param last: the greatest number that it has passed.
    :param holes: smaller numbers that it has not seen, each with the number of a transaction: once all transactions
        below that have ended, the hole is never filled. None where that number is not known yet.
    """

    last: int = 0
    holes: tuple[tuple[int, int | None], ...] = ()

    @property
    def missing(self) -> list[int]:
        """The numbers to ask for again."""
        return [number for number, _ in self.holes]

    def moved(self, numbers: Collection[int], horizon: Horizon | None = None) -> Cursor:
        """The cursor after a read that brought these numbers.

        :param horizon: the database's, read between the last read and this one. None if it was not read, or if
            this read was limited and may not have returned all that is visible.
        """
        seen = set(numbers)
        last = max(self.last, *seen) if seen else self.last
        kept = [hole for hole in self._open(horizon) if hole[0] not in seen]
        passed = range(max(self.last + 1, last - MAX_HOLES), last)
        return Cursor(last=last, holes=tuple([*kept, *_holes(passed, seen)][-MAX_HOLES:]))

    def _open(self, horizon: Horizon | None) -> list[tuple[int, int | None]]:
        """The holes that may still be filled. A transaction that can fill one began before the hole was passed.

        A restored database numbers transactions anew; the transactions of the former one have ended.
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
