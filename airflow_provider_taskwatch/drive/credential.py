"""Credentials of a connection: they sign calls. OAuth is imported only by connections that use it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Protocol

from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Call


class Credential(Protocol):
    """Signs calls. Safe to share between threads."""

    @property
    def is_ready(self) -> bool:
        """Whether :meth:`sign` will not block."""

    def sign(self, call: Call, refused: Call | None = None) -> Call:
        """``call`` with credentials.

        :param refused: an earlier result of this method that the remote has rejected.
        :raises TokenError: no token can be obtained.
        """


@dataclass(frozen=True, slots=True)
class FixedCredential:
    """The same header for each call: Basic, a ready bearer token, or a token in its own header."""

    value: str
    header: str = "Authorization"

    is_ready = True

    def __repr__(self) -> str:
        return "FixedCredential(...)"

    def sign(self, call: Call, refused: Call | None = None) -> Call:
        return call.with_header(self.header, self.value)


@dataclass(frozen=True, slots=True)
class QueryCredential:
    """An API key as a query parameter of each call."""

    name: str
    value: str

    is_ready = True

    def __repr__(self) -> str:
        return "QueryCredential(...)"

    def sign(self, call: Call, refused: Call | None = None) -> Call:
        return replace(call, query=(*call.query, (self.name, self.value)))


def credential_for(settings: Settings) -> Credential:
    """The credential of a connection."""
    if settings.auth == "basic":
        pair = f"{settings.login}:{settings.password}".encode(settings.charset)
        return FixedCredential("Basic " + base64.b64encode(pair).decode())
    if settings.auth == "bearer":
        return FixedCredential(f"Bearer {settings.password}")
    if settings.auth == "api_key":
        return _api_key(settings)
    if settings.auth == "oauth1":
        from .oauth1 import OAuth1Credential

        return OAuth1Credential(settings)
    if settings.token_header:
        return FixedCredential(settings.password, settings.token_header)
    from .oauth2 import OAuth2Credential

    return OAuth2Credential(settings)


def _api_key(settings: Settings) -> Credential:
    """The credential of a connection with an API key."""
    place, name, prefix = (settings.own.get(f"api_key_{one}") or "" for one in ("in", "name", "prefix"))
    if place == "query":
        return QueryCredential(name, settings.password)
    if place == "cookie":
        return FixedCredential(f"{name}={settings.password}", "Cookie")
    return FixedCredential(f"{prefix} {settings.password}" if prefix else settings.password, name)
