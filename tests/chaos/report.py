"""The report of a series of runs: a table for people, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.book import Balance

_COLUMNS = {
    "tasks": "tasks",
    "tries": "tries",
    "kills at a point": "kills",
    "executions": "started",
    "unknown starts": "unknown",
    "cancels": "cancels",
    "429": "429",
    "control tasks": "ctrl",
    "control tries": "tries",
    "control started twice": "twice",
    "control hanging": "hang",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run.

    :param done: how often each thing was done to it.
    """

    name: str
    seconds: float
    done: Mapping[str, int]
    restarted: Sequence[str]
    balance: Balance

    @property
    def is_good(self) -> bool:
        return not self.balance.violations

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seconds": round(self.seconds),
            "done": dict(self.done),
            "restarted": list(self.restarted),
            **self.balance.to_json(),
        }


def table(results: Sequence[Result]) -> str:
    """A line per run."""
    head = f"{'fault':24}{'s':>5}" + "".join(f"{title:>9}" for title in _COLUMNS.values()) + f"{'violations':>12}"
    return "\n".join([head, *map(_line, results)])


def _line(result: Result) -> str:
    cells = "".join(f"{result.balance.counts[name]:9}" for name in _COLUMNS)
    return f"{result.name:24}{result.seconds:5.0f}{cells}{len(result.balance.violations):12}"


def details(result: Result) -> str:
    """The actions of a run, and its violations."""
    done = ", ".join(f"{count} x {what}" for what, count in result.done.items()) or "nothing"
    restarted = f"; started again: {', '.join(result.restarted)}" if result.restarted else ""
    lines = [f"{one.book}: {one.job}: {one.evidence}" for one in result.balance.violations]
    return "\n".join([f"{result.name}: {done}{restarted}", *(f"  VIOLATION {line}" for line in lines)])


def write(results: Sequence[Result], path: Path) -> None:
    """The JSON form."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([result.to_json() for result in results], indent=2) + "\n")
