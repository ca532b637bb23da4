"""The table of leases."""

from __future__ import annotations

import sqlalchemy as sa

from airflow_provider_taskwatch.core.error import LeaseError

from .database import Database
from .message import Lease
from .schema import lease as table


class LeaseTable:
    """Takes, checks and releases leases, all by the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, name: str, holder: str, seconds: float) -> bool:
        """See :meth:`~.protocol.Inbox.lease`."""
        now = self._database.now()
        insert = self._database.insert(table).values(name=name, holder=holder, until=now + seconds)
        take = insert.on_conflict_do_update(
            index_elements=["name"],
            set_={"holder": holder, "until": now + seconds},
            where=sa.or_(table.c.holder == holder, table.c.until <= now),
        ).returning(table.c.name)
        return self._database.write(lambda connection: connection.scalar(take)) is not None

    def release(self, name: str, holder: str) -> None:
        """Give a lease back, where it is the holder's."""
        delete = table.delete().where(table.c.name == name, table.c.holder == holder)
        self._database.write(lambda connection: connection.execute(delete))

    def holder(self, name: str) -> str | None:
        """Who holds a lease; None where it is free."""
        query = sa.select(table.c.holder).where(table.c.name == name, table.c.until > self._database.now())
        return self._database.read(lambda connection: connection.scalar(query))

    def holders(self) -> dict[str, str]:
        """The holder of each lease, by its name."""
        query = sa.select(table.c.name, table.c.holder).where(table.c.until > self._database.now())
        rows = self._database.read(lambda connection: connection.execute(query.order_by(table.c.name)).all())
        return {row.name: row.holder for row in rows}

    def check(self, connection: sa.Connection, lease: Lease | None) -> None:
        """Lock the row of a lease until the end of the transaction, so that no other process takes it meanwhile.

        :raises LeaseError: where another process holds it.
        """
        if lease is None:
            return
        ours = sa.and_(table.c.name == lease.name, table.c.holder == lease.holder)
        kept = connection.scalar(table.update().where(ours).values(until=table.c.until).returning(table.c.name))
        if kept is None:
            raise LeaseError(f"the lease {lease.name!r} is held by another process now")
