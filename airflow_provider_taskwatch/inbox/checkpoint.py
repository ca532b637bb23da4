"""How far a reader of one channel has come, and what was deleted before it was read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .message import DAY_SECONDS, Message, Received

KEPT_DAYS = 60
"""How many days of arrival keep a count of their deleted messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletions:
    """The messages of a channel that the retention has deleted.

    :param number: the greatest number among them.
    :param count: how many there are, since the channel began.
    :param at: when the latest of them arrived, in seconds since the epoch.
    :param days: how many arrived on each day, by days since the epoch.
    """

    number: int = 0
    count: int = 0
    at: float = 0.0
    days: Mapping[int, int] = field(default_factory=dict)

    def with_(self, deleted: Sequence[tuple[int, float]]) -> Deletions:
        """The value after a further deletion.

        :param deleted: the number of each message, and when it arrived, in seconds since the epoch.
        """
        days = Counter(self.days) + Counter(_day(at) for _, at in deleted)
        return Deletions(
            number=max(self.number, *(number for number, _ in deleted)),
            count=self.count + len(deleted),
            at=max(self.at, *(at for _, at in deleted)),
            days=dict(sorted(days.items())[-KEPT_DAYS:]),
        )

    def since(self, moment: float) -> int:
        """The greatest possible number that arrived after a moment: all of its day count."""
        if moment >= self.at:
            return 0
        return sum(count for day, count in self.days.items() if day >= _day(moment))

    def to_text(self) -> str:
        """The text that is stored among the positions."""
        return json.dumps({"number": self.number, "count": self.count, "at": self.at, "days": dict(self.days)})


def deletions_from(text: str | None) -> Deletions:
    """The value in a text of :meth:`Deletions.to_text`."""
    stored: Mapping[str, Any] = json.loads(text or "{}")
    days = {int(day): count for day, count in stored.get("days", {}).items()}
    return Deletions(number=stored.get("number", 0), count=stored.get("count", 0), at=stored.get("at", 0.0), days=days)


def deletions_name(channel: str) -> str:
    """The name of the position that stores a channel's deletions."""
    return f"pruned {channel}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How far a reader of a channel has read.

    :param number: the number up to which it has read.
    :param passed: how many messages the channel has had up to there; None where they were not counted.
    :param delivery: of the last message that it has read, which identifies the inbox; None where it has read none.
    :param at: when that message arrived, in seconds since the epoch.
    """

    number: int = 0
    passed: int | None = None
    delivery: str | None = None
    at: float = 0.0

    def after(self, rows: Sequence[Received], page: Page) -> tuple[Checkpoint, int]:
        """The checkpoint after some messages, and how many were deleted before they were read.

        Where ``passed`` is None, the number is an upper bound.

        :param rows: the first messages of the page.
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
        """The checkpoint with this message as the last one that was read."""
        return replace(self, delivery=message.delivery, at=message.received_at)

    def _behind(self, rows: Sequence[Received], none: Checkpoint, passed: int | None) -> Checkpoint:
        if not rows:
            return replace(none, passed=passed)
        last = rows[-1]
        return Checkpoint(number=last.number, passed=passed).at_message(last.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What an inbox returns to a reader.

    :param rows: the messages of its channel after its number.
    :param deletions: what was deleted of the channel.
    :param held: how many messages the channel still has up to the reader's number, of the same moment as ``rows`` and
        ``deletions``; counted only where a message after that number was deleted.
    :param newest: the greatest number that was ever assigned.
    :param there: the message with the reader's number, of any channel; None where there is none.
    """

    rows: Sequence[Received]
    deletions: Deletions
    newest: int
    there: Received | None
    held: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What follows a checkpoint.

    :param deletions: see :class:`View`.
    :param held: see :class:`View`.
    :param is_back: whether the inbox is older than the checkpoint: a restored backup, or a replica that lags. Then the
        messages mean nothing.
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
