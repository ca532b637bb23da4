"""Acronis' events as a feed: one subscription, read by one pump.

https://developer.acronis.com/doc/event-manager/v1/guide/ ("Listening for the events")
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError, ReplyError
from airflow_provider_taskwatch.core.feed import Batch, Event, Unreadable, instant, read_items
from airflow_provider_taskwatch.core.flow import Flow, unreadable
from airflow_provider_taskwatch.core.refusal import refusal, summary
from airflow_provider_taskwatch.core.retry_after import retry_after
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
"""How long a read without waiting stays open: the shortest duration that the vendor documents."""
EMPTY_SECONDS = 1.0
"""The pause after a reply without events, if the server names none: it may have answered at once."""
REFUSED_SECONDS = 10.0
"""The pause after a 429 without ``Retry-After``: the server serves another reader until that reader is silent."""

LEAP = 1_000_000
"""How many events of a topic a filter may skip in one reply."""
ASIDE_BYTES = 65536
"""How much of an unreadable event is kept. By the vendor, no event is longer."""

_NO_JSON = "is not JSON, or names no offset"
_IN_USE = (
    "the server answers 429: it serves another reader of this subscription (a second Airflow with the same connection "
    "id and 'environment'?), or is asked too often"
)
_OFFSET_LOST = (400, 404, 410, 416, 422)
"""Statuses that may mean that an offset is no longer kept; the vendor documents none."""
_KEY_CHARACTERS = 60


def feed_of(settings: Settings, options: Mapping[str, Any]) -> AcronisFeed:
    """The feed of a connection, with these options.

    :param options: those of :func:`~.subscription.read_subscription`, and ``on_offset_lost``: ``earliest``,
        ``current`` or ``fail``.
    :raises ConfigurationError: names every problem.
    """
    wishes = dict(options)
    on_offset_lost = wishes.pop("on_offset_lost", None) or ON_OFFSET_LOST[0]
    subscription = read_subscription(settings, wishes)
    return AcronisFeed(subscription, on_offset_lost=on_offset_lost, timeout_seconds=poll_seconds(settings))


class AcronisFeed:
    """The events of one subscription, which is created on first use.

    :param subscription: identifies the feed; ``on_offset_lost`` does not.
    :param on_offset_lost: where to continue if the server no longer keeps the next event: at the ``earliest`` event
        that it keeps, or at the ``current`` end; or ``fail``.
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
        """Every field can be matched, as events are stored whole."""

    def begin(self, since: float | None) -> Flow[str]:
        """Subscribe, and choose the first offset. A stateless consumer continues at the offset that the server has."""
        _, is_new = yield from create_subscription(self.subscription)
        if not is_new and self.subscription.consumer != "stateful":
            committed = yield from committed_offset(self.subscription.id)
            return str(committed) if committed is not None else (yield from self._position_lost("the server", None))
        if since is None:
            return str((yield from topic_offset(self.subscription.topic, "CURRENT")))
        at = instant(since)
        offset = yield from topic_offset(self.subscription.topic, "TIMESTAMP", at)
        # The offset is that of the event itself, and a read delivers the events after an offset.
        return str(max(0, offset - 1))

    def read(self, position: str, reader: str, *, waits: bool = True) -> Flow[Reply | Batch]:
        """The events after an offset: as many as a reply may hold, or fewer if that reply cannot be read."""
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
            else f"a reply has events, and the server still names {offset} as the next offset",
        )

    def acknowledge(self, batch: Batch, reader: str) -> Flow[None]:
        """Commit the offset of a stateless consumer. A reader that is not served gets no events and an old offset."""
        if self.subscription.consumer == "stateless" and batch.count:
            yield from commit_offset(self.subscription.id, batch.position)

    def _asked(self, reader: str, offset: int, limit: int, seconds: int = SHORT_SECONDS) -> Flow[Reply | Batch]:
        """One long poll. A reply that is too long is cut, so it cannot be read."""
        call = poll(self.subscription.id, reader, offset, limit=limit, timeout_seconds=seconds)
        try:
            reply: Reply = yield call
        except LengthError as error:
            reply = error.beginning
        if reply.status == 429 or reply.is_ok:
            return reply
        return (yield from self._without_offset(refusal(call, reply), offset))

    def _believed(self, found: Reply, offset: int) -> Flow[Batch]:
        """The batch of a reply. An offset far ahead of the events is limited to the end of the topic.

        Beyond the end of its topic, a feed would get no events for years.
        """
        batch = self.batch(found, str(offset))
        if int(batch.position) <= offset + LEAP or int(batch.position) <= max(_sequences(answer(found)), default=0):
            return batch
        end = yield from topic_offset(self.subscription.topic, "CURRENT")
        if int(batch.position) <= end:
            return batch
        warning = f"the server names {batch.position} as the next offset, which is beyond the end of its topic, {end}"
        return replace(batch, position=str(end), pause_seconds=EMPTY_SECONDS, warning=warning)

    def _past_one(self, reader: str, offset: int, found: Reply) -> Flow[Reply | Batch]:
        """Set aside the one event after an offset whose reply cannot be read.

        The reply does not name the event's offset, so a binary search finds it: an earlier offset gives the same reply.
        If a reply at the end of the topic cannot be read either, no event is the cause.
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
        """Continue as after a lost offset, because the position in the inbox is none."""
        offset = yield from self._position_lost("the inbox", position)
        loss = f"the inbox knows {position!r:.80} as its offset, which is none; reading continues at {offset}"
        return Batch(position=offset, pause_seconds=EMPTY_SECONDS, loss=loss)

    def _position_lost(self, whose: str, position: str | None) -> Flow[str]:
        if self._on_offset_lost == "fail":
            raise ConfigurationError(
                f"{whose} knows {position!r:.80} as the offset of {self.key}, which is none; "
                "on_offset_lost='earliest' or 'current' goes on without it"
            )
        return str((yield from topic_offset(self.subscription.topic, self._on_offset_lost.upper())))

    def _without_offset(self, error: RemoteError, position: int) -> Flow[Batch]:
        """Continue at an offset that the server keeps, or raise the refusal.

        The server may also have lost the subscription, which is then created again.
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
    """Whether the events of a reply can be read; 202, 204 and 429 have none."""
    if isinstance(found, Batch) or found.status == 429:
        return True
    try:
        content = answer(found)
    except ReplyError:
        return False
    return _moved_to(content) is not None or not content.get("events")


def is_busy(found: Reply | Batch) -> bool:
    """Whether the server serves another reader, or gets too many requests."""
    return isinstance(found, Reply) and found.status == 429


def is_same(found: Reply | Batch, other: Reply) -> bool:
    """Whether two replies hold the same event. Of a reply that is too long, the beginning is compared."""
    return isinstance(found, Reply) and found.body == other.body


def _illegible(reply: Reply) -> str:
    return f"is longer than {len(reply.body) >> 20} MB" if len(reply.body) >= MAX_REPLY_BYTES else _NO_JSON


def _lost(error: RemoteError, position: int, earliest: int) -> RemoteError:
    return error.with_message(
        f"{error.message}: what comes after the offset {position} is no longer kept, the earliest one is "
        f"{earliest}; on_offset_lost='earliest' or 'current' goes on without what is gone"
    )


def _moved_to(content: Mapping[str, Any]) -> int | None:
    """The offset in a reply, or that of its last event, which is equal in the vendor's sample."""
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
    """The identity of an event: an event that is delivered again has the same sequence.

    Without a sequence, the producer's id counts. A sequence of 0, or one that is no number, may repeat for all events.
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
        subject=distinct(subject if isinstance(subject, str) else "" if subject is None else summary(subject)),
        at=at.timestamp(),
        content=stored(held),
    )
