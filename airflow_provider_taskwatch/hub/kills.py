"""The kills of this process: each is carried out or kept, and one canceller per event loop retries what was kept."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_taskwatch.config.inbox import aopen_inbox
from airflow_provider_taskwatch.config.metric import count
from airflow_provider_taskwatch.config.supervisor import is_triggerer, task_state, warm_up
from airflow_provider_taskwatch.core.cancel import Cancel, kept_message, lost_message
from airflow_provider_taskwatch.core.error import described

from .canceller import CancelAttempt, Canceller
from .hub import hub_for
from .per_loop import PerLoop

log = logging.getLogger(__name__)

KILL_SECONDS = 20.0
KEEP_SECONDS = 8.0
"""Airflow gives up on a kill after 30 seconds (``[triggerer] on_kill_timeout``)."""

_cancellers = PerLoop[Canceller]()
_warming = PerLoop[asyncio.Task[bool]](
    has_ended=lambda warming: warming.done() and (warming.cancelled() or not warming.result())
)


async def kill(cancel: Cancel, log: Any) -> None:
    """Cancels at the remote where a user ended the task; keeps the cancel where that fails.

    :param log: the log of the task.
    """
    attempt = CancelAttempt(cancel, hub_for, task_state)
    try:
        async with asyncio.timeout(KILL_SECONDS):
            log.log(*await attempt.settle())
    except TimeoutError:
        await _keep(attempt.cancel, f"no answer within {KILL_SECONDS:g} s", log)
    except Exception as error:  # noqa: BLE001 - whatever Airflow raises, a kill must not be forgotten silently
        await _keep(attempt.cancel, described(error), log)
    except asyncio.CancelledError:
        await _keep(attempt.cancel, "the triggerer ends, or gives up on it", log)
        raise


async def _keep(cancel: Cancel, reason: str, log: Any) -> None:
    """Keeps a cancel, in a task of its own: Airflow may give up on the present one."""
    keeping = asyncio.get_running_loop().create_task(canceller().keep(cancel))
    keeping.add_done_callback(lambda done: done.cancelled() or done.exception())  # logged here, or too late
    try:
        async with asyncio.timeout(KEEP_SECONDS):
            where = await asyncio.shield(keeping)
    except Exception as error:  # noqa: BLE001 - whatever it is, the user must know that the remote task goes on
        log.error(lost_message(cancel.shown_ref, reason, described(error)))
    else:
        log.warning(kept_message(cancel.shown_ref, reason, where))


def canceller() -> Canceller:
    """The canceller of the running event loop."""
    return _cancellers.get(lambda: Canceller(aopen_inbox, hub_for, task_state, count=count))


@contextmanager
def ready_for_kills() -> Iterator[None]:
    """For the duration of a wait in a triggerer: makes Airflow ready for kills, and retries those that have failed.

    Enter it after the connection was read, because Airflow answers no other request meanwhile.
    """
    if not is_triggerer():
        yield
        return
    _warming.get(lambda: asyncio.get_running_loop().create_task(_warm_up(), context=contextvars.Context()))
    with canceller().at_work():
        yield


async def _warm_up() -> bool:
    """Whether Airflow is ready. Runs in the background; where Airflow does not answer, the next wait tries again."""
    try:
        return await warm_up()
    except Exception as error:  # noqa: BLE001 - no caller waits for the task
        log.warning("Airflow does not get ready for the kill of a task: %s", described(error))
        return False
