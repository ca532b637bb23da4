"""The tables of an inbox.

``taskwatch_version`` holds the oldest version of this module that can still use the inbox. An additional table does not
raise it, as an older program ignores that table: hosts can be upgraded one after the other. Only a change that an older
program would not survive raises it.
"""

from __future__ import annotations

import sqlalchemy as sa

from airflow_provider_taskwatch.core.error import InboxError

LOCK = 0x7461736B77617463
"""The advisory lock of a migration in PostgreSQL."""

tables = sa.MetaData()

version = sa.Table("taskwatch_version", tables, sa.Column("version", sa.Integer, nullable=False))

message = sa.Table(
    "taskwatch_message",
    tables,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("delivery", sa.Text, nullable=False),
    sa.Column("content", sa.Text),
    sa.Column("received_at", sa.Float(53), nullable=False),
    sa.UniqueConstraint("channel", "delivery", name="taskwatch_message_delivery"),
    sa.Index("taskwatch_message_subject", "subject"),
    sa.Index("taskwatch_message_channel", "channel", "number"),
    sa.Index("taskwatch_message_received_at", "received_at"),
    sqlite_autoincrement=True,  # else the number of a pruned row would be assigned again
)

position = sa.Table(
    "taskwatch_position",
    tables,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("position", sa.Text, nullable=False),
)

lease = sa.Table(
    "taskwatch_lease",
    tables,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("until", sa.Float(53), nullable=False),
)

sealed = sa.Table(
    "taskwatch_sealed",
    tables,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("received_at", sa.Float(53), nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
)

receiver = sa.Table(
    "taskwatch_receiver",
    tables,
    sa.Column("host", sa.Text, primary_key=True),
    sa.Column("url", sa.Text, primary_key=True),
    sa.Column("at", sa.Float(53), nullable=False),
)

task_state = sa.Table(
    "taskwatch_task_state",
    tables,
    sa.Column("airflow", sa.Text, primary_key=True),
    sa.Column("dag_id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("map_index", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("checked_at", sa.Float(53), nullable=False),
    sa.Index("taskwatch_task_state_checked_at", "checked_at"),
)

VERSION = 1
"""The newest version that this program knows."""


def migrate(connection: sa.Connection) -> None:
    """Create the tables that are missing, in a transaction that holds an exclusive lock."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    found = _found(connection)
    if found > VERSION:
        raise InboxError(
            f"the inbox has the version {found}, and this airflow-provider-taskwatch knows {VERSION}: "
            "install the newest one everywhere"
        )
    tables.create_all(connection)
    connection.execute(version.delete())
    connection.execute(version.insert().values(version=VERSION))


def _found(connection: sa.Connection) -> int:
    """The version of the existing tables; 0 for none."""
    if not sa.inspect(connection).has_table(version.name):
        return 0
    return connection.execute(sa.select(version.c.version)).scalar() or 0
