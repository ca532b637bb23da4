"""Whether Airflow calls ``on_kill`` of a trigger that it cancels, as it does since 3.3."""

from __future__ import annotations

import asyncio

from airflow.triggers.base import BaseTrigger

CALLS_ON_KILL = hasattr(BaseTrigger, "on_kill")
"""Below Airflow 3.3 a trigger sees a user's kill as a cancellation of its ``run``, and nothing else."""


def is_shutdown() -> bool:
    """Whether the present cancellation is the end of the triggerer, which cancels all tasks of its event loop."""
    return all(task.cancelling() for task in asyncio.all_tasks())
