"""The hubs of this process, one per event loop and connection, and the kills that they carry out."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from airflow_provider_taskwatch.config.connection import read_settings
from airflow_provider_taskwatch.config.inbox import aopen_inbox
from airflow_provider_taskwatch.config.metric import count
from airflow_provider_taskwatch.config.supervisor import is_triggerer, task_state, warm_up
from airflow_provider_taskwatch.core.cancel import Cancel
from airflow_provider_taskwatch.core.error import TaskWatchError, described

from .canceller import Canceller, Kill
from .hub import Hub

T = TypeVar("T")

log = logging.getLogger(__name__)

AIRFLOW_SECONDS = 10.0

_hubs: dict[tuple[asyncio.AbstractEventLoop, str], Hub] = {}
_cancellers: dict[asyncio.AbstractEventLoop, Canceller] = {}
_warming: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}


def hub_for(conn_id: str) -> Hub:
    """The hub of a connection in the running loop, a new one where there is none or it has ended."""
    key = asyncio.get_running_loop(), conn_id
    if key not in _hubs or _hubs[key].is_closed:
        for ended in [other for other, hub in _hubs.items() if hub.is_closed]:
            del _hubs[ended]
        _hubs[key] = Hub(conn_id, lambda: read_settings(conn_id), count=count)
    return _hubs[key]


def canceller() -> Canceller:
    """The one of the running loop that tries on with kills which have not reached their remote."""
    loop = asyncio.get_running_loop()
    if loop not in _cancellers:
        for ended in [other for other in _cancellers if other.is_closed()]:
            del _cancellers[ended]
        _cancellers[loop] = Canceller(aopen_inbox, hub_for, task_state, count=count)
    return _cancellers[loop]


def kill_of(cancel: Cancel) -> Kill:
    """A user's kill, to be carried out over the hub of its connection."""
    return Kill(cancel, hub_for, task_state)


@contextmanager
def ready_for_kills() -> Iterator[None]:
    """For the duration of a wait in a triggerer: have Airflow get ready for kills, and try on with those that failed.

    It begins when the connection has been read, as Airflow answers nothing else meanwhile.
    """
    if not is_triggerer():
        yield
        return
    _begin_warm_up()
    with canceller().at_work():
        yield


def _begin_warm_up() -> None:
    """Once in the running loop, and beside all that waits."""
    loop = asyncio.get_running_loop()
    if loop not in _warming:
        for ended in [other for other in _warming if other.is_closed()]:
            del _warming[ended]
        _warming[loop] = loop.create_task(_warm_up(), context=contextvars.Context())


async def _warm_up() -> None:
    """Where Airflow does not answer, the next wait asks again."""
    try:
        is_warm = await warm_up()
    except Exception as error:  # noqa: BLE001 - nobody waits for it
        log.warning("Airflow does not get ready for the kill of a task: %s", described(error))
        is_warm = False
    if not is_warm:
        del _warming[asyncio.get_running_loop()]


async def patiently(ask: Callable[[], Awaitable[T]], warn: Callable[[str], object] = log.warning) -> T:
    """The answer of a hub; again and again while Airflow itself does not give the connection.

    :param warn: takes the warnings of that.
    """
    while True:
        try:
            return await ask()
        except TaskWatchError as error:
            if not error.transient:
                raise
            warn(f"still waiting: {error}")
            await asyncio.sleep(AIRFLOW_SECONDS)
