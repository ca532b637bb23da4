"""The hubs of this process, one per event loop and connection; its pumps, one per feed; and the one listener."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeVar

from airflow_provider_taskwatch.core.cancel import Cancel
from airflow_provider_taskwatch.core.error import TaskWatchError, described
from airflow_provider_taskwatch.core.feed import Feed
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.systems import feed_for

from .audience import Waiter
from .canceller import Canceller, Kill
from .connection import read_settings
from .hub import Hub
from .inbox import aopen_inbox, open_seal
from .listener import Listener
from .pump import Pump
from .statistic import count
from .supervisor import is_triggerer, task_state, warm_up

T = TypeVar("T")

log = logging.getLogger(__name__)

AIRFLOW_SECONDS = 10.0

_hubs: dict[tuple[asyncio.AbstractEventLoop, str], Hub] = {}
_listeners: dict[asyncio.AbstractEventLoop, Listener] = {}
_pumps: dict[tuple[asyncio.AbstractEventLoop, str], Pump] = {}
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


def listener() -> Listener:
    """The one reader of the inbox in the running loop."""
    loop = asyncio.get_running_loop()
    if loop not in _listeners:
        for ended in [other for other in _listeners if other.is_closed()]:
            del _listeners[ended]
        _listeners[loop] = Listener(aopen_inbox, count=count)
    return _listeners[loop]


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


async def feed_of(hub: Hub, options: Mapping[str, Any], warn: Callable[[str], object] = log.warning) -> Feed:
    """The feed of a connection; as patient as :func:`patiently`.

    :raises ConfigurationError: where the connection has no such feed.
    """
    return feed_for(await patiently(hub.settings, warn), options)


@asynccontextmanager
async def reading(hub: Hub, feed: Feed, waiter: Waiter) -> AsyncIterator[None]:
    """See to it that some process reads a feed while somebody waits for it.

    One that its remote sends by itself is not read; where no receiver takes it, whoever waits is told.
    """
    if feed.is_pushed:
        with listener().expecting(feed.key, waiter):
            yield
        return
    async with _pump_for(hub, feed).serving(waiter):
        yield


def _pump_for(hub: Hub, feed: Feed) -> Pump:
    """The pump of a feed in the running loop; over the hub of the first who asked."""
    key = asyncio.get_running_loop(), feed.key
    if key not in _pumps or _pumps[key].is_idle:
        for ended in [other for other, pump in _pumps.items() if pump.is_idle]:
            del _pumps[ended]
        _pumps[key] = Pump(feed, aopen_inbox, partial(_converse, hub), open_seal, count=count)
    return _pumps[key]


async def _converse(hub: Hub, flow: Flow[Any]) -> Any:
    """Apart from the looks of others; a read may outlive all who waited, and what it needs lives as long."""
    async with hub:
        return await hub.converse(flow, aside=True)
