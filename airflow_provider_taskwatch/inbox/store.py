"""An inbox in a database: a SQLite file on one host, PostgreSQL for several."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import sqlalchemy as sa

from .checkpoint import View
from .cursor import Cursor, Horizon
from .database import Database
from .engine import shown
from .lease_table import LeaseTable
from .message import DAY_SECONDS, PAGE_MESSAGES, RETENTION_DAYS, Heartbeat, Lease, Message, Received, Sealed
from .message_table import MessageTable
from .position_table import PositionTable
from .pruning import Pruning
from .receiver_table import ReceiverTable
from .sealed_table import SealedTable
from .task_state import TaskKey
from .task_state_table import TaskStateTable

T = TypeVar("T")


class SqlInbox:
    """See :class:`~.protocol.Inbox`. Connects, and makes its tables, when it is first asked for something.

    Transactions that span several tables are here; each table is a class of its own.

    :param url: SQLAlchemy's URL of the database.
    :param retention_days: what is older is deleted, in small steps, by those who add something.
    :param clock: seconds since the epoch.
    :param keeps: see :class:`~.database.Database`.
    """

    def __init__(
        self,
        url: str,
        *,
        retention_days: float = RETENTION_DAYS,
        clock: Callable[[], float] = time.time,
        keeps: bool = True,
    ) -> None:
        self.database = Database(url, keeps=keeps)
        self._clock = clock
        self._messages = MessageTable(self.database)
        self._positions = PositionTable(self.database)
        self._leases = LeaseTable(self.database)
        self._sealed = SealedTable(self.database)
        self._receivers = ReceiverTable(self.database)
        self._task_states = TaskStateTable(self.database)
        self._pruning = Pruning(self.database, self._positions, self._sealed, retention_days * DAY_SECONDS)

    def __repr__(self) -> str:
        return repr(self.database)

    @staticmethod
    def address(url: str) -> str:
        """See :func:`~.engine.shown`. Needs no driver of the database."""
        return shown(url)

    def share(self) -> bool:
        """See :meth:`~.database.Database.share`."""
        return self.database.share()

    def close(self) -> None:
        self.database.close()

    # --- what is added

    def add(self, messages: Sequence[Message]) -> int:
        def write(connection: sa.Connection) -> int:
            self.database.take_number(connection)
            return sum(self._messages.insert(connection, one) for one in messages)

        return self._add(write)

    def append(
        self,
        channel: str,
        messages: Sequence[Message],
        *,
        lease: Lease | None = None,
        position: str | None = None,
        unsealed: int | None = None,
    ) -> int:
        def write(connection: sa.Connection) -> int:
            self.database.take_number(connection)
            self.database.take_turn(connection, channel)
            self._leases.check(connection, lease)
            new = sum(self._messages.insert(connection, one) for one in messages)
            if position is not None:
                self._positions.put(connection, channel, position)
            if unsealed is not None:
                self._sealed.delete(connection, unsealed)
            return new

        return self._add(write)

    def claim(self, name: str, before: str | None, position: str, message: Message) -> bool:
        def write(connection: sa.Connection) -> bool:
            self.database.take_number(connection)
            self.database.take_turn(connection, name)
            if self._positions.get(connection, name) != before:
                return False
            self._positions.put(connection, name, position)
            self._messages.insert(connection, message)
            return True

        return self._add(write)

    def keep_sealed(self, feed: str, content: bytes, received_at: float) -> int:
        return int(self._add(lambda connection: self._sealed.insert(connection, feed, content, received_at)))

    def _add(self, change: Callable[[sa.Connection], T]) -> T:
        """One transaction, and a step of pruning after it, whose errors do not undo what was added."""
        added = self.database.write(change)
        self._pruning.prune_if_due(self._clock())
        return added

    # --- messages

    def end(self) -> Cursor:
        return self._messages.end()

    def horizon(self) -> Horizon:
        return self._messages.horizon()

    def read(self, cursor: Cursor, subjects: Collection[str] = ()) -> list[Received]:
        return self._messages.read(cursor, subjects)

    def after(self, channel: str, number: int, limit: int = PAGE_MESSAGES) -> list[Received]:
        return self._messages.after(channel, number, limit)

    def page(self, channel: str, number: int) -> View:
        return self._messages.page(channel, number)

    def newest(self) -> int:
        return self._messages.newest()

    def at(self, number: int) -> Received | None:
        return self._messages.at(number)

    def held(self, channel: str, number: int) -> int:
        return self._messages.held(channel, number)

    def find(self, channel: str, delivery: str) -> Received | None:
        return self._messages.find(channel, delivery)

    def number_before(self, channel: str, moment: float) -> int:
        return self._messages.number_before(channel, moment)

    # --- what is deleted

    def keep_newest(self, subjects: Collection[str], limit: int) -> int:
        return self._messages.keep_newest(subjects, limit)

    def keep_bytes(self, channel: str, limit: int) -> int:
        return self._pruning.keep_bytes(channel, limit)

    def prune(self, before: float, limit: int) -> int:
        return self._pruning.prune(before, limit)

    def forget_sealed(self, before: float, *, unread: bool = False) -> int:
        return self._sealed.forget(before, unread=unread)

    # --- positions, leases, sealed replies, receivers

    def position(self, feed: str) -> str | None:
        return self._positions.read(feed)

    def save_position(
        self, feed: str, position: str, lease: Lease | None = None, *, also: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        def write(connection: sa.Connection) -> None:
            self._leases.check(connection, lease)
            for name, one in {feed: position, **also}.items():
                self._positions.put(connection, name, one)

        self.database.write(write)

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        return self._leases.take(name, holder, seconds)

    def release(self, name: str, holder: str) -> None:
        self._leases.release(name, holder)

    def holder(self, name: str) -> str | None:
        return self._leases.holder(name)

    def holders(self) -> dict[str, str]:
        return self._leases.holders()

    def sealed(self, feed: str | None = None, *, unread: bool = False) -> list[Sealed]:
        return self._sealed.read(feed, unread=unread)

    def set_problem(self, number: int, problem: str) -> None:
        self._sealed.set_problem(number, problem)

    def beat(self, host: str, url: str) -> None:
        self._receivers.beat(host, url)

    def heartbeats(self) -> list[Heartbeat]:
        return self._receivers.heartbeats()

    # --- task states

    def task_state(self, task: TaskKey, key: str) -> str | None:
        return self._task_states.read(task, key)

    def task_states_elsewhere(self, task: TaskKey, key: str) -> dict[str, str]:
        return self._task_states.elsewhere(task, key)

    def replace_task_state(self, task: TaskKey, key: str, before: str | None, after: str | None) -> bool:
        return self._task_states.replace(task, key, before, after)

    def unchecked_task_states(self, airflow: str, seconds: float, limit: int) -> list[TaskKey]:
        return self._task_states.unchecked(airflow, seconds, limit)

    def settle_task_states(self, over: Collection[TaskKey], going_on: Collection[TaskKey], seconds: float) -> None:
        self._task_states.settle(over, going_on, seconds)

    def count_task_states(self) -> int:
        return self._task_states.count()
