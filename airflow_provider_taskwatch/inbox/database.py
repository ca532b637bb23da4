"""A database that several hosts share: connections, transactions, one retry, and translated errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from airflow_provider_taskwatch.core.error import InboxError, described
from airflow_provider_taskwatch.inbox.message import DAY_SECONDS

from . import schema
from .engine import engine_for, shown
from .place import RESTORE, FilePlace, Place

T = TypeVar("T")


_NEVER = object()


class Database:
    """Connects, and creates its tables, at its first use. Threads may share it.

    :param url: SQLAlchemy's URL.
    :param keeps: see :func:`~.engine.engine_for`.
    """

    def __init__(self, url: str, *, keeps: bool = True) -> None:
        self.engine = engine_for(url, keeps=keeps)
        self.insert = (postgresql if self.is_postgresql else sqlite).insert
        self._place = Place() if self.is_postgresql else FilePlace(self.engine)
        self._ready: object = _NEVER
        self._getting_ready = threading.Lock()
        self._users = 1
        self._counting = threading.Lock()

    def __repr__(self) -> str:
        return shown(self.engine.url)

    @property
    def is_postgresql(self) -> bool:
        return self.engine.dialect.name == "postgresql"

    def share(self) -> bool:
        """Count one more user, who will close it; return False if it is closed already."""
        with self._counting:
            self._users += bool(self._users)
            return self._users > 0

    def close(self) -> None:
        """Close all connections once every user has closed it."""
        with self._counting:
            self._users = max(0, self._users - 1)
            is_last = self._users == 0
        if is_last:
            self.engine.dispose()

    def now(self) -> sa.ColumnElement[float]:
        """The database's clock, which all hosts share: seconds since the epoch."""
        if self.is_postgresql:
            return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Float(53))
        return (sa.func.julianday("now", type_=sa.Float) - 2_440_587.5) * DAY_SECONDS

    def read(self, ask: Callable[[sa.Connection], T]) -> T:
        """One statement, outside of any transaction."""
        self._get_ready()

        def read() -> T:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                return ask(connection)

        return self._patiently(read)

    def write(self, change: Callable[[sa.Connection], T]) -> T:
        """One transaction."""
        self._get_ready()
        return self._patiently(lambda: self._transact(change))

    def _transact(self, change: Callable[[sa.Connection], T]) -> T:
        """A commit into a file that has vanished may be lost, so it is not acknowledged."""
        with self.engine.begin() as connection:
            info, result = connection.info, change(connection)
        if problem := self._place.problem(info):
            raise InboxError(f"{self!r} {problem}")
        return result

    def take_number(self, connection: sa.Connection) -> None:
        """Number the transaction before its rows, so that readers know that the rows may still become visible."""
        if self.is_postgresql:
            connection.execute(sa.select(sa.func.pg_current_xact_id()))

    def take_turn(self, connection: sa.Connection, name: str) -> None:
        """Let the writers of one name go one by one, so that the numbers of a channel become visible in order."""
        if self.is_postgresql:
            key = sa.func.hashtextextended(f"taskwatch {name}", 0)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))

    def _patiently(self, act: Callable[[], T]) -> T:
        """Retry once after a lost connection, as at a restart of the database: all operations are repeatable."""
        with self._translated():
            try:
                return act()
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            return act()

    def _get_ready(self) -> None:
        """Create or migrate the tables; once for each database, and by one process at a time."""
        with self._getting_ready:
            if self._ready != self._place.identity():
                with self._translated():
                    self._transact(schema.migrate)
                self._ready = self._place.identity()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as cause:
            raise InboxError(f"{self!r} cannot be asked: {_reason(cause)}") from cause


def _reason(error: Exception) -> str:
    """The database's message, without the statement."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    message = described(cause).partition("\n")[0]
    has_no_table = getattr(cause, "sqlstate", None) == _UNDEFINED_TABLE or "no such table" in message
    return f"{message}; {RESTORE}" if has_no_table else message


_UNDEFINED_TABLE = "42P01"
