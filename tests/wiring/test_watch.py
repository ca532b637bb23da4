"""The command ``watch`` without an Airflow that runs."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import pytest

from airflow_provider_taskwatch.command import watch
from airflow_provider_taskwatch.core.phase import Observation
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.schedule import Rhythm
from airflow_provider_taskwatch.hooks.automic import AutomicHook
from airflow_provider_taskwatch.sandbox.server import Running

QUICK = Rhythm(limit_seconds=0.05, adaptive=False)


@pytest.mark.parametrize("watched_by", [watch._watched_by_bar, watch._watched_by_line])
def test_a_long_watch_keeps_one_observation(watched_by: Any, connected: Running) -> None:
    connected.sandbox.add_rule(duration=0.5)
    hook, seen = AutomicHook("automic_default"), list[Observation]()
    plan = Plan(ref=run_id(), rhythm=QUICK)
    assert watched_by(hook, hook.system, plan, seen).ending.is_ok
    assert [one.phase.is_ok for one in seen] == [True]


def run_id() -> str:
    """The run id of a new execution."""
    reply = AutomicHook("automic_default").request("POST", "/100/executions", json={"object_name": "JOBS.T"})
    return str(reply.json()["run_id"])


def watched(ref: str, capsys: pytest.CaptureFixture[str], timeout: float = 60.0) -> tuple[int, list[str]]:
    """The exit code and the lines of a watch without a terminal."""
    with pytest.raises(SystemExit) as end:
        watch.watch(Namespace(conn_id="automic_default", ref=ref, timeout=timeout))
    return int(str(end.value.code)), capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("outcome, code, end", [("success", 0, "succeeded"), ("failure", 1, "failed")])
def test_a_watch_without_a_terminal_prints_its_end_once(
    connected: Running, capsys: pytest.CaptureFixture[str], outcome: str, code: int, end: str
) -> None:
    connected.sandbox.add_rule(duration=0.0, outcome=outcome)
    ref = run_id()
    exit_code, lines = watched(ref, capsys)
    assert exit_code == code
    assert lines[0].startswith(f"execution {ref}: {end}")
    assert lines.count(lines[0]) == 1


def test_a_watch_without_a_terminal_prints_each_change_before_its_end(
    connected: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    connected.sandbox.add_rule(duration=0.5)
    hook = AutomicHook("automic_default")
    plan = Plan(ref=run_id(), rhythm=QUICK)
    outcome = watch._watched_by_line(hook, hook.system, plan, [])
    lines = capsys.readouterr().out.splitlines()
    assert ("running" in lines[0], "succeeded" in lines[-1], outcome.ending.is_ok) == (True, False, True)


def test_a_refused_watch_without_a_terminal_prints_the_refusal_once(
    connected: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    ref = run_id()
    connected.sandbox.add_fault("forbidden", method="GET", message="not for you")
    code, lines = watched(ref, capsys)
    assert (code, len(lines), "not for you" in lines[0]) == (1, 1, True)
