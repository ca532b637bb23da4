"""The emulated Event Manager: topics and their offsets, subscriptions, and the poll that is held open."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.sandbox.answer import json_reply, value
from airflow_provider_taskwatch.sandbox.remote import Visit
from airflow_provider_taskwatch.sandbox.setting import COUNT, STATUS, Between

from .subscription import Subscription, duration, subscribe
from .topic import TASK_TOPIC, TENANT_TOPIC, TYPES, Topic, full_type, time_of, topic_of

TENANT = "ede9f834-70b3-476c-83d9-736f9f8c7dae"
"""The client's."""
LIMIT = 100


@dataclass(kw_only=True)
class EventSettings:
    """What can be changed about the emulated Event Manager.

    :param nothing: the answer to a poll that brought no event: 202, 200 (an empty list) or 204.
    :param retry_after: ``Retry-After`` of such an answer in seconds; None: no header.
    :param expired_status: the answer to an offset that is older than what is kept.
    :param task_retention: seconds for which events about tasks are kept.
    :param redeliver: the number of delivered events that come again with the next ones.
    :param sequence_step: distance between sequence numbers.
    :param offset_paths: of topics: as the ``guide`` has it, and as the ``api`` description has it.
    :param tenants: parents of tenants by their children; the root is that of the client.
    """

    nothing: Literal[202, 200, 204] = 202
    retry_after: int | None = 1
    expired_status: Annotated[int, STATUS] = 410
    task_retention: float = 7 * 86400.0
    redeliver: int = 0
    sequence_step: Annotated[int, Between(1)] = 1
    offset_paths: list[Literal["guide", "api"]] = field(default_factory=lambda: ["guide", "api"])
    tenants: dict[str, str] = field(default_factory=dict)


_REFUSALS = {
    400: ("BadRequest", "The request is malformed."),
    401: ("Unauthorized", "The access token is missing, invalid or expired."),
    403: ("Forbidden", "The scopes of the token do not allow this."),
    404: ("NotFound", "There is no such object."),
    409: ("Conflict", "The subscription exists."),
    410: ("Gone", "The offset is older than what is kept."),
}


def error(status: int, message: str = "") -> dict[str, Any]:
    """An error as all services of Acronis describe it."""
    code, text = _REFUSALS.get(status, ("InternalError", "Refused."))
    return {"domain": "Sandbox", "code": code, "message": message or text, "context": {}}


def refusal(status: int, message: str = "") -> Reply:
    """A refusal of the Event Manager; that of too many requests is empty."""
    return Reply(status=status) if status == 429 else json_reply(status, {"error": error(status, message)})


class EventManager:
    """All topics and subscriptions.

    :param settings: looked at with each call.
    """

    def __init__(self, settings: EventSettings) -> None:
        self._settings = settings
        tasks = Topic(TASK_TOPIC, "Tasks", retention=settings.task_retention)
        tenants = Topic(TENANT_TOPIC, "Tenants", retention=None, is_consolidated=True)
        self._topics = {topic.name: topic for topic in (tasks, tenants)}
        self._subscriptions: dict[str, Subscription] = {}

    def keep(self) -> None:
        """Keep events as the settings say from now on."""
        self._topics[TASK_TOPIC].retention = self._settings.task_retention

    def emit(self, events: Iterable[Mapping[str, Any]], now: float) -> int:
        """Publish events, all or none; ``ValueError`` where one cannot be understood."""
        made = [one for event in events for one in self._made(event, now)]
        for topic, content in made:
            topic.publish(content, now, self._settings.sequence_step)
        return len(made)

    def list_topics(self, visit: Visit) -> Reply:
        wanted = value(visit.call, "topic_id")
        return json_reply(200, [one.show() for one in self._topics.values() if wanted in ("", one.name)])

    def list_types(self, visit: Visit) -> Reply:
        topic, one = value(visit.call, "topic_id"), value(visit.call, "type_id")
        types = [_type(name, value(visit.call, "include_schema") == "true") for name in TYPES]
        return json_reply(200, [each for each in types if topic in ("", each["topic_id"]) and one in ("", each["id"])])

    def topic_offset(self, visit: Visit) -> Reply:
        """``GET topics/{topic}/offsets`` and ``GET topics/offsets``"""
        name, position = value(visit.call, "topic_id"), value(visit.call, "position")
        topic, spelling = self._topics.get(name), "guide" if "topic" in visit.names else "api"
        if topic is None or visit.names.get("topic", name) != name or spelling not in self._settings.offset_paths:
            return refusal(404)
        if position == "TIMESTAMP":
            offset = topic.at(datetime.fromisoformat(value(visit.call, "timestamp")).timestamp(), visit.now)
        elif position in ("EARLIEST", "CURRENT"):
            offset = topic.earliest(visit.now) if position == "EARLIEST" else topic.current
        else:
            raise ValueError("position must be EARLIEST, CURRENT or TIMESTAMP")
        return json_reply(200, {"topic_id": name, "offset": offset})

    def create_subscription(self, visit: Visit) -> Reply:
        content = _object(visit)
        new = subscribe(content, self._topics, TENANT)
        name = str(content["subscription_id"])
        if name in self._subscriptions:
            return refusal(409)
        self._subscriptions[name] = new
        return json_reply(201, dict(new.content))

    def subscription_offset(self, visit: Visit) -> Reply:
        name = value(visit.call, "subscription_id")
        subscription = self._subscriptions.get(name)
        if subscription is None:
            return refusal(404)
        return json_reply(200, {"subscription_id": name, "offset": subscription.committed})

    def commit_offset(self, visit: Visit) -> Reply:
        """``POST subscriptions/offset``"""
        content = _object(visit)
        subscription, offset = self._subscriptions.get(str(content.get("subscription_id"))), content.get("offset")
        if type(offset) is not int:
            raise ValueError("offset must be a number")
        if subscription is None:
            return refusal(404)
        subscription.committed = offset
        return json_reply(200, content)

    def poll(self, visit: Visit) -> Reply:
        """``GET events``; while there is none, the call may be asked again until its time is over."""
        subscription = self._subscriptions.get(value(visit.call, "subscription_id"))
        if subscription is None:
            return refusal(404)
        consumer, offset = str(uuid.UUID(value(visit.call, "consumer_id"))), int(value(visit.call, "offset"))
        limit, waits = int(value(visit.call, "limit", str(LIMIT))), duration(value(visit.call, "timeout", "PT30S"))
        if not 1 <= limit <= LIMIT:
            raise ValueError(f"limit must be 1 to {LIMIT}")
        if (seconds := subscription.serve(consumer, visit.now)) is not None:
            return Reply(status=429, headers={"retry-after": str(seconds)})
        if subscription.content["auto_commit"]:
            subscription.committed = offset
        topic = self._topics[subscription.content["topic_id"]]
        if offset < topic.earliest(visit.now):
            return refusal(self._settings.expired_status)
        found = self._found(subscription, topic, offset, limit, visit.now)
        if found is None:
            visit.open_until = visit.now + min(waits, subscription.session_seconds)
            return self._nothing(topic.current, offset)
        return json_reply(200, found)

    def _found(
        self, subscription: Subscription, topic: Topic, offset: int, limit: int, now: float
    ) -> dict[str, Any] | None:
        """What there is behind an offset, with some that came before it where the settings say so."""
        tenants = self._settings.tenants
        if not subscription.find(topic, offset, 1, tenants, now):
            return None
        start = topic.before(offset, self._settings.redeliver)
        found = subscription.find(topic, start, limit, tenants, now)
        is_all = len(found) < limit
        return {
            "events": [one.show() for one in found],
            "offset": topic.current if is_all else max(offset, found[-1].sequence),
        }

    def _nothing(self, current: int, offset: int) -> Reply:
        """Events that a filter has held back move the offset."""
        settings = self._settings
        wait = {} if settings.retry_after is None else {"retry-after": str(settings.retry_after)}
        if settings.nothing == 200 or current > offset:
            return json_reply(200, {"events": [], "offset": current}, wait)
        return Reply(status=settings.nothing, headers=wait)

    def _made(self, event: Mapping[str, Any], now: float) -> Iterator[tuple[Topic, dict[str, Any]]]:
        """The events that one object of ``emit`` stands for, with their topics."""
        if not event.get("type"):
            raise ValueError("an event has a type, such as a.p.task.completed")
        kind = full_type(str(event["type"]))
        name = event.get("topic") or topic_of(kind)
        if name not in self._topics:
            raise ValueError(f"there is no topic {name!r}; there are {', '.join(self._topics)}")
        usual = {"time": time_of(now), "source": "sandbox", "tenant_id": TENANT}
        given = {key: item for key, item in event.items() if key not in ("topic", "count")}
        for number in range(event.get("count", 1)):
            content = {"id": str(uuid.uuid4()), **usual, **given, "type": kind}
            if "subject" in content:
                content["subject"] = str(content["subject"]).replace("{n}", str(number))
            yield self._topics[name], content


EVENT_KEYS: Mapping[str, Any] = {
    **dict.fromkeys(("type", "topic", "subject", "subject_type", "tenant_id", "source", "time", "id"), str),
    "data": Any,
    "count": Annotated[int, COUNT],
}


def _type(name: str, has_schema: bool) -> dict[str, Any]:
    topic, description = TYPES[name]
    schema = {"data_schema": '{"type": "object"}'} if has_schema else {}
    return {"id": full_type(name), "topic_id": topic, "description": description, "allowed_subject_types": [], **schema}


def _object(visit: Visit) -> dict[str, Any]:
    content = visit.call.json()
    if not isinstance(content, dict):
        raise ValueError("the body must be a JSON object")
    return content
