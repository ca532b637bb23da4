"""The table of messages: callbacks, and the events of feeds."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from .checkpoint import View, deletions_from, deletions_name
from .cursor import CLEAR, MAX_HOLES, Cursor, Horizon, cursor_at
from .database import Database
from .message import PAGE_MESSAGES, Message, Received
from .schema import message as table
from .schema import position


class MessageTable:
    """Reads messages, and inserts them in the transactions of :class:`~.store.SqlInbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, connection: sa.Connection, message: Message) -> int:
        """Insert a message, and return 1 where it was not there yet.

        One statement that gives no number to what is there already, as that would leave a hole. A number that is given
        twice is an error.
        """
        is_there = sa.exists().where(table.c.channel == message.channel, table.c.delivery == message.delivery)
        row = {
            "channel": message.channel,
            "subject": message.subject,
            "delivery": message.delivery,
            "content": None if message.content is None else json.dumps(message.content),
            "received_at": message.received_at,
        }
        values = sa.select(*(sa.literal(value, table.c[name].type) for name, value in row.items())).where(~is_there)
        statement = self._database.insert(table).from_select(list(row), values)
        statement = statement.on_conflict_do_nothing(index_elements=["channel", "delivery"])
        return len(connection.execute(statement.returning(table.c.number)).all())

    def keep_newest(self, subjects: Collection[str], limit: int) -> int:
        """Usually nothing is to be deleted, so that is asked first, outside of a transaction."""
        place = sa.func.row_number().over(
            partition_by=(table.c.channel, table.c.subject), order_by=table.c.number.desc()
        )
        placed = sa.select(table.c.number, place.label("place")).where(table.c.subject.in_(subjects)).subquery()
        query = sa.select(placed.c.number).where(placed.c.place > limit).order_by(placed.c.number)
        old = self._database.read(lambda connection: connection.scalars(query).all())
        delete = table.delete().where(table.c.number.in_(old))
        return self._database.write(lambda connection: connection.execute(delete).rowcount) if old else 0

    # --- all channels, by a cursor

    def end(self) -> Cursor:
        """See :meth:`~.protocol.Inbox.end`."""
        number = table.c.number
        newest = sa.select(sa.func.coalesce(sa.func.max(number), 0))
        if not self._database.is_postgresql:
            return cursor_at(self._count(newest))
        query = sa.select(number, *_RUNNING).where(number > newest.scalar_subquery() - MAX_HOLES).order_by(number)
        # One statement, so that the numbers and the horizon are those of one moment.
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return cursor_at(rows[-1].number, [row.number for row in rows], _horizon(rows[-1])) if rows else Cursor()

    def horizon(self) -> Horizon:
        """See :meth:`~.protocol.Inbox.horizon`."""
        if not self._database.is_postgresql:
            return CLEAR
        return _horizon(self._database.read(lambda connection: connection.execute(sa.select(*_RUNNING)).one()))

    def read(self, cursor: Cursor, subjects: Collection[str]) -> list[Received]:
        """See :meth:`~.protocol.Inbox.read`."""
        wanted = table.c.number > cursor.last
        if cursor.holes:
            wanted |= table.c.number.in_(cursor.missing)
        if subjects:
            wanted |= table.c.subject.in_(subjects)
        return self._all(sa.select(table).where(wanted).order_by(table.c.number).limit(PAGE_MESSAGES))

    # --- one channel, by numbers

    def after(self, channel: str, number: int, limit: int) -> list[Received]:
        """See :meth:`~.protocol.Inbox.after`."""
        return self._all(_after(channel, number, limit))

    def page(self, channel: str, number: int) -> View:
        """See :meth:`~.protocol.Inbox.page`.

        Reads the messages first, then what is gone. Where that is more than was read, both are read again in one
        statement.
        """
        deletions = sa.select(_deletions(channel).label("deletions"), self._newest().label("newest")).subquery()
        facts = sa.select(deletions, table).select_from(deletions.outerjoin(table, table.c.number == number))

        def read(connection: sa.Connection) -> View:
            rows = [_received(row) for row in connection.execute(_after(channel, number, PAGE_MESSAGES)).all()]
            fact = connection.execute(facts).one()
            at = None if fact.number is None else _received(fact)
            view = View(rows=rows, deletions=deletions_from(fact.deletions), newest=fact.newest or 0, there=at)
            return _of_one_moment(connection, view, channel, number) if view.deletions.number > number else view

        return self._database.read(read)

    def newest(self) -> int:
        """See :meth:`~.protocol.Inbox.newest`."""
        return self._count(sa.select(self._newest()))

    def at(self, number: int) -> Received | None:
        """The message with a number."""
        return self._one(sa.select(table).where(table.c.number == number))

    def held(self, channel: str, number: int) -> int:
        """See :meth:`~.protocol.Inbox.held`."""
        return self._count(_held(channel, number))

    def find(self, channel: str, delivery: str) -> Received | None:
        """One message of a channel."""
        return self._one(sa.select(table).where(table.c.channel == channel, table.c.delivery == delivery))

    def number_before(self, channel: str, moment: float) -> int:
        """See :meth:`~.protocol.Inbox.number_before`."""
        ours = table.c.channel == channel
        first = sa.select(sa.func.min(table.c.number) - 1).where(ours, table.c.received_at >= moment)
        last = sa.select(sa.func.max(table.c.number)).where(ours)
        return self._count(sa.select(sa.func.coalesce(first.scalar_subquery(), last.scalar_subquery(), 0)))

    def _newest(self) -> sa.ColumnElement[int]:
        """Of the sequence, which counts deleted messages too."""
        if self._database.is_postgresql:
            sequence = sa.cast(sa.func.pg_get_serial_sequence(table.name, "number"), postgresql.REGCLASS)
            return sa.func.pg_sequence_last_value(sequence, type_=sa.BigInteger)
        sequences = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
        return sa.select(sequences.c.seq).where(sequences.c.name == table.name).scalar_subquery()

    def _all(self, query: sa.Select[Any]) -> list[Received]:
        return [_received(row) for row in self._database.read(lambda connection: connection.execute(query).all())]

    def _one(self, query: sa.Select[Any]) -> Received | None:
        row = self._database.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else _received(row)

    def _count(self, query: sa.Select[Any]) -> int:
        return int(self._database.read(lambda connection: connection.scalar(query)) or 0)


def _of_one_moment(connection: sa.Connection, view: View, channel: str, number: int) -> View:
    """Read in one statement: what is deleted between two would count as lost, or not at all."""
    facts = sa.select(
        _deletions(channel).label("deletions"), _held(channel, number).scalar_subquery().label("held")
    ).subquery()
    page = _after(channel, number, PAGE_MESSAGES).subquery()
    query = sa.select(facts, page).select_from(facts.outerjoin(page, sa.true())).order_by(page.c.number)
    found = connection.execute(query).all()
    rows = [_received(row) for row in found if row.number is not None]
    return replace(view, rows=rows, deletions=deletions_from(found[0].deletions), held=found[0].held)


def _after(channel: str, number: int, limit: int) -> sa.Select[Any]:
    wanted = sa.and_(table.c.channel == channel, table.c.number > number)
    return sa.select(table).where(wanted).order_by(table.c.number).limit(limit)


def _held(channel: str, number: int) -> sa.Select[Any]:
    return sa.select(sa.func.count()).where(table.c.channel == channel, table.c.number <= number)


def _deletions(channel: str) -> sa.ScalarSelect[str]:
    return sa.select(position.c.position).where(position.c.feed == deletions_name(channel)).scalar_subquery()


def _bound(name: str) -> sa.ColumnElement[int]:
    """Of the transactions that run in PostgreSQL; its type has no number in Python."""
    bound = getattr(sa.func, f"pg_snapshot_{name}")(sa.func.pg_current_snapshot())
    return sa.cast(sa.cast(bound, sa.Text), sa.BigInteger)


_RUNNING = (_bound("xmin").label("ended"), _bound("xmax").label("begun"))
"""The columns of a :class:`~.cursor.Horizon`, in PostgreSQL."""


def _horizon(row: Any) -> Horizon:
    return Horizon(ended=row.ended, begun=row.begun)


def _received(row: Any) -> Received:
    """The message in a row of the table."""
    return Received(
        number=row.number,
        message=Message(
            channel=row.channel,
            subject=row.subject,
            delivery=row.delivery,
            content=None if row.content is None else json.loads(row.content),
            received_at=row.received_at,
        ),
    )
