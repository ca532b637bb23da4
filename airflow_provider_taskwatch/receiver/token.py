"""The address and the secret of a callback: signed by us, carried by the remote, known again when it calls.

https://itsdangerous.palletsprojects.com
"""

from __future__ import annotations

import hashlib
import hmac
import secrets as random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from itsdangerous import BadData, Signer, URLSafeSerializer

from airflow_provider_taskwatch.core.error import ConfigurationError

SECRET_CHARACTERS = 32
"""What is shorter could be guessed by somebody who has seen a token."""
AFTER_DEADLINE = timedelta(days=1)
WITHOUT_DEADLINE = timedelta(days=30)

_TOKEN_SALT = "taskwatch.callback.token"  # noqa: S105 - it tells uses of a secret apart, and is none
_BEARER_SALT = "taskwatch.callback.bearer"
_SIGNING: dict[str, Any] = {"key_derivation": "hmac", "digest_method": hashlib.sha256}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a token says.

    :param channel: where its callback will be found in the inbox: the system that calls.
    :param start_id: of the start that the callback belongs to.
    :param expires_at: seconds since the epoch.
    """

    channel: str
    start_id: str
    expires_at: int


class Keys:
    """The secrets of callbacks: the newest signs, all verify, so that they can be changed while remotes work.

    :param secrets: the newest first.
    :raises ConfigurationError: where there is none, or one that could be guessed.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        if problem := secrets_problem(secrets):
            raise ConfigurationError(problem)
        oldest_first = [_bytes(secret) for secret in reversed(secrets)]
        self._tokens = URLSafeSerializer(oldest_first, salt=_TOKEN_SALT, signer_kwargs=_SIGNING)
        self._bearers = [Signer(secret, salt=_BEARER_SALT, **_SIGNING) for secret in reversed(oldest_first)]

    def __repr__(self) -> str:
        return f"Keys({len(self._bearers)} secrets)"

    def mint(self, ticket: Ticket) -> str:
        """The token, which can stand in a URL; the same for the same ticket, until there is a newer secret."""
        return self._tokens.dumps([ticket.channel, ticket.start_id, ticket.expires_at])

    def read(self, token: str, now: float) -> Ticket | None:
        """What a token says; None where it is not ours, or has expired."""
        try:
            channel, start_id, expires_at = self._tokens.loads(_bytes(token))
        except (BadData, ValueError):
            return None
        ticket = Ticket(channel=channel, start_id=start_id, expires_at=expires_at)
        return ticket if now < ticket.expires_at else None

    def bearer(self, token: str) -> str:
        """The secret that goes with a token: its address may show up in the logs of proxies, this may not."""
        return self._bearers[0].get_signature(_bytes(token)).decode()

    def is_bearer(self, token: str, presented: str) -> bool:
        """Whether this is the token's secret; how long the answer takes does not tell how near a guess was."""
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


_REMEDY = "`airflow taskwatch check --callbacks` prints a fresh one where none is set"


def fresh_secret() -> str:
    """A secret that nobody has used before."""
    return random.token_urlsafe(SECRET_CHARACTERS)


def expiry(deadline: datetime | None, now: datetime) -> int:
    """When a token expires, in seconds since the epoch: callbacks may be a day late, or 30 days without a deadline."""
    last = now + WITHOUT_DEADLINE if deadline is None else deadline + AFTER_DEADLINE
    return int(last.timestamp())


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
