"""The table of receivers: their heartbeats."""

from __future__ import annotations

import sqlalchemy as sa

from .database import Database
from .message import DAY_SECONDS, Heartbeat
from .schema import receiver as table

FORGET_SECONDS = DAY_SECONDS
"""A receiver without a heartbeat for this long is deleted."""


class ReceiverTable:
    """Keeps the last heartbeat of each receiver."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, host: str, url: str) -> None:
        """Write a heartbeat."""
        now = self._database.now()
        insert = self._database.insert(table).values(host=host, url=url, at=now)
        upsert = insert.on_conflict_do_update(index_elements=["host", "url"], set_={"at": now})

        def write(connection: sa.Connection) -> None:
            connection.execute(upsert)
            connection.execute(table.delete().where(table.c.at < now - FORGET_SECONDS))

        self._database.write(write)

    def heartbeats(self) -> list[Heartbeat]:
        """The last heartbeat of each receiver, the youngest first."""
        age = self._database.now() - table.c.at
        query = sa.select(table.c.host, table.c.url, age).order_by(table.c.at.desc())
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [Heartbeat(host=host, url=url, age_seconds=age) for host, url, age in rows]
