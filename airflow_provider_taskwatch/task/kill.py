"""Ends what a task has started, where a user or a timeout ends the task. Evictions and lost heartbeats end nothing."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_taskwatch.core.cancel import Cancel, kept_message, lost_message

if TYPE_CHECKING:
    from .remote import Remote

STATE_SECONDS = 1.0
"""How long a signal handler waits for Airflow to say who ended the task. Airflow 3.3.2 sends SIGKILL five seconds after
the SIGTERM of a user's kill."""
KEEP_AFTER_SECONDS = 1.0
"""A cancel that takes longer is written to the inbox as well."""
KEEP_SECONDS = 8.0
CANCEL_SECONDS = 20.0

_NOT_BY_A_USER = ("running", "deferred", "up_for_retry", "up_for_reschedule", "scheduled", "queued")
"""States that Airflow itself gives to a task whose process gets a SIGTERM: the next attempt rejoins, or cancels."""


class Kill:
    """Cancels what a task instance has running at its remote.

    Airflow calls it in a signal handler, and lets the interrupted code go on for a while. The work is done in threads:
    they may wait for a lock that the interrupted code holds, and they go on when the handler has returned.

    :param remote: where it runs.
    :param conn_id: the connection, for the triggerers.
    :param ti: the task instance, whose state Airflow is asked for.
    :param keeps_record: whether the next attempt finds the record of the start.
    :param not_found_grace: seconds from the start during which the remote may not know its own id yet.
    :param log: the log of the task.
    """

    def __init__(
        self, remote: Remote, *, conn_id: str, ti: Any, keeps_record: bool, not_found_grace: float, log: Any
    ) -> None:
        self._remote = remote
        self._conn_id = conn_id
        self._ti = ti
        self._keeps_record = keeps_record
        self._not_found_grace = not_found_grace
        self._log = log

    def after_start(self) -> None:
        """Cancel what was just started: the task was ended before its ref was known.

        :raises AirflowFailException: always.
        """
        if self._remote.ref is not None and not self._remote.cancel(self._remote.ref):
            self._keep("the remote did not take the cancel", is_users=True)
        self._remote.check_wanted()

    def after_timeout(self) -> None:
        """Cancel: ``execution_timeout`` has interrupted the task."""
        if (ref := self._remote.ref) is None:
            self._remote.is_unwanted = True
        else:
            within(CANCEL_SECONDS, lambda: self._remote.cancel(ref, fresh=True))

    def after_signal(self) -> None:
        """Cancel where Airflow says that a user ended the task; leave the question to the triggerers if it is slow."""
        is_explained = threading.Event()
        ending = beside(lambda: self._end_for_user(is_explained))
        if is_explained.wait(STATE_SECONDS):
            ending.join(CANCEL_SECONDS)
        else:
            beside(lambda: self._keep("Airflow did not say in time who ended the task", is_users=False))

    def _end_for_user(self, is_explained: threading.Event) -> None:
        is_users = ended_by_user(self._ti)
        is_explained.set()
        if is_users is None:
            self._keep("Airflow could not say who ended the task", is_users=False)
        if not is_users:
            return
        self._remote.is_unwanted = True  # before the ref is read: the start may get it at this moment
        if (ref := self._remote.ref) is None:
            return
        keeping = threading.Timer(KEEP_AFTER_SECONDS, lambda: self._keep("the remote is slow", is_users=True))
        keeping.daemon = True
        keeping.start()
        is_settled = self._remote.cancel(ref, fresh=True)
        is_kept = keeping.finished.is_set()
        keeping.cancel()
        if not is_settled and not is_kept:
            self._keep("the remote did not take the cancel", is_users=True)

    def _keep(self, reason: str, *, is_users: bool) -> None:
        """Write the cancel to the inbox: the triggerers check whether it still holds, and carry it out."""
        record, ti = self._remote.record, self._ti
        if record is None:
            return
        cancel = Cancel(
            cancel_id=secrets.token_hex(8),
            conn_id=self._conn_id,
            ref=record.known_ref,
            id_space=record.id_space,
            options=self._remote.options_of(record),
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=ti.map_index,
            keeps_record=self._keeps_record,
            is_users=is_users,
            unknown_until=datetime.fromisoformat(record.started_at).timestamp() + self._not_found_grace,
        )
        inbox_name = within(KEEP_SECONDS, lambda: _write_down(cancel))
        if inbox_name:
            self._log.warning(kept_message(cancel.shown_ref, reason, inbox_name))
        else:
            self._log.error(lost_message(cancel.shown_ref, reason, "the inbox did not take it"))


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """What ``work`` returns, or None where it fails or takes longer."""
    results: list[Any] = []
    beside(lambda: results.append(work())).join(seconds)
    return results[0] if results else None


def beside(work: Callable[[], Any]) -> threading.Thread:
    """Begin ``work`` in a thread, as a signal handler must.

    What the signal interrupted may hold a lock that ``work`` needs. The lock of the supervisor is not reentrant.
    """

    def run() -> None:
        with suppress(Exception):
            work()

    thread = threading.Thread(target=run, name="taskwatch-kill", daemon=True)
    thread.start()
    return thread


def _write_down(cancel: Cancel) -> str:
    """Write a cancel to the inbox, and return the inbox's name for the log."""
    from airflow_provider_taskwatch.config.inbox import open_inbox
    from airflow_provider_taskwatch.hub.canceller import write_down

    inbox = open_inbox()
    try:
        write_down(inbox, cancel, time.time())
        return repr(inbox)
    finally:
        inbox.close()


def ended_by_user(ti: Any) -> bool | None:
    """Whether Airflow says that a user ended the task instance; None where it cannot say so. May block.

    A clear of a running task gives it the state ``restarting``. It has no state while one scheduler takes it from
    another, which has died or is slow, and is about to run it again.
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
