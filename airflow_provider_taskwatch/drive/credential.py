"""Credentials: what makes a call one of ours. OAuth2 tokens are obtained by Authlib, once for all askers."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from airflow_provider_taskwatch.core.connection import Settings
from airflow_provider_taskwatch.core.error import ReplyError, TokenError
from airflow_provider_taskwatch.core.token import Token, read_token
from airflow_provider_taskwatch.core.wire import Call, Reply

from .session import as_reply, bounded, lost, timeouts


class Credential(Protocol):
    """Signs calls. Safe to share between threads."""

    @property
    def is_ready(self) -> bool:
        """Whether :meth:`sign` will not block."""

    def sign(self, call: Call, refused: Call | None = None) -> Call:
        """``call`` with credentials.

        :param refused: what this method returned earlier and the remote has rejected.
        :raises TokenError: where no token is to be had.
        """


@dataclass(frozen=True, slots=True)
class FixedCredential:
    """One ``Authorization`` header for every call: Basic, or a ready bearer token."""

    authorization: str

    is_ready = True

    def __repr__(self) -> str:
        return "FixedCredential(...)"

    def sign(self, call: Call, refused: Call | None = None) -> Call:
        return with_authorization(call, self.authorization)


class OAuth2Credential:
    """A bearer token by client credentials: one request for however many askers, renewed before it expires.

    :param fetch: asks the token endpoint; replaced in tests.
    :param clock: seconds, monotonic.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        fetch: Callable[[Settings], Reply] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._fetch = fetch or fetch_token
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None

    @property
    def is_ready(self) -> bool:
        token = self._token
        return token is not None and token.is_fresh(self._clock())

    def token(self) -> Token:
        """The cached token, or a new one."""
        with self._lock:
            if self._token is None or not self._token.is_fresh(self._clock()):
                asked_at = self._clock()
                reply = self._fetch(self._settings)
                self._token = read_token(reply, self._settings.token_url, asked_at=asked_at, unix_now=time.time())
            return self._token

    def sign(self, call: Call, refused: Call | None = None) -> Call:
        if refused is not None:
            self._drop(refused.headers["Authorization"])
        return with_authorization(call, self.token().authorization)

    def _drop(self, authorization: str) -> None:
        """Forget the token that was rejected, unless somebody has already replaced it."""
        with self._lock:
            if self._token is not None and self._token.authorization == authorization:
                self._token = None


def credential_for(settings: Settings) -> Credential:
    """The credential that a connection names."""
    if settings.auth == "basic":
        pair = f"{settings.login}:{settings.password}".encode(settings.charset)
        return FixedCredential("Basic " + base64.b64encode(pair).decode())
    if settings.auth == "bearer":
        return FixedCredential(f"Bearer {settings.password}")
    return OAuth2Credential(settings)


def with_authorization(call: Call, authorization: str) -> Call:
    """The call with that header."""
    return replace(call, headers={**call.headers, "Authorization": authorization})


def fetch_token(settings: Settings) -> Reply:
    """The token endpoint's answer to the client credentials grant, whatever it is.

    :raises TokenError: where it could not be asked.
    """
    session = OAuth2Session(
        client_id=settings.login,
        client_secret=settings.password,
        scope=settings.scope or None,
        token_endpoint_auth_method=_AUTH_METHODS[settings.client_auth],
    )
    answers: list[requests.Response] = []
    session.register_compliance_hook("access_token_response", _keep_in(answers))
    audience = {"audience": settings.audience} if settings.audience else {}
    try:
        bounded(session, settings).fetch_token(
            settings.token_url,
            grant_type="client_credentials",
            timeout=timeouts(settings),
            allow_redirects=False,
            **audience,
            **settings.token_params,
        )
    except (requests.RequestException, OAuthError, ValueError, TypeError) as cause:
        if not answers:
            raise TokenError(f"no token: {lost(cause, settings.token_url)}", transient=True) from cause
    except ReplyError as cause:
        raise TokenError(f"no token: {cause}", transient=True) from cause
    finally:
        session.close()
    return as_reply(answers[-1])


def _keep_in(answers: list[requests.Response]) -> Callable[[requests.Response], requests.Response]:
    """Authlib's own reading knows one shape of error; ours reads the answer itself (:mod:`..core.token`)."""

    def keep(answer: requests.Response) -> requests.Response:
        answers.append(answer)
        return answer

    return keep


_AUTH_METHODS = {"form": "client_secret_post", "basic": "client_secret_basic"}
