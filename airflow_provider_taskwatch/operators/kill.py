"""Was it a user? SIGTERM also comes from evictions, scale-downs and lost heartbeats."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

STATE_SECONDS = 2.0
CANCEL_SECONDS = 20.0

_NOT_BY_A_USER = ("running", "deferred", "up_for_retry", "up_for_reschedule", "scheduled", "queued")
"""States that Airflow itself gives to a task whose process is told to end: the next attempt rejoins, or cancels."""


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """What ``work`` returns, or None where it fails or takes longer.

    It runs in a thread, as it is called from a signal handler: whatever lock the interrupted code holds, the
    supervisor's (which is not reentrant) or a token's, only the thread waits for it.
    """
    results: list[Any] = []

    def run() -> None:
        with suppress(Exception):
            results.append(work())

    thread = threading.Thread(target=run, name="taskwatch-kill", daemon=True)
    thread.start()
    thread.join(seconds)
    return results[0] if results else None


def ended_by_user(ti: Any) -> bool:
    """Whether Airflow says that somebody ended the task instance; False where that cannot be learned.

    A clear of a running task gives it the state ``restarting``. It has no state at all where a scheduler has taken it
    from another one that died (or was slow), and is about to run it again.
    """
    states = within(
        STATE_SECONDS,
        lambda: ti.get_task_states(
            dag_id=ti.dag_id,
            task_ids=[ti.task_id],
            run_ids=[ti.run_id],
            map_index=ti.map_index,
        ),
    )
    known = list((states or {}).get(ti.run_id, {}).values())
    return bool(known) and known[0] is not None and str(known[0]) not in _NOT_BY_A_USER
