"""The metrics that dashboards show. Those of feeds are in the tests of their readers, by the same names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.observability import stats

from airflow_provider_taskwatch.config.metric import count, duration
from airflow_provider_taskwatch.core.cancel import Cancel
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.hub.canceller import Canceller
from airflow_provider_taskwatch.hub.hub import Hub
from airflow_provider_taskwatch.receiver.app import create_app
from airflow_provider_taskwatch.receiver.token import Keys
from airflow_provider_taskwatch.sandbox.server import Running
from tests.drive import virtual
from tests.inbox.memory import MemoryInbox
from tests.receiver.visitor import NOW, SECRET, ask, passport, push_pass
from tests.task.life import Life
from tests.task.quick import Automic

PUSH = b'{"name": "slot-booked", "data": {"visit_booking": {"id": "7"}}, "created_at": "2026-01-31T07:00:00+01:00"}'


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Airflow's statistics are told: the name, and the value of a counter."""
    told: list[Any] = []
    monkeypatch.setattr(stats, "incr", lambda name, number: told.append((name, number)))
    monkeypatch.setattr(stats, "timing", lambda name, milliseconds: told.append((name, type(milliseconds))))
    return told


def test_metrics_have_this_prefix_and_no_tags(told: list[Any]) -> None:
    count("polls", 3)
    duration("delay", 1.5)
    assert told == [("taskwatch.polls", 3), ("taskwatch.delay", float)]


async def test_a_wait_counts_its_delay_and_a_callback_that_did_not_come(
    box: Running, connected: Running, monkeypatch: pytest.MonkeyPatch, told: list[Any], tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__CALLBACK_SECRETS", SECRET)
    monkeypatch.setenv("AIRFLOW__TASKWATCH__CALLBACK_BASE_URL", "http://127.0.0.1:1/taskwatch")
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")
    box.sandbox.add_rule(duration=0.0)
    trigger = Life(Automic, object_name="JOBS.T", callback=True, callback_poll_interval=0.2).defer().trigger
    async with asyncio.timeout(20.0):
        await anext(trigger.run())
    assert told == [("taskwatch.delay", float), ("taskwatch.callback.missed", 1)]


def test_a_hub_counts_its_polls() -> None:
    told: list[tuple[str, int]] = []

    async def read() -> Settings:
        raise AssertionError

    async def live() -> None:
        async with Hub("c", read, count=lambda name, number: told.append((name, number))) as hub:
            await asyncio.sleep(15.0)
            hub.close()

    virtual.run(live())
    assert told == [("polls", 0)]


async def test_kills_that_did_not_reach_their_remote_are_counted() -> None:
    told: list[str] = []
    inbox = MemoryInbox()

    async def opened() -> MemoryInbox:
        return inbox

    async def refused(**_: Any) -> str:
        raise ValueError("Airflow cannot be asked")

    def no_hub(conn_id: str) -> Hub:
        raise AssertionError(conn_id)

    canceller = Canceller(opened, no_hub, refused, count=told.append, clock=jumping(), wait=at_once)
    await canceller.keep(Cancel(cancel_id="c1", conn_id="x", ref="7"))
    async with asyncio.timeout(20.0):
        while len(told) < 2:  # noqa: ASYNC110 - its threads end when they end
            await asyncio.sleep(0.01)
    assert told == ["cancel.kept", "cancel.given_up"]


def jumping() -> Callable[[], float]:
    """A clock that is an hour later each time that it is asked."""
    hours = iter(range(1_000_000))
    return lambda: next(hours) * 3600.0


async def at_once(event: asyncio.Event, seconds: float) -> bool:
    await asyncio.sleep(0.01)
    return event.is_set()


async def test_a_receiver_counts_what_it_gets() -> None:
    told: list[str] = []
    keys = Keys([SECRET])
    app = create_app(MemoryInbox(), keys, count=told.append, clock=lambda: NOW)
    for (path, headers), body in ((passport(keys), b"{}"), (push_pass(keys), PUSH)):
        for sent in (body, body, b"no JSON", b"x" * 300_000):
            await ask(app, "POST", path, headers, [sent])
    await ask(app, "POST", "/callbacks/wrong", {}, [b"{}"])
    kinds = ("received", "duplicate", "unreadable", "too_large")
    assert set(told) == {
        *(f"taskwatch.callback.{kind}" for kind in kinds),
        *(f"taskwatch.push.{kind}" for kind in kinds),
        "taskwatch.callback.refused",
    }
