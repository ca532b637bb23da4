"""The polls of a hub by their due time, without a clock and an event loop."""

from __future__ import annotations

import heapq
import itertools
from asyncio import Future
from dataclasses import dataclass, field
from enum import Enum

from airflow_provider_taskwatch.core.phase import Observation
from airflow_provider_taskwatch.core.watch import Poll

BATCH_SHARE = 0.6
"""More than one half, so that two groups that are polled in turns become one."""


class Turn(Enum):
    """The answer to a poll that brings no observation."""

    POLL_ALONE = "the wait polls its ref itself, now"


@dataclass(order=True, slots=True)
class Entry:
    """A poll on the queue, and the future for its answer.

    :param until: from then on the wait gets each observation, even without a change.
    :param answer: an observation from a list, or that it is the wait's own turn to poll.
    """

    due: float
    number: int
    until: float = field(compare=False)
    poll: Poll = field(compare=False)
    answer: Future[Observation | Turn] = field(compare=False)
    is_taken: bool = field(default=False, compare=False)

    @property
    def polls_per_second(self) -> float:
        """The demand of a wait with this interval."""
        return 1.0 / max(self.poll.after, 1.0)

    @property
    def is_over(self) -> bool:
        """Whether it was taken with a group, or answered, or its wait has ended."""
        return self.is_taken or self.answer.done()

    def joins(self, now: float) -> bool:
        """Whether it is answered by a list now, although it is not due yet."""
        return self.due - now <= self.poll.after * BATCH_SHARE

    def is_held(self, observation: Observation, again: float) -> bool:
        """Whether an observation shows no change, and the next one, at ``again``, is early enough."""
        return again <= self.until and observation.is_state_of(self.poll.known)

    def resolve(self, answer: Observation | Turn) -> None:
        """Answers the poll, unless its wait has ended."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: Exception) -> None:
        """Answers the poll with an error, unless its wait has ended."""
        if not self.answer.done():
            self.answer.set_exception(error)


class PollQueue:
    """Entries by their due time; those with one selector are taken together."""

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._by_selector: dict[str, dict[int, Entry]] = {}
        self._numbers = itertools.count()

    def add(self, due: float, poll: Poll, answer: Future[Observation | Turn]) -> Entry:
        return self._put(Entry(due, next(self._numbers), due + poll.hold, poll, answer))

    def put_back(self, entry: Entry, due: float) -> None:
        """Adds an entry that was taken once more."""
        self._put(Entry(due, next(self._numbers), entry.until, entry.poll, entry.answer))

    def _put(self, entry: Entry) -> Entry:
        heapq.heappush(self._heap, entry)
        if entry.poll.selector:
            self._by_selector.setdefault(entry.poll.selector, {})[entry.number] = entry
        return entry

    def next_due(self) -> float | None:
        """When :meth:`take` has an entry; None for an empty queue."""
        while self._heap and self._heap[0].is_over:
            over = heapq.heappop(self._heap)
            waiting = self._by_selector.get(over.poll.selector, {})  # it may have been answered before its group is due
            waiting.pop(over.number, None)
            if not waiting:
                self._by_selector.pop(over.poll.selector, None)
        return self._heap[0].due if self._heap else None

    def take(self, now: float) -> list[list[Entry]]:
        """The entries that are due, in groups that one list may answer."""
        groups = []
        while (due := self.next_due()) is not None and due <= now:
            entry = heapq.heappop(self._heap)
            groups.append(self._take_group(entry.poll.selector, now) if entry.poll.selector else [entry])
        return groups

    def _take_group(self, selector: str, now: float) -> list[Entry]:
        waiting = [one for one in self._by_selector.pop(selector).values() if not one.is_over]
        group = [one for one in waiting if one.joins(now)]
        if rest := {one.number: one for one in waiting if not one.joins(now)}:
            self._by_selector[selector] = rest
        for one in group:
            one.is_taken = True
        return group

    def clear(self) -> list[Entry]:
        """Removes and returns all entries."""
        entries, self._heap, self._by_selector = self._heap, [], {}
        return entries
