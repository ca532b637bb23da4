"""Acronis' Event Manager v1: topics, subscriptions, offsets, and the long poll for events.

https://developer.acronis.com/doc/event-manager/v1/guide/ ("Listening for the events")
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError, NotFoundError, RemoteError
from airflow_provider_taskwatch.core.flow import Flow, Retry, ask, read_object, unreadable
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Call, Query, Reply, get, segment, send
from airflow_provider_taskwatch.systems.moment import moment

from .subscription import Subscription

BASE = "/api/event_manager/v1"
TOPICS = f"{BASE}/topics"
TYPES = f"{BASE}/types"
SUBSCRIPTIONS = f"{BASE}/subscriptions"
SUBSCRIPTION_OFFSET = f"{SUBSCRIPTIONS}/offset"
EVENTS = f"{BASE}/events"

POSITIONS = ("EARLIEST", "CURRENT", "TIMESTAMP")
EVENTS_LIMIT = 100
POLL_MARGIN_SECONDS = 10.0
"""A long poll ends this long before the read timeout of the connection."""

RETRY = Retry(attempts=3, first_seconds=1.0, limit_seconds=2.0)
"""The vendor's advice for 5xx."""

_OFFSET_LIMIT = 2**63


def topics(topic: str = "") -> Flow[list[dict[str, Any]]]:
    """All topics, or the one with this id."""
    return _list(TOPICS, {"topic_id": topic} if topic else {})


def event_types(topic: str = "", event_type: str = "", *, include_schema: bool = False) -> Flow[list[dict[str, Any]]]:
    """All types of events, or those with these ids. A schema is a JSON schema as a string."""
    named = {"topic_id": topic, "type_id": event_type}
    query: Query = {name: value for name, value in named.items() if value}
    return _list(TYPES, {**query, "include_schema": include_schema})


def topic_offset(topic: str, position: str, at: datetime | str | None = None) -> Flow[int]:
    """The offset of a position in a topic.

    The guide has the topic in the path, the API description has not. If the first path is unknown, the second is used.

    :param position: one of :data:`POSITIONS`.
    :param at: for TIMESTAMP. The result is the nearest offset at or after it.
    """
    query = {"topic_id": topic, "position": position, **_timestamp(position, at)}
    try:
        return (yield from _offset(get(f"{TOPICS}/{segment(topic)}/offsets", query)))
    except NotFoundError:
        return (yield from _offset(get(f"{TOPICS}/offsets", query)))


def create_subscription(subscription: Subscription) -> Flow[tuple[dict[str, Any], bool]]:
    """Create a subscription; return it, and whether it is new. Of an existing one, the request is returned."""
    call = send("POST", SUBSCRIPTIONS, subscription.body)
    try:
        reply = yield from ask(call, retry=RETRY, refused=lambda _: True)
    except RemoteError as error:
        if error.status != 409:
            raise
        return subscription.body, False
    return read_object(call, reply), True


def subscription_offset(subscription_id: str) -> Flow[int]:
    """The offset that was committed last, by any client."""
    return _offset(get(SUBSCRIPTION_OFFSET, {"subscription_id": check_uuid("subscription_id", subscription_id)}))


def committed_offset(subscription_id: str) -> Flow[int | None]:
    """The same; None if the server names none, as before the first commit."""
    call = get(SUBSCRIPTION_OFFSET, {"subscription_id": check_uuid("subscription_id", subscription_id)})
    reply = yield from ask(call, retry=RETRY)
    return offset_in(read_object(call, reply))


def commit_offset(subscription_id: str, offset: object) -> Flow[dict[str, Any]]:
    """Commit an offset; return the server's reply, ``{}`` if it is no object.

    The vendor documents neither body nor reply: any 2xx counts as success.
    """
    body = {"subscription_id": check_uuid("subscription_id", subscription_id), "offset": check_offset(offset)}
    reply = yield from ask(send("POST", SUBSCRIPTION_OFFSET, body), retry=RETRY, refused=lambda _: True)
    try:
        content = reply.json()
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def poll(subscription_id: str, consumer_id: str, offset: object, *, limit: int, timeout_seconds: int) -> Call:
    """The long poll for events after an offset. A 429 often means that the server serves another consumer."""
    query: Query = {
        "subscription_id": check_uuid("subscription_id", subscription_id),
        "consumer_id": check_uuid("consumer_id", consumer_id),
        "offset": check_offset(offset),
        "limit": limit,
        "timeout": f"PT{timeout_seconds}S",
    }
    return replace(get(EVENTS, query), quota=f"events of {subscription_id}")


def poll_seconds(settings: Settings) -> int:
    """How long a long poll stays open."""
    return max(1, int(settings.read_timeout - POLL_MARGIN_SECONDS))


def events(call: Call) -> Flow[dict[str, Any]]:
    """The content of a long poll: ``{"offset": ..., "events": [...]}``; the list is empty if there are none yet."""
    content = answer((yield from ask(call, retry=RETRY)))
    offset = offset_in(content)
    sent = int(dict(call.query)["offset"])
    return {"offset": sent if offset is None else offset, "events": content.get("events") or []}


def answer(reply: Reply) -> dict[str, Any]:
    """The content of a 2xx reply to a long poll. 202 and 204 without a body mean that there are no events yet."""
    if not reply.body.strip() and reply.status in (202, 204):
        return {}
    return read_object(get(EVENTS), reply)


def offset_in(content: Mapping[str, Any]) -> int | None:
    """The offset in a reply; None if there is none."""
    value = content.get("offset")
    if isinstance(value, str) and value.isdecimal() and len(value) < 20:
        return int(value)
    return value if type(value) is int and 0 <= value < _OFFSET_LIMIT else None


def check_offset(value: object) -> int:
    """An offset to send.

    :raises ConfigurationError: it is no offset.
    """
    offset = offset_in({"offset": value})
    if offset is None:
        raise ConfigurationError(f"offset must be a whole number from 0 on, not {value!r:.80}")
    return offset


def check_uuid(name: str, value: object) -> str:
    """A UUID to send.

    :raises ConfigurationError: it is no UUID; the error names the argument.
    """
    try:
        return str(uuid.UUID(str(value).strip()))
    except ValueError:
        raise ConfigurationError(f"{name} must be a UUID, not {value!r:.80}") from None


def _offset(call: Call) -> Flow[int]:
    reply = yield from ask(call, retry=RETRY)
    offset = offset_in(read_object(call, reply))
    if offset is None:
        raise unreadable(call, reply, "holds no offset")
    return offset


def _list(path: str, query: Query) -> Flow[list[dict[str, Any]]]:
    call = get(path, query)
    reply = yield from ask(call, retry=RETRY)
    try:
        content = reply.json()
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, list):
        raise unreadable(call, reply, "is not a JSON list")
    return [one for one in content if isinstance(one, dict)]


def _timestamp(position: str, at: datetime | str | None) -> dict[str, str]:
    if position not in POSITIONS:
        raise ConfigurationError(f"position must be one of {', '.join(POSITIONS)}, not {position!r:.80}")
    if position != "TIMESTAMP":
        return {}
    when = moment(at)
    if when is None:
        raise ConfigurationError(f"position TIMESTAMP needs a time with its zone, not {at!r:.80}")
    return {"timestamp": when.isoformat().replace("+00:00", "Z")}
