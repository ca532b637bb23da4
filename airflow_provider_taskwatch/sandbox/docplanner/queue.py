"""Docplanner's queue: first in, first out. A pull deletes what it returns; the rest expires."""

from __future__ import annotations

from bisect import bisect_right, insort

from .notification import Notification

EXPIRY_SECONDS = 72 * 3600.0


class Queue:
    """The notifications that were not pulled yet."""

    def __init__(self) -> None:
        self._waiting: list[Notification] = []

    def put(self, one: Notification) -> None:
        """Queue a notification; it is hidden until its ``created_at``."""
        insort(self._waiting, one, key=_created)

    def take(self, limit: int, now: float) -> list[Notification]:
        """Remove and return the earliest ones."""
        expired = bisect_right(self._waiting, now - EXPIRY_SECONDS, key=_created)
        until = min(expired + limit, bisect_right(self._waiting, now, key=_created))
        taken, self._waiting = self._waiting[expired:until], self._waiting[until:]
        return taken

    def remaining(self, now: float) -> int:
        """How many notifications can be pulled."""
        expired = bisect_right(self._waiting, now - EXPIRY_SECONDS, key=_created)
        return bisect_right(self._waiting, now, key=_created) - expired


def _created(one: Notification) -> float:
    return one.created_at
