"""The clocks of triggerer and worker may differ: was an end that rests on the triggerer's clock too early?"""

from __future__ import annotations

from datetime import datetime

from .outcome import Ending, Outcome

TOLERANCE_SECONDS = 10.0
"""Clocks that differ by less count as equal."""


def rests_on_clock(outcome: Outcome) -> bool:
    """Whether a wall clock has ended the wait: its deadline, or the grace period for an id that is not found."""
    return outcome.ending is Ending.TIMED_OUT or (outcome.ending is Ending.LOST and not outcome.status)


def ahead_seconds(ended_at: datetime, due: datetime | None, now: datetime) -> float:
    """By how much the triggerer's clock is ahead, where it has ended a wait that is not over yet; else 0.

    :param ended_at: the triggerer's time when it ended the wait.
    :param due: when the wait was to end; None where it had no such limit.
    :param now: the worker's time.
    """
    ahead = (ended_at - now).total_seconds()
    return ahead if ahead > TOLERANCE_SECONDS and due is not None and due > now else 0.0
