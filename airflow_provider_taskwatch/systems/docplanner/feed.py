"""Docplanner's notifications as a feed: each read deletes what it answers; what is pushed is the same event."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_taskwatch.core.error import ConfigurationError, ReplyError
from airflow_provider_taskwatch.core.feed import Batch, Event, Unreadable, read_items
from airflow_provider_taskwatch.core.flow import Flow, nothing, said_at
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Reply

from .notification import event_of, is_reduced
from .system import EXPIRY_SECONDS, MAX_LIMIT, is_empty, pull, read_pulled

IDLE_SECONDS = 10.0
"""Between two pulls of a queue that was empty: 30 of the 500 requests in 5 minutes that the firewall grants."""
HOUR_SECONDS = 3600.0
WARNING_SECONDS = EXPIRY_SECONDS - 12 * HOUR_SECONDS


def feed_of(settings: Settings, options: Mapping[str, Any]) -> DocplannerFeed:
    """The feed of a connection of the type ``docplanner``; there is one, without options."""
    if options:
        raise ConfigurationError(
            f"a Docplanner connection has one feed, and no option {', '.join(map(repr, sorted(options)))}"
        )
    return DocplannerFeed(settings)


class DocplannerFeed:
    """The queue of one connection's credentials.

    A queue belongs to the client, not to who pulls: a second deployment with the same credentials takes its events.
    """

    is_positioned = False

    def __init__(self, settings: Settings) -> None:
        self.is_pushed = settings.own["delivery"] == "push"
        self.is_consuming = not self.is_pushed
        host = urlsplit(settings.base_url).netloc.lower()
        self.key = f"docplanner {host[:150]} {hashlib.sha256(settings.login.encode()).hexdigest()[:16]}"
        self._conn_id = settings.conn_id
        self._store_payload = str(settings.own["store_payload"])

    def check(self, fields: Collection[str]) -> None:
        missing = [one for one in fields if self._store_payload == "ids" and not is_reduced(one)]
        if missing:
            raise ConfigurationError(
                f"{', '.join(map(repr, missing))} cannot be matched: of a notification only ids, times and statuses "
                f"are stored (visit_booking.id, visit_booking.start_at); store_payload='full' in the connection "
                f"{self._conn_id!r} stores all of its data, those of patients included"
            )

    def begin(self, since: float | None) -> Flow[str]:
        """There is no way back: the queue begins with the earliest that nobody has pulled."""
        return nothing("")

    def read(self, position: str, reader: str, *, waits: bool = True) -> Flow[Reply]:
        """Pull as many as is allowed. A reply without any gets no body, so that nobody writes it down."""
        reply = yield from pull(MAX_LIMIT)
        return Reply(status=204, headers=reply.headers) if is_empty(reply) else reply

    def batch(self, reply: Reply, position: str) -> Batch:
        """The position is the hour of the last pull, by the remote's clock; it tells for how long nobody has pulled."""
        pulled, heard_at = read_pulled(reply), said_at(reply) or 0.0
        read = partial(event_of, store_payload=self._store_payload, heard_at=heard_at)
        events, unreadable = read_items([*pulled.notifications, *pulled.others], read)
        rest = (Unreadable(content=pulled.rest, problem="a reply was too long, and its rest cannot be read"),)
        is_drained = pulled.remaining == 0 or not (events or unreadable)
        return Batch(
            events=events,
            unreadable=(*unreadable, *rest) if pulled.rest else unreadable,
            position=str(int(heard_at // HOUR_SECONDS)) if heard_at else position,
            pause_seconds=IDLE_SECONDS if is_drained else 0.0,
            loss=pulled.loss,
            warning=expiry_warning(
                oldest_at=min((one.at for one in events), default=heard_at),
                pulled_at=float(position) * HOUR_SECONDS if position.isdecimal() else heard_at,
                now=heard_at,
            ),
        )

    def acknowledge(self, batch: Batch, reader: str) -> Flow[None]:
        return nothing(None)


def push_event(body: bytes, store_payload: str, *, now: float = 0.0) -> Event:
    """The event in a pushed notification, the same as if it had been pulled.

    :param store_payload: of the connection: how much of it may be stored.
    :param now: seconds since the epoch, for one that does not say when it was made.
    :raises ReplyError: where it is no notification.
    """
    pushed = read_pulled(Reply(status=200, body=body))
    if len(pushed.notifications) != 1:
        raise ReplyError("what was pushed is no notification")
    return event_of(pushed.notifications[0], store_payload=store_payload, heard_at=now)


def expiry_warning(*, oldest_at: float, pulled_at: float, now: float) -> str:
    """What to warn of as Docplanner deletes notifications unread, or soon will; empty where nothing is.

    All times are seconds since the epoch.

    :param oldest_at: when the oldest notification of a pull was made; now where there was none.
    :param pulled_at: when the pull before this one was answered; now where there was none.
    """
    ages = {
        "its oldest notification was made {} h ago": now - oldest_at,
        "nobody had pulled it for {} h": now - pulled_at,
    }
    told = [words.format(int(age / HOUR_SECONDS)) for words, age in ages.items() if age >= WARNING_SECONDS]
    return f"{', and '.join(told)}; Docplanner deletes what was not pulled for 72 h" if told else ""
