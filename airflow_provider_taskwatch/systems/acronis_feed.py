"""Acronis' events as a feed: one subscription, read by one pump.

https://developer.acronis.com/doc/event-manager/v1/guide/ ("Listening for the events")
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_provider_taskwatch.core.connection import Settings
from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError, ReplyError
from airflow_provider_taskwatch.core.feed import Batch, Event
from airflow_provider_taskwatch.core.flow import Flow, refusal, retry_after, told, unreadable
from airflow_provider_taskwatch.core.text import line
from airflow_provider_taskwatch.core.wire import Reply, get

from .acronis_event import (
    EVENTS,
    EVENTS_LIMIT,
    answer,
    commit_offset,
    create_subscription,
    offset_in,
    poll,
    poll_seconds,
    subscription_offset,
    topic_offset,
)
from .acronis_subscription import CTI_CHARACTERS, Subscription, read_subscription
from .moment import moment

ON_OFFSET_LOST = ("earliest", "current", "fail")
SHORT_SECONDS = 1
"""For so long a read stays open that is not to wait: the shortest of the vendor's durations that surely is one."""
EMPTY_SECONDS = 1.0
"""The pause after an answer without events, where the server names none: it may not have waited at all."""
REFUSED_SECONDS = 10.0
"""The pause after a 429 without ``Retry-After``: another reader is served until it was silent for a while."""

_OFFSET_LOST = (400, 404, 410, 416, 422)
"""What the server may answer to an offset that is older than what it keeps; the vendor does not say."""
_KEY_CHARACTERS = 60


def feed_of(settings: Settings, options: Mapping[str, Any]) -> AcronisFeed:
    """The feed that a waiter's options ask for.

    :param options: those of :func:`~.acronis_subscription.read_subscription`, and ``on_offset_lost``: ``earliest``,
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
            return str((yield from subscription_offset(self.subscription.id)))
        if since is None:
            return str((yield from topic_offset(self.subscription.topic, "CURRENT")))
        at = datetime.fromtimestamp(since, UTC)
        offset = yield from topic_offset(self.subscription.topic, "TIMESTAMP", at)
        # It is that of the event itself, and what is delivered comes after an offset.
        return str(max(0, offset - 1))

    def read(self, position: str, reader: str, *, waits: bool = True) -> Flow[Reply]:
        seconds = self._timeout_seconds if waits else SHORT_SECONDS
        call = poll(self.subscription.id, reader, position, limit=EVENTS_LIMIT, timeout_seconds=seconds)
        reply: Reply = yield call
        if reply.is_ok or reply.status == 429:
            return reply
        return (yield from self._without_offset(refusal(call, reply), int(position)))

    def batch(self, reply: Reply, position: str) -> Batch:
        asked = retry_after(reply.headers)
        if reply.status == 429:
            return Batch(position=position, pause_seconds=REFUSED_SECONDS if asked is None else asked)
        content = answer(reply)
        events = _events(reply, content)
        offset = offset_in(content)
        if offset is None and events:
            raise unreadable(get(EVENTS), reply, "holds events and no offset")
        return Batch(
            events=events,
            position=position if offset is None else str(offset),
            pause_seconds=asked or (0.0 if events else EMPTY_SECONDS),
        )

    def acknowledge(self, batch: Batch, reader: str) -> Flow[None]:
        """A stateless consumer commits; without events it might be one that is not served, and know an old offset."""
        if self.subscription.consumer == "stateless" and batch.events:
            yield from commit_offset(self.subscription.id, batch.position)

    def _without_offset(self, error: RemoteError, position: int) -> Flow[Reply]:
        """An answer without events that leads to an offset which the server keeps; else the refusal stands.

        It may also be that the server has lost the subscription.
        """
        if error.status not in _OFFSET_LOST:
            raise error
        _, is_new = yield from create_subscription(self.subscription)
        if is_new:
            return _nothing_until(position)
        topic = self.subscription.topic
        earliest = yield from topic_offset(topic, "EARLIEST")
        if position >= earliest:
            raise error
        if self._on_offset_lost == "fail":
            raise _lost(error, position, earliest)
        offset = earliest if self._on_offset_lost == "earliest" else (yield from topic_offset(topic, "CURRENT"))
        return _nothing_until(offset)


def _nothing_until(offset: int) -> Reply:
    return Reply(status=200, body=json.dumps({"offset": offset, "events": []}).encode())


def _lost(error: RemoteError, position: int, earliest: int) -> RemoteError:
    return RemoteError(
        method=error.method,
        path=error.path,
        status=error.status,
        message=f"{error.message}: what comes after the offset {position} is no longer kept, the earliest one is "
        f"{earliest}; on_offset_lost='earliest' or 'current' goes on without what is gone",
    )


def _events(reply: Reply, content: Mapping[str, Any]) -> tuple[Event, ...]:
    listed = content.get("events") or []
    if not isinstance(listed, list):
        raise unreadable(get(EVENTS), reply, "holds no list of events")
    return tuple(map(_event, listed))


def _event(content: object) -> Event:
    """One event. What is delivered again has the same sequence; where a topic has none, the producer's id counts."""
    held: Mapping[str, Any] = content if isinstance(content, Mapping) else {}
    name, at = held.get("type"), moment(held.get("ingest_time")) or moment(held.get("time"))
    number = held.get("id") if held.get("sequence") is None else held["sequence"]
    if not isinstance(name, str) or at is None or type(number) not in (str, int):
        there = ", ".join(map(str, held)) or "nothing"
        raise ReplyError(line(f"an event lacks its type, its time, or both its sequence and its id; it has {there}"))
    subject = held.get("subject")
    return Event(
        id=line(f"{number} {name}", CTI_CHARACTERS),
        name=line(name, CTI_CHARACTERS),
        subject="" if subject is None else told(subject, CTI_CHARACTERS),
        at=at.timestamp(),
        content=held,
    )
