"""What a callback is taken for, once it is known who has sent it."""

from __future__ import annotations

import hashlib
from typing import Any

from airflow_provider_taskwatch.core.text import read_json, shortened
from airflow_provider_taskwatch.inbox.message import Message

from .token import Ticket

PATH = "/callbacks/"
"""Where a receiver takes callbacks; a token follows."""
SERVICE = "taskwatch receiver"
"""How ``/health`` tells a receiver from anything else that answers."""


def message_of(ticket: Ticket, body: bytes, now: float) -> Message:
    """The signal that a callback is. The same body, sent again, is the same delivery.

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
    """The JSON object in a body, shortened; None where there is none, and even then it has been called.

    What is nested deeper than an inbox can write down is left out. The content type is not asked, it may be anything.
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
