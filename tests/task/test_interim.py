"""A remote behind a gateway that sends interim replies (102, 103): one start is one execution."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from airflow_provider_taskwatch.sandbox.connections import environment
from airflow_provider_taskwatch.sandbox.server import Running
from tests.task.life import Life
from tests.task.quick import Acquia, Automic
from tests.task.relay import relay


@pytest.fixture
def behind(box: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """The emulators, reached by way of a gateway."""
    with relay(box.url) as url:
        for name, value in environment(url, box.sandbox.remotes.values()).items():
            monkeypatch.setenv(name, value)
        yield box


def test_an_automic_task_behind_interim_replies_starts_one_execution(behind: Running) -> None:
    life = Life(Automic, object_name="JOBS.T", poll_interval=0.05, adaptive=False, deferrable=False)
    assert life.execute()["name"] == "JOBS.T"
    assert len(behind.sandbox.tasks(time.time())) == 1


def test_an_acquia_task_behind_interim_replies_starts_one_notification(behind: Running) -> None:
    body = {"name": "db", "source": "2"}
    life = Life(
        Acquia, path="environments/1/databases", json=body, poll_interval=0.05, adaptive=False, deferrable=False
    )
    life.execute()
    assert len(behind.sandbox.tasks(time.time())) == 1
