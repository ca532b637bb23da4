"""``python -m demo``: run every example DAG on a real Airflow against the sandbox, and show what happens."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import requests
from rich.console import Console
from rich.live import Live

from airflow_provider_taskwatch.sandbox.rule import Rule
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.server import running
from demo.airflow import PrivateAirflow
from demo.api import ENDED, ApiError, DagRun, TaskInstance
from demo.profile import DAGS, playing_sandbox
from demo.screen import RemoteView, RunView, TaskView, live, summary
from demo.wait import until

_REMOTE_TASK_SECONDS = 12.0
_END_WITHIN_SECONDS = 240.0
_CHECK_EVERY_SECONDS = 0.5
_LOG_LINES = 60
_BY_EVENTS = "Asset"
"""How Airflow sums up a schedule of assets."""
_WITHOUT_LOG = (None, "success", "skipped", "upstream_failed")


def main() -> int:
    """Run the demonstration and return its exit code."""
    console = Console()
    try:
        return _demonstrate(console)
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.")
        return 130
    except (RuntimeError, TimeoutError, requests.RequestException) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 1


def _demonstrate(console: Console) -> int:
    with running(playing_sandbox()) as served, ExitStack() as held:
        served.sandbox.rules.add(Rule(duration=_REMOTE_TASK_SECONDS))
        served.sandbox.change({"docplanner": {"release_enabled": True, "release_seconds": 1.0}}, time.time())
        console.print(f"The sandbox runs at {served.url}: emulators, not the vendors' software.", soft_wrap=True)
        with console.status("Starting Airflow"):
            airflow = held.enter_context(PrivateAirflow(dags=DAGS, env=served.environment()))
        console.print(f"Airflow runs at {airflow.url}")
        code = _run_all(console, airflow, served.sandbox)
        if os.environ.get("KEEP"):
            _keep(console, airflow)
        return code


def _run_all(console: Console, airflow: PrivateAirflow, sandbox: Sandbox) -> int:
    dags = {dag["dag_id"]: dag["timetable_summary"] for dag in airflow.api.dags()}
    runs = [airflow.trigger(dag_id) for dag_id, schedule in dags.items() if schedule != _BY_EVENTS]
    runs += [_scheduled(airflow, sandbox, dag_id) for dag_id, schedule in dags.items() if schedule == _BY_EVENTS]
    _show_until_ended(console, sandbox, runs)
    tasks = [task for run in runs for task in run.tasks()]
    console.print(summary(map(_task_view, tasks)))
    _print_logs(console, tasks)
    return _judge(console, runs)


def _scheduled(airflow: PrivateAirflow, sandbox: Sandbox, dag_id: str) -> DagRun:
    """The first run of a DAG that events schedule; they happen until it has begun."""

    def first() -> DagRun | None:
        sandbox.emit({"acronis": [{"type": "a.p.tenant.created", "subject": str(uuid.uuid4())}]}, time.time())
        return next(iter(airflow.api.runs(dag_id)), None)

    return until(first, within_seconds=_END_WITHIN_SECONDS, what=f"events schedule {dag_id}", every_seconds=1.0)


def _show_until_ended(console: Console, sandbox: Sandbox, runs: Sequence[DagRun]) -> None:
    """Show what happens until every run has ended, or the time is over."""
    deadline = time.monotonic() + _END_WITHIN_SECONDS
    views = _views(runs)
    with Live(console=console) as screen:
        while any(view.state not in ENDED for view in views) and time.monotonic() < deadline:
            time.sleep(_CHECK_EVERY_SECONDS)
            views = _views(runs)
            screen.update(live(_remote_views(sandbox), views))


def _views(runs: Sequence[DagRun]) -> list[RunView]:
    for run in runs:
        run.api.check()
    return [RunView(dag_id=run.dag_id, state=run.state, task_states=run.task_states()) for run in runs]


def _remote_views(sandbox: Sandbox) -> list[RemoteView]:
    now = time.time()
    calls = {one["ref"]: one["status"] for one in sandbox.log() if one["endpoint"] == "callback"}
    return [RemoteView.at(now, task, answered=calls.get(task["ref"])) for task in sandbox.tasks(now)]


def _print_logs(console: Console, tasks: Sequence[TaskInstance]) -> None:
    """Print the end of the log of every task that did not get to a good end."""
    for task in tasks:
        if (state := task.state) in _WITHOUT_LOG:
            continue
        console.rule(f"{task.run.dag_id}.{task.label} is {state}; the end of its log")
        log = "\n".join(task.log().splitlines()[-_LOG_LINES:])
        console.print(log, markup=False, highlight=False, soft_wrap=True)


def _judge(console: Console, runs: Sequence[DagRun]) -> int:
    bad = [f"{run.dag_id} is {state}" for run in runs if (state := run.state) != "success"]
    if not runs:
        bad = [f"there is no DAG in {DAGS}"]
    console.print(f"Not well: {'; '.join(bad)}." if bad else "All DAG runs succeeded.")
    return 1 if bad else 0


def _keep(console: Console, airflow: PrivateAirflow) -> None:
    """Leave Airflow up until Ctrl-C."""
    console.print(f"Airflow stays up at {airflow.url} until you press Ctrl-C; every user is an admin there.")
    try:
        while True:
            airflow.check()
            time.sleep(_CHECK_EVERY_SECONDS)
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.")


def _task_view(task: TaskInstance) -> TaskView:
    seen = task.read()
    return TaskView(
        dag_id=task.run.dag_id,
        label=task.label,
        state=seen["state"],
        seconds=seen["duration"],
        result=_result(task),
    )


def _result(task: TaskInstance) -> Any:
    try:
        return task.xcom()
    except ApiError as error:
        if error.status == requests.codes.not_found:
            return None
        raise


if __name__ == "__main__":
    sys.exit(main())
