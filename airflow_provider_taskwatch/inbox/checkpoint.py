"""How far a reader of a channel has come, and what was deleted before it came."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .message import DAY_SECONDS, Message, Received

KEPT_DAYS = 60
"""For so many days of arrival it is remembered how much was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletions:
    """What was deleted of a channel, as its time was over.

    :param number: the greatest that was deleted.
    :param count: how many were, since the channel began.
    :param at: when the latest of them had come in, in seconds since the epoch.
    :param days: how many of them by the day on which they came in, in days since the epoch.
    """

    number: int = 0
    count: int = 0
    at: float = 0.0
    days: Mapping[int, int] = field(default_factory=dict)

    def with_(self, deleted: Sequence[tuple[int, float]]) -> Deletions:
        """What is gone after a further deletion.

        :param deleted: the number of each message, and when it came in, in seconds since the epoch.
        """
        days = Counter(self.days) + Counter(_day(at) for _, at in deleted)
        return Deletions(
            number=max(self.number, *(number for number, _ in deleted)),
            count=self.count + len(deleted),
            at=max(self.at, *(at for _, at in deleted)),
            days=dict(sorted(days.items())[-KEPT_DAYS:]),
        )

    def since(self, moment: float) -> int:
        """How many came in after a moment, at most: those of its day count as such."""
        if moment >= self.at:
            return 0
        return sum(count for day, count in self.days.items() if day >= _day(moment))

    def to_text(self) -> str:
        """As it is kept among the positions."""
        return json.dumps({"number": self.number, "count": self.count, "at": self.at, "days": dict(self.days)})


def deletions_from(text: str | None) -> Deletions:
    """What :meth:`Deletions.to_text` has written."""
    told: Mapping[str, Any] = json.loads(text or "{}")
    days = {int(day): count for day, count in told.get("days", {}).items()}
    return Deletions(number=told.get("number", 0), count=told.get("count", 0), at=told.get("at", 0.0), days=days)


def deletions_name(channel: str) -> str:
    """Of the position that says what is gone of a channel."""
    return f"pruned {channel}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a reader of a channel is.

    :param number: up to which it has read.
    :param passed: how many messages the channel has had up to there; None where nobody has counted.
    :param delivery: of the last message that it has read, by which it knows its inbox again; None where it has none.
    :param at: when that one came in, in seconds since the epoch.
    """

    number: int = 0
    passed: int | None = None
    delivery: str | None = None
    at: float = 0.0

    def after(self, rows: Sequence[Received], page: Page) -> tuple[Checkpoint, int]:
        """The spot behind some messages, and how many were deleted before they could be read.

        Where nobody has counted, it is so many at most.

        :param rows: the first ones of the page.
        """
        deletions = page.deletions
        if deletions.number <= self.number:
            passed = None if self.passed is None else self.passed + len(rows)
            return self._behind(rows, self, passed), 0
        lost = max(0, deletions.count - (0 if self.passed is None else self.passed - page.held))
        before_rows = page.rows[0].number - 1 if page.rows else deletions.number
        none = replace(self, number=max(self.number, min(deletions.number, before_rows)), delivery=None)
        return self._behind(rows, none, deletions.count + page.held + len(rows)), lost

    def at_message(self, message: Message) -> Checkpoint:
        """The spot, where this is the last message that was read."""
        return replace(self, delivery=message.delivery, at=message.received_at)

    def _behind(self, rows: Sequence[Received], none: Checkpoint, passed: int | None) -> Checkpoint:
        if not rows:
            return replace(none, passed=passed)
        last = rows[-1]
        return Checkpoint(number=last.number, passed=passed).at_message(last.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a reader finds.

    :param rows: the messages of its channel after its number.
    :param deletions: what is gone of the channel.
    :param held: how many messages the channel still has up to that number, of the same moment as these two; only
        counted where something beyond the number is gone.
    :param newest: the greatest number that was ever given.
    :param there: the message at its number, of whichever channel; None where there is none.
    """

    rows: Sequence[Received]
    deletions: Deletions
    newest: int
    there: Received | None
    held: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What comes after a spot.

    :param deletions: see :class:`View`.
    :param held: see :class:`View`.
    :param is_back: that the inbox is not the one that was read up to the spot: a backup was restored, or a replica has
        not come so far. Then the messages mean nothing.
    """

    rows: Sequence[Received]
    deletions: Deletions
    is_back: bool
    held: int = 0


def by_channel(deleted: Iterable[tuple[str, int, float]]) -> dict[str, list[tuple[int, float]]]:
    """Deleted messages by their channel.

    :param deleted: channel, number and time of arrival of each.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    for channel, number, at in deleted:
        found.setdefault(channel, []).append((number, at))
    return found


def _day(moment: float) -> int:
    return int(moment // DAY_SECONDS)
