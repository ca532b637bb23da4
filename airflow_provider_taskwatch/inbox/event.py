"""Turns the events of a feed into messages of an inbox, and back."""

from __future__ import annotations

import hashlib
from typing import Any

from airflow_provider_taskwatch.core.feed import Event
from airflow_provider_taskwatch.inbox.message import Message

INDEXED_BYTES = 1_200
"""PostgreSQL's index holds at most 2,704 bytes of a channel and a delivery together."""


def message_of(channel: str, event: Event, now: float) -> Message:
    """The message of an event; the same event, read again, is the same delivery.

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
    """The event of a message."""
    stored: Any = message.content
    subject = stored.get("subject", message.subject)
    return Event(id=message.delivery, name=stored["name"], subject=subject, at=stored["at"], content=stored["content"])


def _indexed(text: str) -> str:
    """A text that fits into an index; a longer one is cut and ends with its hash."""
    held = text.encode(errors="replace")
    if len(held) <= INDEXED_BYTES:
        return text
    return f"{held[: INDEXED_BYTES - 80].decode(errors='ignore')} {hashlib.sha256(held).hexdigest()}"
