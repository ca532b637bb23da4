"""What an inbox holds: messages, sealed replies, leases, heartbeats."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PAGE_MESSAGES = 1_000
PRUNE_MESSAGES = 500
"""How many messages one step deletes."""
RETENTION_DAYS = 14.0
DAY_SECONDS = 86_400.0
SEALED_SECONDS = 3 * DAY_SECONDS
"""How long a sealed reply that could not be read is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A callback, or an event of a feed.

    :param channel: where it came from: the callbacks of a system, or a feed.
    :param subject: the start id of a callback; the object that an event is about.
    :param delivery: identifies a delivery in its channel: the sender's id, or a hash of the content.
    :param content: JSON; None where it could not be read.
    :param received_at: seconds since the epoch, by the writer's clock.
    """

    channel: str
    subject: str
    delivery: str
    content: Any
    received_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message in an inbox. Numbers grow, but a smaller one can become visible after a greater one."""

    number: int
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A receiver that writes into this inbox.

    :param url: its own statement of where it can be reached.
    :param age_seconds: seconds since its last heartbeat.
    """

    host: str
    url: str
    age_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease and its holder. Writes under it are refused once another process holds it."""

    name: str
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """An encrypted reply that its remote has forgotten, kept until its events are stored.

    :param problem: why it could not be read; empty before the first attempt.
    """

    number: int
    feed: str
    content: bytes = field(repr=False)
    received_at: float
    problem: str = ""
