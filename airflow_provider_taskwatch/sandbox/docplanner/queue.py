"""Docplanner's queue: first in, first out, what is pulled is gone, and what nobody pulls expires."""

from __future__ import annotations

from bisect import bisect_right, insort

from .notification import Notification

EXPIRY_SECONDS = 72 * 3600.0


class Queue:
    """The notifications that nobody has pulled."""

    def __init__(self) -> None:
        self._waiting: list[Notification] = []

    def put(self, one: Notification) -> None:
        """Queue one; before its ``created_at`` nobody sees it."""
        insort(self._waiting, one, key=_created)

    def take(self, limit: int, now: float) -> list[Notification]:
        """The earliest ones. They are gone from now on."""
        expired = bisect_right(self._waiting, now - EXPIRY_SECONDS, key=_created)
        until = min(expired + limit, bisect_right(self._waiting, now, key=_created))
        taken, self._waiting = self._waiting[expired:until], self._waiting[until:]
        return taken

    def remaining(self, now: float) -> int:
        """How many could be pulled."""
        expired = bisect_right(self._waiting, now - EXPIRY_SECONDS, key=_created)
        return bisect_right(self._waiting, now, key=_created) - expired


def _created(one: Notification) -> float:
    return one.created_at
