"""The table of positions: how far feeds and channels were read, and what was deleted of them."""

from __future__ import annotations

import sqlalchemy as sa

from .database import Database
from .schema import position as table


class PositionTable:
    """Reads positions, and writes them in the transactions of :class:`~.store.SqlInbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, name: str) -> str | None:
        """A position; None where there is none of this name."""
        return self._database.read(lambda connection: self.get(connection, name))

    def get(self, connection: sa.Connection, name: str) -> str | None:
        """The same, inside a transaction."""
        return connection.scalar(sa.select(table.c.position).where(table.c.feed == name))

    def put(self, connection: sa.Connection, name: str, position: str) -> None:
        """Write a position."""
        insert = self._database.insert(table).values(feed=name, position=position)
        connection.execute(insert.on_conflict_do_update(index_elements=["feed"], set_={"position": position}))
