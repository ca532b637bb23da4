"""Produces the shared stream of one asset watcher, and takes Airflow's confirmations."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_taskwatch.compat.shared_stream import AdvanceItem, SharedStreamProducer
from airflow_provider_taskwatch.core.error import ConfigurationError, TaskWatchError
from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.core.feed import delivery

if TYPE_CHECKING:
    from airflow_provider_taskwatch.inbox.checkpoint import Checkpoint

    from .follower import FeedFollower


log = logging.getLogger(__name__)

AGAIN_SECONDS = 5.0
AGAIN_CONFIGURED_SECONDS = 60.0


class FeedWatch(Protocol):
    """Which events of which feed are wanted; :class:`~..triggers.feed.FeedTrigger` documents the names."""

    name: str
    conn_id: str
    feed: dict[str, Any]
    names: Sequence[str]
    subject: str
    match: Mapping[str, Any]
    batch_size: int

    @property
    def fingerprint(self) -> str:
        """The same for watches that are the same."""


class FeedProducer(SharedStreamProducer):
    """Retries every failure itself: Airflow restarts a failed watcher about once a second.

    It keeps its resources until :meth:`aclose`, because Airflow confirms even after it has ended the stream.
    """

    def __init__(self, trigger: FeedWatch) -> None:
        self._trigger = trigger
        self._held = AsyncExitStack()
        self._follower: FeedFollower | None = None
        self._reached: Checkpoint | None = None
        self._late = 0

    async def open_stream(self) -> AsyncIterator[tuple[Any, Any]]:
        while True:
            try:
                self._follower = await self._open(self._held)
                async for bundle in self._follower.bundles():
                    yield bundle.events, bundle.number
            except TaskWatchError as error:
                log.warning("the trigger %r receives no events for now: %s", self._trigger.name, error)
                await self.aclose()
                is_wrong = isinstance(error, ConfigurationError)
                await asyncio.sleep(AGAIN_CONFIGURED_SECONDS if is_wrong else AGAIN_SECONDS)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        if not all(item.outcome.is_clean for item in batch):
            raise RuntimeError(f"Airflow has not stored the events of {self._trigger.name!r}; they are sent again")
        await self.confirm(batch[-1].broker_payload)

    async def confirm(self, number: int) -> None:
        """Store that all up to this number has arrived; if that fails, it is stored when the stream continues."""
        if self._follower is None:
            self._late = max(self._late, number)
            return
        try:
            await self._follower.confirm(number)
        except TaskWatchError as error:
            log.warning("the position of the trigger %r cannot be stored: %s", self._trigger.name, error)

    async def aclose(self) -> None:
        """Release all resources; a lease that cannot be released expires by itself."""
        if self._follower is not None:
            self._reached = self._follower.reached
        self._follower = None
        try:
            await self._held.aclose()
        except TaskWatchError as error:
            log.warning("the trigger %r could not release all its resources: %s", self._trigger.name, error)

    def _confirmed(self) -> Checkpoint:
        """The checkpoint up to which all has arrived, as known in this process."""
        from airflow_provider_taskwatch.inbox.checkpoint import Checkpoint

        reached, late = self._reached or Checkpoint(), self._late
        self._late = 0
        return Checkpoint(number=late) if late > reached.number else reached

    async def _open(self, held: AsyncExitStack) -> FeedFollower:
        """Open all resources of the stream."""
        from airflow_provider_taskwatch.config.inbox import aopen_inbox
        from airflow_provider_taskwatch.config.metric import count
        from airflow_provider_taskwatch.feed.registry import feed_of, listener, reading
        from airflow_provider_taskwatch.hub.hub import hub_for
        from airflow_provider_taskwatch.inbox.thread import in_thread

        from .follower import FeedFollower
        from .waiter_index import Waiter

        mine = self._trigger
        event_filter = EventFilter(names=mine.names, subject=mine.subject, match=mine.match)
        hub = await held.enter_async_context(hub_for(mine.conn_id))
        feed = await feed_of(hub, mine.feed)
        feed.check(event_filter.match)
        inbox = await aopen_inbox()
        held.push_async_callback(in_thread, inbox.close)
        follower = FeedFollower(
            inbox,
            name=mine.name,
            fingerprint=mine.fingerprint,
            channel=feed.key,
            event_filter=event_filter,
            batch_size=mine.batch_size,
            confirmed=self._confirmed(),
            count=count,
        )
        held.push_async_callback(follower.close)
        await held.enter_async_context(reading(hub, feed, Waiter(event_filter, hear=lambda _: None)))
        held.enter_context(listener().following(feed.key, follower.news.set))
        what, reader = event_filter.describe(mine.names or mine.feed.get("types") or ()), delivery(feed)
        log.info("the trigger %r waits for events %s, from the feed %s; %s", mine.name, what, feed.key, reader)
        return follower
