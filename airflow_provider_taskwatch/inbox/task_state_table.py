"""The table of task states: JSON by task instance and key, which the retention of messages does not touch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import sqlalchemy as sa

from .database import Database
from .schema import task_state as table
from .task_state import TaskKey


class TaskStateTable:
    """Reads task states, and replaces them by compare-and-set."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, task: TaskKey, key: str) -> str | None:
        """A content; None where there is none."""
        query = sa.select(table.c.content).where(_is(task), table.c.name == key)
        return self._database.read(lambda connection: connection.scalar(query))

    def elsewhere(self, task: TaskKey, key: str) -> dict[str, str]:
        """The contents that other Airflows have for a task instance with the same ids, by the id of the Airflow."""
        is_other = (table.c.airflow != task.airflow) & (table.c.name == key)
        query = sa.select(table.c.airflow, table.c.content).where(is_other, *_ids(task))
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return {row.airflow: row.content for row in rows}

    def replace(self, task: TaskKey, key: str, before: str | None, after: str | None) -> bool:
        """Put ``after`` in the place of ``before``, None for nothing; return whether ``before`` was there.

        True also where ``after`` is there already: the commit of an earlier call may have lost its reply.
        """

        def write(connection: sa.Connection) -> bool:
            held = connection.scalar(sa.select(table.c.content).where(_is(task), table.c.name == key).with_for_update())
            if held != before:
                return held == after
            if after is None:
                connection.execute(table.delete().where(_is(task), table.c.name == key))
                return True
            insert = self._database.insert(table).values(
                **asdict(task), name=key, content=after, checked_at=self._database.now()
            )
            if before is None:
                made = insert.on_conflict_do_nothing().returning(table.c.task_id)
                return connection.scalar(made) is not None
            change = {"content": after, "checked_at": self._database.now()}
            connection.execute(table.update().where(_is(task), table.c.name == key).values(change))
            return True

        return self._database.write(write)

    def unchecked(self, airflow: str, seconds: float, limit: int) -> list[TaskKey]:
        """Task instances of an Airflow that were neither written nor checked for ``seconds``, the oldest first."""
        names = [table.c[name] for name in TaskKey.__dataclass_fields__]
        is_due = (table.c.airflow == airflow) & (table.c.checked_at < self._database.now() - seconds)
        query = sa.select(*names).where(is_due).group_by(*names).order_by(sa.func.min(table.c.checked_at)).limit(limit)
        rows = self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [TaskKey(**row) for row in rows]

    def settle(self, over: Iterable[TaskKey], going_on: Iterable[TaskKey], seconds: float) -> None:
        """Delete what is kept of some task instances, and note that others were checked.

        What was written within ``seconds`` stays: the task instance was cleared meanwhile.
        """

        def write(connection: sa.Connection) -> None:
            is_due = table.c.checked_at < self._database.now() - seconds
            for task in over:
                connection.execute(table.delete().where(_is(task), is_due))
            for task in going_on:
                connection.execute(table.update().where(_is(task)).values(checked_at=self._database.now()))

        self._database.write(write)

    def count(self) -> int:
        """How many task instances have a state."""
        names = [table.c[name] for name in TaskKey.__dataclass_fields__]
        distinct = sa.select(*names).distinct().subquery()
        query = sa.select(sa.func.count()).select_from(distinct)
        return self._database.read(lambda connection: connection.scalar(query)) or 0


def _is(task: TaskKey) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.airflow == task.airflow, *_ids(task))


def _ids(task: TaskKey) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in asdict(task).items() if name != "airflow"]
