"""How an event of a feed is written down in an inbox."""

from __future__ import annotations

import hashlib
from typing import Any

from airflow_provider_taskwatch.core.feed import Event
from airflow_provider_taskwatch.inbox.message import Message

INDEXED_BYTES = 1_200
"""Of a channel and a delivery, PostgreSQL's index holds 2,704 bytes together."""


def message_of(channel: str, event: Event, now: float) -> Message:
    """The message that an event becomes; the same event, read again, is the same delivery.

    :param now: seconds since the epoch.
    """
    subject = _indexed(event.subject)
    whole = {} if subject == event.subject else {"subject": event.subject}
    return Message(
        channel=channel,
        subject=subject,
        delivery=_indexed(event.id),
        content={"name": event.name, "at": event.at, "content": event.content, **whole},
        received_at=now,
    )


def event_of(message: Message) -> Event:
    """The event that a message was made of."""
    told: Any = message.content
    subject = told.get("subject", message.subject)
    return Event(id=message.delivery, name=told["name"], subject=subject, at=told["at"], content=told["content"])


def _indexed(text: str) -> str:
    """A text that fits into an index; of one that does not, its beginning and what tells it apart from others."""
    held = text.encode(errors="replace")
    if len(held) <= INDEXED_BYTES:
        return text
    return f"{held[: INDEXED_BYTES - 80].decode(errors='ignore')} {hashlib.sha256(held).hexdigest()}"
