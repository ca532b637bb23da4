"""A connection that is read again, edited, and rejected, against the sandbox."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, MovedError, RemoteError, TransportError
from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.watch import Poll
from airflow_provider_taskwatch.hub.live_connection import REREAD_SECONDS, LiveConnection
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.automic.system import Automic
from tests.drive import virtual
from tests.hub.conftest import SELECTOR, Hubs, executions, notifications, requests, settings_for

LATER = REREAD_SECONDS + 1.0


def test_a_connection_that_airflow_cannot_give_is_read_again_with_a_warning_for_each_attempt() -> None:
    answers: list[Any] = [TransportError("Airflow does not answer")] * 2 + [ConfigurationError("the host is missing")]
    warnings: list[str] = []

    async def read() -> Settings:
        raise answers.pop(0)

    async def open_connection() -> float:
        with pytest.raises(ConfigurationError, match="the host is missing"):
            await LiveConnection("x", read, clock=virtual.now).open(warnings.append)
        return virtual.now()

    assert virtual.run(open_connection()) == 20.0
    assert warnings == ["still waiting: Airflow does not answer"] * 2


async def test_a_request_with_rejected_credentials_is_repeated_with_new_ones(hubs: Hubs) -> None:
    async with hubs.open("acquia", {"password": "outdated"}, {"password": "sandbox-secret"}) as hub:
        found = await hub.connection.run(lambda opened: opened.system.probe())

    assert "account" in found
    assert hubs.reads == 2


async def test_many_rejections_cause_one_read_of_the_connection(box: Running, hubs: Hubs) -> None:
    async with hubs.open("acquia") as hub:
        [ref] = await notifications(hub, 1)
        box.sandbox.add_fault("forbidden", system="acquia", path="notifications")
        polls = (hub.poll(Poll(ref=ref, after=0.0)) for _ in range(20))
        errors = await asyncio.gather(*polls, return_exceptions=True)

    assert {type(one) for one in errors} == {RemoteError}
    assert hubs.reads == 2


@pytest.mark.parametrize("system", ["automic", "docplanner"])
async def test_an_edit_is_used_whether_the_remote_has_tasks_or_events(hubs: Hubs, system: str) -> None:
    async with hubs.open(system, {}, {"read_timeout": 29.0}) as hub:
        before = await hub.connection.current()
        hubs.seconds += LATER
        after = await hub.connection.current()
        await asyncio.sleep(0)

    assert (before.settings.read_timeout, after.settings.read_timeout) == (30.0, 29.0)


async def test_an_edit_that_names_no_remote_leaves_the_old_settings_in_use(hubs: Hubs) -> None:
    async with hubs.open("automic", {}, {"own": {"client": "100/x"}}) as hub:
        refs = await executions(hub, 2)
        polls = [asyncio.ensure_future(hub.poll(Poll(ref=ref, after=0.2, selector=f"{ref}-*"))) for ref in refs]
        await asyncio.sleep(0)
        hubs.seconds += LATER
        seen = await asyncio.wait_for(asyncio.gather(*polls, hub.poll(Poll(ref=refs[0], after=0.0))), 10)

    assert {one.phase for one in seen} == {Phase.RUNNING}
    assert hubs.reads == 2


@pytest.mark.parametrize("selector", ["", SELECTOR])
async def test_a_ref_is_not_polled_at_another_remote_after_an_edit(box: Running, hubs: Hubs, selector: str) -> None:
    here = settings_for(box, "automic")
    there = here.base_url.replace("127.0.0.1", "localhost")
    async with hubs.open("automic", {}, {"base_url": there}) as hub:
        first, second, third = await executions(hub, 3)
        common = {"after": 0.2, "selector": selector}
        old = [Poll(ref=ref, id_space=Automic(client="100").id_space(here), **common) for ref in (first, second)]
        new = Poll(ref=third, id_space=f"{there} client 100", **common)
        unknown = Poll(ref=third, **common)
        waiting = asyncio.gather(*map(hub.poll, [*old, new, unknown]), return_exceptions=True)
        await asyncio.sleep(0)
        hubs.seconds += LATER
        seen = await asyncio.wait_for(waiting, 10)

    assert [type(one) for one in seen] == [MovedError, MovedError, Observation, Observation]
    assert not any(ref in one["path"] for one in requests(box) for ref in (first, second))


async def test_a_read_that_is_cancelled_at_any_moment_leaves_the_connection_in_use(box: Running, hubs: Hubs) -> None:
    async with hubs.open("acquia", {}, *({"read_timeout": 29.0 - turns} for turns in range(8))) as hub:
        [ref] = await notifications(hub, 1)
        for turns in range(8):
            hubs.seconds += LATER
            reader = asyncio.ensure_future(hub.connection.current())
            for _ in range(turns):
                await asyncio.sleep(0)
            reader.cancel()
            await asyncio.wait([reader])
            seen = await hub.poll(Poll(ref=ref, after=0.0))
            assert seen.phase is Phase.RUNNING, f"cancelled after {turns} turns"


async def test_an_outcome_shows_no_secret_that_a_callback_has_brought(hubs: Hubs) -> None:
    outcome = Outcome(ending=Ending.FAILED, ref="1", message="as it is")
    async with hubs.open("acquia") as hub:
        assert hub.connection.shown(outcome) == outcome
        secret = (await hub.connection.current()).settings.password
        await notifications(hub, 1)
        outcome = replace(outcome, message=f"you sent {secret}", result={"callback": secret})
        shown = hub.connection.shown(outcome)
        assert (shown.message, shown.result) == ("you sent ***", {"callback": "***"})
