"""Reading the events of a feed in their order for a name, and remembering how far whoever bears it has got."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_taskwatch.core.error import LeaseError
from airflow_provider_taskwatch.core.feed import fitted
from airflow_provider_taskwatch.core.want import Want
from airflow_provider_taskwatch.inbox.event import event_of
from airflow_provider_taskwatch.inbox.message import Inbox, Lease, Received

from .pump import LEASE_SECONDS, RENEW_SECONDS, happens, new_holder
from .thread import in_thread

log = logging.getLogger(__name__)

UNCONFIRMED_BUNDLES = 64
"""Airflow 3.3.2 fails a subscriber that is 1,024 behind, and does not slow down whoever feeds it. About once a second
its triggerer stores all that has come, in some 10 ms each, before it does anything else."""
BATCH_BYTES = 256 * 1024
QUIET_SECONDS = 30.0
"""Longer than the scheduler usually takes from one pass to the next."""
OPEN, CLOSED = "open", "closed"
"""What the inbox says of a name's burst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Events that go out together; none in the one that closes a burst.

    :param number: up to which the feed is read when they have arrived.
    :param passed: how many events the feed has had up to there.
    """

    events: Sequence[dict[str, Any]]
    number: int
    passed: int | None = None


class Follower:
    """One reader of one feed. Several of a name take turns; what is confirmed stays confirmed.

    Airflow 3.3.2 gives a run only the asset events that are no newer than the one which queued it; what comes between
    that one and the scheduler's pass waits for the next event of the asset. So a burst, bundles that follow each other
    more closely than ``quiet_seconds``, is closed by an empty one when there has been none for so long.

    :param name: to which the position belongs.
    :param fingerprint: tells apart who bears the same name and wants something else.
    :param channel: key of the feed.
    :param batch_size: how many events go out together at most.
    :param confirmed: up to this number all has arrived, even where nobody could write that down.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        name: str,
        fingerprint: str,
        channel: str,
        want: Want,
        batch_size: int = 100,
        confirmed: int = 0,
        lease_seconds: float = LEASE_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
        quiet_seconds: float = QUIET_SECONDS,
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
        self._lease = Lease(name=f"feed trigger {name}", holder=f"{fingerprint} {new_holder()}")
        self._burst_name = f"{self._lease.name} burst"
        self._renew_at = 0.0
        self._reached = confirmed
        self._unconfirmed: deque[Bundle] = deque()
        self._room = asyncio.Event()
        self._burst = 0
        self._told_at = 0.0

    async def bundles(self) -> AsyncIterator[Bundle]:
        """What has come and is wanted, without end.

        :raises LeaseError: where somebody else bears the name by now.
        """
        await self._take()
        number = await self._start()
        while True:
            await self._keep()
            self.news.clear()
            page = await in_thread(self._inbox.after, self._channel, number)
            for bundle in _bundles(page, self._want, self._batch_size, self._name):
                await self._wait_for_room()
                await self._open_burst()
                self._unconfirmed.append(bundle)
                yield bundle
            if self._is_quiet and (closing := await self._close_burst()) is not None:
                self._unconfirmed.append(closing)
                yield closing
            if page:
                number = page[-1].number
                await self._pass(number)
            else:
                await happens(self.news, min(self._renew_seconds, self._quiet_seconds))

    async def confirm(self, number: int) -> None:
        """Write down that all up to this number has arrived.

        :raises LeaseError: where somebody else bears the name by now.
        """
        while self._unconfirmed and self._unconfirmed[0].number <= number:
            self._unconfirmed.popleft()
        self._room.set()
        self._told_at = asyncio.get_running_loop().time()
        await self._save(number)

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

    async def _start(self) -> int:
        """Where to read on; at the end of what is there for a new name."""
        stored = await in_thread(self._inbox.position, self._lease.name)
        if stored is None:
            await self._save(await in_thread(self._inbox.number_before, self._channel, float("inf")))
        else:
            self._reached = max(self._reached, int(stored))
        self._told_at = asyncio.get_running_loop().time()
        if await in_thread(self._inbox.position, self._burst_name) == OPEN:
            self._burst = 2  # whoever bore the name before did not come to close it
        return self._reached

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
            return Bundle(events=(), number=self._reached)
        self._burst = 0
        await in_thread(self._inbox.save_position, self._burst_name, CLOSED, self._lease)
        return None

    async def _pass(self, number: int) -> None:
        """Write down what was passed without anything wanted in it, where nothing is on its way."""
        if not self._unconfirmed:
            await self._save(number)

    async def _save(self, number: int) -> None:
        """Never a smaller one than before: what was told a second time may be confirmed late."""
        self._reached = max(self._reached, number)
        await in_thread(self._inbox.save_position, self._lease.name, str(self._reached), self._lease)

    async def _wait_for_room(self) -> None:
        while len(self._unconfirmed) >= UNCONFIRMED_BUNDLES:
            self._room.clear()
            await happens(self._room, self._renew_seconds)
            await self._keep()


def _bundles(page: Sequence[Received], want: Want, batch_size: int, name: str) -> Iterator[Bundle]:
    """What is wanted of a page, bounded in number and in bytes."""
    events: list[dict[str, Any]] = []
    size, number = 0, 0
    for one in page:
        event = event_of(one.message)
        if not want.accepts(event):
            continue
        told = fitted(event)
        if told.loss:
            log.warning("an event of %s is too long for an asset's event: %s; its id is %s", name, told.loss, event.id)
        length = len(json.dumps(told.value))
        if events and (len(events) >= batch_size or size + length > BATCH_BYTES):
            yield Bundle(events=events, number=number)
            events, size = [], 0
        events.append(told.value)
        size, number = size + length, one.number
    if events:
        yield Bundle(events=events, number=number)
