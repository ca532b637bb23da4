"""A feed of a remote, as its pump needs it: where to begin, how to read, what a reply holds, how to acknowledge."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from .connection import Settings
from .flow import Flow
from .wire import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One item of a feed.

    :param id: tells the events of one feed apart; what is delivered again has the same one.
    :param name: what has happened, in the remote's words.
    :param subject: the remote's id of what it is about; empty where it names none.
    :param at: when, in seconds since the epoch, by the remote's clock.
    :param content: the event as JSON, as much of it as may be stored; it may concern people, so no repr shows it.
    """

    id: str
    name: str
    subject: str
    at: float
    content: Mapping[str, Any] = field(repr=False)


def shown(event: Event) -> dict[str, Any]:
    """An event as an XCom, or the payload of an asset's event, has it; ``at`` in ISO 8601, UTC."""
    return {
        "id": event.id,
        "name": event.name,
        "subject": event.subject,
        "at": datetime.fromtimestamp(event.at, UTC).isoformat(),
        "content": dict(event.content),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one reply of a feed holds.

    :param events: in the order of the feed.
    :param position: where to read on.
    :param pause_seconds: how long the remote is to be left alone before the next read, at least.
    :param warning: what people should know, that something is lost, for example; empty where all is well.
    """

    events: tuple[Event, ...] = ()
    position: str = ""
    pause_seconds: float = 0.0
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a remote has pushed.

    :param reply: what it is to be answered, as soon as the event is stored.
    """

    event: Event
    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """How a remote sends the events of a feed by itself.

    :param options: what whoever takes them must know of a connection, as plain JSON without a secret; raises
        :class:`~.error.ConfigurationError` where the connection says that they are read.
    :param read: what a body holds: of the body, those options, and the seconds since the epoch; raises
        :class:`~.error.ReplyError` where it is no event.
    """

    options: Callable[[Settings], Mapping[str, Any]]
    read: Callable[[bytes, Mapping[str, Any], float], Pushed]


class Feed(Protocol):
    """One feed. Instances are built from a connection's settings and a waiter's options, and hold nothing that changes.

    A pump calls :meth:`begin` where it knows no position, then :meth:`read`, :meth:`batch` and, when the events
    are stored, :meth:`acknowledge`, again and again.
    """

    key: str
    """Equal for all who want the same feed: readable, below 200 characters, the same after a restart."""
    is_consuming: bool
    """Whether a read deletes at the remote, so that its reply is written down before anything else is done with it."""
    is_positioned: bool
    """Whether the remote itself keeps how far was read, so that :meth:`begin` is asked each time."""
    is_pushed: bool
    """Whether the remote sends its events to the receiver, so that nobody reads them."""

    def check(self, fields: Collection[str]) -> None:
        """Raise :class:`ConfigurationError` where a waiter wants to match fields that are not stored.

        :param fields: dotted paths into the content of an event.
        """

    def begin(self, since: float | None) -> Flow[str]:
        """Make ready what reading needs, and return the position to begin at.

        :param since: seconds since the epoch, of the earliest event that somebody waits for; None: only what comes.
        """

    def read(self, position: str, reader: str, *, waits: bool = True) -> Flow[Reply]:
        """Ask for what comes after a position; the reply is one that :meth:`batch` understands.

        :param reader: a UUID that stands for the pump, the same after a restart.
        :param waits: whether the remote may keep the request open until something comes.
        """

    def batch(self, reply: Reply, position: str) -> Batch:
        """What a reply holds, without a request.

        :raises ReplyError: where it cannot be understood.
        """

    def acknowledge(self, batch: Batch, reader: str) -> Flow[None]:
        """Tell the remote that the events of a batch are stored, where it wants to be told."""
