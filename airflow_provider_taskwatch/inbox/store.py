"""An inbox in a database: a SQLite file on one host, PostgreSQL for several. All SQL of the package is here."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from airflow_provider_taskwatch.core.error import InboxError

from . import schema
from .cursor import HOLE_SECONDS, Cursor, cursor_at
from .engine import engine_for
from .message import DAY_SECONDS, PAGE_MESSAGES, PRUNE_MESSAGES, RETENTION_DAYS, Heartbeat, Message, Received

T = TypeVar("T")

log = logging.getLogger(__name__)

PRUNE_SECONDS = 60.0
FORGET_SECONDS = DAY_SECONDS
"""Receivers that have not said anything for so long are forgotten."""


class SqlInbox:
    """See :class:`~.message.Inbox`. Connects, and makes its tables, when it is first asked for something.

    :param url: SQLAlchemy's URL of the database.
    :param retention_days: what is older is deleted, in small steps, by whoever adds something.
    :param clock: seconds since the epoch.
    """

    def __init__(
        self, url: str, *, retention_days: float = RETENTION_DAYS, clock: Callable[[], float] = time.time
    ) -> None:
        self._engine = engine_for(url)
        self._insert = (postgresql if self._engine.dialect.name == "postgresql" else sqlite).insert
        self._retention_seconds = retention_days * DAY_SECONDS
        self._clock = clock
        self._prune_from = 0.0
        self._is_ready = False
        self._getting_ready = threading.Lock()

    def __repr__(self) -> str:
        """Without the query of the address, as that may hold a password too."""
        return f"the inbox {self._engine.url.set(query={}).render_as_string(hide_password=True)}"

    # --- messages

    def add(self, messages: Sequence[Message]) -> int:
        new = self._write(lambda connection: sum(self._add(connection, one) for one in messages))
        self._prune_now_and_then()
        return new

    def _add(self, connection: sa.Connection, message: Message) -> int:
        """One statement that gives no number to what is there already, as that would leave a hole."""
        table = schema.message
        is_there = sa.exists().where(table.c.channel == message.channel, table.c.delivery == message.delivery)
        row = {
            "channel": message.channel,
            "subject": message.subject,
            "delivery": message.delivery,
            "content": None if message.content is None else json.dumps(message.content),
            "received_at": message.received_at,
        }
        values = sa.select(*(sa.literal(value, table.c[name].type) for name, value in row.items())).where(~is_there)
        insert = self._insert(table).from_select(list(row), values).on_conflict_do_nothing()
        return len(connection.execute(insert.returning(table.c.number)).all())

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
        return [_received(row) for row in self._read(lambda connection: connection.execute(query).all())]

    def prune(self, before: float, limit: int) -> int:
        table = schema.message
        oldest = sa.select(table.c.number).where(table.c.received_at < before).order_by(table.c.number).limit(limit)
        delete = table.delete().where(table.c.number.in_(oldest.scalar_subquery()))
        return self._write(lambda connection: connection.execute(delete).rowcount)

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

    # --- feeds

    def position(self, feed: str) -> str | None:
        table = schema.position
        query = sa.select(table.c.position).where(table.c.feed == feed)
        return self._read(lambda connection: connection.scalar(query))

    def save_position(self, feed: str, position: str) -> None:
        insert = self._insert(schema.position).values(feed=feed, position=position)
        upsert = insert.on_conflict_do_update(index_elements=["feed"], set_={"position": position})
        self._write(lambda connection: connection.execute(upsert))

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

    def close(self) -> None:
        self._engine.dispose()

    # --- the database

    def _now(self) -> sa.ColumnElement[float]:
        """The database's clock, which all hosts share: seconds since the epoch."""
        if self._engine.dialect.name == "postgresql":
            return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Float(53))
        return (sa.func.julianday("now", type_=sa.Float) - 2_440_587.5) * DAY_SECONDS

    def _read(self, ask: Callable[[sa.Connection], T]) -> T:
        """One statement, outside of any transaction."""
        self._get_ready()

        def read() -> T:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                return ask(connection)

        return self._patiently(read)

    def _write(self, change: Callable[[sa.Connection], T]) -> T:
        """One transaction."""
        self._get_ready()
        return self._patiently(lambda: self._transact(change))

    def _transact(self, change: Callable[[sa.Connection], T]) -> T:
        with self._engine.begin() as connection:
            return change(connection)

    def _patiently(self, act: Callable[[], T]) -> T:
        """Once more where the connection was gone, as after a restart of the database; all that is done may be."""
        with self._translated():
            try:
                return act()
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            return act()

    def _get_ready(self) -> None:
        """Make the tables, or bring them to this version; once, and by one process at a time."""
        with self._getting_ready:
            if not self._is_ready:
                with self._translated():
                    self._transact(schema.migrate)
                self._is_ready = True

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as cause:
            raise InboxError(f"{self!r} cannot be asked: {_reason(cause)}") from cause


def _received(row: Any) -> Received:
    content = None if row.content is None else json.loads(row.content)
    return Received(
        number=row.number,
        message=Message(
            channel=row.channel,
            subject=row.subject,
            delivery=row.delivery,
            content=content,
            received_at=row.received_at,
        ),
    )


def _reason(error: Exception) -> str:
    """What the database says, without the statement."""
    return str(error.orig if isinstance(error, DBAPIError) else error).strip().partition("\n")[0]
