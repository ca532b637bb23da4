"""Counting through Airflow's own statistics: the one place of the hub that does."""

from __future__ import annotations

from airflow.sdk.observability import stats

PREFIX = "taskwatch."


def count(name: str, number: int = 1) -> None:
    """Add to the counter ``taskwatch.<name>``."""
    stats.incr(PREFIX + name, number)


def duration(name: str, seconds: float) -> None:
    """One more value of the timing ``taskwatch.<name>``."""
    stats.timing(PREFIX + name, seconds * 1000.0)
