"""What an inbox holds: messages, sealed replies, leases, heartbeats."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PAGE_MESSAGES = 1_000
PRUNE_MESSAGES = 500
"""Deleted in one step."""
RETENTION_DAYS = 14.0
DAY_SECONDS = 86_400.0
SEALED_SECONDS = 3 * DAY_SECONDS
"""A sealed reply that nobody could read is forgotten after so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A signal or an event, as it came in.

    :param channel: where it came from: the callbacks of a system, or a feed.
    :param subject: whom it concerns: the start id of what called back, or what an event tells of.
    :param delivery: tells deliveries of a channel apart: the sender's id, or a hash of the content.
    :param content: JSON, None where it could not be read.
    :param received_at: seconds since the epoch, by the clock of whoever wrote it down.
    """

    channel: str
    subject: str
    delivery: str
    content: Any
    received_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message in an inbox; numbers grow, but a smaller one can show up later than a greater one."""

    number: int
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A receiver that writes into this inbox.

    :param url: where it says that it can be reached.
    :param age_seconds: how long ago it last said that it is there.
    """

    host: str
    url: str
    age_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """That somebody has taken a lease; what is written under it is refused once somebody else has."""

    name: str
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A reply of a remote that has forgotten it, encrypted, until its events are stored.

    :param problem: why it could not be read; empty where nobody has tried.
    """

    number: int
    feed: str
    content: bytes = field(repr=False)
    received_at: float
    problem: str = ""
