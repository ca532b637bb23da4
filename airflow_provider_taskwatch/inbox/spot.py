"""How far a reader of a channel has come, and what was deleted before it came."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .message import Inbox, Received

DAY_SECONDS = 86_400.0
KEPT_DAYS = 60
"""For so many days of arrival it is remembered how much was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
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

    def with_(self, deleted: Sequence[tuple[int, float]]) -> Gone:
        """What is gone after a further deletion.

        :param deleted: the number of each message, and when it came in, in seconds since the epoch.
        """
        days = Counter(self.days) + Counter(_day(at) for _, at in deleted)
        return Gone(
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


def gone_from(text: str | None) -> Gone:
    """What :meth:`Gone.to_text` has written."""
    told: Mapping[str, Any] = json.loads(text or "{}")
    days = {int(day): count for day, count in told.get("days", {}).items()}
    return Gone(number=told.get("number", 0), count=told.get("count", 0), at=told.get("at", 0.0), days=days)


def gone_name(channel: str) -> str:
    """Of the position that says what is gone of a channel."""
    return f"pruned {channel}"


def gone_of(inbox: Inbox, channel: str) -> Gone:
    """What is gone of a channel."""
    return gone_from(inbox.position(gone_name(channel)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where a reader of a channel is.

    :param number: up to which it has read.
    :param passed: how many messages the channel has had up to there; None where nobody has counted.
    """

    number: int = 0
    passed: int | None = None

    def after(self, numbers: Sequence[int], gone: Gone) -> tuple[Spot, int]:
        """The spot behind some messages, and how many were deleted before they could be read.

        Where nobody has counted, it is so many at most.

        :param numbers: of the messages, which were read before ``gone`` was.
        """
        last = numbers[-1] if numbers else self.number
        if gone.number <= self.number:
            passed = None if self.passed is None else self.passed + len(numbers)
            return Spot(number=last, passed=passed), 0
        seen = sum(number <= gone.number for number in numbers)
        lost = max(0, gone.count - (self.passed or 0) - seen)
        reached = last if numbers else gone.number
        return Spot(number=reached, passed=gone.count + len(numbers) - seen), lost


def spot_at(inbox: Inbox, channel: str, number: int) -> Spot:
    """The spot of a reader that begins after a number."""
    while True:
        gone = gone_of(inbox, channel)
        passed = gone.count + inbox.held(channel, number)
        if gone_of(inbox, channel) == gone:
            return Spot(number=number, passed=passed)


def read_page(inbox: Inbox, channel: str, spot: Spot) -> tuple[list[Received], Gone]:
    """What comes after a spot, and then what is gone: what is deleted between the two counts as seen."""
    return inbox.after(channel, spot.number), gone_of(inbox, channel)


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
