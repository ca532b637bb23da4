"""The kills of this process: Airflow is made ready for them, and one canceller per event loop retries them."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_taskwatch.config.inbox import aopen_inbox
from airflow_provider_taskwatch.config.metric import count
from airflow_provider_taskwatch.config.supervisor import is_triggerer, task_state, warm_up
from airflow_provider_taskwatch.core.cancel import Cancel
from airflow_provider_taskwatch.core.error import described

from .canceller import Canceller, Kill
from .hub import hub_for

log = logging.getLogger(__name__)

_cancellers: dict[asyncio.AbstractEventLoop, Canceller] = {}
_warming: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}


def kill_of(cancel: Cancel) -> Kill:
    """A user's kill, carried out over the hub of its connection."""
    return Kill(cancel, hub_for, task_state)


def canceller() -> Canceller:
    """The canceller of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _cancellers:
        for ended in [other for other in _cancellers if other.is_closed()]:
            del _cancellers[ended]
        _cancellers[loop] = Canceller(aopen_inbox, hub_for, task_state, count=count)
    return _cancellers[loop]


@contextmanager
def ready_for_kills() -> Iterator[None]:
    """For the duration of a wait in a triggerer: makes Airflow ready for kills, and retries those that have failed.

    Enter it after the connection was read, because Airflow answers no other request meanwhile.
    """
    if not is_triggerer():
        yield
        return
    loop = asyncio.get_running_loop()
    if loop not in _warming:
        for ended in [other for other in _warming if other.is_closed()]:
            del _warming[ended]
        _warming[loop] = loop.create_task(_warm_up(), context=contextvars.Context())
    with canceller().at_work():
        yield


async def _warm_up() -> None:
    """Runs in the background. Where Airflow does not answer, the next wait tries again."""
    try:
        is_warm = await warm_up()
    except Exception as error:  # noqa: BLE001 - no caller waits for the task
        log.warning("Airflow does not get ready for the kill of a task: %s", described(error))
        is_warm = False
    if not is_warm:
        del _warming[asyncio.get_running_loop()]
