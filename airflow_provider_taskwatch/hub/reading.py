"""Reading a feed into the inbox, step by step; pumps in the triggerer and workers run the same program.

A step is a flow, a conversation with the remote, or a function without arguments that asks the inbox.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from airflow_provider_taskwatch.core.error import ReplyError
from airflow_provider_taskwatch.core.feed import Batch, Event, Feed
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.inbox.event import message_of
from airflow_provider_taskwatch.inbox.message import Inbox, Lease, Sealed
from airflow_provider_taskwatch.inbox.seal import Seal

T = TypeVar("T")
Step = Flow[Any] | Callable[[], Any]
Program = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a reader of a feed is.

    :param reader: a UUID that stands for all readers of the feed, one after the other; kept in the inbox.
    """

    position: str
    reader: str

    def at(self, position: str) -> Place:
        """The place after a read."""
        return replace(self, position=position)


class Reading:
    """One feed, and the inbox that it is read into.

    :param lease: under which it is read; what is written after it has gone is refused.
    :param seal: for feeds that forget what was read; None for others.
    :param clock: seconds since the epoch.
    """

    def __init__(self, feed: Feed, inbox: Inbox, lease: Lease, seal: Seal | None, clock: Callable[[], float]) -> None:
        self._feed = feed
        self._inbox = inbox
        self._lease = lease
        self._seal = seal
        self._clock = clock

    def begin(self, since: float | None) -> Program[Place]:
        """Find out where to read on.

        :param since: see :meth:`~..core.feed.Feed.begin`.
        """
        reader = yield self._reader
        position = None if self._feed.is_positioned else (yield partial(self._inbox.position, self._feed.key))
        if position is None:
            position = yield self._feed.begin(since)
            yield partial(self._inbox.save_position, self._feed.key, position, self._lease)
        return Place(position=position, reader=reader)

    def turn(self, place: Place, *, waits: bool = True) -> Program[Batch]:
        """Read once: what has come is stored before the remote is told so.

        :param waits: see :meth:`~..core.feed.Feed.read`.
        """
        if self._seal is not None:
            yield from self._unseal(self._seal)
        reply: Reply = yield self._feed.read(place.position, place.reader, waits=waits)
        number = (yield partial(self._close, self._seal, reply)) if self._seal is not None and reply.body else None
        batch = yield from self._store(reply, place.position, number)
        yield self._feed.acknowledge(batch, place.reader)
        return batch

    def _store(self, reply: Reply, position: str, number: int | None) -> Program[Batch]:
        try:
            batch = self._feed.batch(reply, position)
        except ReplyError as error:
            if number is not None:
                yield partial(self._inbox.set_problem, number, str(error))
                raise ReplyError(f"{error}; {_KEPT}") from error
            raise
        moved_to = batch.position if batch.position != position else None
        if batch.events or moved_to is not None or number is not None:
            yield partial(self._append, batch.events, moved_to, number)
        return batch

    def _append(self, events: Sequence[Event], position: str | None, number: int | None) -> int:
        channel, now = self._feed.key, self._clock()
        messages = [message_of(channel, event, now) for event in events]
        return self._inbox.append(channel, messages, lease=self._lease, position=position, unsealed=number)

    def _close(self, seal: Seal, reply: Reply) -> int:
        """Write the reply down, whoever holds the lease by now: nobody can fetch it a second time."""
        return self._inbox.keep_sealed(self._feed.key, seal.close(reply.body), self._clock())

    def _unseal(self, seal: Seal) -> Program[None]:
        """Store what was read, and not stored, before something broke; what could not be read stays as it is."""
        left: list[Sealed] = yield partial(self._inbox.sealed, self._feed.key, unread=True)
        for one in left:
            content = yield partial(seal.open, one.content)
            try:
                yield from self._store(Reply(status=200, body=content), "", one.number)
            except ReplyError:
                continue

    def _reader(self) -> str:
        """The UUID that stands for us; several that make one at once agree on the last."""
        name = f"{self._feed.key} reader"
        if self._inbox.position(name) is None:
            self._inbox.save_position(name, str(uuid.uuid4()), self._lease)
        return str(self._inbox.position(name))


_KEPT = "it is kept, sealed, for three days: `airflow taskwatch inbox show --raw` shows it"
