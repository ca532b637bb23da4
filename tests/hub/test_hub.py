"""Polls of many waits over one hub, against the sandbox."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Iterable
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.watch import Poll
from airflow_provider_taskwatch.hub import lists
from airflow_provider_taskwatch.hub.hub import Hub, hub_for
from airflow_provider_taskwatch.hub.live_connection import OpenConnection
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.acronis.system import Acronis
from tests.drive import virtual
from tests.hub.conftest import SELECTOR, Hubs, executions, notifications, polled, requests, settings_for
from tests.hub.fleet import RUNNING, Fleet
from tests.until import until


async def poll_all(hub: Hub, refs: Iterable[str], selector: str = "") -> list[Any]:
    """The observations of refs, or their errors."""
    polls = (hub.poll(Poll(ref=ref, after=0.0, selector=selector)) for ref in refs)
    return await asyncio.gather(*polls, return_exceptions=True)


async def test_many_waits_share_one_token_one_read_of_the_connection_and_few_sockets(box: Running, hubs: Hubs) -> None:
    async with hubs.open("acquia", {"concurrency": 4}) as hub:
        seen = await poll_all(hub, await notifications(hub, 3) * 20)

    assert [one.phase for one in seen] == [Phase.RUNNING] * 60
    assert len(requests(box, "token")) == 1
    assert hubs.reads == 1
    assert len({one["client"] for one in requests(box)}) <= 4


def test_polls_are_counted() -> None:
    counted: list[tuple[str, int]] = []
    fleet = Fleet(["1", "2"], lambda ref, at: RUNNING, count=lambda *one: counted.append(one)).watched(30.5)
    assert {name for name, _ in counted} == {"polls"}
    assert sum(number for _, number in counted) == sum(at < 30.0 for _, at in fleet.asked)


async def test_one_429_holds_all_polls_until_one_probe_has_passed(box: Running, hubs: Hubs) -> None:
    async with hubs.open("acquia") as hub:
        [ref] = await notifications(hub, 1)
        box.sandbox.add_fault("too_many", system="acquia", endpoint="api", times=1, retry_after=1)
        [refused] = await poll_all(hub, [ref])
        held_at = time.time()
        await poll_all(hub, [ref] * 10)

    assert isinstance(refused, RemoteError)
    later = [one["at"] for one in requests(box) if one["at"] > held_at]
    assert min(later) - held_at >= 0.9
    assert len(later) == 10


async def test_a_cancelled_poll_makes_no_request(box: Running, hubs: Hubs) -> None:
    async with hubs.open("acquia") as hub:
        first, second = await notifications(hub, 2)
        cancelled = asyncio.ensure_future(hub.poll(Poll(ref=first, after=0.2)))
        await asyncio.sleep(0)
        cancelled.cancel()
        await hub.poll(Poll(ref=second, after=0.3))

    assert len(requests(box, method="GET")) == 1


def test_polls_that_are_due_within_a_tick_are_made_in_one_turn() -> None:
    polled_at = []

    async def read() -> Settings:
        polled_at.append(virtual.now())
        raise ConfigurationError("each poll reads the connection")

    async def poll() -> None:
        async with Hub("x", read, clock=virtual.now) as hub:
            polls = (hub.poll(Poll(ref="1", after=after)) for after in (0.31, 0.35, 0.39, 0.41))
            await asyncio.gather(*polls, return_exceptions=True)
            hub.close()

    virtual.run(poll())
    assert polled_at == [pytest.approx(0.4)] * 3 + [pytest.approx(0.5)]


async def test_stretched_intervals_are_logged_once_when_they_last(hubs: Hubs, caplog: pytest.LogCaptureFixture) -> None:
    async with hubs.open("acquia", {"rate_limit": 10.0}) as hub:
        await hub.connection.current()
        waiting = [asyncio.ensure_future(hub.poll(Poll(ref="x", after=30.0))) for _ in range(600)]
        lines = []
        for hubs.seconds in (0.0, 10.0, 20.0, 25.0):
            waiting.append(asyncio.ensure_future(hub.poll(Poll(ref="x", after=30.0))))
            await asyncio.sleep(0)
            lines.append(len([one for one in caplog.records if "are stretched evenly" in one.message]))
        hub.close()
        await asyncio.gather(*waiting, return_exceptions=True)

    assert lines == [0, 0, 1, 1]


# --- lists


async def test_one_list_answers_the_polls_with_one_selector(box: Running, hubs: Hubs) -> None:
    async with hubs.open("automic") as hub:
        refs = await executions(hub, 30)
        seen = await poll_all(hub, refs, SELECTOR)

    assert [one.ref for one in seen] == refs
    assert polled(box) == (1, 0)


async def test_one_request_asks_acronis_for_many_tasks(box: Running, hubs: Hubs) -> None:
    box.sandbox.add_rule(duration=1000.0, stages=[(0.0, "started")])

    def start(opened: OpenConnection) -> Any:
        assert isinstance(opened.system, Acronis)
        return opened.system.run_policy("nightly", [str(number) for number in range(50)])

    async with hubs.open("acronis") as hub:
        await hub.connection.run(start)
        seen = await poll_all(hub, [task["ref"] for task in box.sandbox.tasks(0.0)], "tasks")

    assert {one.phase for one in seen} == {Phase.RUNNING}
    assert [len(one["query"]["id"]) for one in requests(box, method="GET")] == [50]


async def test_a_ref_that_a_list_does_not_hold_is_polled_alone(box: Running, hubs: Hubs) -> None:
    async with hubs.open("automic") as hub:
        refs = [*await executions(hub, 2), *await executions(hub, 1, alias="OTHER")]
        seen = await poll_all(hub, refs, SELECTOR)

    assert [(one.ref, one.phase.is_final) for one in seen] == [(ref, False) for ref in refs]
    assert polled(box) == (1, 1)


async def test_a_list_wakes_only_the_waits_whose_state_has_changed(
    box: Running, hubs: Hubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "GATHER_SECONDS", 0.1)
    box.sandbox.add_rule("*", duration=600.0, stages=[(0.0, 1550)])
    async with hubs.open("automic") as hub:
        refs = await executions(hub, 5)
        first = await poll_all(hub, refs, SELECTOR)
        polls = [Poll(ref=one.ref, after=0.1, selector=SELECTOR, known=one, hold=60.0) for one in first]
        waiting = [asyncio.ensure_future(hub.poll(poll)) for poll in polls]
        await until(lambda: polled(box)[0] >= 4)
        assert not any(one.done() for one in waiting)
        box.sandbox.end(refs[0], "success", time.time())
        assert (await waiting[0]).phase is Phase.SUCCEEDED
        assert [one.done() for one in waiting[1:]] == [False] * 4


async def test_a_failed_list_fails_the_polls_whose_refs_cannot_be_read_alone(box: Running, hubs: Hubs) -> None:
    box.sandbox.add_fault("server_error", system="aps", method="GET")
    async with hubs.open("aps") as hub:
        selector = (await hub.connection.current()).system.selector({})
        errors = await poll_all(hub, ["n-1", "n-2", "n-3"], selector)

    assert [type(one) for one in errors] == [RemoteError] * 3
    assert len({id(one) for one in errors}) == 1


async def test_the_refs_of_a_failed_list_are_polled_alone(box: Running, hubs: Hubs) -> None:
    box.sandbox.add_fault("server_error", system="automic", method="GET", path="executions$")
    async with hubs.open("automic") as hub:
        refs = await executions(hub, 3)
        seen = await poll_all(hub, refs, SELECTOR)

    assert [one.ref for one in seen] == refs
    assert polled(box) == (1, 3)


async def test_refs_are_polled_alone_for_a_while_after_a_list_was_refused(box: Running, hubs: Hubs) -> None:
    box.sandbox.add_fault("forbidden", system="automic", method="GET", path="executions$", times=1)
    async with hubs.open("automic") as hub:
        refs = await executions(hub, 3)
        for seconds in (0.0, 200.0, 200.0):
            hubs.seconds += seconds
            assert [one.ref for one in await poll_all(hub, refs, SELECTOR)] == refs

    assert polled(box) == (2, 6)
    assert len(requests(box, status=403)) == 1


async def test_polls_that_come_one_by_one_share_a_list_where_no_ref_can_be_read_alone(box: Running, hubs: Hubs) -> None:
    async with hubs.open("aps") as hub:
        selector = (await hub.connection.current()).system.selector({})

        async def come(number: int) -> Phase:
            await asyncio.sleep(number / 100)
            return (await hub.poll(Poll(ref=f"n-{number}", after=0.0, selector=selector))).phase

        phases = await asyncio.gather(*map(come, range(50)))

    assert set(phases) == {Phase.LOST}
    assert len(requests(box, method="GET")) == 4  # the panel and the action log, for the first poll and for the others


# --- its life


async def test_an_event_loop_has_one_hub_per_connection() -> None:
    first = hub_for("a")
    assert hub_for("a") is first
    assert hub_for("b") is not first
    first.close()
    assert hub_for("a") is not first


async def test_a_hub_outlives_its_last_user_for_a_while(box: Running) -> None:
    async def read() -> Settings:
        return settings_for(box, "acquia")

    hub = Hub("acquia_default", read, linger_seconds=0.2)
    for _ in range(3):
        async with hub:
            await hub.connection.run(lambda opened: opened.system.probe())
    assert not hub.is_closed
    await until(lambda: hub.is_closed)

    assert len(requests(box, "token")) == 1


async def test_a_closed_hub_fails_its_polls(hubs: Hubs) -> None:
    async with hubs.open("acquia") as hub:
        waiting = asyncio.ensure_future(hub.poll(Poll(ref="x", after=60.0)))
        await asyncio.sleep(0)
        hub.close()

        with pytest.raises(RuntimeError, match="has ended"):
            await waiting
        with pytest.raises(RuntimeError, match="has ended"):
            await hub.poll(Poll(ref="x", after=0.0))


async def test_a_closed_hub_fails_the_polls_of_a_list_under_way(box: Running, hubs: Hubs) -> None:
    box.sandbox.add_fault("hang", system="automic", method="GET")
    async with hubs.open("automic") as hub:
        waiting = asyncio.ensure_future(poll_all(hub, ["1", "2"], SELECTOR))
        await until(lambda: len(requests(box, method="GET")) == 1)
        hub.close()
        errors = await waiting

    assert [type(one) for one in errors] == [RuntimeError] * 2


async def test_tasks_of_a_hub_run_in_no_context_of_an_airflow_task(hubs: Hubs) -> None:
    task = contextvars.ContextVar("task", default="none")
    task.set("a task")
    found = []

    async def note() -> None:
        found.append(task.get())

    async with hubs.open("acquia") as hub:
        hub._spawn(note())
        await asyncio.sleep(0)

    assert found == ["none"]
