"""Creates the SQLAlchemy engine of an inbox, with the settings of each database."""

from __future__ import annotations

import logging
import sqlite3
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from airflow_provider_taskwatch.core.error import ConfigurationError, InboxError, described

from . import schema

log = logging.getLogger(__name__)

WRITE_SECONDS = 10
"""After this, PostgreSQL ends a statement, and a transaction that is idle."""
BUSY_SECONDS = 15
BUSY_AGAIN_SECONDS = 0.02
CONNECT_SECONDS = 5
CONNECTIONS = 4
"""How many connections a process keeps open; it opens as many more while it is busy."""

_TIMES = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": WRITE_SECONDS * 1000,
}
"""Without these, a host that vanishes blocks a thread for hours."""


def engine_for(url: str, *, keeps: bool = True) -> sa.Engine:
    """The engine of an inbox. Opens no connection yet.

    :param keeps: whether idle connections to a server stay open.
    :raises ConfigurationError: where the URL is malformed, or of another database.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    return _postgresql(parsed, _POOL if keeps else {"poolclass": sa.NullPool})


def shown(url: sa.URL | str) -> str:
    """The inbox by its address, without the password, and without the query, which may hold one too.

    :raises ConfigurationError: where the URL is malformed, or of another database.
    """
    parsed = _parsed(url) if isinstance(url, str) else url
    return f"the inbox {parsed.set(query={}).render_as_string(hide_password=True)}"


def _parsed(url: str) -> sa.URL:
    """The URL with the one driver of its database."""
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "the inbox's address is none; write sqlite:////path/to/inbox.db or postgresql://user@host/database"
        ) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return parsed
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigurationError(f"an inbox is in SQLite or PostgreSQL, not in {parsed.drivername!r}")


def _sqlite(url: sa.URL) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("an inbox in SQLite needs a file, as several processes share it")
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: object) -> None:
        """Readers do not wait for writers; a commit survives a power loss; transactions begin explicitly."""
        connection.isolation_level = None
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        """Writers queue at BEGIN: SQLite refuses at once a reader that becomes a writer."""
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Retries itself: SQLite does not wait here for a process that is just creating the file."""
    ends_at = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # any of its extended codes
            if not is_busy or time.monotonic() >= ends_at:
                raise
            time.sleep(BUSY_AGAIN_SECONDS)
        else:
            return


_POOL = {"pool_size": CONNECTIONS, "max_overflow": CONNECTIONS, "pool_timeout": WRITE_SECONDS}


def _postgresql(url: sa.URL, pool: dict[str, Any]) -> sa.Engine:
    limit = WRITE_SECONDS * 1000
    options = f"-c statement_timeout={limit} -c idle_in_transaction_session_timeout={limit}"
    try:
        engine = sa.create_engine(
            url,
            connect_args={**_TIMES, "options": options, "application_name": "taskwatch"},
            hide_parameters=True,
            **pool,
        )
    except ImportError as cause:
        raise ConfigurationError(
            "an inbox in PostgreSQL needs psycopg: pip install 'airflow-provider-taskwatch[postgres]'"
        ) from cause

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: object) -> None:
        """Translates errors itself, as SQLAlchemy does not wrap those of this hook."""
        try:
            _mend_numbers(connection)
        except engine.dialect.loaded_dbapi.Error as cause:
            raise InboxError(f"the inbox cannot be asked: {described(cause)}") from cause

    return engine


def _mend_numbers(connection: Any) -> None:
    """Advance the sequences past the stored numbers: a logical replica, or a copy of the data alone, resets them.

    Readers would skip numbers that are assigned a second time.
    """
    for table in (schema.message, schema.sealed):
        if connection.execute("SELECT to_regclass(%s)", [table.name]).fetchone() == (None,):
            continue
        if found := connection.execute(_MEND.format(table=table.name)).fetchone():
            log.error("the numbers of %s had begun anew in this inbox; they go on after %d", table.name, found[0])
    connection.commit()


_MEND = """
SELECT setval(sequence, last) FROM (
    SELECT pg_get_serial_sequence('{table}', 'number')::regclass AS sequence, max(number) AS last FROM {table}
) AS held WHERE last > coalesce(pg_sequence_last_value(sequence), 0) AND NOT pg_is_in_recovery()
"""
