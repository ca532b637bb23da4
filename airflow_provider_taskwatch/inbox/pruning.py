"""Deletes what is older than the retention, in small steps, and writes down how much of each channel is gone."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import sqlalchemy as sa

from airflow_provider_taskwatch.core.error import InboxError

from .checkpoint import by_channel, deletions_from, deletions_name
from .database import Database
from .message import PRUNE_MESSAGES, SEALED_SECONDS
from .position_table import PositionTable
from .schema import message as table
from .sealed_table import SealedTable

log = logging.getLogger(__name__)

PRUNE_SECONDS = 60.0


class Pruning:
    """Deletes old messages and sealed replies.

    :param retention_seconds: the age from which on messages are deleted.
    """

    def __init__(
        self, database: Database, positions: PositionTable, sealed: SealedTable, retention_seconds: float
    ) -> None:
        self._database = database
        self._positions = positions
        self._sealed = sealed
        self._retention_seconds = retention_seconds
        self._due_at = 0.0

    def prune_if_due(self, now: float) -> None:
        """One step, at most once a minute; at once again where it did not delete all. Its errors are logged."""
        if now < self._due_at:
            return
        self._due_at = now + PRUNE_SECONDS
        try:
            if self.prune(now - self._retention_seconds, PRUNE_MESSAGES) == PRUNE_MESSAGES:
                self._due_at = now
            if forgotten := self._sealed.forget(now - min(self._retention_seconds, SEALED_SECONDS), unread=False):
                log.error("%d sealed replies that could not be read are deleted, as their time is over", forgotten)
        except InboxError as error:
            log.warning("nothing was pruned: %s", error)

    def prune(self, before: float, limit: int) -> int:
        """See :meth:`~.protocol.Inbox.prune`."""
        oldest = sa.select(table.c.number).where(table.c.received_at < before).order_by(table.c.number).limit(limit)
        return self._delete(oldest)

    def keep_bytes(self, channel: str, limit: int) -> int:
        """See :meth:`~.protocol.Inbox.keep_bytes`."""
        length = sa.func.octet_length if self._database.is_postgresql else sa.func.length  # stored content is ASCII
        size = sa.func.coalesce(length(table.c.content), 0)
        held = sa.func.sum(size).over(order_by=table.c.number.desc()).label("held")
        sizes = sa.select(table.c.number, held).where(table.c.channel == channel).subquery()
        query = sa.select(sa.func.max(sizes.c.number)).where(sizes.c.held > limit)
        last = self._database.read(lambda connection: connection.scalar(query))
        old = table.c.channel == channel, table.c.number <= (last or 0)
        oldest = sa.select(table.c.number).where(*old).order_by(table.c.number).limit(PRUNE_MESSAGES)
        total = 0
        while last and (deleted := self._delete(oldest)):
            total += deleted
        return total

    def _delete(self, numbers: sa.Select[tuple[int]]) -> int:
        which = table.c.number.in_(numbers.scalar_subquery())
        delete = table.delete().where(which).returning(table.c.channel, table.c.number, table.c.received_at)

        def write(connection: sa.Connection) -> int:
            self._database.take_turn(connection, "the pruning")
            deleted = [(row.channel, row.number, row.received_at) for row in connection.execute(delete).all()]
            self._note(connection, deleted)
            return len(deleted)

        return self._database.write(write)

    def _note(self, connection: sa.Connection, deleted: Sequence[tuple[str, int, float]]) -> None:
        """Write down what is gone, for readers that have not read it yet."""
        for channel, numbers in sorted(by_channel(deleted).items()):
            name = deletions_name(channel)
            deletions = deletions_from(self._positions.get(connection, name))
            self._positions.put(connection, name, deletions.with_(numbers).to_text())
