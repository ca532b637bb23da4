"""Two clocks: is an end that rests on a triggerer's clock due by the clock of the worker that hears of it?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from .outcome import Ending, Outcome

TOLERANCE_SECONDS = 10.0
"""Hosts whose clocks differ by less agree."""


def rests_on_clock(outcome: Outcome) -> bool:
    """Whether the wall clock has ended the wait: its deadline, or the patience with an id that is not found."""
    return outcome.ending is Ending.TIMED_OUT or (outcome.ending is Ending.LOST and not outcome.status)


def ahead_seconds(outcome: Outcome, event: Mapping[str, Any], now: datetime) -> float:
    """By how much the triggerer's clock is ahead, where it has ended a wait that is not over yet; else 0.

    :param event: with ``at``, the triggerer's time when it ended, and ``wait``, the arguments of its trigger.
    """
    due = _due(outcome, event.get("wait") or {})
    if not rests_on_clock(outcome) or due is None or "at" not in event:
        return 0.0
    ahead = (datetime.fromisoformat(event["at"]) - now).total_seconds()
    return ahead if ahead > TOLERANCE_SECONDS and due > now else 0.0


def _due(outcome: Outcome, wait: Mapping[str, Any]) -> datetime | None:
    if outcome.ending is Ending.TIMED_OUT:
        return datetime.fromisoformat(wait["deadline"]) if wait.get("deadline") else None
    if "not_found_grace" not in (wait.get("rules") or {}):
        return None
    return datetime.fromisoformat(wait["started_at"]) + timedelta(seconds=wait["rules"]["not_found_grace"])
