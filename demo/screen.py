"""What the demonstration shows: pure functions from remote tasks and DAG runs to tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_STYLES = {
    "succeeded": "green",
    "success": "green",
    "failed": "red",
    "cancelled": "red",
    "lost": "red",
    "upstream_failed": "red",
    "blocked": "yellow",
    "deferred": "magenta",
    "running": "cyan",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteView:
    """A remote task at one moment."""

    system: str
    name: str
    phase: str
    progress: float | None
    message: str
    seconds: float

    @classmethod
    def at(cls, now: float, task: Mapping[str, Any], *, answered: int | None = None) -> Self:
        """Take what the sandbox says of a task; times are unix seconds.

        :param answered: what the receiver has answered to its callback.
        """
        message = task["message"] or f"status {task['status']}"
        return cls(
            system=task["system"],
            name=task["name"],
            phase=task["phase"],
            progress=task["progress"],
            message=message if answered is None else f"{message}; has called back, answered {answered}",
            seconds=(task["ended_at"] or now) - task["started_at"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A DAG run at one moment: its state, and its tasks' by label."""

    dag_id: str
    state: str
    task_states: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """A task of an ended run."""

    dag_id: str
    label: str
    state: str | None
    seconds: float | None
    result: Any


def live(tasks: Iterable[RemoteView], runs: Iterable[RunView]) -> RenderableType:
    """What is shown while the DAGs run."""
    return Group(remote_table(tasks), run_table(runs))


def remote_table(tasks: Iterable[RemoteView]) -> Table:
    """A row per remote task, with phase, progress, message and elapsed time."""
    table = Table("system", "task", "phase", "progress", "message", title="In the remote systems", expand=True)
    table.add_column("elapsed", justify="right", no_wrap=True)
    for task in tasks:
        state, bar, elapsed = _state(task.phase), _bar(task.progress), f"{task.seconds:.0f} s"
        table.add_row(task.system, escape(task.name), state, bar, escape(task.message), elapsed)
    return table


def run_table(runs: Iterable[RunView]) -> Table:
    """A row per DAG run, with the state of each of its tasks."""
    table = Table("DAG", "run", "tasks", title="In Airflow", expand=True)
    for run in runs:
        tasks = Text(", ").join(Text.assemble(f"{label} ", _state(state)) for label, state in run.task_states.items())
        table.add_row(run.dag_id, _state(run.state), tasks)
    return table


def summary(tasks: Iterable[TaskView]) -> Table:
    """A row per task that ran, with its result."""
    table = Table(title="What ran", expand=True)
    for heading in ("DAG", "task", "state"):
        table.add_column(heading, no_wrap=True)
    table.add_column("result", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("seconds", justify="right", no_wrap=True)
    for task in tasks:
        seconds = "" if task.seconds is None else f"{task.seconds:.0f}"
        table.add_row(task.dag_id, escape(task.label), _state(task.state), _json(task.result), seconds)
    return table


def _state(name: str | None) -> Text:
    shown = (name or "not yet").lower()
    return Text(shown, style=_STYLES.get(shown, ""))


def _bar(progress: float | None) -> RenderableType:
    return "" if progress is None else ProgressBar(total=100, completed=progress, width=20)


def _json(result: Any) -> str:
    return "" if result is None else escape(json.dumps(result))
