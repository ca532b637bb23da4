"""Acronis' events as a feed: one subscription, read by one pump.

https://developer.acronis.com/doc/event-manager/v1/guide/ ("Listening for the events")
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError, ReplyError
from airflow_provider_taskwatch.core.feed import Batch, Event, Unreadable, instant, read_items
from airflow_provider_taskwatch.core.flow import Flow, refusal, retry_after, told, unreadable
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.text import distinct, line, stored
from airflow_provider_taskwatch.core.wire import MAX_REPLY_BYTES, LengthError, Reply, get
from airflow_provider_taskwatch.systems.moment import moment

from .event import (
    EVENTS,
    EVENTS_LIMIT,
    answer,
    commit_offset,
    committed_offset,
    create_subscription,
    offset_in,
    poll,
    poll_seconds,
    topic_offset,
)
from .subscription import CTI_CHARACTERS, Subscription, read_subscription

ON_OFFSET_LOST = ("earliest", "current", "fail")
SHORT_SECONDS = 1
"""For so long a read stays open that is not to wait: the shortest of the vendor's durations that surely is one."""
EMPTY_SECONDS = 1.0
"""The pause after an answer without events, where the server names none: it may not have waited at all."""
REFUSED_SECONDS = 10.0
"""The pause after a 429 without ``Retry-After``: another reader is served until it was silent for a while."""

LEAP = 1_000_000
"""So many events of a topic may be held back by a filter in one answer."""
ASIDE_BYTES = 65536
"""What is kept of an event that cannot be read; the vendor promises that none is longer."""

_NO_JSON = "is not JSON, or names no offset"
_IN_USE = (
    "the server answers 429: it serves another reader of this subscription (a second Airflow with the same connection "
    "id and 'environment'?), or is asked too often"
)
_OFFSET_LOST = (400, 404, 410, 416, 422)
"""What the server may answer to an offset that is older than what it keeps; the vendor does not say."""
_KEY_CHARACTERS = 60


def feed_of(settings: Settings, options: Mapping[str, Any]) -> AcronisFeed:
    """The feed that a waiter's options ask for.

    :param options: those of :func:`~.subscription.read_subscription`, and ``on_offset_lost``: ``earliest``,
        ``current`` or ``fail``.
    :raises ConfigurationError: names all that is wrong.
    """
    wishes = dict(options)
    on_offset_lost = wishes.pop("on_offset_lost", None) or ON_OFFSET_LOST[0]
    subscription = read_subscription(settings, wishes)
    return AcronisFeed(subscription, on_offset_lost=on_offset_lost, timeout_seconds=poll_seconds(settings))


class AcronisFeed:
    """The events of one subscription, which is made on first use.

    :param subscription: the same for all who want the same feed; their ``on_offset_lost`` is not a part of it.
    :param on_offset_lost: where to go on when the server no longer keeps what comes next: at the ``earliest`` event
        that it keeps, at the ``current`` end; or ``fail``.
    :param timeout_seconds: how long a read may stay open.
    """

    is_consuming = False
    is_pushed = False

    def __init__(self, subscription: Subscription, *, on_offset_lost: str, timeout_seconds: int) -> None:
        if on_offset_lost not in ON_OFFSET_LOST:
            allowed = ", ".join(ON_OFFSET_LOST)
            raise ConfigurationError(f"on_offset_lost must be one of {allowed}, not {on_offset_lost!r:.80}")
        self.subscription = subscription
        self._on_offset_lost = on_offset_lost
        self._timeout_seconds = timeout_seconds
        self.is_positioned = subscription.consumer != "stateful"
        topic = subscription.topic.rpartition("~")[2]
        self.key = f"acronis {subscription.conn_id[:_KEY_CHARACTERS]} {topic[:_KEY_CHARACTERS]} {subscription.id}"

    def check(self, fields: Collection[str]) -> None:
        """All of an event is stored."""

    def begin(self, since: float | None) -> Flow[str]:
        """Subscribe, and choose the start; a stateless consumer goes on where the server knows it to be."""
        _, is_new = yield from create_subscription(self.subscription)
        if not is_new and self.subscription.consumer != "stateful":
            committed = yield from committed_offset(self.subscription.id)
            return str(committed) if committed is not None else (yield from self._position_lost("the server", None))
        if since is None:
            return str((yield from topic_offset(self.subscription.topic, "CURRENT")))
        at = instant(since)
        offset = yield from topic_offset(self.subscription.topic, "TIMESTAMP", at)
        # It is that of the event itself, and what is delivered comes after an offset.
        return str(max(0, offset - 1))

    def read(self, position: str, reader: str, *, waits: bool = True) -> Flow[Reply | Batch]:
        """What comes after an offset: all that one reply may hold, or less where it could not be read then."""
        offset = offset_in({"offset": position})
        if offset is None:
            return (yield from self._without_position(position))
        limit, seconds = EVENTS_LIMIT, self._timeout_seconds if waits else SHORT_SECONDS
        while True:
            found = yield from self._asked(reader, offset, limit, seconds)
            if isinstance(found, Batch) or found.status == 429 or not found.body.strip():
                return found
            if is_legible(found):
                return (yield from self._believed(found, offset))
            if limit == 1:
                return (yield from self._past_one(reader, offset, found))
            limit //= 2

    def batch(self, reply: Reply | Batch, position: str) -> Batch:
        if isinstance(reply, Batch):
            return reply
        asked = retry_after(reply.headers, reply.received_at)
        if reply.status == 429:
            pause = REFUSED_SECONDS if asked is None else asked
            return Batch(position=position, pause_seconds=pause, refusal=_IN_USE)
        content = answer(reply)
        events, others = read_items(_listed(reply, content), _event)
        offset = _moved_to(content)
        if offset is None and (events or others):
            raise unreadable(get(EVENTS), reply, "holds events and no offset")
        has_any = bool(events or others)
        is_further = has_any and (offset or 0) > (offset_in({"offset": position}) or 0)
        return Batch(
            events=events,
            unreadable=others,
            position=position if offset is None else str(offset),
            pause_seconds=asked or (0.0 if is_further else EMPTY_SECONDS),
            warning=""
            if is_further or not has_any
            else f"events come, and the server says to read on at {offset} again",
        )

    def acknowledge(self, batch: Batch, reader: str) -> Flow[None]:
        """A stateless consumer commits; without events it might be one that is not served, and know an old offset."""
        if self.subscription.consumer == "stateless" and batch.count:
            yield from commit_offset(self.subscription.id, batch.position)

    def _asked(self, reader: str, offset: int, limit: int, seconds: int = SHORT_SECONDS) -> Flow[Reply | Batch]:
        """One poll. A reply that is too long comes cut, and so as one that cannot be read."""
        call = poll(self.subscription.id, reader, offset, limit=limit, timeout_seconds=seconds)
        try:
            reply: Reply = yield call
        except LengthError as error:
            reply = error.beginning
        if reply.status == 429 or reply.is_ok:
            return reply
        return (yield from self._without_offset(refusal(call, reply), offset))

    def _believed(self, found: Reply, offset: int) -> Flow[Batch]:
        """An answer whose offset leaps ahead of all events is only believed as far as the topic goes.

        Behind the end of its topic, a feed would hear of nothing for years.
        """
        batch = self.batch(found, str(offset))
        if int(batch.position) <= offset + LEAP or int(batch.position) <= max(_sequences(answer(found)), default=0):
            return batch
        end = yield from topic_offset(self.subscription.topic, "CURRENT")
        if int(batch.position) <= end:
            return batch
        warning = f"the server says to read on at {batch.position}, which is behind the end of its topic, {end}"
        return replace(batch, position=str(end), pause_seconds=EMPTY_SECONDS, warning=warning)

    def _past_one(self, reader: str, offset: int, found: Reply) -> Flow[Reply | Batch]:
        """Set aside the one event after an offset, whose reply cannot be read.

        The API tells no more of it than that, so its offset is searched for: it is the next one as long as the answer
        is the same. Where nothing can be read at the end of the topic either, it is no event that is at fault.
        """
        end = yield from topic_offset(self.subscription.topic, "CURRENT")
        if end <= offset or not is_legible((yield from self._asked(reader, end, 1))):
            raise unreadable(get(EVENTS), found, _illegible(found))
        low, high = offset, end
        while high - low > 1:
            middle = (low + high) // 2
            probe = yield from self._asked(reader, middle, 1)
            if is_busy(probe):
                return replace(self.batch(probe, ""), position=str(low))
            low, high = (middle, high) if is_same(probe, found) else (low, middle)
        again = yield from self._asked(reader, low, 1)
        if isinstance(again, Batch) or is_legible(again):
            return again
        aside = Unreadable(content=found.body[:ASIDE_BYTES], problem=f"an event {_illegible(found)}")
        return Batch(position=str(high), unreadable=(aside,))

    def _without_position(self, position: str) -> Flow[Batch]:
        """What the inbox holds is no offset; go on like one whose offset the server has lost."""
        offset = yield from self._position_lost("the inbox", position)
        loss = f"the inbox knows {position!r:.80} as its offset, which is none; it is read on at {offset}"
        return Batch(position=offset, pause_seconds=EMPTY_SECONDS, loss=loss)

    def _position_lost(self, whose: str, position: str | None) -> Flow[str]:
        if self._on_offset_lost == "fail":
            raise ConfigurationError(
                f"{whose} knows {position!r:.80} as the offset of {self.key}, which is none; "
                "on_offset_lost='earliest' or 'current' goes on without it"
            )
        return str((yield from topic_offset(self.subscription.topic, self._on_offset_lost.upper())))

    def _without_offset(self, error: RemoteError, position: int) -> Flow[Batch]:
        """Go on at an offset which the server keeps; else the refusal stands.

        It may also be that the server has lost the subscription.
        """
        if error.status not in _OFFSET_LOST:
            raise error
        _, is_new = yield from create_subscription(self.subscription)
        if is_new:
            return Batch(position=str(position), pause_seconds=EMPTY_SECONDS)
        topic = self.subscription.topic
        earliest = yield from topic_offset(topic, "EARLIEST")
        if position >= earliest:
            raise error
        if self._on_offset_lost == "fail":
            raise _lost(error, position, earliest)
        offset = earliest if self._on_offset_lost == "earliest" else (yield from topic_offset(topic, "CURRENT"))
        loss = f"what came after the offset {position} is no longer kept; up to {offset - position} events are lost"
        return Batch(position=str(offset), pause_seconds=EMPTY_SECONDS, loss=loss)


def is_legible(found: Reply | Batch) -> bool:
    """Whether events can be told apart in an answer; 202, 204 and 429 hold none."""
    if isinstance(found, Batch) or found.status == 429:
        return True
    try:
        content = answer(found)
    except ReplyError:
        return False
    return _moved_to(content) is not None or not content.get("events")


def is_busy(found: Reply | Batch) -> bool:
    """Whether the server serves another reader, or was asked too often."""
    return isinstance(found, Reply) and found.status == 429


def is_same(found: Reply | Batch, other: Reply) -> bool:
    """Whether an answer is that of the same event; of one that is too long, by its beginning."""
    return isinstance(found, Reply) and found.body == other.body


def _illegible(reply: Reply) -> str:
    return f"is longer than {len(reply.body) >> 20} MB" if len(reply.body) >= MAX_REPLY_BYTES else _NO_JSON


def _lost(error: RemoteError, position: int, earliest: int) -> RemoteError:
    return error.with_message(
        f"{error.message}: what comes after the offset {position} is no longer kept, the earliest one is "
        f"{earliest}; on_offset_lost='earliest' or 'current' goes on without what is gone"
    )


def _moved_to(content: Mapping[str, Any]) -> int | None:
    """The offset in an answer; where it is none, that of the last event, which is the same in the vendor's sample."""
    if (offset := offset_in(content)) is not None:
        return offset
    return max(_sequences(content), default=None)


def _sequences(content: Mapping[str, Any]) -> list[int]:
    listed = content.get("events")
    held = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    sequences = (offset_in({"offset": one.get("sequence")}) for one in held)
    return [one for one in sequences if one is not None]


def _listed(reply: Reply, content: Mapping[str, Any]) -> list[object]:
    listed = content.get("events") or []
    if not isinstance(listed, list):
        raise unreadable(get(EVENTS), reply, "holds no list of events")
    return listed


def _number(held: Mapping[str, Any]) -> object:
    """What tells an event apart: what is delivered again has the same sequence.

    Where a topic has none, the producer's id counts; 0, or a text that is no number, may be that of all events.
    """
    sequence, own = held.get("sequence"), held.get("id")
    if sequence is None:
        return own
    is_usual = type(sequence) not in (str, int) or offset_in({"offset": sequence})
    return sequence if is_usual else f"{sequence} {own}"


def _event(content: object) -> Event:
    held: Mapping[str, Any] = content if isinstance(content, Mapping) else {}
    name, at = held.get("type"), moment(held.get("ingest_time")) or moment(held.get("time"))
    number = _number(held)
    if not isinstance(name, str) or at is None or type(number) not in (str, int):
        there = ", ".join(map(str, held)) or "nothing"
        raise ReplyError(line(f"an event lacks its type, its time, or both its sequence and its id; it has {there}"))
    subject = held.get("subject")
    return Event(
        id=distinct(f"{number} {name}"),
        name=line(name, CTI_CHARACTERS),
        subject=distinct(subject if isinstance(subject, str) else "" if subject is None else told(subject)),
        at=at.timestamp(),
        content=stored(held),
    )
