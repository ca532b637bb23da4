"""Who waits for which events of one feed: found by what an event says, without asking each of thousands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from airflow_provider_taskwatch.core.event_filter import SUBJECT, EventFilter, value_at
from airflow_provider_taskwatch.core.feed import Event


@dataclass(frozen=True, eq=False, slots=True)
class Waiter:
    """One who waits.

    :param hear: told each event that is wanted.
    :param doubt: told what may keep events from coming.
    :param fail: told why none will come.
    :param miss: told how many, at most, were deleted that came in since he wants them.
    """

    want: EventFilter
    hear: Callable[[Event], object]
    doubt: Callable[[str], object] = field(default=lambda _: None)
    fail: Callable[[Exception], object] = field(default=lambda _: None)
    miss: Callable[[int], object] = field(default=lambda _: None)


class WaiterIndex:
    """The waiters of one feed. Lives in one event loop."""

    def __init__(self) -> None:
        self._by_clue: dict[str, dict[str, dict[Waiter, int]]] = {}
        self._others: dict[Waiter, int] = {}

    def __bool__(self) -> bool:
        return bool(self._by_clue or self._others)

    def __iter__(self) -> Iterator[Waiter]:
        yield from list(self._others)
        for by_value in list(self._by_clue.values()):
            for group in list(by_value.values()):
                yield from list(group)

    def join(self, waiter: Waiter, after: int = 0) -> None:
        """Let somebody hear of what comes from now on.

        :param after: up to this number of the feed he has heard of everything.
        """
        self._group(waiter)[waiter] = after

    def leave(self, waiter: Waiter) -> None:
        """Forget somebody, whether he has joined or not."""
        self._group(waiter).pop(waiter, None)
        if clue := waiter.want.index_key:
            path, value = clue
            if not self._by_clue[path][value]:
                del self._by_clue[path][value]
            if not self._by_clue[path]:
                del self._by_clue[path]

    def tell(self, event: Event, number: float = math.inf) -> None:
        """Tell an event to all who want it and have not heard of it.

        :param number: of the event in its feed.
        """
        for waiter, after in [one for group in self._concerned(event) for one in group.items()]:
            if number > after and waiter.want.accepts(event):
                waiter.hear(event)

    def _group(self, waiter: Waiter) -> dict[Waiter, int]:
        if waiter.want.index_key is None:
            return self._others
        path, value = waiter.want.index_key
        return self._by_clue.setdefault(path, {}).setdefault(value, {})

    def _concerned(self, event: Event) -> Iterator[dict[Waiter, int]]:
        yield self._others
        for path, by_value in self._by_clue.items():
            value = event.subject if path == SUBJECT else value_at(event.content, path)
            if value in by_value:
                yield by_value[value]
