"""What feeds the stream of one asset watcher, and hears what Airflow has stored of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

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
    """Lives through whatever is transient: Airflow restarts a watcher that has failed about once a second.

    What it needs is held until :meth:`aclose`, as Airflow confirms even after it has ended the stream.
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
                log.warning("the trigger %r does not hear of its feed for now: %s", self._trigger.name, error)
                await self.aclose()
                is_wrong = isinstance(error, ConfigurationError)
                await asyncio.sleep(AGAIN_CONFIGURED_SECONDS if is_wrong else AGAIN_SECONDS)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        if not all(item.outcome.is_clean for item in batch):
            raise RuntimeError(f"Airflow has not stored what {self._trigger.name!r} told it; it is told again")
        await self.confirm(batch[-1].broker_payload)

    async def confirm(self, number: int) -> None:
        """All up to this number has arrived; where that cannot be written down now, it is when the stream goes on."""
        if self._follower is None:
            self._late = max(self._late, number)
            return
        try:
            await self._follower.confirm(number)
        except TaskWatchError as error:
            log.warning("how far the trigger %r has come cannot be written down: %s", self._trigger.name, error)

    async def aclose(self) -> None:
        """Give back what is held; a name that cannot be given back is free when its lease has run out."""
        if self._follower is not None:
            self._reached = self._follower.reached
        self._follower = None
        try:
            await self._held.aclose()
        except TaskWatchError as error:
            log.warning("the trigger %r has not given back all that it held: %s", self._trigger.name, error)

    def _confirmed(self) -> Checkpoint:
        """Up to where all has arrived, as far as is known here."""
        from airflow_provider_taskwatch.inbox.checkpoint import Checkpoint

        reached, late = self._reached or Checkpoint(), self._late
        self._late = 0
        return Checkpoint(number=late) if late > reached.number else reached

    async def _open(self, held: AsyncExitStack) -> FeedFollower:
        """Everything that is needed while the stream is open."""
        from airflow_provider_taskwatch.config.inbox import aopen_inbox
        from airflow_provider_taskwatch.config.metric import count
        from airflow_provider_taskwatch.feed.registry import feed_of, listener, reading
        from airflow_provider_taskwatch.hub.hub import hub_for
        from airflow_provider_taskwatch.inbox.thread import in_thread

        from .follower import FeedFollower
        from .waiter_index import Waiter

        mine = self._trigger
        want = EventFilter(names=mine.names, subject=mine.subject, match=mine.match)
        hub = await held.enter_async_context(hub_for(mine.conn_id))
        feed = await feed_of(hub, mine.feed)
        feed.check(want.match)
        inbox = await aopen_inbox()
        held.push_async_callback(in_thread, inbox.close)
        follower = FeedFollower(
            inbox,
            name=mine.name,
            fingerprint=mine.fingerprint,
            channel=feed.key,
            want=want,
            batch_size=mine.batch_size,
            confirmed=self._confirmed(),
            count=count,
        )
        held.push_async_callback(follower.close)
        await held.enter_async_context(reading(hub, feed, Waiter(want, hear=lambda _: None)))
        held.enter_context(listener().following(feed.key, follower.news.set))
        what, reader = want.describe(mine.names or mine.feed.get("types") or ()), delivery(feed)
        log.info("the trigger %r waits for events %s, from the feed %s; %s", mine.name, what, feed.key, reader)
        return follower
