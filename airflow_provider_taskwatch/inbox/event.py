"""How an event of a feed is written down in an inbox."""

from __future__ import annotations

from typing import Any

from airflow_provider_taskwatch.core.feed import Event

from .message import Message


def message_of(channel: str, event: Event, now: float) -> Message:
    """The message that an event becomes; the same event, read again, is the same delivery.

    :param now: seconds since the epoch.
    """
    return Message(
        channel=channel,
        subject=event.subject,
        delivery=event.id,
        content={"name": event.name, "at": event.at, "content": event.content},
        received_at=now,
    )


def event_of(message: Message) -> Event:
    """The event that a message was made of."""
    told: Any = message.content
    return Event(
        id=message.delivery, name=told["name"], subject=message.subject, at=told["at"], content=told["content"]
    )
