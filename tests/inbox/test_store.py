"""Inboxes in databases: creation of their tables, concurrent transactions, errors."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from airflow_provider_taskwatch.core.error import ConfigurationError, InboxError
from airflow_provider_taskwatch.inbox import engine as engines
from airflow_provider_taskwatch.inbox import schema
from airflow_provider_taskwatch.inbox.cursor import Cursor
from airflow_provider_taskwatch.inbox.engine import engine_for
from airflow_provider_taskwatch.inbox.message import DAY_SECONDS, PRUNE_MESSAGES, SEALED_SECONDS
from airflow_provider_taskwatch.inbox.pruning import PRUNE_SECONDS
from airflow_provider_taskwatch.inbox.store import SqlInbox
from tests.inbox.conftest import NOW, OpenInbox
from tests.inbox.test_contract import SIGNAL, deliveries, events
from tests.rows import each_row
from tests.until import wait_until

ADD_ONE = """
import sys, time
from airflow_provider_taskwatch.inbox.message import (Message)
from airflow_provider_taskwatch.inbox.store import SqlInbox

message = Message(channel="automic", subject="start", delivery=sys.argv[2], content=None, received_at=time.time())
sys.exit(SqlInbox(sys.argv[1]).add([message]) - 1)
"""


@pytest.mark.process
def test_processes_that_start_together_create_the_tables_once(open_inbox: OpenInbox, url: str) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", ADD_ONE, url, str(number)]) for number in range(4)]

    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    assert sorted(deliveries(open_inbox(url).read(Cursor()))) == ["0", "1", "2", "3"]


def test_the_inbox_waits_for_another_process_that_creates_the_file(open_inbox: OpenInbox, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "inbox.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.2, other.close)
    done.start()

    assert open_inbox(f"sqlite:///{tmp_path}/inbox.db").add([SIGNAL]) == 1
    done.join()


def test_the_wait_for_a_locked_file_is_limited(
    open_inbox: OpenInbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(tmp_path / "inbox.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(InboxError, match="database is locked"):
            open_inbox(f"sqlite:///{tmp_path}/inbox.db").add([SIGNAL])


def test_tables_of_an_older_version_are_upgraded(open_inbox: OpenInbox, url: str) -> None:
    engine = engine_for(url)
    with engine.begin() as connection:
        schema.version.create(connection)
        connection.execute(schema.version.insert().values(version=0))

    assert open_inbox(url).add([SIGNAL]) == 1
    with engine.connect() as connection:
        assert connection.scalars(sa.select(schema.version.c.version)).all() == [schema.VERSION]
    engine.dispose()


def test_a_table_that_an_older_program_has_not_made_is_added(open_inbox: OpenInbox, url: str) -> None:
    engine = engine_for(url)
    open_inbox(url).add([SIGNAL])
    with engine.begin() as connection:
        schema.task_state.drop(connection)

    newer = open_inbox(f"{url}{'&' if '?' in url else '?'}options=" if url.startswith("postgres") else url)
    assert newer.count_task_states() == 0
    assert [one.message for one in newer.read(Cursor())] == [SIGNAL]
    engine.dispose()


def test_a_table_of_a_newer_program_is_left_alone(open_inbox: OpenInbox, url: str) -> None:
    engine = engine_for(url)
    open_inbox(url).add([SIGNAL])
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE taskwatch_of_the_future (number INTEGER)")

    assert open_inbox(url).add([replace(SIGNAL, delivery="b")]) == 1
    assert "taskwatch_of_the_future" in sa.inspect(engine).get_table_names()
    engine.dispose()


def test_tables_of_a_newer_version_are_refused(open_inbox: OpenInbox, url: str) -> None:
    open_inbox(url).add([SIGNAL])
    engine = engine_for(url)
    with engine.begin() as connection:
        connection.execute(schema.version.update().values(version=99))
    engine.dispose()

    with pytest.raises(InboxError, match=r"version 99.*install the newest one everywhere"):
        open_inbox(url).add([SIGNAL])


def test_a_late_commit_with_a_smaller_number_is_not_missed(open_inbox: OpenInbox, postgres_url: str) -> None:
    inbox = open_inbox(postgres_url)
    cursor = inbox.end()
    engine = engine_for(postgres_url)
    slow = engine.connect()
    slow.execute(schema.message.insert().values(**_row("slow")))
    inbox.add([replace(SIGNAL, delivery="quick")])

    first = inbox.read(cursor)
    slow.commit()
    second = inbox.read(cursor.moved([one.number for one in first]))

    assert (deliveries(first), deliveries(second)) == (["quick"], ["slow"])
    assert second[0].number < first[0].number
    slow.close()
    engine.dispose()


def test_a_new_cursor_does_not_miss_an_open_transaction(open_inbox: OpenInbox, postgres_url: str) -> None:
    inbox = open_inbox(postgres_url)
    inbox.end()
    engine = engine_for(postgres_url)
    slow = engine.connect()
    slow.execute(schema.message.insert().values(**_row("slow")))
    inbox.add([replace(SIGNAL, delivery="quick")])

    cursor = inbox.end()
    cursor = cursor.moved([one.number for one in inbox.read(cursor)])
    slow.commit()

    assert deliveries(inbox.read(cursor)) == ["slow"]
    slow.close()
    engine.dispose()


def test_a_new_cursor_without_open_transactions_starts_after_every_stored_message(
    open_inbox: OpenInbox, url: str
) -> None:
    inbox = open_inbox(url)
    inbox.add([replace(SIGNAL, delivery=str(number), received_at=NOW - 10.0) for number in range(300)])

    assert inbox.read(inbox.end()) == []


STALL_COMMITS = """
CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER stall AFTER INSERT ON taskwatch_message DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.channel = 'tasks') EXECUTE FUNCTION stall()
"""


def test_events_with_a_stalled_commit_are_not_missed_after_many_reads(open_inbox: OpenInbox, postgres_url: str) -> None:
    inbox = open_inbox(postgres_url)
    cursor = inbox.end()
    with psycopg.connect(postgres_url, autocommit=True) as disk:
        disk.execute(STALL_COMMITS)
        disk.execute("SELECT pg_advisory_lock(7)")
        slow = threading.Thread(target=inbox.append, args=("tasks", events("tasks", *range(25))))
        slow.start()
        wait_until(lambda: is_stalled(disk))
        for number in range(200):  # 200 s of a reader that reads once a second
            if number % 50 == 0:
                inbox.add([replace(SIGNAL, delivery=f"quick {number}")])
            horizon = inbox.horizon()
            cursor = cursor.moved([one.number for one in inbox.read(cursor)], horizon)
        disk.execute("SELECT pg_advisory_unlock(7)")
        slow.join()

    assert deliveries(inbox.read(cursor)) == [str(number) for number in range(25)]


def test_a_new_cursor_does_not_miss_events_with_a_stalled_commit(open_inbox: OpenInbox, postgres_url: str) -> None:
    inbox = open_inbox(postgres_url)
    engine = engine_for(postgres_url)
    inbox.end()
    with engine.connect() as slow:
        slow.execute(schema.message.insert().values(**_row("slow")))
        inbox.add([replace(SIGNAL, delivery=f"quick {number}", received_at=NOW) for number in range(50)])
        cursor = inbox.end()
        slow.commit()

    assert deliveries(inbox.read(cursor)) == ["slow"]
    engine.dispose()


def test_numbers_of_a_rolled_back_transaction_do_not_stay_missing(open_inbox: OpenInbox, postgres_url: str) -> None:
    inbox = open_inbox(postgres_url)
    cursor = inbox.end()
    engine = engine_for(postgres_url)
    with engine.connect() as broken:
        broken.execute(schema.message.insert().values(**_row("broken")))
        broken.rollback()
    inbox.add([SIGNAL])
    cursor = cursor.moved([one.number for one in inbox.read(cursor)])
    assert len(cursor.missing) == 1

    wait_until(
        lambda: not cursor.moved([], inbox.horizon()).missing
    )  # the database may run transactions of its own meanwhile
    engine.dispose()


def test_a_duplicate_delivery_uses_no_number(open_inbox: OpenInbox, url: str) -> None:
    inbox = open_inbox(url)
    inbox.add([SIGNAL])
    for _ in range(5):
        inbox.add([SIGNAL])
    inbox.add([replace(SIGNAL, delivery="b")])

    assert [one.number for one in inbox.read(Cursor())] == [1, 2]


def test_the_inbox_reconnects_to_a_restarted_database(open_inbox: OpenInbox, server: object, postgres_url: str) -> None:
    inbox = open_inbox(postgres_url)
    inbox.add([SIGNAL])
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'taskwatch'")

    assert inbox.add([replace(SIGNAL, delivery="b")]) == 1


def test_the_error_for_a_database_that_is_down_shows_no_password(open_inbox: OpenInbox) -> None:
    inbox = open_inbox("postgresql://airflow:sesame@127.0.0.1:9/inbox")

    with pytest.raises(InboxError, match=r"airflow:\*\*\*@127.0.0.1:9/inbox cannot be asked") as error:
        inbox.add([SIGNAL])

    assert "sesame" not in f"{error.value}{error.value.__cause__}"


def test_a_password_in_the_query_is_not_shown() -> None:
    assert "sesame" not in repr(SqlInbox("postgresql://127.0.0.1:9/inbox?user=airflow&password=sesame"))


def test_the_error_for_an_unwritable_folder_names_the_file(open_inbox: OpenInbox, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InboxError, match=r"inbox.db cannot be asked"):
        open_inbox(f"sqlite:///{tmp_path}/file/inbox.db").add([SIGNAL])


def test_the_error_for_a_file_that_is_not_a_database_names_it(open_inbox: OpenInbox, tmp_path: Path) -> None:
    (tmp_path / "inbox.db").write_text("not a database" * 100)

    with pytest.raises(InboxError, match=r"inbox.db cannot be asked: .*not a database"):
        open_inbox(f"sqlite:///{tmp_path}/inbox.db").add([SIGNAL])


def test_only_the_owner_may_read_or_write_the_file(open_inbox: OpenInbox, tmp_path: Path) -> None:
    open_inbox(f"sqlite:///{tmp_path}/new/inbox.db").add([SIGNAL])

    assert (tmp_path / "new" / "inbox.db").stat().st_mode & 0o077 == 0


@each_row(
    "url, message",
    [
        ("", "the inbox's address is none"),
        ("nonsense", "the inbox's address is none"),
        ("mysql://host/inbox", "SQLite or PostgreSQL, not in 'mysql'"),
        ("postgresql://host:port/inbox", "the inbox's address is none"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_an_invalid_address_is_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SqlInbox(url)


@each_row("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_psycopg_3_is_the_driver_for_postgresql(scheme: str) -> None:
    assert engine_for(f"{scheme}://host/inbox").url.drivername == "postgresql+psycopg"


def test_add_prunes_old_messages_at_intervals(open_inbox: OpenInbox, url: str) -> None:
    now = [20 * DAY_SECONDS]
    inbox = open_inbox(url, retention_days=14, clock=lambda: now[0])
    inbox.add([replace(SIGNAL, delivery="new", received_at=now[0])])
    inbox.add([replace(SIGNAL, delivery="old", received_at=DAY_SECONDS)])
    assert deliveries(inbox.read(Cursor())) == ["new", "old"]

    now[0] += PRUNE_SECONDS
    inbox.add([replace(SIGNAL, delivery="newer", received_at=now[0])])

    assert deliveries(inbox.read(Cursor())) == ["new", "newer"]


def test_append_prunes_messages_and_unreadable_sealed_replies(
    open_inbox: OpenInbox, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    now = [20 * DAY_SECONDS]
    inbox = open_inbox(url, retention_days=14, clock=lambda: now[0])
    inbox.append("tasks", [replace(SIGNAL, channel="tasks", received_at=now[0])])
    inbox.append("tasks", [replace(SIGNAL, channel="tasks", delivery="old", received_at=DAY_SECONDS)])
    inbox.set_problem(inbox.keep_sealed("queue", b"old", now[0]), "is no JSON")
    inbox.keep_sealed("queue", b"unread", now[0])
    now[0] += SEALED_SECONDS + 1
    inbox.keep_sealed("queue", b"new", now[0])

    assert deliveries(inbox.after("tasks", 0)) == ["a"]
    assert [one.content for one in inbox.sealed()] == [b"unread", b"new"]
    assert "1 sealed replies that could not be read are deleted" in caplog.text


def test_a_limited_prune_continues_with_the_next_add(open_inbox: OpenInbox, sqlite_url: str) -> None:
    inbox = open_inbox(sqlite_url, clock=lambda: 20 * DAY_SECONDS)
    inbox.add([replace(SIGNAL, delivery=str(number)) for number in range(2 * PRUNE_MESSAGES + 1)])
    left = [len(inbox.read(Cursor()))]
    for number in range(2):
        inbox.add([replace(SIGNAL, delivery=f"new {number}", received_at=20 * DAY_SECONDS)])
        left.append(len(inbox.read(Cursor())))

    assert left == [PRUNE_MESSAGES + 1, 2, 2]


def test_an_added_message_is_stored_although_pruning_fails(
    open_inbox: OpenInbox, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: object, __: object, statement: str, *rest: object) -> None:
        if statement.startswith("DELETE FROM taskwatch_message"):
            raise OSError("the disk is full")

    inbox = open_inbox(sqlite_url)
    sa.event.listen(inbox.database.engine, "before_cursor_execute", refuse)
    with caplog.at_level(logging.WARNING):
        assert inbox.add([SIGNAL]) == 1

    assert "nothing was pruned" in caplog.text
    assert "the disk is full" in caplog.text


def _row(delivery: str) -> dict[str, object]:
    return {"channel": "automic", "subject": "start-1", "delivery": delivery, "content": None, "received_at": 1.0}


def is_stalled(database: psycopg.Connection) -> bool:
    """Whether a transaction waits for a lock while committing."""
    query = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'COMMIT%' AND wait_event_type = 'Lock'"
    return database.execute(query).fetchone() is not None
