"""Token endpoints: OAuth2 client credentials, as form fields or a Basic header (RFC 6749, 2.3 and 4.4)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote_plus

from airflow_provider_taskwatch.core.wire import Call, Reply

from .answer import credentials, header, json_reply

CLIENT_ID = "sandbox-id"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 - opens the sandbox and nothing else

ISSUED_LIMIT = 100_000
FORM = "application/x-www-form-urlencoded"


@dataclass(kw_only=True)
class TokenSettings:
    """The settings of a token endpoint.

    :param clients: secrets by client id.
    :param token_lifetime: seconds.
    :param token_expiry: how the lifetime is sent: ``expires_in`` (seconds from now), ``expires_on`` (unix
        seconds), or ``absent``.
    :param token_error_shape: ``oauth`` (``error``, ``error_description``) or ``okta`` (``errorCode``,
        ``errorSummary``).
    """

    clients: dict[str, str] = field(default_factory=lambda: {CLIENT_ID: CLIENT_SECRET})
    token_lifetime: float = 300
    token_expiry: Literal["expires_in", "expires_on", "absent"] = "expires_in"  # noqa: S105 - a field's name
    token_error_shape: Literal["oauth", "okta"] = "oauth"  # noqa: S105 - a shape's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token allows, and until when."""

    client_id: str
    scope: str
    expires_at: float


class TokenDesk:
    """Issues, recognises and revokes tokens."""

    def __init__(self, settings: TokenSettings) -> None:
        self.settings = settings
        self._grants: dict[str, Grant] = {}
        self._issued: deque[str] = deque(maxlen=ISSUED_LIMIT)

    def issue(self, call: Call, now: float) -> Reply:
        """Answer one token request."""
        fields = _fields(call)
        if fields is None:
            return self.refuse(400, "invalid_request", f"the body must be {FORM}, or a JSON object")
        if fields.get("grant_type") != "client_credentials":
            return self.refuse(400, "unsupported_grant_type", "only client_credentials is supported")
        client_id = self._client(call, fields)
        if client_id is None:
            return self.refuse(401, "invalid_client", "Client authentication failed")
        return json_reply(200, self._grant(client_id, fields.get("scope", ""), now), _NO_STORE)

    def find(self, call: Call, now: float) -> Grant | None:
        """The grant behind the call's bearer token; None where it is foreign, revoked or expired."""
        scheme, token = credentials(call)
        grant = self._grants.get(token) if scheme == "bearer" else None
        return grant if grant is not None and now < grant.expires_at else None

    def has_expired(self, call: Call, now: float) -> bool:
        """Whether the call's bearer token has expired."""
        scheme, token = credentials(call)
        grant = self._grants.get(token) if scheme == "bearer" else None
        return grant is not None and now >= grant.expires_at

    def revoke(self) -> None:
        """Revoke all tokens: their next use answers 401."""
        self._grants.clear()

    def secrets(self) -> set[str]:
        """Every token that was issued, and the secrets of all clients: which must not appear anywhere else."""
        return {*self._issued, *self.settings.clients.values()}

    def refuse(self, status: int, error: str, description: str) -> Reply:
        """An error in the shape that the settings name."""
        if self.settings.token_error_shape == "okta":  # noqa: S105 - a shape's name
            content = {"errorCode": error, "errorSummary": description, "errorLink": error, "errorCauses": []}
        else:
            content = {"error": error, "error_description": description}
        return json_reply(status, content, _NO_STORE)

    def _client(self, call: Call, fields: Mapping[str, str]) -> str | None:
        """The id of the client that sends its secret, as form fields or in either spelling of Basic."""
        sent = decode_basic(call, "utf-8") or (fields.get("client_id", ""), fields.get("client_secret", ""))
        spellings = (sent, (unquote_plus(sent[0]), unquote_plus(sent[1])))
        known = self.settings.clients
        return next((name for name, secret in spellings if secret and known.get(name) == secret), None)

    def _grant(self, client_id: str, scope: str, now: float) -> dict[str, Any]:
        token = secrets.token_urlsafe(32)
        expires_at = now + self.settings.token_lifetime
        self._issued.append(token)
        self._grants[token] = Grant(client_id=client_id, scope=scope, expires_at=expires_at)
        content: dict[str, Any] = {"access_token": token, "token_type": "bearer"}
        if self.settings.token_expiry == "expires_in":  # noqa: S105 - a field's name
            content["expires_in"] = int(self.settings.token_lifetime)
        elif self.settings.token_expiry == "expires_on":  # noqa: S105 - a field's name
            content["expires_on"] = int(expires_at)
        return content | ({"scope": scope} if scope else {})


def _fields(call: Call) -> dict[str, str] | None:
    """The fields of a token request; the vendors' clients send them as a form or as JSON."""
    kind = header(call, "content-type")
    if kind.startswith(FORM):
        return call.form()
    try:
        content = call.json() if kind.startswith("application/json") else None
    except ValueError:
        return None
    return {name: str(item) for name, item in content.items()} if isinstance(content, dict) else None


_NO_STORE = {"cache-control": "no-store"}


def token_id(call: Call) -> str:
    """A short fingerprint of the credential that a call carries, for the log; empty where it carries none."""
    sent = header(call, "authorization")
    return hashlib.sha256(sent.encode("utf-8", "surrogateescape")).hexdigest()[:8] if sent else ""


def decode_basic(call: Call, charset: str) -> tuple[str, str] | None:
    """User and password of a Basic header."""
    scheme, value = credentials(call)
    if scheme != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value, validate=True).decode(charset).partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None
