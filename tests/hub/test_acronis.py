"""Many waits on one connection to Acronis: their tasks are read together."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.watch import Poll
from airflow_provider_taskwatch.hub.live_connection import OpenConnection
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.acronis.system import Acronis
from tests.hub.conftest import OpenHub


async def test_many_tasks_are_one_request(box: Running, open_hub: OpenHub) -> None:
    box.sandbox.add_rule(duration=1000.0, stages=[(0.0, "started")])

    def start(opened: OpenConnection) -> Any:
        assert isinstance(opened.system, Acronis)
        return opened.system.run_policy("nightly", [str(number) for number in range(50)])

    async with open_hub("acronis") as hub:
        await hub.connection.run(start)
        refs = [task["ref"] for task in box.sandbox.tasks(0.0)]
        looks = (hub.poll(Poll(ref=ref, after=0.0, selector="tasks")) for ref in refs)
        seen = await asyncio.gather(*looks)
    assert {one.phase for one in seen} == {Phase.RUNNING}
    reads = [one for one in box.sandbox.log() if one["method"] == "GET"]
    assert [len(one["query"]["id"]) for one in reads] == [50]
