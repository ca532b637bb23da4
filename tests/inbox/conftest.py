"""One of each kind of inbox; PostgreSQL where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.store import SqlInbox
from tests.inbox.memory import MemoryInbox

NOW = 1_000.0
"""Seconds since the epoch; the tests' messages are received at 100."""


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/inbox.db"


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def inbox(request: pytest.FixtureRequest) -> Iterator[Inbox]:
    inbox: Inbox
    if request.param == "memory":
        inbox = MemoryInbox()
    else:
        url = "postgres_url" if request.param == "postgresql" else "sqlite_url"
        inbox = SqlInbox(request.getfixturevalue(url), clock=lambda: NOW)
    yield inbox
    inbox.close()


OpenInbox = Callable[..., SqlInbox]


@pytest.fixture
def open_inbox() -> Iterator[OpenInbox]:
    """Open an inbox in a database with a clock at :data:`NOW`; it is closed after the test."""
    opened = []

    def open_(url: str, **options: Any) -> SqlInbox:
        opened.append(SqlInbox(url, **{"clock": lambda: NOW, **options}))
        return opened[-1]

    yield open_
    for inbox in opened:
        inbox.close()


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of a database without tables."""
    return str(request.getfixturevalue(request.param))
