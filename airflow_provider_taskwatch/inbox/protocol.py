"""What can be done with an inbox, whichever database it is in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from .checkpoint import View
from .cursor import Cursor, Horizon
from .message import Heartbeat, Lease, Message, Received, Sealed


class Inbox(Protocol):
    """The durable store of signals, events, positions of feeds, and leases. Blocking; may be used by many threads.

    Every method raises :class:`~..core.error.InboxError` where the database cannot be asked.
    """

    def add(self, messages: Sequence[Message]) -> int:
        """Store what is not there yet, all or nothing, and return how many that were."""

    def keep_newest(self, subjects: Collection[str], limit: int) -> int:
        """Delete all but the newest messages of each channel that concern these subjects, and return how many."""

    def keep_bytes(self, channel: str, limit: int) -> int:
        """Delete the oldest messages of a channel, until what the others hold is no more than that; return how many."""

    def end(self) -> Cursor:
        """A cursor for what comes from now on."""

    def horizon(self) -> Horizon:
        """Which writers may still show a number that a reader has passed: for a cursor that has holes."""

    def read(self, cursor: Cursor, subjects: Collection[str] = ()) -> list[Received]:
        """What has come since the cursor was moved last, and all that concerns these subjects, in ascending order.

        At most :data:`PAGE_MESSAGES`; where it is so many, there may be more. The caller moves the cursor.
        """

    def prune(self, before: float, limit: int) -> int:
        """Delete the oldest of what came in before a moment, and return how many; ``limit`` of them at most.

        What is gone of a channel is written down as :class:`~.checkpoint.Deletions`.
        """

    def forget_sealed(self, before: float, *, unread: bool = False) -> int:
        """Delete the sealed replies that came in before a moment and could not be read, and return how many.

        :param unread: those, too, that nobody has tried to read: their events are lost.
        """

    def append(
        self,
        channel: str,
        messages: Sequence[Message],
        *,
        lease: Lease | None = None,
        position: str | None = None,
        unsealed: int | None = None,
    ) -> int:
        """Store the events of a feed, all or nothing, and return how many were new.

        Unlike those of :meth:`add`, their numbers show up in their order: whoever has read a channel up to a number
        has missed nothing in it.

        :param lease: only while it is ours; else :class:`~..core.error.LeaseError`.
        :param position: how far the feed was read, saved along.
        :param unsealed: number of the sealed reply that held them, deleted along.
        """

    def after(self, channel: str, number: int, limit: int = ...) -> list[Received]:
        """The next messages of a channel that was read up to a number, in ascending order."""

    def page(self, channel: str, number: int) -> View:
        """What a reader that was at a number finds in a channel."""

    def newest(self) -> int:
        """The greatest number that was ever given to a message, whether it is still there or not."""

    def at(self, number: int) -> Received | None:
        """The message with a number."""

    def held(self, channel: str, number: int) -> int:
        """How many messages of a channel there are up to a number."""

    def find(self, channel: str, delivery: str) -> Received | None:
        """One message of a channel."""

    def claim(self, name: str, before: str | None, position: str, message: Message) -> bool:
        """Write a position and a message down, if the position is still what it was before; whether it was."""

    def number_before(self, channel: str, moment: float) -> int:
        """The number up to which a channel is old news for who wants what came in from a moment on.

        :param moment: seconds since the epoch.
        """

    def position(self, feed: str) -> str | None:
        """How far a feed was read."""

    def save_position(
        self, feed: str, position: str, lease: Lease | None = None, *, also: Mapping[str, str] = ...
    ) -> None:
        """Write down how far a feed was read.

        :param also: other positions, by their names.
        """

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew a lease for so long from now, by the inbox's clock; False where somebody else holds it."""

    def release(self, name: str, holder: str) -> None:
        """Give a lease back; nothing happens to somebody else's."""

    def holder(self, name: str) -> str | None:
        """Who holds a lease; None where it is free."""

    def holders(self) -> dict[str, str]:
        """Who holds which lease, by its name."""

    def keep_sealed(self, feed: str, content: bytes, received_at: float) -> int:
        """Write a sealed reply down, and return its number."""

    def sealed(self, feed: str | None = None, *, unread: bool = False) -> list[Sealed]:
        """The sealed replies of a feed, or of all, the oldest first; a page of them.

        :param unread: without those that could not be read.
        """

    def set_problem(self, number: int, problem: str) -> None:
        """Say why a sealed reply could not be read."""

    def beat(self, host: str, url: str) -> None:
        """Write down that a receiver is there."""

    def heartbeats(self) -> list[Heartbeat]:
        """The last heartbeat of each receiver, the youngest first."""

    def close(self) -> None:
        """Close all connections."""
