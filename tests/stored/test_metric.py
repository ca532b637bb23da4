"""The metrics that dashboards show. Those of feeds are in the tests of their readers, by the same names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Stats

from airflow_provider_taskwatch.config.metric import count, duration
from airflow_provider_taskwatch.core.cancel import Cancel
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.hub.canceller import Canceller
from airflow_provider_taskwatch.hub.hub import Hub
from airflow_provider_taskwatch.receiver.app import create_app
from airflow_provider_taskwatch.receiver.token import Keys
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.task import deferral
from tests.drive import virtual
from tests.inbox.memory import MemoryInbox
from tests.receiver.visitor import NOW, SECRET, ask, passport, push_pass
from tests.task.life import Life
from tests.task.quick import Automic

PUSH = b'{"name": "slot-booked", "data": {"visit_booking": {"id": "7"}}, "created_at": "2026-01-31T07:00:00+01:00"}'


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The metrics that Airflow's statistics receive: the name, and the value of a counter."""
    counted: list[Any] = []
    monkeypatch.setattr(Stats, "incr", lambda name, number: counted.append((name, number)))
    monkeypatch.setattr(Stats, "timing", lambda name, milliseconds: counted.append((name, type(milliseconds))))
    return counted


def test_metrics_have_this_prefix_and_no_tags(counted: list[Any]) -> None:
    count("polls", 3)
    duration("delay", 1.5)
    assert counted == [("taskwatch.polls", 3), ("taskwatch.delay", float)]


async def test_a_wait_counts_its_delay_and_a_missed_callback(
    box: Running, connected: Running, monkeypatch: pytest.MonkeyPatch, counted: list[Any], tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__CALLBACK_SECRETS", SECRET)
    monkeypatch.setenv("AIRFLOW__TASKWATCH__CALLBACK_BASE_URL", "http://127.0.0.1:1/taskwatch")
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")
    monkeypatch.setattr(deferral, "SETTLED_LEAST_SECONDS", 0.0)
    box.sandbox.add_rule(duration=0.0)
    trigger = Life(Automic, object_name="JOBS.T", callback=True, callback_poll_interval=0.2).defer().trigger
    async with asyncio.timeout(20.0):
        await anext(trigger.run())
    assert counted == [("taskwatch.delay", float), ("taskwatch.callback.missed", 1)]


def test_a_hub_counts_its_polls() -> None:
    counted: list[tuple[str, int]] = []

    async def read() -> Settings:
        raise AssertionError

    async def live() -> None:
        async with Hub("c", read, count=lambda name, number: counted.append((name, number))) as hub:
            await asyncio.sleep(15.0)
            hub.close()

    virtual.run(live())
    assert counted == [("polls", 0)]


async def test_kept_and_abandoned_cancels_are_counted() -> None:
    counted: list[str] = []
    inbox = MemoryInbox()

    async def opened() -> MemoryInbox:
        return inbox

    async def refused(**_: Any) -> str:
        raise ValueError("Airflow cannot be asked")

    def no_hub(conn_id: str) -> Hub:
        raise AssertionError(conn_id)

    canceller = Canceller(opened, no_hub, refused, count=counted.append, clock=jumping(), wait=at_once)
    await canceller.keep(Cancel(cancel_id="c1", conn_id="x", ref="7"))
    async with asyncio.timeout(20.0):
        while len(counted) < 2:  # noqa: ASYNC110 - its threads end when they end
            await asyncio.sleep(0.01)
    assert counted == ["cancel.kept", "cancel.given_up"]


def jumping() -> Callable[[], float]:
    """A clock that advances by an hour at each call."""
    hours = iter(range(1_000_000))
    return lambda: next(hours) * 3600.0


async def at_once(event: asyncio.Event, seconds: float) -> bool:
    await asyncio.sleep(0.01)
    return event.is_set()


async def test_a_receiver_counts_its_requests_by_result() -> None:
    counted: list[str] = []
    keys = Keys([SECRET])
    app = create_app(MemoryInbox(), keys, count=counted.append, clock=lambda: NOW)
    for (path, headers), body in ((passport(keys), b"{}"), (push_pass(keys), PUSH)):
        for sent in (body, body, b"no JSON", b"x" * 300_000):
            await ask(app, "POST", path, headers, [sent])
    await ask(app, "POST", "/callbacks/wrong", {}, [b"{}"])
    kinds = ("received", "duplicate", "unreadable", "too_large")
    assert set(counted) == {
        *(f"taskwatch.callback.{kind}" for kind in kinds),
        *(f"taskwatch.push.{kind}" for kind in kinds),
        "taskwatch.callback.refused",
    }
