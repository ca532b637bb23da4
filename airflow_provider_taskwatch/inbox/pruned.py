"""A database whose writers delete, now and then, what is old."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import sqlalchemy as sa

from airflow_provider_taskwatch.core.error import InboxError
from airflow_provider_taskwatch.inbox.checkpoint import by_channel, gone_from, gone_name
from airflow_provider_taskwatch.inbox.message import DAY_SECONDS, PRUNE_MESSAGES, RETENTION_DAYS, SEALED_SECONDS

from . import schema
from .database import Database

T = TypeVar("T")

log = logging.getLogger(__name__)

PRUNE_SECONDS = 60.0


class Pruned(Database):
    """The part of :class:`~.protocol.Inbox` that forgets.

    :param url: SQLAlchemy's URL of the database.
    :param retention_days: what is older is deleted, in small steps, by whoever adds something.
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
        super().__init__(url, keeps=keeps)
        self._retention_seconds = retention_days * DAY_SECONDS
        self._clock = clock
        self._prune_from = 0.0

    def prune(self, before: float, limit: int) -> int:
        table = schema.message
        oldest = sa.select(table.c.number).where(table.c.received_at < before).order_by(table.c.number).limit(limit)
        return self._delete(oldest)

    def keep_bytes(self, channel: str, limit: int) -> int:
        """In small steps, as :meth:`prune`."""
        table = schema.message
        length = sa.func.octet_length if self.is_postgresql else sa.func.length  # what is written down is ASCII
        size = sa.func.coalesce(length(table.c.content), 0)
        held = sa.func.sum(size).over(order_by=table.c.number.desc()).label("held")
        sizes = sa.select(table.c.number, held).where(table.c.channel == channel).subquery()
        query = sa.select(sa.func.max(sizes.c.number)).where(sizes.c.held > limit)
        last = self._read(lambda connection: connection.scalar(query))
        old = table.c.channel == channel, table.c.number <= (last or 0)
        oldest = sa.select(table.c.number).where(*old).order_by(table.c.number).limit(PRUNE_MESSAGES)
        total = 0
        while last and (deleted := self._delete(oldest)):
            total += deleted
        return total

    def forget_sealed(self, before: float, *, unread: bool = False) -> int:
        table = schema.sealed
        delete = table.delete().where(table.c.received_at < before)
        if not unread:
            delete = delete.where(table.c.problem != "")
        return self._write(lambda connection: connection.execute(delete).rowcount)

    def _delete(self, numbers: sa.Select[tuple[int]]) -> int:
        table = schema.message
        which = table.c.number.in_(numbers.scalar_subquery())
        delete = table.delete().where(which).returning(table.c.channel, table.c.number, table.c.received_at)

        def write(connection: sa.Connection) -> int:
            self._take_turn(connection, "the pruning")
            deleted = [(row.channel, row.number, row.received_at) for row in connection.execute(delete).all()]
            self._note(connection, deleted)
            return len(deleted)

        return self._write(write)

    def _note(self, connection: sa.Connection, deleted: Sequence[tuple[str, int, float]]) -> None:
        """Write down what is gone, for readers that have not come so far."""
        table = schema.position
        for channel, numbers in sorted(by_channel(deleted).items()):
            name = gone_name(channel)
            gone = gone_from(connection.scalar(sa.select(table.c.position).where(table.c.feed == name)))
            self._put_position(connection, name, gone.with_(numbers).to_text())

    def _put_position(self, connection: sa.Connection, feed: str, position: str) -> None:
        insert = self._insert(schema.position).values(feed=feed, position=position)
        connection.execute(insert.on_conflict_do_update(index_elements=["feed"], set_={"position": position}))

    def _take_turn(self, connection: sa.Connection, channel: str) -> None:
        """Let whoever changes something of this name go one by one; so the numbers of a channel show up in order."""
        if self.is_postgresql:
            key = sa.func.hashtextextended(f"taskwatch {channel}", 0)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))

    def _add(self, change: Callable[[sa.Connection], T]) -> T:
        """One transaction that adds something; what was added is stored, whatever becomes of the pruning."""
        added = self._write(change)
        now = self._clock()
        if now >= self._prune_from:
            self._prune_from = now + PRUNE_SECONDS
            self._prune_some(now)
        return added

    def _prune_some(self, now: float) -> None:
        try:
            if self.prune(now - self._retention_seconds, PRUNE_MESSAGES) == PRUNE_MESSAGES:
                self._prune_from = now
            if forgotten := self.forget_sealed(now - min(self._retention_seconds, SEALED_SECONDS)):
                log.error("%d sealed replies that could not be read are deleted, as their time is over", forgotten)
        except InboxError as error:
            log.warning("nothing was pruned: %s", error)
