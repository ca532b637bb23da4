"""The program that reads a feed into the inbox; pumps in the triggerer and workers run it.

Each step is either a flow (requests to the remote), or a function without arguments that reads or writes the inbox.
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
class FeedPosition:
    """How far a feed was read, and by which reader.

    :param reader: a UUID that all readers of the feed share, one after the other; kept in the inbox.
    """

    position: str
    reader: str

    def at(self, position: str) -> FeedPosition:
        """The position after a read."""
        return replace(self, position=position)


class Reading:
    """Reads one feed into one inbox.

    :param lease: the reader's lease; the inbox refuses writes once another process holds it.
    :param seal: encrypts what is set aside, and the replies of a feed that forgets what was read. None where no key is
        set; a feed that forgets needs one.
    :param clock: seconds since the epoch.
    """

    def __init__(self, feed: Feed, inbox: Inbox, lease: Lease, seal: Seal | None, clock: Callable[[], float]) -> None:
        self._feed = feed
        self._inbox = inbox
        self._lease = lease
        self._seal = seal
        self._clock = clock

    def begin(self, since: float | None) -> Program[FeedPosition]:
        """Find the position to read on from.

        :param since: see :meth:`~..core.feed.Feed.begin`.
        """
        reader = yield self._reader
        position = None if self._feed.is_positioned else (yield partial(self._inbox.position, self._feed.key))
        if position is None:
            position = yield self._feed.begin(since)
            yield partial(self._inbox.save_position, self._feed.key, position, self._lease)
        return FeedPosition(position=position, reader=reader)

    def turn(self, place: FeedPosition, *, waits: bool = True) -> Program[Batch]:
        """Read once, store what came, and only then acknowledge it to the remote.

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
        """The stored position. No other process moves it, but a restored backup of the inbox is behind."""
        stored = None if self._feed.is_positioned else self._inbox.position(self._feed.key)
        return position if stored is None else stored

    def _batch(self, reply: object, position: str) -> Batch:
        """The batch in a reply; an unexpected shape is a :class:`ReplyError`, so that the feed is retried."""
        try:
            return self._feed.batch(reply, position)
        except SHAPE_ERRORS as error:
            raise ReplyError(f"a reply cannot be understood ({type(error).__name__})") from None

    def _append(self, batch: Batch, position: str | None, number: int | None) -> int:
        """Store all in one transaction: after a crash, a second delivery finds what the first one has stored."""
        channel, now = self._feed.key, self._clock()
        messages = [message_of(channel, event, now) for event in batch.events]
        messages += [set_aside(channel, one, now, self._seal) for one in batch.unreadable]
        return self._inbox.append(channel, messages, lease=self._lease, position=position, unsealed=number)

    def _close(self, seal: Seal, reply: Reply) -> int:
        """Store the encrypted reply, even without the lease: the remote does not return it again."""
        return self._inbox.keep_sealed(self._feed.key, seal.close(reply.body), self._clock())

    def _unseal(self, seal: Seal) -> Program[None]:
        """Store the events of replies that an interrupted reader has left; a reply that cannot be read is kept."""
        left: list[Sealed] = yield partial(self._inbox.sealed, self._feed.key, unread=True)
        for one in left:
            content = yield partial(seal.open, one.content)
            try:
                reply = Reply(status=200, body=content, received_at=one.received_at)
                yield from self._store(reply, "", one.number)
            except ReplyError:
                continue

    def _reader(self) -> str:
        """The reader's UUID. Processes that create one at the same time all use the last one."""
        name = f"{self._feed.key} reader"
        if self._inbox.position(name) is None:
            self._inbox.save_position(name, str(uuid.uuid4()), self._lease)
        return str(self._inbox.position(name))


def seal_for(feed: Feed, open_seal: Callable[[], Seal]) -> Seal | None:
    """The keys that encrypt what a feed brings and cannot be read; None where no key is set.

    :raises ConfigurationError: where the feed forgets what was read, which needs a key.
    """
    try:
        return open_seal()
    except ConfigurationError:
        if feed.is_consuming:
            raise
        return None


def remarks(feed: str, batch: Batch) -> Iterator[tuple[int, str]]:
    """The log lines about a batch, each with its level."""
    if batch.unreadable:
        problem = batch.unreadable[0].problem
        yield logging.ERROR, f"the feed {feed}: {len(batch.unreadable)} of its events {_SET_ASIDE}: {problem}"
    if batch.loss:
        yield logging.ERROR, f"the feed {feed}: {batch.loss}"
    if batch.warning:
        yield logging.WARNING, f"the feed {feed}: {batch.warning}"


def lost_message(feed: str, number: int, *, is_exact: bool = True) -> str:
    """The message about events that were deleted from the inbox before they were read."""
    return (
        f"the feed {feed}: {'' if is_exact else 'up to '}{number} of its events were deleted before they could be read "
        "here, as they were older than [taskwatch] inbox_retention_days, or were pruned"
    )


def restored_message(feed: str, before: int, number: int) -> str:
    """The message about an inbox that was restored from a backup."""
    return (
        f"the inbox has gone back: it does not hold number {before} of the feed {feed} any more. A backup was "
        f"restored, or another database has taken its place; reading continues after number {number}"
    )


_SET_ASIDE = "cannot be read and are set aside; `taskwatch inbox show` lists them"
_KEPT = "it is kept, sealed, for three days: `taskwatch inbox show --raw` shows it"
