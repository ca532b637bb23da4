"""An inbox in a database: a SQLite file on one host, PostgreSQL for several."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from airflow_provider_taskwatch.inbox.message import DAY_SECONDS, PAGE_MESSAGES, Heartbeat, Message, Received

from . import schema
from .cursor import CLEAR, MAX_HOLES, Cursor, Horizon, cursor_at
from .database import RUNNING
from .feeds import Feeds
from .row import insert_message, received

FORGET_SECONDS = DAY_SECONDS
"""Receivers that have not said anything for so long are forgotten."""


class SqlInbox(Feeds):
    """See :class:`~.protocol.Inbox`. Connects, and makes its tables, when it is first asked for something."""

    # --- messages

    def add(self, messages: Sequence[Message]) -> int:
        def write(connection: sa.Connection) -> int:
            self._take_number(connection)
            return sum(insert_message(connection, self._insert, one) for one in messages)

        return self._add(write)

    def keep_newest(self, subjects: Collection[str], limit: int) -> int:
        """Mostly there is nothing to delete, so that is asked first, outside of a transaction."""
        table = schema.message
        place = sa.func.row_number().over(
            partition_by=(table.c.channel, table.c.subject), order_by=table.c.number.desc()
        )
        placed = sa.select(table.c.number, place.label("place")).where(table.c.subject.in_(subjects)).subquery()
        query = sa.select(placed.c.number).where(placed.c.place > limit).order_by(placed.c.number)
        old = self._read(lambda connection: connection.scalars(query).all())
        delete = table.delete().where(table.c.number.in_(old))
        return self._write(lambda connection: connection.execute(delete).rowcount) if old else 0

    def end(self) -> Cursor:
        number = schema.message.c.number
        newest = sa.select(sa.func.coalesce(sa.func.max(number), 0))
        if not self.is_postgresql:
            return cursor_at(int(self._read(lambda connection: connection.scalar(newest)) or 0))
        query = sa.select(number, *RUNNING).where(number > newest.scalar_subquery() - MAX_HOLES).order_by(number)
        rows = self._read(lambda connection: connection.execute(query).all())  # numbers and horizon of one moment
        return cursor_at(rows[-1].number, [row.number for row in rows], _horizon(rows[-1])) if rows else Cursor()

    def horizon(self) -> Horizon:
        if not self.is_postgresql:
            return CLEAR
        return _horizon(self._read(lambda connection: connection.execute(sa.select(*RUNNING)).one()))

    def read(self, cursor: Cursor, subjects: Collection[str] = ()) -> list[Received]:
        table = schema.message
        wanted = table.c.number > cursor.last
        if cursor.holes:
            wanted |= table.c.number.in_(cursor.missing)
        if subjects:
            wanted |= table.c.subject.in_(subjects)
        query = sa.select(table).where(wanted).order_by(table.c.number).limit(PAGE_MESSAGES)
        return [received(row) for row in self._read(lambda connection: connection.execute(query).all())]

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


def _horizon(row: Any) -> Horizon:
    return Horizon(ended=row.ended, begun=row.begun)
