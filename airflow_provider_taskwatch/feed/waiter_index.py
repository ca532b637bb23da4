"""Finds the waiters of an event by its content, without testing each of thousands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from airflow_provider_taskwatch.core.event_filter import SUBJECT, EventFilter, value_at
from airflow_provider_taskwatch.core.feed import Event


@dataclass(frozen=True, eq=False, slots=True)
class Waiter:
    """One wait for events.

    :param event_filter: the events that it waits for.
    :param hear: called with each event that matches.
    :param doubt: called with the reason why events may not come.
    :param fail: called with the error after which none will come.
    :param miss: called with the greatest possible number of its events that were deleted before it began.
    """

    event_filter: EventFilter
    hear: Callable[[Event], object]
    doubt: Callable[[str], object] = field(default=lambda _: None)
    fail: Callable[[Exception], object] = field(default=lambda _: None)
    miss: Callable[[int], object] = field(default=lambda _: None)


class WaiterIndex:
    """The waiters of one feed. Belongs to one event loop."""

    def __init__(self) -> None:
        self._by_key: dict[str, dict[str, dict[Waiter, int]]] = {}
        self._others: dict[Waiter, int] = {}

    def __bool__(self) -> bool:
        return bool(self._by_key or self._others)

    def __iter__(self) -> Iterator[Waiter]:
        yield from list(self._others)
        for by_value in list(self._by_key.values()):
            for group in list(by_value.values()):
                yield from list(group)

    def join(self, waiter: Waiter, after: int = 0) -> None:
        """Add a waiter for the events from now on.

        :param after: the number up to which it has received the events already.
        """
        self._group(waiter)[waiter] = after

    def leave(self, waiter: Waiter) -> None:
        """Remove a waiter, whether it has joined or not."""
        self._group(waiter).pop(waiter, None)
        if key := waiter.event_filter.index_key:
            path, value = key
            if not self._by_key[path][value]:
                del self._by_key[path][value]
            if not self._by_key[path]:
                del self._by_key[path]

    def tell(self, event: Event, number: float = math.inf) -> None:
        """Pass an event to the waiters that it matches and that have not received it.

        :param number: the event's number in its feed.
        """
        for waiter, after in [one for group in self._candidates(event) for one in group.items()]:
            if number > after and waiter.event_filter.accepts(event):
                waiter.hear(event)

    def _group(self, waiter: Waiter) -> dict[Waiter, int]:
        if waiter.event_filter.index_key is None:
            return self._others
        path, value = waiter.event_filter.index_key
        return self._by_key.setdefault(path, {}).setdefault(value, {})

    def _candidates(self, event: Event) -> Iterator[dict[Waiter, int]]:
        yield self._others
        for path, by_value in self._by_key.items():
            value = event.subject if path == SUBJECT else value_at(event.content, path)
            if value in by_value:
                yield by_value[value]
