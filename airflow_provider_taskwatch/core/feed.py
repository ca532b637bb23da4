"""A feed of a remote, as its pump needs it: where to begin, how to read, what a reply holds, how to acknowledge."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from .error import ReplyError
from .flow import Flow
from .settings import Settings
from .text import EVENTS_CHARACTERS, Bounded, bounded
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


EARLIEST_SECONDS = datetime.min.replace(tzinfo=UTC).timestamp()
LATEST_SECONDS = 253_402_300_799.0
"""The last whole second of the year 9999. With a fraction, a float is the year 10000."""


def instant(seconds: float) -> datetime:
    """Seconds since the epoch as a time in UTC.

    Seconds that no datetime can have become the nearest that it can; NaN becomes the epoch.
    """
    bounded = 0.0 if math.isnan(seconds) else min(max(seconds, EARLIEST_SECONDS), LATEST_SECONDS)
    return datetime.fromtimestamp(bounded, UTC)


def whole(event: Event) -> dict[str, Any]:
    """All of an event; ``at`` in ISO 8601, UTC."""
    return {
        "id": event.id,
        "name": event.name,
        "subject": event.subject,
        "at": instant(event.at).isoformat(),
        "content": dict(event.content),
    }


def fitted(event: Event) -> Bounded:
    """An event among others, in an XCom or in the payload of an asset's event: safe, and within their bounds."""
    return bounded(whole(event), EVENTS_CHARACTERS)


def shown(event: Event) -> dict[str, Any]:
    """The value of :func:`fitted`."""
    return dict(fitted(event).value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """What a feed holds in the place of an event, and cannot be understood. It is set aside, and reading goes on.

    :param content: as it came, or its beginning; it may concern people, so no repr shows it.
    :param problem: why it is no event, without a word of what it holds.
    """

    content: bytes = field(repr=False)
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one reply of a feed holds.

    :param events: in the order of the feed.
    :param position: where to read on.
    :param pause_seconds: how long the remote is to be left alone before the next read, at least.
    :param warning: what people should know; empty where all is well.
    :param unreadable: what else it holds.
    :param loss: what is lost, with its number; empty where nothing is.
    :param refusal: why the remote has not been willing to answer; empty where it was. It is worth a word if it lasts.
    """

    events: tuple[Event, ...] = ()
    position: str = ""
    pause_seconds: float = 0.0
    warning: str = ""
    unreadable: tuple[Unreadable, ...] = ()
    loss: str = ""
    refusal: str = field(default="", compare=False)

    @property
    def count(self) -> int:
        """How many items of the feed it brings, whether they can be read or not."""
        return len(self.events) + len(self.unreadable)


def who_reads(feed: Feed) -> str:
    """Who brings the events of a feed to those who wait for them in a triggerer, for people."""
    if feed.is_pushed:
        return "the remote pushes them to the receiver"
    return "one of the triggerers that share the inbox reads it"


MISTAKES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What code raises that has met a value of a shape which nobody has thought of."""


def sort_out(items: Iterable[object], read: Callable[[Any], Event]) -> tuple[tuple[Event, ...], tuple[Unreadable, ...]]:
    """The events among the items of a feed, and what else there is.

    :param read: makes an event of an item, or raises :class:`~.error.ReplyError`.
    """
    events, unreadable = list[Event](), list[Unreadable]()
    for item in items:
        try:
            events.append(read(item))
        except ReplyError as error:
            unreadable.append(Unreadable(content=_as_bytes(item), problem=str(error)))
        except MISTAKES as error:
            problem = f"an event cannot be understood ({type(error).__name__})"
            unreadable.append(Unreadable(content=_as_bytes(item), problem=problem))
    return tuple(events), tuple(unreadable)


def _as_bytes(item: object) -> bytes:
    try:
        return json.dumps(item, sort_keys=True).encode()
    except MISTAKES:  # nested without end
        return b""


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

    def read(self, position: str, reader: str, *, waits: bool = True) -> Flow[Any]:
        """Ask for what comes after a position; the answer is one that :meth:`batch` understands.

        It is a reply where ``is_consuming``; else it may be anything, where one reply does not tell what there is.

        :param reader: a UUID that stands for the pump, the same after a restart.
        :param waits: whether the remote may keep the request open until something comes.
        """

    def batch(self, reply: Any, position: str) -> Batch:
        """What the answer to a read holds, without a request.

        :raises ReplyError: where it cannot be understood.
        """

    def acknowledge(self, batch: Batch, reader: str) -> Flow[None]:
        """Tell the remote that the events of a batch are stored, where it wants to be told."""
