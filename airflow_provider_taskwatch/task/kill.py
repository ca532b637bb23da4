"""Was it a user? SIGTERM also comes from evictions, scale-downs and lost heartbeats."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from airflow_provider_taskwatch.core.cancel import Cancel

STATE_SECONDS = 1.0
"""How long the handler of a signal waits for Airflow to say who ended the task. Airflow 3.3.2 kills for good five
seconds after the SIGTERM of a user's kill."""
KEEP_AFTER_SECONDS = 1.0
"""A cancel that takes longer is written down beside."""
KEEP_SECONDS = 8.0
CANCEL_SECONDS = 20.0

_NOT_BY_A_USER = ("running", "deferred", "up_for_retry", "up_for_reschedule", "scheduled", "queued")
"""States that Airflow itself gives to a task whose process is told to end: the next attempt rejoins, or cancels."""


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """What ``work`` returns, or None where it fails or takes longer."""
    results: list[Any] = []
    beside(lambda: results.append(work())).join(seconds)
    return results[0] if results else None


def beside(work: Callable[[], Any]) -> threading.Thread:
    """Begin ``work`` in a thread, as a signal handler must: what it interrupted may hold a lock that ``work`` needs.

    That of the supervisor is not reentrant; who waits for it goes on when the handler has returned.
    """

    def run() -> None:
        with suppress(Exception):
            work()

    thread = threading.Thread(target=run, name="taskwatch-kill", daemon=True)
    thread.start()
    return thread


def keep(cancel: Cancel) -> str:
    """Write down what did not reach the remote in time; where it is, in words for a log.

    :raises TaskWatchError: where the inbox could not be asked.
    """
    from airflow_provider_taskwatch.config.inbox import open_inbox
    from airflow_provider_taskwatch.hub.canceller import write_down

    inbox = open_inbox()
    try:
        write_down(inbox, cancel, time.time())
        return repr(inbox)
    finally:
        inbox.close()


def ended_by_user(ti: Any) -> bool | None:
    """Whether Airflow says that somebody ended the task instance; None where it cannot say so. May block.

    A clear of a running task gives it the state ``restarting``. It has no state at all where a scheduler has taken it
    from another one that died (or was slow), and is about to run it again.
    """
    try:
        states = ti.get_task_states(
            dag_id=ti.dag_id,
            task_ids=[ti.task_id],
            run_ids=[ti.run_id],
            map_index=ti.map_index,
        )
    except Exception:  # noqa: BLE001 - whatever it is, the state is not known
        return None
    known = list(states.get(ti.run_id, {}).values())
    return bool(known) and known[0] is not None and str(known[0]) not in _NOT_BY_A_USER
