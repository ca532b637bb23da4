"""The token and the secret of a callback or a push: signed here, carried by the remote, verified when it calls.

https://itsdangerous.palletsprojects.com
"""

from __future__ import annotations

import hashlib
import hmac
import secrets as random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from itsdangerous import BadData, Signer, URLSafeSerializer

from airflow_provider_taskwatch.core.error import ConfigurationError

SECRET_CHARACTERS = 32
"""A shorter secret could be found by trial from a token."""
AFTER_DEADLINE = timedelta(days=1)
WITHOUT_DEADLINE = timedelta(days=30)

_SIGNING: dict[str, Any] = {"key_derivation": "hmac", "digest_method": hashlib.sha256}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The content of a callback's token.

    :param channel: the channel of the inbox that the callback goes to: the system that calls.
    :param start_id: of the start that the callback belongs to.
    :param expires_at: seconds since the epoch.
    """

    channel: str
    start_id: str
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PushTicket:
    """The content of a push's token: all that a receiver must know. It does not expire.

    :param system: the connection type of the remote that pushes.
    :param channel: the channel of the inbox that its events go to: the key of its feed.
    :param needs_key: whether the remote must also send the API key that goes with the token.
    :param options: see :class:`~..core.feed.Push`.
    """

    system: str
    channel: str
    needs_key: bool
    options: Mapping[str, Any] = field(default_factory=dict)


class Keys:
    """The secrets of callbacks: the newest signs, all verify, so that secrets can be rotated.

    Tokens and secrets of callbacks are not valid for pushes, and the other way round.

    :param secrets: the newest first.
    :raises ConfigurationError: where there is none, or one that could be guessed.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        if problem := secrets_problem(secrets):
            raise ConfigurationError(problem)
        self._callbacks = _Pair(secrets, "taskwatch.callback")
        self._pushes = _Pair(secrets, "taskwatch.push")
        self._count = len(secrets)

    def __repr__(self) -> str:
        return f"Keys({self._count} secrets)"

    def mint(self, ticket: Ticket) -> str:
        """The URL-safe token of a ticket; the same for the same ticket until the secret is rotated."""
        return self._callbacks.mint([ticket.channel, ticket.start_id, ticket.expires_at])

    def read(self, token: str, now: float) -> Ticket | None:
        """The content of a token; None where its signature is invalid, or it has expired."""
        content = self._callbacks.read(token)
        if content is None:
            return None
        channel, start_id, expires_at = content
        ticket = Ticket(channel=channel, start_id=start_id, expires_at=expires_at)
        return ticket if now < ticket.expires_at else None

    def bearer(self, token: str) -> str:
        """The secret of a token, sent in a header: a proxy may log the address with the token, but not this."""
        return self._callbacks.bearer(token)

    def is_bearer(self, token: str, presented: str) -> bool:
        """Whether this is the token's secret. Compares in constant time."""
        return self._callbacks.is_bearer(token, presented)

    def mint_push(self, ticket: PushTicket) -> str:
        """Like :meth:`mint`, for a push."""
        return self._pushes.mint([ticket.system, ticket.channel, ticket.needs_key, dict(ticket.options)])

    def read_push(self, token: str) -> PushTicket | None:
        """The content of a push's token; None where its signature is invalid."""
        content = self._pushes.read(token)
        if content is None:
            return None
        system, channel, needs_key, options = content
        return PushTicket(system=system, channel=channel, needs_key=needs_key, options=options)

    def push_key(self, token: str) -> str:
        """The API key of a push's token."""
        return self._pushes.bearer(token)

    def is_push_key(self, token: str, presented: str) -> bool:
        """Like :meth:`is_bearer`, for a push."""
        return self._pushes.is_bearer(token, presented)


class _Pair:
    """Tokens of one use, and the secrets that go with them.

    :param use: tells the uses of a secret apart: what is signed for one is nothing to the others.
    """

    def __init__(self, secrets: Sequence[str], use: str) -> None:
        oldest_first = [_bytes(secret) for secret in reversed(secrets)]
        self._tokens = URLSafeSerializer(oldest_first, salt=f"{use}.token", signer_kwargs=_SIGNING)
        self._bearers = [Signer(secret, salt=f"{use}.bearer", **_SIGNING) for secret in reversed(oldest_first)]

    def mint(self, content: list[Any]) -> str:
        return self._tokens.dumps(content)

    def read(self, token: str) -> list[Any] | None:
        try:
            content: list[Any] = self._tokens.loads(_bytes(token))
        except BadData:
            return None
        return content

    def bearer(self, token: str) -> str:
        return self._bearers[0].get_signature(_bytes(token)).decode()

    def is_bearer(self, token: str, presented: str) -> bool:
        right = (one.get_signature(_bytes(token)) for one in self._bearers)
        return sum(hmac.compare_digest(one, _bytes(presented)) for one in right) > 0


def secrets_problem(secrets: Sequence[str]) -> str:
    """What is wrong with secrets, and the remedy; empty where there are some and none is weak."""
    if not secrets:
        return f"[taskwatch] callback_secrets is not set; {_REMEDY}"
    if weak := sum(len(secret) < SECRET_CHARACTERS for secret in secrets):
        return (
            f"[taskwatch] callback_secrets: {weak} of {len(secrets)} have fewer than {SECRET_CHARACTERS} characters; "
            f"{_REMEDY}"
        )
    return ""


_REMEDY = "`taskwatch check --callbacks` prints a fresh one where none is set"


def fresh_secret() -> str:
    """A new random secret."""
    return random.token_urlsafe(SECRET_CHARACTERS)


def expiry(deadline: datetime | None, now: datetime) -> int:
    """When a token expires, in seconds since the epoch: callbacks may be a day late, or 30 days without a deadline."""
    last = now + WITHOUT_DEADLINE if deadline is None else deadline + AFTER_DEADLINE
    return int(last.timestamp())


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
