"""Turns an authenticated callback into a message of the inbox."""

from __future__ import annotations

import hashlib
from typing import Any

from airflow_provider_taskwatch.core.text import read_json, shortened
from airflow_provider_taskwatch.inbox.message import Message

from .token import Ticket

PATH = "/callbacks/"
"""The path of callbacks; a token follows."""
SERVICE = "taskwatch receiver"
"""The name by which ``/health`` identifies a receiver."""


def message_of(ticket: Ticket, body: bytes, now: float) -> Message:
    """The message of a callback. The same body, sent again, is the same delivery.

    :param now: seconds since the epoch.
    """
    return Message(
        channel=ticket.channel,
        subject=ticket.start_id,
        delivery=hashlib.sha256(ticket.start_id.encode() + b"\n" + body).hexdigest(),
        content=content_of(body),
        received_at=now,
    )


def content_of(body: bytes) -> Any:
    """The JSON object in a body, shortened; None where there is none, which still counts as a callback.

    Values that are nested deeper than an inbox can store are left out. The content type is ignored.
    """
    try:
        content = read_json(body)
    except (ValueError, RecursionError):
        return None
    return shortened(content) if isinstance(content, dict) else None


def bearer_in(authorization: str) -> str:
    """The secret in an ``Authorization`` header; empty where there is none."""
    scheme, _, bearer = authorization.partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else ""
