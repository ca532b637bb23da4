"""Reading the events of a feed in their order for a name, and remembering how far whoever bears it has got."""

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
from .reading import back_words, lost_message

log = logging.getLogger(__name__)

UNCONFIRMED_BUNDLES = 64
"""Airflow 3.3.2 fails a subscriber that is 1,024 behind, and does not slow down whoever feeds it. About once a second
its triggerer stores all that has come, in some 10 ms each, before it does anything else."""
BATCH_BYTES = 256 * 1024
QUIET_SECONDS = 30.0
"""Longer than the scheduler usually takes from one pass to the next."""
BEGINNING = Checkpoint()
OPEN, CLOSED = "open", "closed"
"""What the inbox says of a name's burst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Events that go out together; none in the one that closes a burst.

    :param checkpoint: up to which the feed is read when they have arrived.
    """

    events: Sequence[dict[str, Any]]
    checkpoint: Checkpoint

    @property
    def number(self) -> int:
        """That of the spot."""
        return self.checkpoint.number


class FeedFollower:
    """One reader of one feed. Several of a name take turns; what is confirmed stays confirmed.

    Airflow 3.3.2 gives a run only the asset events that are no newer than the one which queued it; what comes between
    that one and the scheduler's pass waits for the next event of the asset. So a burst, bundles that follow each other
    more closely than ``quiet_seconds``, is closed by an empty one when there has been none for so long.

    :param name: to which the position belongs.
    :param fingerprint: tells apart who bears the same name and wants something else.
    :param channel: key of the feed.
    :param batch_size: how many events go out together at most.
    :param confirmed: up to there all has arrived, even where nobody could write that down.
    :param back_seconds: for so long an inbox that has gone back may be a replica that has not come so far.
    :param count: takes the name of a counter and what to add to it.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        name: str,
        fingerprint: str,
        channel: str,
        want: EventFilter,
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
        self._want = want
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
        """Up to there all has arrived."""
        self._back_since: float | None = None
        self._has_gone_back = False
        self._unconfirmed: deque[Bundle] = deque()
        self._room = asyncio.Event()
        self._burst = 0
        self._told_at = 0.0

    async def bundles(self) -> AsyncIterator[Bundle]:
        """What has come and is wanted, without end.

        :raises LeaseError: where somebody else bears the name by now.
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
            for bundle in _bundles(page, checkpoint, self._want, self._batch_size, self._name):
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
        """Write down that all up to this number has arrived.

        What was told before the inbox has gone back had other numbers; it is left alone.

        :raises LeaseError: where somebody else bears the name by now.
        """
        self._told_at = asyncio.get_running_loop().time()
        if self._has_gone_back and all(bundle.number != number for bundle in self._unconfirmed):
            return
        checkpoint = Checkpoint(number=number)
        while self._unconfirmed and self._unconfirmed[0].number <= number:
            checkpoint = self._unconfirmed.popleft().checkpoint
        self._room.set()
        await self._save(checkpoint)

    async def close(self) -> None:
        """Let somebody else bear the name at once."""
        await in_thread(self._inbox.release, self._lease.name, self._lease.holder)

    async def _take(self) -> None:
        """Wait for the name; two that want different things under one are told so."""
        has_told = False
        while not await self._is_ours():
            other = await in_thread(self._inbox.holder, self._lease.name) or self._fingerprint
            if not has_told and other.partition(" ")[0] != self._fingerprint:
                has_told = True
                log.error(
                    "two triggers have the name %r and differ in something else; this one waits until the other one is "
                    "gone: give each a name of its own",
                    self._name,
                )
            await asyncio.sleep(self._renew_seconds)

    async def _is_ours(self) -> bool:
        self._renew_at = asyncio.get_running_loop().time() + self._renew_seconds
        return await in_thread(self._inbox.lease, self._lease.name, self._lease.holder, self._lease_seconds)

    async def _keep(self) -> None:
        if asyncio.get_running_loop().time() >= self._renew_at and not await self._is_ours():
            raise LeaseError(f"the lease {self._lease.name!r} has gone to somebody else")

    async def _start(self) -> Checkpoint:
        """Where to read on; at the end of what is there for a new name."""
        stored = await in_thread(self._stored)
        if stored is None:
            await self._save(await in_thread(self._end))
        elif stored.number >= self.reached.number:
            self.reached = stored
        self._told_at = asyncio.get_running_loop().time()
        if await in_thread(self._inbox.position, self._burst_name) == OPEN:
            self._burst = 2  # whoever bore the name before did not come to close it
        return self.reached

    def _stored(self) -> Checkpoint | None:
        """What the inbox knows of the name; of before this version it knows the number only."""
        number = self._inbox.position(self._lease.name)
        if number is None:
            return None
        told: dict[str, Any] = json.loads(self._inbox.position(self._spot_name) or "{}")
        is_of_it = told.get("number") == int(number)
        checkpoint = Checkpoint(**told) if is_of_it else Checkpoint(number=int(number))
        return counted(self._inbox, self._channel, checkpoint)

    def _end(self) -> Checkpoint:
        return checkpoint_at(self._inbox, self._channel, self._inbox.number_before(self._channel, math.inf))

    async def _go_back(self, checkpoint: Checkpoint) -> Checkpoint:
        """Where to read on, once it is sure that the inbox is an older one, and no replica that is on its way."""
        now = asyncio.get_running_loop().time()
        if self._back_since is None:
            self._back_since = now
        if now - self._back_since < self._back_seconds:
            await asyncio.sleep(min(self._renew_seconds, self._back_seconds / 5))
            return checkpoint
        again = await in_thread(restored_checkpoint, self._inbox, self._channel, checkpoint)
        log.error("the trigger %r: %s", self._name, back_words(self._channel, checkpoint.number, again.number))
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
        """Whether all that was told has arrived, and long enough ago for the scheduler to have seen it."""
        silence = asyncio.get_running_loop().time() - self._told_at
        return self._burst > 0 and not self._unconfirmed and silence >= self._quiet_seconds

    async def _close_burst(self) -> Bundle | None:
        """The empty bundle that takes the tail along; None for one bundle alone, which is in a run, as that one is."""
        if self._burst > 1:
            self._burst = 1
            return Bundle(events=(), checkpoint=self.reached)
        self._burst = 0
        await in_thread(self._inbox.save_position, self._burst_name, CLOSED, self._lease)
        return None

    async def _pass(self, checkpoint: Checkpoint) -> None:
        """Write down what was passed without anything wanted in it, where nothing is on its way."""
        if not self._unconfirmed:
            await self._save(checkpoint)

    async def _save(self, checkpoint: Checkpoint) -> None:
        """Never a smaller one than before: what was told a second time may be confirmed late."""
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


def _bundles(page: Page, checkpoint: Checkpoint, want: EventFilter, batch_size: int, name: str) -> Iterator[Bundle]:
    """What is wanted of a page, bounded in number and in bytes.

    :param checkpoint: after which the page comes.
    """
    events: list[dict[str, Any]] = []
    size, end = 0, 0
    for index, one in enumerate(page.rows):
        event = event_of(one.message)
        if not want.accepts(event):
            continue
        told = fitted(event)
        if told.loss:
            log.warning("an event of %s is too long for an asset's event: %s; its id is %s", name, told.loss, event.id)
        length = len(json.dumps(told.value))
        if events and (len(events) >= batch_size or size + length > BATCH_BYTES):
            yield Bundle(events=events, checkpoint=checkpoint.after(page.rows[:end], page)[0])
            events, size = [], 0
        events.append(told.value)
        size, end = size + length, index + 1
    if events:
        yield Bundle(events=events, checkpoint=checkpoint.after(page.rows[:end], page)[0])
