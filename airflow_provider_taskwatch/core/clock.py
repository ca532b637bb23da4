"""The clocks of triggerer and worker may differ: did the triggerer's clock end a wait too early?"""

from __future__ import annotations

from datetime import datetime

TOLERANCE_SECONDS = 10.0
"""Clocks that differ by less count as equal."""


def ahead_seconds(ended_at: datetime, due: datetime | None, now: datetime) -> float:
    """By how much the triggerer's clock is ahead, where it has ended a wait that is not over yet; else 0.

    :param ended_at: the triggerer's time when it ended the wait.
    :param due: when the wait was to end; None where it had no such limit.
    :param now: the worker's time.
    """
    ahead = (ended_at - now).total_seconds()
    return ahead if ahead > TOLERANCE_SECONDS and due is not None and due > now else 0.0
