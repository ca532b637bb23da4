"""Docplanner's notifications as a feed. A read deletes what it returns. A pushed notification is the same event.

* https://integrations.docplanner.com/guide/callbacks/push-vs-pull.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_taskwatch.core.error import ConfigurationError, ReplyError
from airflow_provider_taskwatch.core.feed import Batch, Event, Unreadable, read_items
from airflow_provider_taskwatch.core.flow import Flow, nothing
from airflow_provider_taskwatch.core.retry_after import said_at
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Reply

from .notification import event_of, is_reduced
from .system import EXPIRY_SECONDS, MAX_LIMIT, is_empty, pull, read_pulled

IDLE_SECONDS = 10.0
"""The pause after an empty queue: 30 of the 500 requests in 5 minutes that the firewall allows."""
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

    The queue belongs to the client id: a second deployment with the same credentials takes events out of it.
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
        """No position: the queue begins with the earliest notification that was not pulled yet."""
        return nothing("")

    def read(self, position: str, reader: str, *, waits: bool = True) -> Flow[Reply]:
        """Pull as many as allowed. An empty reply becomes a 204 without a body, so that it is not stored."""
        reply = yield from pull(MAX_LIMIT)
        return Reply(status=204, headers=reply.headers) if is_empty(reply) else reply

    def batch(self, reply: Reply, position: str) -> Batch:
        """The position is the hour of the last pull, by the remote's clock; it shows how long nothing was pulled."""
        pulled, received_at = read_pulled(reply), said_at(reply) or 0.0
        read = partial(event_of, store_payload=self._store_payload, received_at=received_at)
        events, unreadable = read_items([*pulled.notifications, *pulled.others], read)
        rest = (Unreadable(content=pulled.rest, problem="a reply was too long, and its rest cannot be read"),)
        is_drained = pulled.remaining == 0 or not (events or unreadable)
        return Batch(
            events=events,
            unreadable=(*unreadable, *rest) if pulled.rest else unreadable,
            position=str(int(received_at // HOUR_SECONDS)) if received_at else position,
            pause_seconds=IDLE_SECONDS if is_drained else 0.0,
            loss=pulled.loss,
            warning=expiry_warning(
                oldest_at=min((one.at for one in events), default=received_at),
                pulled_at=float(position) * HOUR_SECONDS if position.isdecimal() else received_at,
                now=received_at,
            ),
        )

    def acknowledge(self, batch: Batch, reader: str) -> Flow[None]:
        return nothing(None)


def push_event(body: bytes, store_payload: str, *, now: float = 0.0) -> Event:
    """The event in a pushed notification, equal to that of a pulled one.

    :param store_payload: the connection's setting.
    :param now: seconds since the epoch, the time of a notification without ``created_at``.
    :raises ReplyError: it is no notification.
    """
    pushed = read_pulled(Reply(status=200, body=body))
    if len(pushed.notifications) != 1:
        raise ReplyError("what was pushed is no notification")
    return event_of(pushed.notifications[0], store_payload=store_payload, received_at=now)


def expiry_warning(*, oldest_at: float, pulled_at: float, now: float) -> str:
    """A warning that Docplanner deletes notifications unread, or will do so soon; empty if there is no need.

    All times are seconds since the epoch.

    :param oldest_at: the creation of the oldest notification of a pull; now if there was none.
    :param pulled_at: the reply to the previous pull; now if there was none.
    """
    ages = {
        "its oldest notification was made {} h ago": now - oldest_at,
        "it was not pulled for {} h": now - pulled_at,
    }
    late = [text.format(int(age / HOUR_SECONDS)) for text, age in ages.items() if age >= WARNING_SECONDS]
    return f"{', and '.join(late)}; Docplanner deletes what was not pulled for 72 h" if late else ""
