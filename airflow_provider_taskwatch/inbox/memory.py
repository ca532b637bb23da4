"""An inbox that lives as long as its process, for tests and for whoever has no database at hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence

from .cursor import Cursor, cursor_at
from .message import PAGE_MESSAGES, Heartbeat, Message, Received


class MemoryInbox:
    """See :class:`~.message.Inbox`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: dict[int, Message] = {}
        self._deliveries: set[tuple[str, str]] = set()
        self._newest = 0
        self._positions: dict[str, str] = {}
        self._leases: dict[str, tuple[str, float]] = {}
        self._beats: dict[tuple[str, str], float] = {}

    def add(self, messages: Sequence[Message]) -> int:
        with self._lock:
            return sum(self._add(one) for one in messages)

    def _add(self, message: Message) -> bool:
        delivery = (message.channel, message.delivery)
        if delivery in self._deliveries:
            return False
        self._deliveries.add(delivery)
        self._newest += 1
        self._messages[self._newest] = message
        return True

    def end(self) -> Cursor:
        return cursor_at(self._newest)

    def read(self, cursor: Cursor, subjects: Collection[str] = ()) -> list[Received]:
        missing, wanted = set(cursor.missing), set(subjects)
        with self._lock:
            found = [
                Received(number=number, message=one)
                for number, one in self._messages.items()
                if number > cursor.last or number in missing or one.subject in wanted
            ]
        return found[:PAGE_MESSAGES]

    def prune(self, before: float, limit: int) -> int:
        with self._lock:
            old = [number for number, one in self._messages.items() if one.received_at < before][:limit]
            for number in old:
                gone = self._messages.pop(number)
                self._deliveries.discard((gone.channel, gone.delivery))
        return len(old)

    def position(self, feed: str) -> str | None:
        return self._positions.get(feed)

    def save_position(self, feed: str, position: str) -> None:
        self._positions[feed] = position

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        now = time.monotonic()
        with self._lock:
            other, until = self._leases.get(name, (holder, 0.0))
            if other != holder and until > now:
                return False
            self._leases[name] = (holder, now + seconds)
            return True

    def release(self, name: str, holder: str) -> None:
        with self._lock:
            if self._leases.get(name, ("", 0.0))[0] == holder:
                del self._leases[name]

    def beat(self, host: str, url: str) -> None:
        with self._lock:
            self._beats.pop((host, url), None)
            self._beats[host, url] = time.monotonic()

    def heartbeats(self) -> list[Heartbeat]:
        now = time.monotonic()
        with self._lock:
            return [Heartbeat(host=host, url=url, age_seconds=now - at) for (host, url), at in self._beats.items()][
                ::-1
            ]

    def close(self) -> None:
        """Nothing is open."""
