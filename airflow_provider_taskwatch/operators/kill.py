"""Was it a user? SIGTERM also comes from evictions, scale-downs and lost heartbeats."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from airflow_provider_taskwatch.core.cancel import Cancel

STATE_SECONDS = 10.0
CANCEL_SECONDS = 20.0
KEEP_SECONDS = 8.0
"""Together less than the minute that Airflow gives a task to end (``[core] killed_task_cleanup_time``)."""

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


def keep(cancel: Cancel) -> str:
    """Write down what did not reach the remote in time; where it is, in words for a log.

    :raises TaskWatchError: where the inbox could not be asked.
    """
    from airflow_provider_taskwatch.hub.canceller import write_down
    from airflow_provider_taskwatch.hub.inbox import open_inbox

    inbox = open_inbox()
    try:
        write_down(inbox, cancel, time.time())
        return repr(inbox)
    finally:
        inbox.close()


def ended_by_user(ti: Any) -> bool | None:
    """Whether Airflow says that somebody ended the task instance; None where it does not answer.

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
    if states is None:
        return None
    known = list(states.get(ti.run_id, {}).values())
    return bool(known) and known[0] is not None and str(known[0]) not in _NOT_BY_A_USER
