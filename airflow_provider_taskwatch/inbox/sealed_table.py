"""The table of sealed replies."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from .database import Database
from .message import PAGE_MESSAGES, Sealed
from .schema import sealed as table


class SealedTable:
    """Keeps the encrypted replies of remotes that forget them, until their events are stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, connection: sa.Connection, feed: str, content: bytes, received_at: float) -> Any:
        """Insert a sealed reply, and return its number."""
        row = {"feed": feed, "content": content, "received_at": received_at, "problem": ""}
        return connection.scalar(table.insert().values(row).returning(table.c.number))

    def delete(self, connection: sa.Connection, number: int) -> None:
        """Delete a sealed reply whose events are stored."""
        connection.execute(table.delete().where(table.c.number == number))

    def read(self, feed: str | None, *, unread: bool) -> list[Sealed]:
        """See :meth:`~.protocol.Inbox.sealed`."""
        query = sa.select(table).order_by(table.c.number).limit(PAGE_MESSAGES)
        if feed is not None:
            query = query.where(table.c.feed == feed)
        if unread:
            query = query.where(table.c.problem == "")
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [Sealed(**row._mapping) for row in rows]

    def set_problem(self, number: int, problem: str) -> None:
        """See :meth:`~.protocol.Inbox.set_problem`."""
        update = table.update().where(table.c.number == number).values(problem=problem)
        self._database.write(lambda connection: connection.execute(update))

    def forget(self, before: float, *, unread: bool) -> int:
        """See :meth:`~.protocol.Inbox.forget_sealed`."""
        delete = table.delete().where(table.c.received_at < before)
        if not unread:
            delete = delete.where(table.c.problem != "")
        return self._database.write(lambda connection: connection.execute(delete).rowcount)
