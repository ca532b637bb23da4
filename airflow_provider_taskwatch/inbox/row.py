"""How a message is written into its table, and read from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from airflow_provider_taskwatch.inbox.message import Message, Received

from . import schema


def insert_message(connection: sa.Connection, insert: Callable[..., Any], message: Message) -> int:
    """Write a message down, and return 1 where it was not there yet.

    One statement that gives no number to what is there already, as that would leave a hole. A number that is given
    twice is an error.

    :param insert: the ``INSERT`` of the database's dialect.
    """
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
    statement = insert(table).from_select(list(row), values)
    statement = statement.on_conflict_do_nothing(index_elements=["channel", "delivery"])
    return len(connection.execute(statement.returning(table.c.number)).all())


def received(row: Any) -> Received:
    """The message in a row of its table."""
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
