"""An inbox whose database is removed or replaced while it is in use."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from airflow_provider_taskwatch.core.error import InboxError
from airflow_provider_taskwatch.inbox.cursor import Cursor
from airflow_provider_taskwatch.inbox.store import SqlInbox
from tests.inbox.conftest import OpenInbox
from tests.inbox.test_contract import SIGNAL, deliveries

OTHER = replace(SIGNAL, delivery="b")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the inbox's file; a second folder lies beside it."""
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "home"


@pytest.fixture
def inbox(open_inbox: OpenInbox, folder: Path) -> SqlInbox:
    """An inbox in use. Its log is empty, because SQLite restores a file from its log."""
    inbox = open_inbox(f"sqlite:///{folder}/inbox.db")
    inbox.add([SIGNAL])
    inbox.close()
    inbox.heartbeats()
    return inbox


def delete(folder: Path) -> None:
    (folder / "inbox.db").unlink()


def delete_all_files(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def move(folder: Path) -> None:
    (folder / "inbox.db").rename(folder.parent / "elsewhere" / "inbox.db")


def empty(folder: Path) -> None:
    (folder / "inbox.db").write_bytes(b"")


def replace_with_an_empty_file(folder: Path) -> None:
    (folder / "new").touch()
    (folder / "new").rename(folder / "inbox.db")


REMOVALS = [delete, delete_all_files, move, empty, shutil.rmtree, replace_with_an_empty_file]


@pytest.mark.parametrize("remove", REMOVALS)
def test_a_removed_file_is_neither_read_nor_written(
    inbox: SqlInbox, folder: Path, remove: Callable[[Path], None]
) -> None:
    remove(folder)

    for _ in range(2):
        for ask in (lambda: inbox.add([OTHER]), lambda: inbox.read(Cursor()), inbox.heartbeats, inbox.end):
            with pytest.raises(InboxError, match=r"inbox.db is gone: its file was .*or let `taskwatch inbox`"):
                ask()
    assert not (folder / "inbox.db").exists() or not (folder / "inbox.db").stat().st_size


@pytest.mark.parametrize("remove", REMOVALS)
def test_an_inbox_that_another_process_has_created_again_is_used(
    inbox: SqlInbox, open_inbox: OpenInbox, folder: Path, remove: Callable[[Path], None]
) -> None:
    remove(folder)
    with pytest.raises(InboxError):
        inbox.add([OTHER])
    for rest in folder.glob("inbox.db-*"):
        rest.unlink()
    other = open_inbox(f"sqlite:///{folder}/inbox.db")
    other.add([replace(SIGNAL, delivery="c")])

    assert inbox.add([OTHER]) == 1
    assert deliveries(other.read(Cursor())) == ["c", "b"]


def test_an_inbox_that_is_moved_back_holds_all_its_messages(inbox: SqlInbox, folder: Path) -> None:
    move(folder)
    with pytest.raises(InboxError):
        inbox.add([OTHER])
    (folder.parent / "elsewhere" / "inbox.db").rename(folder / "inbox.db")

    assert inbox.add([OTHER]) == 1
    assert deliveries(inbox.read(Cursor())) == ["a", "b"]


@pytest.mark.parametrize("has_tables", [False, True])
def test_a_replaced_file_is_used_and_logged(
    inbox: SqlInbox, open_inbox: OpenInbox, folder: Path, caplog: pytest.LogCaptureFixture, has_tables: bool
) -> None:
    path = folder.parent / "elsewhere" / "backup.db"
    backup = open_inbox(f"sqlite:///{path}")
    (backup.end if has_tables else lambda: None)()
    backup.close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE something (a INTEGER)")
    path.rename(folder / "inbox.db")
    for rest in folder.glob("inbox.db-*"):
        rest.unlink()

    assert inbox.add([OTHER]) == 1
    assert deliveries(open_inbox(f"sqlite:///{folder}/inbox.db").read(Cursor())) == ["b"]
    [record] = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "inbox.db is another file now: what only the former one held is lost here" in record.getMessage()


@pytest.mark.parametrize("remove", [delete, delete_all_files, move, shutil.rmtree, lambda folder: delete_log(folder)])
def test_a_commit_into_a_removed_file_is_an_error(
    inbox: SqlInbox, folder: Path, remove: Callable[[Path], None]
) -> None:
    inbox.add([OTHER])
    sa.event.listen(inbox.database.engine, "commit", lambda _: remove(folder))

    with pytest.raises(InboxError, match=r"is gone|has lost its file"):
        inbox.add([replace(SIGNAL, delivery="c")])


def delete_log(folder: Path) -> None:
    (folder / "inbox.db-wal").unlink()


def test_a_truncated_file_is_an_error(inbox: SqlInbox, folder: Path) -> None:
    inbox.add([OTHER])
    inbox.close()
    assert inbox.heartbeats() == []
    with (folder / "inbox.db").open("r+b") as file:
        file.truncate(6000)

    with pytest.raises(InboxError, match="malformed"):
        inbox.add([replace(SIGNAL, delivery="c")])


def test_a_full_disk_is_an_error_and_stored_messages_stay(inbox: SqlInbox) -> None:
    with inbox.database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    sa.event.listen(inbox.database.engine, "begin", lambda one: one.exec_driver_sql(f"PRAGMA max_page_count={pages}"))

    with pytest.raises(InboxError, match=r"inbox.db cannot be asked: .*full"):
        inbox.add([replace(SIGNAL, delivery=str(number), content="x" * 5_000) for number in range(9)])
    assert deliveries(inbox.read(Cursor())) == ["a"]


def test_the_error_for_a_database_without_tables_names_the_remedy(open_inbox: OpenInbox, postgres_url: str) -> None:
    inbox, other = open_inbox(postgres_url), open_inbox(postgres_url)
    inbox.add([SIGNAL])
    with psycopg.connect(postgres_url, autocommit=True) as database:
        database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    with pytest.raises(InboxError, match=r"taskwatch_message.* does not exist; restore it, or let `taskwatch"):
        inbox.add([OTHER])
    other.end()
    assert inbox.add([OTHER]) == 1
