"""The command ``watch`` without an Airflow that runs."""

from __future__ import annotations

import pytest

from airflow_provider_taskwatch.command import watch
from airflow_provider_taskwatch.core.phase import Observation
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.schedule import Rhythm
from airflow_provider_taskwatch.hooks.automic import AutomicHook
from airflow_provider_taskwatch.sandbox.server import Running


@pytest.mark.parametrize("watched", [watch._watched_by_bar, watch._watched_by_line])
def test_a_long_watch_keeps_one_observation(watched, connected: Running) -> None:
    connected.sandbox.add_rule(duration=0.5)
    hook, seen = AutomicHook("automic_default"), list[Observation]()
    ref = hook.request("POST", "/100/executions", json={"object_name": "JOBS.T"}).json()["run_id"]
    plan = Plan(ref=str(ref), rhythm=Rhythm(limit_seconds=0.05, adaptive=False))
    assert watched(hook, plan, seen).ending.is_ok
    assert [one.phase.is_ok for one in seen] == [True]
