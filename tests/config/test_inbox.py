"""The inbox is that of the option, else that of the connection, else a file; never another one by mistake."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from typing import Any

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import DRCount, ErrorResponse

from airflow_provider_taskwatch.config.inbox import (
    aopen_inbox,
    inbox_name,
    inbox_url_of,
    open_inbox,
    open_named_inbox,
    retention_days,
)
from airflow_provider_taskwatch.core.error import ConfigurationError, InboxError
from airflow_provider_taskwatch.inbox.protocol import Inbox
from tests.config.supervisor import Supervisor
from tests.rows import each_row

URL_VARIABLE = "AIRFLOW__TASKWATCH__INBOX_URL"
SERVER = "the inbox postgresql+psycopg://me:***@db.test"
DEFAULT = f"sqlite:///{os.environ['AIRFLOW_HOME']}/taskwatch-inbox.db"
UNSEEN = "triggerers and receivers on other hosts do not see this file: let [taskwatch] inbox_url, or the connection"
HERE = socket.gethostname()
CONNECTION = {"conn_type": "postgres", "host": "db.test", "login": "me", "password": "hush-hush", "schema": "calls"}


def opened_both_ways() -> list[Inbox]:
    return [open_inbox(), asyncio.run(aopen_inbox())]


@pytest.fixture(autouse=True)
def _no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    monkeypatch.delenv("AIRFLOW_CONN_TASKWATCH_INBOX", raising=False)


def test_the_option_precedes_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL_VARIABLE, "sqlite:////x/y.db")
    monkeypatch.setenv("AIRFLOW_CONN_TASKWATCH_INBOX", json.dumps(CONNECTION))
    assert [repr(one) for one in opened_both_ways()] == ["the inbox sqlite:////x/y.db"] * 2


@pytest.mark.parametrize("driver", ["", "+psycopg2", "+psycopg"])
def test_airflows_own_database_is_refused(monkeypatch: pytest.MonkeyPatch, driver: str) -> None:
    monkeypatch.setenv(
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"postgresql{driver}://a:b@db.test/airflow?sslmode=require"
    )
    for url in ("postgresql://me:hush@db.test/airflow", "postgres://db.test/airflow"):
        monkeypatch.setenv(URL_VARIABLE, url)
        for open_one in (open_inbox, lambda: asyncio.run(aopen_inbox())):
            with pytest.raises(ConfigurationError, match="must not be Airflow's own database"):
                open_one()
    monkeypatch.setenv(URL_VARIABLE, "postgresql://me:hush@db.test/taskwatch")
    assert len(opened_both_ways()) == 2


def test_the_connection_names_the_inbox_where_the_option_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TASKWATCH_INBOX", json.dumps(CONNECTION))
    assert [repr(one) for one in opened_both_ways()] == ["the inbox postgresql+psycopg://me:***@db.test/calls"] * 2


def test_the_default_is_a_file_in_airflow_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(DRCount(count=0)), raising=False)
    expected = f"the inbox sqlite:///{os.environ['AIRFLOW_HOME']}/taskwatch-inbox.db"
    assert [repr(one) for one in opened_both_ways()] == [expected] * 2


def test_a_worker_that_reads_a_feed_refuses_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(DRCount(count=0)), raising=False)
    with pytest.raises(ConfigurationError, match="inbox_url on workers, too, or add an Airflow connection"):
        open_named_inbox()
    monkeypatch.setenv(URL_VARIABLE, "sqlite:////x/y.db")
    assert repr(open_named_inbox()) == "the inbox sqlite:////x/y.db"


def test_a_connection_that_could_not_be_looked_for_does_not_count_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        task_runner, "SUPERVISOR_COMMS", Supervisor(ErrorResponse(error=ErrorType.API_SERVER_ERROR)), raising=False
    )
    with pytest.raises(InboxError, match=r"which may name the inbox; .* set \[taskwatch\] inbox_url"):
        open_inbox()
    with pytest.raises(InboxError, match="API_SERVER_ERROR"):
        asyncio.run(aopen_inbox())


@each_row(
    "given, url",
    [
        (CONNECTION, "postgresql://me:hush-hush@db.test/calls"),
        (
            CONNECTION | {"port": 6432, "password": "a/b@c", "extra": {"sslmode": "verify-full"}},
            "postgresql://me:a%2Fb%40c@db.test:6432/calls?sslmode=verify-full",
        ),
        ({"conn_type": "postgres", "host": "::1", "schema": "calls"}, "postgresql://[::1]/calls"),
        ({"conn_type": "sqlite", "host": "/data/inbox.db"}, "sqlite:////data/inbox.db"),
    ],
)
def test_a_connection_becomes_a_url(given: dict[str, Any], url: str) -> None:
    extra = json.dumps(given.get("extra", {}))
    assert inbox_url_of(Connection(**{"conn_id": "taskwatch_inbox", **given, "extra": extra})) == url


def test_a_connection_of_another_type_is_refused_without_showing_its_password() -> None:
    other = Connection(conn_id="taskwatch_inbox", conn_type="mysql", password="hush-hush")
    with pytest.raises(ConfigurationError, match="has the type 'mysql'; an inbox is in PostgreSQL or SQLite") as caught:
        inbox_url_of(other)
    assert "hush-hush" not in str(caught.value)


@each_row(
    "executor, url, name, doubt",
    [
        ("CeleryExecutor", "postgresql://me:hush@db.test/calls?password=hush", f"{SERVER}/calls", ""),
        ("LocalExecutor", "sqlite:////x/y.db", f"the inbox sqlite:////x/y.db, a file of the host {HERE}", ""),
        ("LocalExecutor", "", f"the inbox {DEFAULT}, the default file of the host {HERE}", ""),
        ("CeleryExecutor", "", f"the inbox {DEFAULT}, the default file of the host {HERE}", UNSEEN),
        ("LocalExecutor,KubernetesExecutor", DEFAULT, f"the inbox {DEFAULT}, the default file of the host", UNSEEN),
        ("CeleryExecutor", "sqlite:////x/y.db", f"the inbox sqlite:////x/y.db, a file of the host {HERE}", UNSEEN),
        (
            "LocalExecutor",
            "mysql://me:hush@db.test/calls",
            "an inbox that is not known here: an inbox is in SQLite",
            "",
        ),
        ("LocalExecutor", "hush", "an inbox that is not known here: the inbox's address is none", ""),
    ],
)
def test_the_inbox_has_a_name_and_a_file_that_other_hosts_do_not_see_a_doubt(
    executor: str, url: str, name: str, doubt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(DRCount(count=0)), raising=False)
        patch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
        patch.setenv(URL_VARIABLE, url)
        found = inbox_name()
    assert found.name.startswith(name)
    assert found.doubt.startswith(doubt) if doubt else found.doubt == ""
    assert str(found) == (f"{found.name} ({found.doubt})" if doubt else found.name)
    assert "hush" not in str(found)


def test_an_inbox_that_cannot_be_named_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        task_runner, "SUPERVISOR_COMMS", Supervisor(ErrorResponse(error=ErrorType.API_SERVER_ERROR)), raising=False
    )
    assert "not known here: Airflow cannot be asked for the connection 'taskwatch_inbox'" in inbox_name().name


def test_a_wrong_retention_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_RETENTION_DAYS", "0")
    with pytest.raises(
        ConfigurationError, match="inbox_retention_days must be a number of days greater than 0, not '0'"
    ):
        retention_days()
