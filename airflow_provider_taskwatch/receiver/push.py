"""Turns an authenticated push into a message of the inbox."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.inbox.event import message_of
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.remotes import REMOTES

from .callback import bearer_in
from .token import PushTicket

PATH = "/push/"
"""The path of pushes; a token follows."""
API_KEY = "X-Api-Key"
"""The header of the token's API key; ``Authorization: Bearer`` is accepted, too."""


def ticket_for(settings: Settings, *, needs_key: bool) -> PushTicket:
    """The content of the token with which a connection's remote pushes.

    :raises ConfigurationError: where that remote does not push, or the connection does not allow it.
    """
    system = settings.connection_type
    options = REMOTES.push_of(system).options(settings)
    return PushTicket(system=system, channel=REMOTES.feed_for(settings, {}).key, needs_key=needs_key, options=options)


def taken(ticket: PushTicket, body: bytes, now: float) -> tuple[Message, Reply]:
    """The message of a push, and the answer once it is stored. The same event is the same delivery.

    :param now: seconds since the epoch.
    :raises ReplyError: where the body is no event.
    """
    pushed = REMOTES.push_of(ticket.system).read(body, ticket.options, now)
    return message_of(ticket.channel, pushed.event, now), pushed.reply


def key_in(headers: Mapping[str, str]) -> str:
    """The API key of a request; empty where there is none.

    :param headers: names in lower case.
    """
    return headers.get(API_KEY.lower(), "").strip() or bearer_in(headers.get("authorization", ""))
