"""OAuth2 tokens by client credentials, obtained with Authlib."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn
from urllib.parse import quote_plus, urlencode

import requests
from authlib.integrations.requests_client import OAuth2Session

from airflow_provider_taskwatch.core.connection import http_url
from airflow_provider_taskwatch.core.error import ConfigurationError, TokenError, TransportError
from airflow_provider_taskwatch.core.mask import Mask, is_secret_name
from airflow_provider_taskwatch.core.reply import BrokenReplyError
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.text import place
from airflow_provider_taskwatch.core.token import Token, read_token
from airflow_provider_taskwatch.core.wire import Call, Reply

from .exchange import basic_spellings, mask_of
from .failure import broken_reply, requests_failure, shown_cause
from .requests_session import as_reply, bounded, request_options

FAILURE_SECONDS = 1.0
"""How long a failed token request is reused. Longer if the endpoint asks for it."""


class OAuth2Credential:
    """A bearer token by client credentials. All callers share one request; it is renewed before it expires.

    :param fetch: sends the token request; replaced in tests.
    :param clock: monotonic seconds.
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
        return call.with_header("Authorization", self.token().authorization)

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
        """Forget a rejected token, unless another thread has already replaced it."""
        with self._lock:
            if self._token is not None and self._token.authorization == authorization:
                self._token = None


def token_mask_of(settings: Settings) -> Mask:
    """The secrets of a token request, whose additional parameters may be secret too."""
    given = ((name, value) for name, value in settings.token_params.items() if is_secret_name(name))
    values = [one for _, value in given for one in ([value] if isinstance(value, str) else value)]
    return mask_of(settings).also(*values, *basic_spellings(quote_plus(settings.login), quote_plus(settings.password)))


def fetch_token(settings: Settings) -> Reply:
    """The reply of the token endpoint to the client credentials grant, of any status.

    :raises TokenError: the endpoint was not reached.
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
                **request_options(settings),
            )
        except _Answer as answer:
            return as_reply(answer.response)
        except UnicodeEncodeError:
            raise ConfigurationError(
                f"connection {settings.conn_id!r}: client id and secret may only contain characters of latin-1 "
                "in a Basic header; set 'client_auth' to 'form' or 'basic_encoded'"
            ) from None
        except BrokenReplyError as broken:
            raise TokenError(f"no token: {broken_reply(broken, where, f'of {where}')}", transient=True) from None
        except (requests.RequestException, OSError, ValueError) as cause:
            error = _token_error(cause, settings.token_url, where)
            raise error from shown_cause(error, cause)
    raise AssertionError("the session returned without an answer")  # pragma: no cover


def _fields(settings: Settings) -> dict[str, str | tuple[str, ...]]:
    """The form of a token request, without the client's authentication."""
    named = {"scope": settings.scope, "audience": settings.audience}
    given = {name: value for name, value in named.items() if value}
    return {"grant_type": "client_credentials", **given, **settings.token_params}


def _with_body(session: OAuth2Session, body: str) -> Callable[[Any], Any]:
    """Authlib's client authentication for a form with repeated fields, which its own dict cannot have."""
    authenticate: Any = session.client_auth(session.token_endpoint_auth_method)

    def prepare(request: Any) -> Any:
        request.body = body
        return authenticate(request)

    return prepare


def _token_error(cause: Exception, url: str, where: str) -> TokenError | ConfigurationError:
    reason = requests_failure(cause, where)
    if isinstance(reason, TransportError) and http_url(url):  # urllib3 before 2.8 tries to resolve "a b"
        return TokenError(f"no token: {reason}", transient=True, is_lasting=reason.is_lasting)
    return ConfigurationError(f"no token: {reason}")


class _Answer(Exception):  # noqa: N818 - not an error
    """Carries the reply past Authlib, which would read it and knows only one shape of error."""

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
