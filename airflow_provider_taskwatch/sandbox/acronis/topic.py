"""Topics of the emulated Event Manager: events in their order, what of them is kept, and offsets.

An offset is the sequence number of the last event that was read; what is delivered comes after it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow_provider_taskwatch.sandbox.answer import utc

TOPIC_PREFIX = "cti.a.p.em.topic.v1.0~"
TYPE_PREFIX = "cti.a.p.em.event.v1.0~"
TASK_TOPIC = f"{TOPIC_PREFIX}a.p.task.v1.0"
TENANT_TOPIC = f"{TOPIC_PREFIX}a.p.tenant.v1.0"

TYPES: Mapping[str, tuple[str, str]] = {
    "a.p.task.created": (TASK_TOPIC, "A task was created."),
    "a.p.task.completed": (TASK_TOPIC, "A task has ended."),
    **{
        f"a.p.tenant.{what}": (TENANT_TOPIC, f"A tenant was {what.replace('_', ' ')}.")
        for what in ("created", "updated", "enabled", "disabled", "unlocked", "undeleted", "barrier_updated")
    },
}
"""Topic and description by the type's name, without its prefix and version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One event in a topic.

    :param previous: the sequence number of the event before it.
    :param at: unix seconds, by the Event Manager's clock.
    """

    sequence: int
    previous: int
    at: float
    content: Mapping[str, Any]

    @property
    def key(self) -> tuple[Any, ...]:
        """The key of a consolidated topic, which keeps the last event of each key."""
        return tuple(self.content.get(name) for name in ("type", "tenant_id", "subject"))

    def show(self) -> dict[str, Any]:
        """The event as a poll shows it; fractions have seven to nine digits."""
        return {
            **self.content,
            "ingest_time": _time(self.at, 7 + self.sequence % 3),
            "sequence": self.sequence,
            "previous": self.previous,
        }


class Topic:
    """One topic.

    :param retention: seconds for which events are kept; None: for ever.
    :param is_consolidated: whether only the last event of each type, tenant and subject is kept.
    """

    def __init__(self, name: str, description: str, *, retention: float | None, is_consolidated: bool = False) -> None:
        self.name = name
        self.description = description
        self.retention = retention
        self.is_consolidated = is_consolidated
        self._events: list[Published] = []
        self._last: dict[tuple[Any, ...], int] = {}

    def publish(self, content: Mapping[str, Any], now: float, step: int = 1) -> None:
        """Put an event at the end.

        :param step: distance to the sequence number before it.
        """
        at = max(now, self._events[-1].at) if self._events else now
        event = Published(sequence=self.current + step, previous=self.current, at=at, content=content)
        self._events.append(event)
        self._last[event.key] = event.sequence

    def after(self, offset: int, now: float) -> Iterator[Published]:
        """The kept events after an offset."""
        first = bisect_right(self._events, offset, key=lambda event: event.sequence)
        events = self._events[max(first, self._first_kept(now)) :]
        return (event for event in events if not self.is_consolidated or self._last[event.key] == event.sequence)

    @property
    def current(self) -> int:
        """The offset after the last event."""
        return self._events[-1].sequence if self._events else 0

    def earliest(self, now: float) -> int:
        """The offset before the first kept event."""
        first = self._first_kept(now)
        return self._events[first].previous if first < len(self._events) else self.current

    def at(self, moment: float, now: float) -> int:
        """The offset of the first event at that time or later; the current one where there is none."""
        first = max(bisect_left(self._events, moment, key=lambda event: event.at), self._first_kept(now))
        return self._events[first].sequence if first < len(self._events) else self.current

    def before(self, offset: int, count: int) -> int:
        """The offset that is ``count`` events before ``offset``."""
        index = bisect_right(self._events, offset, key=lambda event: event.sequence) - count
        return self._events[index].previous if 0 <= index < len(self._events) else 0

    def show(self) -> dict[str, Any]:
        consolidation = "TTS" if self.is_consolidated else "NONE"
        return {
            "id": self.name,
            "description": self.description,
            "persistency": True,
            "ordering": "PRODUCER" if self.is_consolidated else "EVENTMANAGER",
            "producer_consolidation": "NONE",
            "archive_consolidation": consolidation,
            "retention": "INFINITE" if self.retention is None else f"PT{int(self.retention)}S",
        }

    def _first_kept(self, now: float) -> int:
        if self.retention is None:
            return 0
        return bisect_right(self._events, now - self.retention, key=lambda event: event.at)


def full_type(name: str) -> str:
    """A type's CTI, from its short name or from itself."""
    return name if name.startswith("cti.") else f"{TYPE_PREFIX}{name}.v1.0"


def topic_of(event_type: str) -> str:
    """The topic that a type belongs to; those that the vendor does not place are in that of tasks."""
    return TENANT_TOPIC if event_type.startswith(f"{TYPE_PREFIX}a.p.tenant.") else TASK_TOPIC


def time_of(seconds: float) -> str:
    """Unix seconds as the producers of events write them."""
    return _time(seconds, 7)


def _time(seconds: float, digits: int) -> str:
    whole = utc(int(seconds))
    micros = (utc(seconds) - whole) // timedelta(microseconds=1)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{micros:06d}{'769'[: digits - 6]}Z"
