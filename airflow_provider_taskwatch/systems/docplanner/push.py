"""Docplanner's pushed notifications, and the reply to each.

* https://integrations.docplanner.com/guide/callbacks/push-vs-pull.html
* https://integrations.docplanner.com/guide/callbacks/real-time-requests.html: requests of patients
* https://integrations.docplanner.com/guide/fundamentals/errors.html: the reason of a denial
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.feed import Push, Pushed
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Reply

from .feed import push_event

BLOCKING = frozenset({"slot-booking", "booking-moving"})
"""A patient waits for the reply to these: any 2xx approves the request, any other status denies it."""
TAKEN = Reply(status=204)


def options_of(settings: Settings) -> dict[str, Any]:
    """How much is stored, and the code that denies requests of patients; None: they are approved.

    :raises ConfigurationError: the connection is set to pull.
    """
    if settings.own["delivery"] != "push":
        raise ConfigurationError(
            f"connection {settings.conn_id!r} says that notifications are pulled; set its 'delivery' to 'push', "
            "which ends the pulls"
        )
    return {name: settings.own[name] for name in ("store_payload", "denial_code")}


def read(body: bytes, options: Mapping[str, Any], now: float) -> Pushed:
    """The notification in a body; see :class:`~...core.feed.Push`."""
    event = push_event(body, options["store_payload"], now=now)
    code = options["denial_code"]
    is_denied = code is not None and event.name in BLOCKING
    return Pushed(event=event, reply=denial(code) if is_denied else TAKEN)


def denial(code: int) -> Reply:
    """The reply that gives a patient the reason. Docplanner reads the code of a 4xx only."""
    return Reply(
        status=409, headers={"content-type": "application/json"}, body=json.dumps({"error_code": code}).encode()
    )


PUSH = Push(options=options_of, read=read)
