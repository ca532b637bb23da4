"""What an inbox keeps of feeds: events in the order of their channel, positions, leases, and sealed replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from airflow_provider_taskwatch.core.error import LeaseError
from airflow_provider_taskwatch.inbox.checkpoint import View, gone_from, gone_name
from airflow_provider_taskwatch.inbox.message import PAGE_MESSAGES, Lease, Message, Received, Sealed

from . import schema
from .pruned import Pruned
from .row import insert_message, received


class Feeds(Pruned):
    """The part of :class:`~.protocol.Inbox` that serves pumps and whoever waits for events."""

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
            self._take_number(connection)
            self._take_turn(connection, channel)
            self._check(connection, lease)
            new = sum(insert_message(connection, self._insert, one) for one in messages)
            if position is not None:
                self._put_position(connection, channel, position)
            if unsealed is not None:
                connection.execute(schema.sealed.delete().where(schema.sealed.c.number == unsealed))
            return new

        return self._add(write)

    def after(self, channel: str, number: int, limit: int = PAGE_MESSAGES) -> list[Received]:
        table = schema.message
        wanted = sa.and_(table.c.channel == channel, table.c.number > number)
        query = sa.select(table).where(wanted).order_by(table.c.number).limit(limit)
        return [received(row) for row in self._read(lambda connection: connection.execute(query).all())]

    def page(self, channel: str, number: int) -> View:
        """The messages first, then what is gone; where that is more than was read, once more, and all of one moment."""
        table, position = schema.message, schema.position
        after = sa.and_(table.c.channel == channel, table.c.number > number)
        query = sa.select(table).where(after).order_by(table.c.number).limit(PAGE_MESSAGES)
        gone = sa.select(position.c.position).where(position.c.feed == gone_name(channel)).scalar_subquery()
        facts = sa.select(gone.label("gone"), self._newest().label("newest")).subquery()
        there = sa.select(facts, table).select_from(facts.outerjoin(table, table.c.number == number))

        def read(connection: sa.Connection) -> View:
            rows = [received(row) for row in connection.execute(query).all()]
            told = connection.execute(there).one()
            at = None if told.number is None else received(told)
            view = View(rows=rows, gone=gone_from(told.gone), newest=told.newest or 0, there=at)
            return self._of_one_moment(connection, view, channel, number) if view.gone.number > number else view

        return self._read(read)

    def _of_one_moment(self, connection: sa.Connection, view: View, channel: str, number: int) -> View:
        """What is deleted while several statements ask would be counted as lost, or not at all."""
        table, position = schema.message, schema.position
        ours = table.c.channel == channel
        rows = sa.select(table).where(ours, table.c.number > number).order_by(table.c.number).limit(PAGE_MESSAGES)
        gone = sa.select(position.c.position).where(position.c.feed == gone_name(channel)).scalar_subquery()
        held = sa.select(sa.func.count()).where(ours, table.c.number <= number).scalar_subquery()
        facts, page = sa.select(gone.label("gone"), held.label("held")).subquery(), rows.subquery()
        query = sa.select(facts, page).select_from(facts.outerjoin(page, sa.true())).order_by(page.c.number)
        found = connection.execute(query).all()
        there = [received(row) for row in found if row.number is not None]
        return replace(view, rows=there, gone=gone_from(found[0].gone), held=found[0].held)

    def newest(self) -> int:
        return int(self._read(lambda connection: connection.scalar(sa.select(self._newest()))) or 0)

    def _newest(self) -> sa.ColumnElement[int]:
        """Of the sequence, which knows what is deleted by now."""
        name = schema.message.name
        if self.is_postgresql:
            sequence = sa.cast(sa.func.pg_get_serial_sequence(name, "number"), postgresql.REGCLASS)
            return sa.func.pg_sequence_last_value(sequence, type_=sa.BigInteger)
        sequences = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
        return sa.select(sequences.c.seq).where(sequences.c.name == name).scalar_subquery()

    def at(self, number: int) -> Received | None:
        table = schema.message
        query = sa.select(table).where(table.c.number == number)
        row = self._read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else received(row)

    def held(self, channel: str, number: int) -> int:
        table = schema.message
        query = sa.select(sa.func.count()).where(table.c.channel == channel, table.c.number <= number)
        return int(self._read(lambda connection: connection.scalar(query)) or 0)

    def find(self, channel: str, delivery: str) -> Received | None:
        table = schema.message
        query = sa.select(table).where(table.c.channel == channel, table.c.delivery == delivery)
        row = self._read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else received(row)

    def claim(self, name: str, before: str | None, position: str, message: Message) -> bool:
        table = schema.position
        query = sa.select(table.c.position).where(table.c.feed == name)

        def write(connection: sa.Connection) -> bool:
            self._take_number(connection)
            self._take_turn(connection, name)
            if connection.scalar(query) != before:
                return False
            self._put_position(connection, name, position)
            insert_message(connection, self._insert, message)
            return True

        return self._add(write)

    def number_before(self, channel: str, moment: float) -> int:
        table = schema.message
        ours = table.c.channel == channel
        first = sa.select(sa.func.min(table.c.number) - 1).where(ours, table.c.received_at >= moment)
        last = sa.select(sa.func.max(table.c.number)).where(ours)
        found = sa.select(sa.func.coalesce(first.scalar_subquery(), last.scalar_subquery(), 0))
        return int(self._read(lambda connection: connection.scalar(found)) or 0)

    # --- positions

    def position(self, feed: str) -> str | None:
        table = schema.position
        query = sa.select(table.c.position).where(table.c.feed == feed)
        return self._read(lambda connection: connection.scalar(query))

    def save_position(
        self, feed: str, position: str, lease: Lease | None = None, *, also: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        def write(connection: sa.Connection) -> None:
            self._check(connection, lease)
            for name, one in {feed: position, **also}.items():
                self._put_position(connection, name, one)

        self._write(write)

    # --- leases

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        table, now = schema.lease, self._now()
        insert = self._insert(table).values(name=name, holder=holder, until=now + seconds)
        take = insert.on_conflict_do_update(
            index_elements=["name"],
            set_={"holder": holder, "until": now + seconds},
            where=sa.or_(table.c.holder == holder, table.c.until <= now),
        ).returning(table.c.name)
        return self._write(lambda connection: connection.scalar(take)) is not None

    def release(self, name: str, holder: str) -> None:
        table = schema.lease
        self._write(
            lambda connection: connection.execute(table.delete().where(table.c.name == name, table.c.holder == holder))
        )

    def holder(self, name: str) -> str | None:
        table = schema.lease
        query = sa.select(table.c.holder).where(table.c.name == name, table.c.until > self._now())
        return self._read(lambda connection: connection.scalar(query))

    def holders(self) -> dict[str, str]:
        table = schema.lease
        query = sa.select(table.c.name, table.c.holder).where(table.c.until > self._now()).order_by(table.c.name)
        rows = self._read(lambda connection: connection.execute(query).all())
        return {row.name: row.holder for row in rows}

    def _check(self, connection: sa.Connection, lease: Lease | None) -> None:
        """Lock the row of a lease until the end of the transaction, so that nobody takes it over in between."""
        if lease is None:
            return
        table = schema.lease
        ours = sa.and_(table.c.name == lease.name, table.c.holder == lease.holder)
        kept = connection.scalar(table.update().where(ours).values(until=table.c.until).returning(table.c.name))
        if kept is None:
            raise LeaseError(f"the lease {lease.name!r} has gone to somebody else")

    # --- sealed replies

    def keep_sealed(self, feed: str, content: bytes, received_at: float, lease: Lease | None = None) -> int:
        def write(connection: sa.Connection) -> Any:
            self._check(connection, lease)
            row = {"feed": feed, "content": content, "received_at": received_at, "problem": ""}
            return connection.scalar(schema.sealed.insert().values(row).returning(schema.sealed.c.number))

        return int(self._add(write))

    def sealed(self, feed: str | None = None, *, unread: bool = False) -> list[Sealed]:
        table = schema.sealed
        query = sa.select(table).order_by(table.c.number).limit(PAGE_MESSAGES)
        if feed is not None:
            query = query.where(table.c.feed == feed)
        if unread:
            query = query.where(table.c.problem == "")
        rows = self._read(lambda connection: connection.execute(query).all())
        return [Sealed(**row._mapping) for row in rows]

    def set_problem(self, number: int, problem: str) -> None:
        table = schema.sealed
        update = table.update().where(table.c.number == number).values(problem=problem)
        self._write(lambda connection: connection.execute(update))
