"""The operations of an inbox, whichever database it is in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from .checkpoint import View
from .cursor import Cursor, Horizon
from .message import Heartbeat, Lease, Message, Received, Sealed
from .task_state import TaskKey


class Inbox(Protocol):
    """The durable store of callbacks, events, positions of feeds, and leases. Blocking; threads may share it.

    Every method raises :class:`~..core.error.InboxError` where the database does not answer.
    """

    def add(self, messages: Sequence[Message]) -> int:
        """Store the messages that are new, all or nothing, and return how many were."""

    def keep_newest(self, subjects: Collection[str], limit: int) -> int:
        """Delete all but the newest ``limit`` messages of each subject; return how many were deleted."""

    def keep_bytes(self, channel: str, limit: int) -> int:
        """Delete the oldest messages of a channel until the others hold ``limit`` bytes; return how many."""

    def end(self) -> Cursor:
        """A cursor for the messages from now on."""

    def horizon(self) -> Horizon:
        """The running writers, which may still fill the holes of a cursor."""

    def read(self, cursor: Cursor, subjects: Collection[str] = ()) -> list[Received]:
        """The messages since the cursor, and all of these subjects, in ascending order.

        At most :data:`~.message.PAGE_MESSAGES`; a full page may have a successor. The caller moves the cursor.
        """

    def prune(self, before: float, limit: int) -> int:
        """Delete the oldest ``limit`` messages that arrived before a moment; return how many were deleted.

        The deletions of each channel are stored as :class:`~.checkpoint.Deletions`.
        """

    def forget_sealed(self, before: float, *, unread: bool = False) -> int:
        """Delete sealed replies that arrived before a moment and could not be read; return how many were deleted.

        :param unread: include replies that no reader has tried yet: their events are lost.
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

        Unlike those of :meth:`add`, their numbers become visible in their order: a reader of the channel up to a number
        has missed nothing before it.

        :param lease: the writer's lease; :class:`~..core.error.LeaseError` where another process holds it.
        :param position: how far the feed was read; stored in the same transaction.
        :param unsealed: number of the sealed reply that held the events; deleted in the same transaction.
        """

    def after(self, channel: str, number: int, limit: int = ...) -> list[Received]:
        """The next messages of a channel after a number, in ascending order."""

    def page(self, channel: str, number: int) -> View:
        """What a reader of a channel finds after a number."""

    def newest(self) -> int:
        """The greatest number that a message ever had, deleted ones included."""

    def at(self, number: int) -> Received | None:
        """The message with a number."""

    def held(self, channel: str, number: int) -> int:
        """How many messages of a channel there are up to a number."""

    def find(self, channel: str, delivery: str) -> Received | None:
        """One message of a channel."""

    def claim(self, name: str, before: str | None, position: str, message: Message) -> bool:
        """Store a position and a message if the position is still ``before``; return whether it was."""

    def number_before(self, channel: str, moment: float) -> int:
        """Last number received before ``moment``.

        :param moment: seconds since the epoch.
        """

    def position(self, feed: str) -> str | None:
        """How far a feed was read."""

    def save_position(
        self, feed: str, position: str, lease: Lease | None = None, *, also: Mapping[str, str] = ...
    ) -> None:
        """Store how far a feed was read.

        :param also: other positions to store in the same transaction, by their names.
        """

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew a lease for ``seconds``, by the inbox's clock; return False if another holder has it."""

    def release(self, name: str, holder: str) -> None:
        """Release a lease, if ``holder`` has it."""

    def holder(self, name: str) -> str | None:
        """The holder of a lease; None if it is free."""

    def holders(self) -> dict[str, str]:
        """The holder of each lease, by its name."""

    def keep_sealed(self, feed: str, content: bytes, received_at: float) -> int:
        """Store a sealed reply, and return its number."""

    def sealed(self, feed: str | None = None, *, unread: bool = False) -> list[Sealed]:
        """A page of the sealed replies of a feed, or of all feeds, the oldest first.

        :param unread: only those that no reader has tried yet.
        """

    def set_problem(self, number: int, problem: str) -> None:
        """Store why a sealed reply could not be read."""

    def beat(self, host: str, url: str) -> None:
        """Store the heartbeat of a receiver."""

    def heartbeats(self) -> list[Heartbeat]:
        """The last heartbeat of each receiver, the youngest first."""

    def task_state(self, task: TaskKey, key: str) -> str | None:
        """What is kept of a task instance under a key, as JSON; None where nothing is. It has no retention."""

    def task_states_elsewhere(self, task: TaskKey, key: str) -> dict[str, str]:
        """What other Airflows keep of a task instance with the same ids, by the id of the Airflow."""

    def replace_task_state(self, task: TaskKey, key: str, before: str | None, after: str | None) -> bool:
        """Keep ``after`` (None: nothing) if ``before`` is still kept; return whether ``after`` is kept now."""

    def unchecked_task_states(self, airflow: str, seconds: float, limit: int) -> list[TaskKey]:
        """Task instances whose state was neither written nor checked for ``seconds``, the oldest first."""

    def settle_task_states(self, over: Collection[TaskKey], going_on: Collection[TaskKey], seconds: float) -> None:
        """Delete the state of task instances that are over, and note that others were checked.

        A state that was written within ``seconds`` stays.
        """

    def count_task_states(self) -> int:
        """How many task instances have a state."""

    def close(self) -> None:
        """Close all connections."""
