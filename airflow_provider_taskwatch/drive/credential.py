"""Credentials: what makes a call one of ours. Authlib signs by OAuth 1.0a, and obtains OAuth2 tokens once for all."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Protocol
from urllib.parse import quote_plus, urlencode

import requests
from authlib.integrations.requests_client import OAuth2Session

from airflow_provider_taskwatch.core.error import ConfigurationError, TokenError, TransportError
from airflow_provider_taskwatch.core.reply import BrokenReplyError
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.text import place
from airflow_provider_taskwatch.core.token import Token, read_token
from airflow_provider_taskwatch.core.wire import Call, Reply

from .address import address
from .oauth1 import oauth1
from .session import as_reply, bounded, lost, options, shown_cause, token_mask_of, unread

FAILURE_SECONDS = 1.0
"""For so long an endpoint's failure is the answer for everybody else who asks, as a token would be.

Longer where the endpoint asks for patience."""


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
    """One header for every call: Basic, a ready bearer token, or a token in a header of its own."""

    value: str
    header: str = "Authorization"

    is_ready = True

    def __repr__(self) -> str:
        return "FixedCredential(...)"

    def sign(self, call: Call, refused: Call | None = None) -> Call:
        return call.with_header(self.header, self.value)


class OAuth1Credential:
    """A signature of its own for every call.

    A call that was rejected is signed anew: it may have waited for so long, behind a remote that had asked for
    patience, that its time was no longer believed.
    """

    is_ready = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def sign(self, call: Call, refused: Call | None = None) -> Call:
        url = address(self._settings, call)
        return with_authorization(call, oauth1(call, url, key=self._settings.login, secret=self._settings.password))


class OAuth2Credential:
    """A bearer token by client credentials: one request for however many askers, renewed before it expires.

    :param fetch: asks the token endpoint; replaced in tests.
    :param clock: seconds, monotonic.
    :param wall: seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        fetch: Callable[[Settings], Reply] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._wall = wall
        self._settings = settings
        self._fetch = fetch or fetch_token
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._failure: TokenError | None = None
        self._failed_until = 0.0

    @property
    def is_ready(self) -> bool:
        token = self._token
        return token is not None and token.is_fresh(self._clock(), self._wall())

    def token(self) -> Token:
        """The cached token, or a new one."""
        with self._lock:
            if self._token is None or not self._token.is_fresh(self._clock(), self._wall()):
                self._token = self._new_token()
            return self._token

    def sign(self, call: Call, refused: Call | None = None) -> Call:
        if refused is not None:
            self._drop(refused.headers["Authorization"])
        return with_authorization(call, self.token().authorization)

    def _new_token(self) -> Token:
        left = self._failed_until - self._clock()
        if self._failure is not None and left > 0:
            asked = left if self._failure.retry_after else None
            raise TokenError(
                str(self._failure),
                transient=self._failure.transient,
                retry_after=asked,
                is_lasting=self._failure.is_lasting,
            ) from None
        try:
            asked_at, unix_now = self._clock(), self._wall()
            reply = replace(self._fetch(self._settings), mask=token_mask_of(self._settings))
            return read_token(reply, self._settings.token_url, asked_at=asked_at, unix_now=unix_now)
        except TokenError as error:
            self._failure = error
            self._failed_until = self._clock() + max(FAILURE_SECONDS, error.retry_after or 0.0)
            raise

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
    if settings.auth == "oauth1":
        return OAuth1Credential(settings)
    if settings.token_header:
        return FixedCredential(settings.password, settings.token_header)
    return OAuth2Credential(settings)


def with_authorization(call: Call, authorization: str) -> Call:
    """The call with that header."""
    return call.with_header("Authorization", authorization)


def fetch_token(settings: Settings) -> Reply:
    """The token endpoint's answer to the client credentials grant, whatever it is.

    :raises TokenError: where it could not be asked.
    """
    fields, where = _fields(settings), token_mask_of(settings).text(place(settings.token_url))
    encode = quote_plus if settings.client_auth == "basic_encoded" else str
    with OAuth2Session(
        client_id=encode(settings.login),
        client_secret=encode(settings.password),
        token_endpoint_auth_method=_AUTH_METHODS[settings.client_auth],
    ) as session:
        session.register_compliance_hook("access_token_response", _stop)
        try:
            bounded(session, settings).fetch_token(
                settings.token_url,
                grant_type=fields["grant_type"],
                auth=_with_body(session, urlencode(fields, doseq=True)),
                **options(settings),
            )
        except _Answer as answer:
            return as_reply(answer.response)
        except UnicodeEncodeError:
            raise ConfigurationError(
                f"connection {settings.conn_id!r}: client id and secret may only hold characters of latin-1 "
                "in a Basic header; set 'client_auth' to 'form' or 'basic_encoded'"
            ) from None
        except BrokenReplyError as broken:
            raise TokenError(f"no token: {unread(broken, where, f'of {where}')}", transient=True) from None
        except (requests.RequestException, OSError, ValueError) as cause:
            error = _no_answer(cause, where)
            raise error from shown_cause(error, cause)
    raise AssertionError("the session returned without an answer")  # pragma: no cover


def _fields(settings: Settings) -> dict[str, str | tuple[str, ...]]:
    """The form of a token request, without what authenticates us."""
    named = {"scope": settings.scope, "audience": settings.audience}
    given = {name: value for name, value in named.items() if value}
    return {"grant_type": "client_credentials", **given, **settings.token_params}


def _with_body(session: OAuth2Session, body: str) -> Callable[[Any], Any]:
    """Authlib's client authentication of a form in which a field may occur more than once: its own is a dict."""
    authenticate: Any = session.client_auth(session.token_endpoint_auth_method)

    def prepare(request: Any) -> Any:
        request.body = body
        return authenticate(request)

    return prepare


def _no_answer(cause: Exception, where: str) -> TokenError | ConfigurationError:
    reason = lost(cause, where)
    if isinstance(reason, TransportError):
        return TokenError(f"no token: {reason}", transient=True, is_lasting=reason.is_lasting)
    return ConfigurationError(f"no token: {reason}")


class _Answer(Exception):  # noqa: N818 - it ends the session's work, and nothing is wrong
    """Carries the endpoint's answer past Authlib's own reading, which knows one shape of error only."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__()
        self.response = response


def _stop(response: requests.Response) -> NoReturn:
    raise _Answer(response)


_AUTH_METHODS = {
    "form": "client_secret_post",
    "basic": "client_secret_basic",
    "basic_encoded": "client_secret_basic",
}
