"""What a process shares of its feeds: one pump per feed and event loop, and one listener per event loop."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from airflow_provider_taskwatch.config.inbox import aopen_inbox, open_seal
from airflow_provider_taskwatch.config.metric import count
from airflow_provider_taskwatch.core.feed import Feed
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.hub.hub import Hub
from airflow_provider_taskwatch.hub.per_loop import PerLoop
from airflow_provider_taskwatch.remotes import REMOTES

from .listener import Listener
from .pump import Pump
from .waiter_index import Waiter

log = logging.getLogger(__name__)

_listeners = PerLoop[Listener]()
_pumps = PerLoop[Pump](has_ended=lambda pump: pump.is_idle)


def listener() -> Listener:
    """The one reader of the inbox in the running loop."""
    return _listeners.get(lambda: Listener(aopen_inbox, count=count))


async def feed_of(hub: Hub, options: Mapping[str, Any], warn: Callable[[str], object] = log.warning) -> Feed:
    """The feed of a connection; see :meth:`~..hub.live_connection.LiveConnection.open`.

    :raises ConfigurationError: where the connection has no such feed.
    """
    return REMOTES.feed_for((await hub.connection.open(warn)).settings, options)


@asynccontextmanager
async def reading(hub: Hub, feed: Feed, waiter: Waiter) -> AsyncIterator[None]:
    """Keep a feed read, by this process or another one, for as long as the waiter waits.

    A pushed feed is not read; the waiter is warned while no receiver is alive.
    """
    if feed.is_pushed:
        with listener().expecting(feed.key, waiter):
            yield
        return
    async with _pump_for(hub, feed).serving(waiter):
        yield


def _pump_for(hub: Hub, feed: Feed) -> Pump:
    """The pump of a feed in the running loop, over the hub of the first waiter."""
    return _pumps.get(lambda: Pump(feed, aopen_inbox, partial(_converse, hub), open_seal, count=count), feed.key)


async def _converse(hub: Hub, flow: Flow[Any]) -> Any:
    """Run a flow over a session of its own. It keeps the hub open, because a read may outlive its waiters."""
    async with hub:
        return await hub.connection.converse(flow, separate=True)
