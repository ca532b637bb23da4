"""Metrics, sent through Airflow's statistics."""

from __future__ import annotations

from airflow_provider_taskwatch.compat.task_stats import Stats

PREFIX = "taskwatch."


def count(name: str, number: int = 1) -> None:
    """Adds to the counter ``taskwatch.<name>``."""
    Stats.incr(PREFIX + name, number)


def duration(name: str, seconds: float) -> None:
    """Adds a value to the timing ``taskwatch.<name>``."""
    Stats.timing(PREFIX + name, seconds * 1000.0)
