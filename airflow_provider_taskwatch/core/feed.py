"""The protocol of a feed: where to begin, how to read, which events a reply contains, how to acknowledge them."""

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

    :param id: unique within the feed. An event that is delivered again has the same id.
    :param name: what happened, in the remote's terms.
    :param subject: the remote's id of the object that the event is about; empty if it names none.
    :param at: seconds since the epoch by the remote's clock.
    :param content: the event as JSON, bounded for storage. It may be personal data, so no repr shows it.
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
    """The complete event as a dict; ``at`` in ISO 8601, UTC."""
    return {
        "id": event.id,
        "name": event.name,
        "subject": event.subject,
        "at": instant(event.at).isoformat(),
        "content": dict(event.content),
    }


def fitted(event: Event) -> Bounded:
    """An event for an XCom or the payload of an asset event: safe, and within their size limit."""
    return bounded(whole(event), EVENTS_CHARACTERS)


def shown(event: Event) -> dict[str, Any]:
    """The value of :func:`fitted`."""
    return dict(fitted(event).value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An item of a feed that cannot be read as an event. It is set aside, and reading continues.

    :param content: unchanged, or its beginning. It may be personal data, so no repr shows it.
    :param problem: why it is not an event, without any of its content.
    """

    content: bytes = field(repr=False)
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The content of one reply of a feed.

    :param events: in the order of the feed.
    :param position: where the next read begins.
    :param pause_seconds: the shortest pause before the next read.
    :param warning: for the log; empty if there is none.
    :param unreadable: items that are not events.
    :param loss: the events that are lost, with their number; empty if none is.
    :param refusal: why the remote refused the read; empty if it did not. It is logged if it lasts.
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
        """The number of items, readable or not."""
        return len(self.events) + len(self.unreadable)


def delivery(feed: Feed) -> str:
    """How the events of a feed reach the tasks that wait in a triggerer, as a sentence for the log."""
    if feed.is_pushed:
        return "the remote pushes them to the receiver"
    return "one of the triggerers that share the inbox reads it"


SHAPE_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Errors that code raises for a value of an unexpected shape."""


def read_items(
    items: Iterable[object], read: Callable[[Any], Event]
) -> tuple[tuple[Event, ...], tuple[Unreadable, ...]]:
    """The items of a feed as events, and those that are not.

    :param read: converts an item to an event, or raises :class:`~.error.ReplyError`.
    """
    events, unreadable = list[Event](), list[Unreadable]()
    for item in items:
        try:
            events.append(read(item))
        except ReplyError as error:
            unreadable.append(Unreadable(content=_as_bytes(item), problem=str(error)))
        except SHAPE_ERRORS as error:
            problem = f"an event cannot be read ({type(error).__name__})"
            unreadable.append(Unreadable(content=_as_bytes(item), problem=problem))
    return tuple(events), tuple(unreadable)


def _as_bytes(item: object) -> bytes:
    try:
        return json.dumps(item, sort_keys=True).encode()
    except SHAPE_ERRORS:  # nested too deeply
        return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """One event that a remote has pushed.

    :param reply: our answer, sent as soon as the event is stored.
    """

    event: Event
    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """How a remote pushes the events of a feed.

    :param options: what the receiver must know of a connection, as plain JSON without a secret. Raises
        :class:`~.error.ConfigurationError` if the connection says that events are read instead.
    :param read: converts a body, with those options and the seconds since the epoch. Raises
        :class:`~.error.ReplyError` if the body is not an event.
    """

    options: Callable[[Settings], Mapping[str, Any]]
    read: Callable[[bytes, Mapping[str, Any], float], Pushed]


class Feed(Protocol):
    """One feed, built from a connection's settings and the options of a waiting task. It holds no state.

    A pump calls :meth:`begin` if it has no position, then :meth:`read`, :meth:`batch` and, when the events are stored,
    :meth:`acknowledge`, in a loop.
    """

    key: str
    """Equal for all tasks that wait for the same feed: readable, below 200 characters, the same after a restart."""
    is_consuming: bool
    """Whether a read deletes at the remote. Its reply is then stored before anything else is done with it."""
    is_positioned: bool
    """Whether the remote itself keeps the position, so that :meth:`begin` is called each time."""
    is_pushed: bool
    """Whether the remote pushes its events to the receiver, so that no process reads them."""

    def check(self, fields: Collection[str]) -> None:
        """Check that the fields that a task matches are stored.

        :param fields: dotted paths into the content of an event.
        :raises ConfigurationError: one of them is not.
        """

    def begin(self, since: float | None) -> Flow[str]:
        """Prepare reading, and return the position to begin at.

        :param since: the time of the earliest event that a task waits for, in seconds since the epoch; None: only new
            events.
        """

    def read(self, position: str, reader: str, *, waits: bool = True) -> Flow[Any]:
        """Request the events after a position. The answer is for :meth:`batch`.

        It is a reply if the feed ``is_consuming``. Otherwise it may be any value, as one reply may not be enough.

        :param reader: the UUID of the pump, the same after a restart.
        :param waits: whether the remote may keep the request open until an event comes.
        """

    def batch(self, reply: Any, position: str) -> Batch:
        """The content of the answer to a read, without a request.

        :raises ReplyError: the answer cannot be read.
        """

    def acknowledge(self, batch: Batch, reader: str) -> Flow[None]:
        """Confirm to the remote that the events of a batch are stored, if it expects that."""
