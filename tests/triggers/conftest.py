"""The inbox that Airflow's settings name, and events of the sandbox."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from airflow_provider_taskwatch.feed import registry
from airflow_provider_taskwatch.feed.listener import Listener
from airflow_provider_taskwatch.inbox.store import SqlInbox
from airflow_provider_taskwatch.sandbox.server import Running

CONN_ID = "acronis_default"
FEED = {"topic": "cti.a.p.em.topic.v1.0~a.p.tenant.v1.0", "types": ["cti.a.p.em.event.v1.0~a.p.tenant.*"]}
CREATED = "cti.a.p.em.event.v1.0~a.p.tenant.created.v1.0"


@pytest.fixture(autouse=True)
def quick_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the inbox more often than once a second."""
    monkeypatch.setattr(registry, "Listener", partial(Listener, read_seconds=0.05))


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlInbox]:
    url = f"sqlite:///{tmp_path}/inbox.db"
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", url)
    inbox = SqlInbox(url)
    yield inbox
    inbox.close()


Emit = Callable[..., None]


@pytest.fixture
def emit(connected: Running) -> Emit:
    """Lets events happen that are about these; Airflow connections lead to where they happen."""

    def emitted(*subjects: str, kind: str = "a.p.tenant.created") -> None:
        connected.sandbox.emit({"acronis": [{"type": kind, "subject": one} for one in subjects]}, time.time())

    return emitted
