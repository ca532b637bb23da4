"""Reading a feed into the inbox, step by step; pumps in the triggerer and workers run the same program.

A step is a flow, a conversation with the remote, or a function without arguments that asks the inbox.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from airflow_provider_taskwatch.core.error import ConfigurationError, InboxError, ReplyError
from airflow_provider_taskwatch.core.feed import SHAPE_ERRORS, Batch, Feed
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.mask import NO_MASK, mask_error
from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.inbox.aside import set_aside
from airflow_provider_taskwatch.inbox.event import message_of
from airflow_provider_taskwatch.inbox.message import Lease, Sealed
from airflow_provider_taskwatch.inbox.protocol import Inbox
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
    :param seal: closes what is set aside, and the replies of a feed that forgets what was read; None where there is no
        key, which such a feed needs.
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
        seal = self._seal if self._feed.is_consuming else None
        if seal is not None:
            yield from self._unseal(seal)
        position = yield partial(self._known, place.position)
        reply = yield self._feed.read(position, place.reader, waits=waits)
        number = (yield partial(self._close, seal, reply)) if seal is not None and reply.body else None
        batch = yield from self._store(reply, position, number)
        yield self._feed.acknowledge(batch, place.reader)
        return batch

    def _store(self, reply: object, position: str, number: int | None) -> Program[Batch]:
        try:
            batch = self._batch(reply, position)
        except ReplyError as error:
            mask_error(error, reply.mask if isinstance(reply, Reply) else NO_MASK)
            if number is not None:
                yield partial(self._inbox.set_problem, number, str(error))
                raise ReplyError(f"{error}; {_KEPT}") from error
            raise
        moved_to = batch.position if batch.position != position else None
        if batch.count or moved_to is not None or number is not None:
            if position and (yield partial(self._known, position)) != position:
                raise InboxError(f"the inbox has gone back while the feed {self._feed.key} was read")
            yield partial(self._append, batch, moved_to, number)
        return batch

    def _known(self, position: str) -> str:
        """Where the inbox knows the feed to be: nobody else moves that, but a backup that was restored is behind."""
        stored = None if self._feed.is_positioned else self._inbox.position(self._feed.key)
        return position if stored is None else stored

    def _batch(self, reply: object, position: str) -> Batch:
        """What a reply holds; one of a shape that nobody has thought of is no reason to stop for ever."""
        try:
            return self._feed.batch(reply, position)
        except SHAPE_ERRORS as error:
            raise ReplyError(f"a reply cannot be understood ({type(error).__name__})") from None

    def _append(self, batch: Batch, position: str | None, number: int | None) -> int:
        """All in one transaction: what comes again after a crash is there already, and what was set aside, too."""
        channel, now = self._feed.key, self._clock()
        messages = [message_of(channel, event, now) for event in batch.events]
        messages += [set_aside(channel, one, now, self._seal) for one in batch.unreadable]
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
                reply = Reply(status=200, body=content, received_at=one.received_at)
                yield from self._store(reply, "", one.number)
            except ReplyError:
                continue

    def _reader(self) -> str:
        """The UUID that stands for us; several that make one at once agree on the last."""
        name = f"{self._feed.key} reader"
        if self._inbox.position(name) is None:
            self._inbox.save_position(name, str(uuid.uuid4()), self._lease)
        return str(self._inbox.position(name))


def seal_for(feed: Feed, open_seal: Callable[[], Seal]) -> Seal | None:
    """What closes that which a feed brings and nobody can read.

    Without a key it is kept as it is, as all events of such a feed are. One that forgets what was read needs a key.

    :raises ConfigurationError: where such a feed has none.
    """
    try:
        return open_seal()
    except ConfigurationError:
        if feed.is_consuming:
            raise
        return None


def remarks(feed: str, batch: Batch) -> Iterator[tuple[int, str]]:
    """What people should know of a batch, each with its level in a log."""
    if batch.unreadable:
        problem = batch.unreadable[0].problem
        yield logging.ERROR, f"the feed {feed}: {len(batch.unreadable)} of its events {_SET_ASIDE}: {problem}"
    if batch.loss:
        yield logging.ERROR, f"the feed {feed}: {batch.loss}"
    if batch.warning:
        yield logging.WARNING, f"the feed {feed}: {batch.warning}"


def lost_message(feed: str, number: int, *, is_exact: bool = True) -> str:
    """What to say of events that were deleted from the inbox before they were read."""
    return (
        f"the feed {feed}: {'' if is_exact else 'up to '}{number} of its events were deleted before they could be read "
        "here, as they were older than [taskwatch] inbox_retention_days, or were pruned"
    )


def back_words(feed: str, before: int, number: int) -> str:
    """What to say of an inbox that has gone back."""
    return (
        f"the inbox has gone back: what the feed {feed} had at number {before} is not there any more. A backup was "
        f"restored, or another database has taken its place; it is read on after number {number}"
    )


_SET_ASIDE = "cannot be read and are set aside; `airflow taskwatch inbox show` lists them"
_KEPT = "it is kept, sealed, for three days: `airflow taskwatch inbox show --raw` shows it"
