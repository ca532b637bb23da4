"""Who is due, and together with whom: the schedule of a hub, without clock or loop."""

from __future__ import annotations

import heapq
import itertools
from asyncio import Future
from dataclasses import dataclass, field

from airflow_provider_taskwatch.core.phase import Observation
from airflow_provider_taskwatch.core.watch import Poll

BATCH_SHARE = 0.6
"""More than a half, so that two groups that look in turns become one."""


@dataclass(order=True, slots=True)
class Entry:
    """One look that waits for its turn, and where its answer goes.

    :param until: when its watch wants to hear of a shared reading, even of one that says nothing new.
    :param answer: a shared reading, or None: look yourself.
    """

    due: float
    number: int
    until: float = field(compare=False)
    poll: Poll = field(compare=False)
    answer: Future[Observation | None] = field(compare=False)
    is_taken: bool = field(default=False, compare=False)

    @property
    def load(self) -> float:
        """Polls a second that it stands for."""
        return 1.0 / max(self.poll.after, 1.0)

    def can_wait(self, seen: Observation, again: float) -> bool:
        """Whether a shared reading says nothing new, and need not be told before the next one, at ``again``."""
        return again <= self.until and seen.says_as_much_as(self.poll.known)

    def joins(self, now: float) -> bool:
        """Whether a shared read now is worth more than the rest of its time."""
        return self.due - now <= self.poll.after * BATCH_SHARE


class PollQueue:
    """Entries by their due time; those with a selector are taken together."""

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._by_selector: dict[str, dict[int, Entry]] = {}
        self._numbers = itertools.count()

    def add(self, due: float, poll: Poll, answer: Future[Observation | None]) -> Entry:
        return self._put(Entry(due, next(self._numbers), due + poll.hold, poll, answer))

    def put_back(self, entry: Entry, due: float) -> None:
        """Let an entry that was taken have another turn."""
        self._put(Entry(due, next(self._numbers), entry.until, entry.poll, entry.answer))

    def _put(self, entry: Entry) -> Entry:
        heapq.heappush(self._heap, entry)
        if entry.poll.selector:
            self._by_selector.setdefault(entry.poll.selector, {})[entry.number] = entry
        return entry

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept at all."""
        return not self._heap and not self._by_selector

    def next_due(self) -> float | None:
        """When :meth:`take` has something to give; None for an empty agenda."""
        while self._heap and self._is_over(self._heap[0]):
            self._forget(heapq.heappop(self._heap))
        return self._heap[0].due if self._heap else None

    def take(self, now: float) -> list[list[Entry]]:
        """What is due, in groups that one read may serve."""
        groups = []
        while (due := self.next_due()) is not None and due <= now:
            entry = heapq.heappop(self._heap)
            groups.append(self._take_along(entry, now) if entry.poll.selector else [entry])
        return groups

    def clear(self) -> list[Entry]:
        """Give up everything."""
        entries, self._heap, self._by_selector = self._heap, [], {}
        return entries

    def _forget(self, entry: Entry) -> None:
        """It may have been answered otherwise, long before anybody with its selector is due."""
        waiting = self._by_selector.get(entry.poll.selector, {})
        waiting.pop(entry.number, None)
        if not waiting:
            self._by_selector.pop(entry.poll.selector, None)

    def _take_along(self, first: Entry, now: float) -> list[Entry]:
        waiting = self._by_selector.pop(first.poll.selector)
        group = [one for one in waiting.values() if one.joins(now) and not one.answer.done()]
        rest = {number: one for number, one in waiting.items() if not (one.joins(now) or one.answer.done())}
        if rest:
            self._by_selector[first.poll.selector] = rest
        for one in group:
            one.is_taken = True
        return group

    @staticmethod
    def _is_over(entry: Entry) -> bool:
        """Taken along by another, or its watch is gone."""
        return entry.is_taken or entry.answer.done()
