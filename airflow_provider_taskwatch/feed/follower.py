"""Reads the events of a feed in their order for one asset watcher, and stores its position."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_taskwatch.core.error import LeaseError
from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.core.feed import fitted
from airflow_provider_taskwatch.feed.checkpoint import (
    BACK_SECONDS,
    checkpoint_at,
    counted,
    read_page,
    restored_checkpoint,
)
from airflow_provider_taskwatch.hub.wakeup import happens
from airflow_provider_taskwatch.inbox.checkpoint import Checkpoint, Page
from airflow_provider_taskwatch.inbox.event import event_of
from airflow_provider_taskwatch.inbox.lease import new_holder
from airflow_provider_taskwatch.inbox.message import Lease
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.thread import in_thread

from .pump import LEASE_SECONDS, RENEW_SECONDS
from .reading import lost_message, restored_message

log = logging.getLogger(__name__)

UNCONFIRMED_BUNDLES = 64
"""Airflow 3.3.2 fails a subscriber that is 1,024 events behind, and does not slow down the producer. About once a
second its triggerer stores all new events, in some 10 ms each, before it does anything else."""
BATCH_BYTES = 256 * 1024
QUIET_SECONDS = 30.0
"""Longer than the usual time between two passes of the scheduler."""
BEGINNING = Checkpoint()
OPEN, CLOSED = "open", "closed"
"""The stored states of a burst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Events that go out together; an empty bundle closes a burst.

    :param checkpoint: how far the feed is read once they have arrived.
    """

    events: Sequence[dict[str, Any]]
    checkpoint: Checkpoint

    @property
    def number(self) -> int:
        """The number of the checkpoint."""
        return self.checkpoint.number


class FeedFollower:
    """Reads one feed for one name. Several followers of a name take turns; what is confirmed stays confirmed.

    Airflow 3.3.2 gives a run only the asset events that are no newer than the event which queued it. An event between
    that one and the scheduler's pass waits for the next event of the asset. So a burst (bundles that follow each other
    within ``quiet_seconds``) is closed by an empty bundle after ``quiet_seconds`` without one.

    :param name: the name that the position belongs to.
    :param fingerprint: equal for followers of the same name that want the same.
    :param channel: key of the feed.
    :param batch_size: the greatest number of events in a bundle.
    :param confirmed: the checkpoint up to which all has arrived, even if it could not be stored.
    :param back_seconds: how long a reading may be older than the last one before the inbox counts as restored.
    :param count: adds a number to a counter, by its name.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        name: str,
        fingerprint: str,
        channel: str,
        event_filter: EventFilter,
        batch_size: int = 100,
        confirmed: Checkpoint = BEGINNING,
        lease_seconds: float = LEASE_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
        quiet_seconds: float = QUIET_SECONDS,
        back_seconds: float = BACK_SECONDS,
        count: Callable[[str, int], object] = lambda _name, _number: None,
    ) -> None:
        self.news = asyncio.Event()
        self._inbox = inbox
        self._name = name
        self._fingerprint = fingerprint
        self._channel = channel
        self._event_filter = event_filter
        self._batch_size = batch_size
        self._lease_seconds = lease_seconds
        self._renew_seconds = renew_seconds
        self._quiet_seconds = quiet_seconds
        self._back_seconds = back_seconds
        self._count = count
        self._lease = Lease(name=f"feed trigger {name}", holder=f"{fingerprint} {new_holder()}")
        self._burst_name = f"{self._lease.name} burst"
        self._spot_name = f"spot of {self._lease.name}"
        self._renew_at = 0.0
        self.reached = confirmed
        """The checkpoint up to which all has arrived."""
        self._back_since: float | None = None
        self._has_gone_back = False
        self._unconfirmed: deque[Bundle] = deque()
        self._room = asyncio.Event()
        self._burst = 0
        self._confirmed_at = 0.0

    async def bundles(self) -> AsyncIterator[Bundle]:
        """The bundles of wanted events, without end.

        :raises LeaseError: when another process holds the name's lease.
        """
        await self._take()
        checkpoint = await self._start()
        while True:
            await self._keep()
            self.news.clear()
            page = await in_thread(read_page, self._inbox, self._channel, checkpoint)
            if page.is_back:
                checkpoint = await self._go_back(checkpoint)
                continue
            self._back_since = None
            for bundle in _bundles(page, checkpoint, self._event_filter, self._batch_size, self._name):
                await self._wait_for_room()
                await self._open_burst()
                self._unconfirmed.append(bundle)
                yield bundle
            if self._is_quiet and (closing := await self._close_burst()) is not None:
                self._unconfirmed.append(closing)
                yield closing
            before, (checkpoint, lost) = checkpoint, checkpoint.after(page.rows, page)
            if lost:
                self._lose(lost, is_exact=before.passed is not None)
            if checkpoint != before:
                await self._pass(checkpoint)
            if not page.rows:
                await happens(self.news, min(self._renew_seconds, self._quiet_seconds))

    async def confirm(self, number: int) -> None:
        """Store that all up to this number has arrived.

        Numbers from before a restore of the inbox are ignored: they mean other events.

        :raises LeaseError: when another process holds the name's lease.
        """
        self._confirmed_at = asyncio.get_running_loop().time()
        if self._has_gone_back and all(bundle.number != number for bundle in self._unconfirmed):
            return
        checkpoint = Checkpoint(number=number)
        while self._unconfirmed and self._unconfirmed[0].number <= number:
            checkpoint = self._unconfirmed.popleft().checkpoint
        self._room.set()
        await self._save(checkpoint)

    async def close(self) -> None:
        """Release the name's lease, so that another process can follow at once."""
        await in_thread(self._inbox.release, self._lease.name, self._lease.holder)

    async def _take(self) -> None:
        """Wait for the name's lease; log an error if its holder wants something else."""
        has_warned = False
        while not await self._is_ours():
            other = await in_thread(self._inbox.holder, self._lease.name) or self._fingerprint
            if not has_warned and other.partition(" ")[0] != self._fingerprint:
                has_warned = True
                log.error(
                    "two triggers with different arguments have the name %r; this one waits until the other one ends: "
                    "give each trigger a name of its own",
                    self._name,
                )
            await asyncio.sleep(self._renew_seconds)

    async def _is_ours(self) -> bool:
        self._renew_at = asyncio.get_running_loop().time() + self._renew_seconds
        return await in_thread(self._inbox.lease, self._lease.name, self._lease.holder, self._lease_seconds)

    async def _keep(self) -> None:
        if asyncio.get_running_loop().time() >= self._renew_at and not await self._is_ours():
            raise LeaseError(f"the lease {self._lease.name!r} is held by another process now")

    async def _start(self) -> Checkpoint:
        """The checkpoint to continue from; the end of the feed for a new name."""
        stored = await in_thread(self._stored)
        if stored is None:
            await self._save(await in_thread(self._end))
        elif stored.number >= self.reached.number:
            self.reached = stored
        self._confirmed_at = asyncio.get_running_loop().time()
        if await in_thread(self._inbox.position, self._burst_name) == OPEN:
            self._burst = 2  # the last holder of the name did not close it
        return self.reached

    def _stored(self) -> Checkpoint | None:
        """The stored checkpoint; a position alone has the number only."""
        number = self._inbox.position(self._lease.name)
        if number is None:
            return None
        stored: dict[str, Any] = json.loads(self._inbox.position(self._spot_name) or "{}")
        is_current = stored.get("number") == int(number)
        checkpoint = Checkpoint(**stored) if is_current else Checkpoint(number=int(number))
        return counted(self._inbox, self._channel, checkpoint)

    def _end(self) -> Checkpoint:
        return checkpoint_at(self._inbox, self._channel, self._inbox.number_before(self._channel, math.inf))

    async def _go_back(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint to continue from, once ``back_seconds`` show that the inbox is no replica that lags."""
        now = asyncio.get_running_loop().time()
        if self._back_since is None:
            self._back_since = now
        if now - self._back_since < self._back_seconds:
            await asyncio.sleep(min(self._renew_seconds, self._back_seconds / 5))
            return checkpoint
        again = await in_thread(restored_checkpoint, self._inbox, self._channel, checkpoint)
        log.error("the trigger %r: %s", self._name, restored_message(self._channel, checkpoint.number, again.number))
        self._count("inbox.went_back", 1)
        self._has_gone_back, self._back_since = True, None
        self._unconfirmed.clear()
        self._room.set()
        self.reached = again
        await self._save(again)
        return again

    def _lose(self, number: int, *, is_exact: bool) -> None:
        self._count("feed.lost", number)
        log.error("the trigger %r: %s", self._name, lost_message(self._channel, number, is_exact=is_exact))

    async def _open_burst(self) -> None:
        self._burst += 1
        if self._burst == 1:
            await in_thread(self._inbox.save_position, self._burst_name, OPEN, self._lease)

    @property
    def _is_quiet(self) -> bool:
        """Whether all bundles have arrived, long enough ago for the scheduler to have seen them."""
        silence = asyncio.get_running_loop().time() - self._confirmed_at
        return self._burst > 0 and not self._unconfirmed and silence >= self._quiet_seconds

    async def _close_burst(self) -> Bundle | None:
        """The empty bundle that puts the last events into a run; None after a single bundle."""
        if self._burst > 1:
            self._burst = 1
            return Bundle(events=(), checkpoint=self.reached)
        self._burst = 0
        await in_thread(self._inbox.save_position, self._burst_name, CLOSED, self._lease)
        return None

    async def _pass(self, checkpoint: Checkpoint) -> None:
        """Store a checkpoint behind unwanted events, if no bundle is unconfirmed."""
        if not self._unconfirmed:
            await self._save(checkpoint)

    async def _save(self, checkpoint: Checkpoint) -> None:
        """Store a checkpoint, but never an earlier one: a bundle that was sent twice may be confirmed late."""
        if (checkpoint.number, checkpoint.passed is not None) >= (self.reached.number, self.reached.passed is not None):
            self.reached = checkpoint
        also = {self._spot_name: json.dumps(asdict(self.reached))}
        number = str(self.reached.number)
        await in_thread(self._inbox.save_position, self._lease.name, number, self._lease, also=also)

    async def _wait_for_room(self) -> None:
        while len(self._unconfirmed) >= UNCONFIRMED_BUNDLES:
            self._room.clear()
            await happens(self._room, self._renew_seconds)
            await self._keep()


def _bundles(
    page: Page, checkpoint: Checkpoint, event_filter: EventFilter, batch_size: int, name: str
) -> Iterator[Bundle]:
    """The wanted events of a page in bundles, bounded in number and in bytes.

    :param checkpoint: the one before the page.
    """
    events: list[dict[str, Any]] = []
    size, end = 0, 0
    for index, one in enumerate(page.rows):
        event = event_of(one.message)
        if not event_filter.accepts(event):
            continue
        fitting = fitted(event)
        if fitting.loss:
            log.warning("an event of %s is too long for an asset event: %s; its id is %s", name, fitting.loss, event.id)
        length = len(json.dumps(fitting.value))
        if events and (len(events) >= batch_size or size + length > BATCH_BYTES):
            yield Bundle(events=events, checkpoint=checkpoint.after(page.rows[:end], page)[0])
            events, size = [], 0
        events.append(fitting.value)
        size, end = size + length, index + 1
    if events:
        yield Bundle(events=events, checkpoint=checkpoint.after(page.rows[:end], page)[0])
