"""The poller of a connection, against the sandbox."""

from __future__ import annotations

import asyncio
import contextvars
import time
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, MovedError, RemoteError, TransportError
from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.watch import Poll
from airflow_provider_taskwatch.hub.hub import Hub, hub_for
from airflow_provider_taskwatch.hub.live_connection import OpenConnection
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.acquia.system import Acquia
from airflow_provider_taskwatch.systems.automic.request import execution_request
from airflow_provider_taskwatch.systems.automic.system import Automic
from tests.drive import virtual
from tests.hub.conftest import LaterHub, OpenHub, settings_for
from tests.until import until

HEX = "0123456789ab"


async def notifications(hub: Hub, count: int) -> list[str]:
    """Start so many tasks on Acquia."""

    def start(opened: OpenConnection) -> Any:
        assert isinstance(opened.system, Acquia)
        return opened.system.start("POST", "applications/a/databases", {"name": "x"})

    return [str((await hub.connection.run(start)).ref) for _ in range(count)]


async def executions(hub: Hub, count: int, alias: str = f"DAILY-{HEX}") -> list[str]:
    """Start so many executions on Automic, under one alias."""

    def start(opened: OpenConnection) -> Any:
        assert isinstance(opened.system, Automic)
        return opened.system.start(execution_request("JOBS.X", alias=alias))

    return [str((await hub.connection.run(start)).ref) for _ in range(count)]


def asked(box: Running, endpoint: str = "api", **wanted: Any) -> list[dict[str, Any]]:
    """What the sandbox was asked for."""
    entries = [one for one in box.sandbox.log() if one["endpoint"] == endpoint]
    return [one for one in entries if all(one[name] == value for name, value in wanted.items())]


def polled(box: Running) -> tuple[int, int]:
    """How many lists, and how many single executions, Automic was asked for."""
    paths = [one["path"].rpartition("/")[2] for one in asked(box, method="GET")]
    return paths.count("executions"), len(paths) - paths.count("executions")


async def test_many_watches_share_one_token_one_connection_read_and_few_sockets(box: Running, later: LaterHub) -> None:
    async with later.hub("acquia", {"concurrency": 4}) as hub:
        refs = await notifications(hub, 3)
        seen = await asyncio.gather(*(hub.poll(Poll(ref=ref, after=0.0)) for ref in refs * 20))

    assert {one.phase for one in seen} == {Phase.RUNNING}
    assert len(asked(box, "token")) == 1
    assert later.reads == 1
    assert len({one["client"] for one in asked(box)}) <= 4


async def test_watches_with_one_selector_are_read_by_one_list(box: Running, open_hub: OpenHub) -> None:
    async with open_hub("automic") as hub:
        refs = await executions(hub, 30)
        before = len(asked(box, method="GET"))
        looks = [Poll(ref=ref, after=0.0, selector="DAILY-*") for ref in refs]
        seen = await asyncio.gather(*map(hub.poll, looks))

    assert [one.ref for one in seen] == refs
    assert len(asked(box, method="GET")) - before == 1


async def test_what_a_list_does_not_hold_is_read_singly(box: Running, open_hub: OpenHub) -> None:
    async with open_hub("automic") as hub:
        listed = await executions(hub, 2)
        [other] = await executions(hub, 1, alias="OTHER")
        looks = [Poll(ref=ref, after=0.0, selector="DAILY-*") for ref in [*listed, other]]
        seen = await asyncio.gather(*map(hub.poll, looks))

    assert [one.phase.is_final for one in seen] == [False, False, False]
    assert polled(box) == (1, 1)


async def test_a_shared_reading_that_fails_is_told_to_all(box: Running, open_hub: OpenHub) -> None:
    async with open_hub("automic") as hub:
        refs = await executions(hub, 3)
        box.sandbox.add_fault("server_error", system="automic", method="GET")
        looks = (hub.poll(Poll(ref=ref, after=0.0, selector="DAILY-*")) for ref in refs)
        told = await asyncio.gather(*looks, return_exceptions=True)

    assert [type(one) for one in told] == [RemoteError] * 3


async def test_a_remote_that_refuses_lists_is_read_one_by_one(box: Running, open_hub: OpenHub) -> None:
    box.sandbox.add_fault("forbidden", system="automic", method="GET", path="executions$")
    async with open_hub("automic") as hub:
        refs = await executions(hub, 3)
        looks = [Poll(ref=ref, after=0.0, selector="DAILY-*") for ref in refs]
        for _ in range(2):
            seen = await asyncio.gather(*map(hub.poll, looks))

    assert [one.ref for one in seen] == refs
    assert len(asked(box, status=403)) == 1


async def test_lists_are_tried_again_when_a_while_has_passed(box: Running, later: LaterHub) -> None:
    box.sandbox.add_fault("forbidden", system="automic", method="GET", path="executions$", times=1)
    async with later.hub("automic") as hub:
        looks = [Poll(ref=ref, after=0.0, selector="DAILY-*") for ref in await executions(hub, 3)]
        for seconds in (0.0, 200.0, 200.0):
            later.seconds += seconds
            await asyncio.gather(*map(hub.poll, looks))

    assert polled(box) == (2, 6)


async def test_one_429_holds_everybody_back_until_one_probe_has_passed(box: Running, open_hub: OpenHub) -> None:
    async with open_hub("acquia") as hub:
        refs = await notifications(hub, 1)
        box.sandbox.add_fault("too_many", system="acquia", endpoint="api", times=1, retry_after=1)
        with pytest.raises(RemoteError):
            await hub.poll(Poll(ref=refs[0], after=0.0))
        held_at = time.time()
        await asyncio.gather(*(hub.poll(Poll(ref=refs[0], after=0.0)) for _ in range(10)))

    later = [one["at"] for one in asked(box) if one["at"] > held_at]
    assert min(later) - held_at >= 0.9
    assert len(later) == 10


async def test_a_look_that_nobody_waits_for_any_more_is_not_made(box: Running, open_hub: OpenHub) -> None:
    async with open_hub("acquia") as hub:
        refs = await notifications(hub, 2)
        before = len(asked(box, method="GET"))
        given_up = asyncio.ensure_future(hub.poll(Poll(ref=refs[0], after=0.2)))
        await asyncio.sleep(0)
        given_up.cancel()
        await hub.poll(Poll(ref=refs[1], after=0.3))

    assert len(asked(box, method="GET")) - before == 1


def test_looks_that_are_due_within_a_tick_are_made_in_one_turn() -> None:
    made = []

    async def read() -> Settings:
        made.append(virtual.now())
        raise ConfigurationError("as a sign that somebody looks")

    async def poll() -> None:
        hub = Hub("x", read, clock=virtual.now)
        async with hub:
            looks = (hub.poll(Poll(ref="1", after=after)) for after in (0.31, 0.35, 0.39, 0.41))
            await asyncio.gather(*looks, return_exceptions=True)
            hub.close()

    virtual.run(poll())
    assert made == [pytest.approx(0.4)] * 3 + [pytest.approx(0.5)]


async def test_a_rejected_secret_is_read_again_and_the_call_made_once_more(box: Running, later: LaterHub) -> None:
    async with later.hub("acquia", {"password": "outdated"}, {"password": "sandbox-secret"}) as hub:
        found = await hub.connection.run(lambda opened: opened.system.probe())

    assert "account" in found
    assert later.reads == 2


async def test_many_rejections_cost_one_read_of_the_connection(box: Running, later: LaterHub) -> None:
    async with later.hub("acquia") as hub:
        refs = await notifications(hub, 1)
        box.sandbox.add_fault("forbidden", system="acquia", path="notifications")
        looks = (hub.poll(Poll(ref=refs[0], after=0.0)) for _ in range(20))
        errors = await asyncio.gather(*looks, return_exceptions=True)

    assert {type(one) for one in errors} == {RemoteError}
    assert later.reads == 2


async def test_an_edit_that_names_no_remote_leaves_the_old_connection_in_use(box: Running, later: LaterHub) -> None:
    async with later.hub("automic", {}, {"own": {"client": "100/x"}}) as hub:
        refs = await executions(hub, 2)
        looks = [asyncio.ensure_future(hub.poll(Poll(ref=ref, after=0.2, selector=f"{ref}-*"))) for ref in refs]
        await asyncio.sleep(0)
        later.seconds += 301.0
        seen = await asyncio.wait_for(asyncio.gather(*looks, hub.poll(Poll(ref=refs[0], after=0.0))), 10)

    assert {one.phase for one in seen} == {Phase.RUNNING}
    assert later.reads == 2


@pytest.mark.parametrize("system", ["automic", "docplanner"])
async def test_an_edit_is_taken_over_whether_there_are_tasks_or_events(
    box: Running, later: LaterHub, system: str
) -> None:
    async with later.hub(system, {}, {"read_timeout": 29.0}) as hub:
        before = (await hub.connection.current()).settings
        await asyncio.sleep(0)
        later.seconds += 301.0
        after = (await hub.connection.current()).settings

    assert (before.read_timeout, after.read_timeout) == (30.0, 29.0)


@pytest.mark.parametrize("selector", ["", "DAILY-*"])
async def test_a_ref_is_not_read_where_an_edit_of_the_connection_leads(
    box: Running, later: LaterHub, selector: str
) -> None:
    here = settings_for(box, "automic")
    there = here.base_url.replace("127.0.0.1", "localhost")
    async with later.hub("automic", {}, {"base_url": there}) as hub:
        first, second, third = await executions(hub, 3)
        asked_for = {"after": 0.2, "selector": selector}
        old = [Poll(ref=ref, id_space=Automic(client="100").id_space(here), **asked_for) for ref in (first, second)]
        new = Poll(ref=third, id_space=f"{there} client 100", **asked_for)
        unknown = Poll(ref=third, **asked_for)
        waiting = asyncio.gather(*map(hub.poll, [*old, new, unknown]), return_exceptions=True)
        await asyncio.sleep(0)
        later.seconds += 301.0
        seen = await asyncio.wait_for(waiting, 10)

    assert [type(one) for one in seen] == [MovedError, MovedError, Observation, Observation]
    assert not any(ref in one["path"] for one in asked(box) for ref in (first, second))


@pytest.mark.parametrize("turns", range(8))
async def test_who_is_cancelled_while_it_reads_the_connection_again_harms_nobody(
    turns: int, box: Running, later: LaterHub
) -> None:
    async with later.hub("acquia", {}, {"read_timeout": 29.0}) as hub:
        refs = await notifications(hub, 1)
        later.seconds += 301.0
        reader = asyncio.ensure_future(hub.connection.current())
        for _ in range(turns):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader])
        seen = await hub.poll(Poll(ref=refs[0], after=0.0))

    assert seen.phase is Phase.RUNNING


def test_a_connection_that_airflow_cannot_give_is_opened_later_with_a_warning_for_each_attempt() -> None:
    answers: list[Any] = [TransportError("Airflow does not answer")] * 2 + [ConfigurationError("the host is missing")]
    warnings: list[str] = []

    async def read() -> Settings:
        raise answers.pop(0)

    async def open_connection() -> float:
        async with Hub("x", read, clock=virtual.now) as hub:
            with pytest.raises(ConfigurationError, match="the host is missing"):
                await hub.connection.open(warnings.append)
            hub.close()
        return virtual.now()

    assert virtual.run(open_connection()) == 20.0
    assert warnings == ["still waiting: Airflow does not answer"] * 2


async def test_a_connection_that_is_wrong_fails_its_watch_with_the_reason(box: Running) -> None:
    async def read() -> Settings:
        raise ConfigurationError("connection 'x': the host is missing")

    hub = Hub("x", read)
    async with hub:
        with pytest.raises(ConfigurationError, match="the host is missing"):
            await hub.connection.current()
        hub.close()


async def test_the_hub_outlives_its_last_watch_for_a_while_and_then_ends(box: Running) -> None:
    async def read() -> Settings:
        return settings_for(box, "acquia")

    hub = Hub("acquia_default", read, linger_seconds=0.2)
    for _ in range(3):
        async with hub:
            await hub.connection.run(lambda opened: opened.system.probe())
    assert not hub.is_closed
    await until(lambda: hub.is_closed)

    assert len(asked(box, "token")) == 1


async def test_an_event_loop_has_one_hub_per_connection() -> None:
    first = hub_for("a")
    assert hub_for("a") is first
    assert hub_for("b") is not first
    first.close()
    assert hub_for("a") is not first


async def test_a_poller_that_ends_too_early_is_loud(open_hub: OpenHub) -> None:
    async with open_hub("acquia") as hub:
        waiting = asyncio.ensure_future(hub.poll(Poll(ref="x", after=60.0)))
        await asyncio.sleep(0)
        hub.close()

        with pytest.raises(RuntimeError, match="has ended"):
            await waiting
        with pytest.raises(RuntimeError, match="has ended"):
            await hub.poll(Poll(ref="x", after=0.0))


async def test_intervals_are_stretched_evenly_and_that_is_said_once_when_it_lasts(
    box: Running, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [0.0]

    async def read() -> Settings:
        return settings_for(box, "acquia", rate_limit=10.0)

    hub = Hub("acquia_default", read, clock=lambda: clock[0])
    async with hub:
        await hub.connection.current()
        waiting = [asyncio.ensure_future(hub.poll(Poll(ref="x", after=1.0))) for _ in range(20)]
        lines = []
        for clock[0] in (0.0, 10.0, 20.0, 30.0):
            waiting.append(asyncio.ensure_future(hub.poll(Poll(ref="x", after=1.0))))
            await asyncio.sleep(0)
            lines.append(len([one for one in caplog.records if "stretched" in one.message]))
        hub.close()
        await asyncio.gather(*waiting, return_exceptions=True)

    assert lines == [0, 0, 1, 1]


async def test_a_shared_reading_that_is_cut_off_is_loud(box: Running, open_hub: OpenHub) -> None:
    box.sandbox.add_fault("hang", system="automic", method="GET")
    async with open_hub("automic") as hub:
        looks = [Poll(ref=ref, after=0.0, selector="DAILY-*") for ref in ("1", "2")]
        waiting = [asyncio.ensure_future(hub.poll(poll)) for poll in looks]
        await until(lambda: len(asked(box, method="GET")) == 1)
        hub.close()
        told = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(one) for one in told] == [RuntimeError] * 2


async def test_nothing_of_the_hub_runs_in_the_context_of_a_task(open_hub: OpenHub) -> None:
    whose = contextvars.ContextVar("whose", default="nobody's")
    whose.set("a task's")
    found = []

    async def spy() -> None:
        found.append(whose.get())

    async with open_hub("acquia") as hub:
        hub._spawn(spy())
        await asyncio.sleep(0)

    assert found == ["nobody's"]


# --- where one read costs as much as many


async def test_those_who_come_one_by_one_are_gathered_where_nothing_can_be_read_alone(
    box: Running, open_hub: OpenHub
) -> None:
    async with open_hub("aps") as hub:
        selector = (await hub.connection.current()).system.selector({})

        async def come(number: int) -> Phase:
            await asyncio.sleep(number / 100)
            return (await hub.poll(Poll(ref=f"n-{number}", after=0.0, selector=selector))).phase

        phases = await asyncio.gather(*map(come, range(50)))

    assert set(phases) == {Phase.LOST}
    assert len(asked(box, method="GET")) == 4  # what a panel shows and the action log, for the first and for the rest


async def test_an_outcome_shows_no_secret_that_came_by_a_callback(open_hub: OpenHub) -> None:
    told = Outcome(ending=Ending.FAILED, ref="1", message="as it is")
    async with open_hub("acquia") as hub:
        assert hub.connection.shown(told) == told
        secret = (await hub.connection.current()).settings.password
        await notifications(hub, 1)
        told = replace(told, message=f"you sent {secret}", result={"callback": secret})
        shown = hub.connection.shown(told)
        assert (shown.message, shown.result) == ("you sent ***", {"callback": "***"})
