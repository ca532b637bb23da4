"""An inbox in a database: a SQLite file on one host, PostgreSQL for several."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence

import sqlalchemy as sa

from airflow_provider_taskwatch.core.error import InboxError

from . import schema
from .cursor import HOLE_SECONDS, Cursor, cursor_at
from .feeds import Feeds
from .message import (
    DAY_SECONDS,
    PAGE_MESSAGES,
    PRUNE_MESSAGES,
    RETENTION_DAYS,
    SEALED_SECONDS,
    Heartbeat,
    Message,
    Received,
)
from .row import insert_message, received

log = logging.getLogger(__name__)

PRUNE_SECONDS = 60.0
FORGET_SECONDS = DAY_SECONDS
"""Receivers that have not said anything for so long are forgotten."""


class SqlInbox(Feeds):
    """See :class:`~.message.Inbox`. Connects, and makes its tables, when it is first asked for something.

    :param url: SQLAlchemy's URL of the database.
    :param retention_days: what is older is deleted, in small steps, by whoever adds something.
    :param clock: seconds since the epoch.
    """

    def __init__(
        self, url: str, *, retention_days: float = RETENTION_DAYS, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(url)
        self._retention_seconds = retention_days * DAY_SECONDS
        self._clock = clock
        self._prune_from = 0.0

    # --- messages

    def add(self, messages: Sequence[Message]) -> int:
        new = self._write(lambda connection: sum(insert_message(connection, self._insert, one) for one in messages))
        self._prune_now_and_then()
        return new

    def end(self) -> Cursor:
        table = schema.message
        newest = sa.select(sa.func.max(table.c.number)).scalar_subquery()
        since = self._clock() - HOLE_SECONDS
        recent = sa.select(sa.func.min(table.c.number)).where(table.c.received_at > since).scalar_subquery()
        row = self._read(lambda connection: connection.execute(sa.select(newest, recent)).one())
        return cursor_at(row[0] or 0, row[1])

    def read(self, cursor: Cursor, subjects: Collection[str] = ()) -> list[Received]:
        table = schema.message
        wanted = table.c.number > cursor.last
        if cursor.holes:
            wanted |= table.c.number.in_(cursor.missing)
        if subjects:
            wanted |= table.c.subject.in_(subjects)
        query = sa.select(table).where(wanted).order_by(table.c.number).limit(PAGE_MESSAGES)
        return [received(row) for row in self._read(lambda connection: connection.execute(query).all())]

    def prune(self, before: float, limit: int) -> int:
        table = schema.message
        oldest = sa.select(table.c.number).where(table.c.received_at < before).order_by(table.c.number).limit(limit)
        delete = table.delete().where(table.c.number.in_(oldest.scalar_subquery()))
        forget = schema.sealed.delete().where(schema.sealed.c.received_at < max(before, self._clock() - SEALED_SECONDS))

        def write(connection: sa.Connection) -> int:
            connection.execute(forget)
            return connection.execute(delete).rowcount

        return self._write(write)

    def _prune_now_and_then(self) -> None:
        """What was added is stored, whatever becomes of this."""
        now = self._clock()
        if now < self._prune_from:
            return
        self._prune_from = now + PRUNE_SECONDS
        try:
            if self.prune(now - self._retention_seconds, PRUNE_MESSAGES) == PRUNE_MESSAGES:
                self._prune_from = now
        except InboxError as error:
            log.warning("nothing was pruned: %s", error)

    # --- receivers

    def beat(self, host: str, url: str) -> None:
        table, now = schema.receiver, self._now()
        insert = self._insert(table).values(host=host, url=url, at=now)
        upsert = insert.on_conflict_do_update(index_elements=["host", "url"], set_={"at": now})

        def write(connection: sa.Connection) -> None:
            connection.execute(upsert)
            connection.execute(table.delete().where(table.c.at < now - FORGET_SECONDS))

        self._write(write)

    def heartbeats(self) -> list[Heartbeat]:
        table = schema.receiver
        query = sa.select(table.c.host, table.c.url, self._now() - table.c.at).order_by(table.c.at.desc())
        rows = self._read(lambda connection: connection.execute(query).all())
        return [Heartbeat(host=host, url=url, age_seconds=age) for host, url, age in rows]
