"""A ``requests`` session as a connection wants it, and the one door where its errors become ours."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, ProxyError, ReadTimeoutError
from urllib3.exceptions import SSLError as TlsError

from airflow_provider_taskwatch.core.connection import Settings
from airflow_provider_taskwatch.core.error import ConfigurationError, ReplyError, TaskWatchError, TransportError
from airflow_provider_taskwatch.core.wire import MAX_REPLY_BYTES, Call, Reply

CHUNK_BYTES = 65536
SECRET_CHARACTERS = 5
"""What is shorter could be a part of any word; Airflow's own masking begins there, too."""

S = TypeVar("S", bound=requests.Session)


def bounded(session: S, settings: Settings) -> S:
    """The session without cookies, and with replies that can neither fill the memory nor go on for ever."""
    check_bundle(settings)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.mount("http://", _BoundedAdapter(total_seconds(settings)))
    session.mount("https://", _BoundedAdapter(total_seconds(settings)))
    return session


def exchange(session: requests.Session, settings: Settings, call: Call) -> Reply:
    """Send one call and read its reply; every foreign error becomes one of ours here."""
    try:
        response = session.request(
            call.method,
            address(settings, call),
            data=call.body,
            headers=dict(call.headers),
            **options(settings),
        )
    except (requests.RequestException, OSError, ValueError) as cause:
        raise lost(cause, settings.base_url) from cause
    return without(as_reply(response), secret_of(call))


def address(settings: Settings, call: Call) -> str:
    """Where a call goes: always to the connection's host."""
    if not call.path.startswith("/"):
        raise ConfigurationError(f"the path {call.path[:200]!r} must begin with '/': it belongs to {settings.base_url}")
    return settings.base_url + call.target


def options(settings: Settings) -> dict[str, Any]:
    """What each request is told, because ``requests`` lets the environment overrule what a session was told."""
    proxy = settings.proxy and _with_scheme(settings.proxy)
    return {
        "timeout": (settings.connect_timeout, settings.read_timeout),
        "allow_redirects": False,
        "verify": settings.verify,
        "proxies": {"http": proxy, "https": proxy} if proxy else None,
    }


def total_seconds(settings: Settings) -> float:
    """How long one exchange may take, however steadily its reply trickles."""
    return settings.connect_timeout + 10 * settings.read_timeout


def proxy_for(settings: Settings) -> str | None:
    """The connection's proxy, else the one that the environment names for its host."""
    url = settings.base_url
    proxy = settings.proxy or select_proxy(url, get_environ_proxies(url))
    return _with_scheme(proxy) if proxy else None


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def check_bundle(settings: Settings) -> None:
    """A CA bundle that does not exist is an error before any request."""
    if isinstance(settings.verify, str) and not Path(settings.verify).exists():
        raise ConfigurationError(
            f"connection {settings.conn_id!r}: extra 'ca_bundle' names {settings.verify!r}, which does not exist here"
        )


def as_reply(response: requests.Response) -> Reply:
    """What ``requests`` received, as a value."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(status=response.status_code, headers=headers, body=response.content)


def without(reply: Reply, *secrets: str) -> Reply:
    """A refusal whose words do not repeat our credentials, as some debugging pages do."""
    if reply.is_ok:
        return reply
    body = reply.body
    for secret in secrets:
        if len(secret) >= SECRET_CHARACTERS:
            body = body.replace(secret.encode(), b"***")
    return replace(reply, body=body)


def secret_of(call: Call) -> str:
    """The credential that a signed call carries."""
    return call.headers.get("Authorization", "").partition(" ")[2]


@dataclass(frozen=True, slots=True)
class Loss:
    """One way of not being answered: a sentence, and whether the request may have been sent."""

    sentence: str
    sent: bool

    def error(self, url: str) -> TransportError:
        return TransportError(self.sentence.format(url=url), sent=self.sent)


UNRESOLVED = Loss("the host name of {url} cannot be resolved", sent=False)
NOT_ACCEPTED = Loss("{url} did not accept a connection in time", sent=False)
REFUSED = Loss("{url} refuses connections", sent=False)
NOT_ANSWERED = Loss("{url} did not answer in time", sent=True)

_LOSSES: Mapping[type[Exception], Loss] = {
    requests.exceptions.ConnectTimeout: NOT_ACCEPTED,
    requests.exceptions.ReadTimeout: NOT_ANSWERED,
    NameResolutionError: UNRESOLVED,
    NewConnectionError: REFUSED,
}

_BEFORE_SENDING = ("CERTIFICATE_VERIFY_FAILED", "UNSUPPORTED_PROTOCOL", "WRONG_VERSION_NUMBER")
"""What OpenSSL says of a handshake that failed; other errors of TLS may come after the request was sent."""


def lost(cause: Exception, url: str) -> TaskWatchError:
    """Why ``requests`` could not ask, in one sentence."""
    reason = _root(cause)
    if isinstance(cause, requests.RequestException):
        cause.request = cause.response = None  # they hold credentials, and a traceback may be shown to anybody
    if isinstance(cause, ValueError):
        return malformed(url)
    if isinstance(reason, ssl.SSLError):
        return untrusted(reason, url, sent=reason.reason not in _BEFORE_SENDING)
    if isinstance(reason, ProxyError):
        return no_proxy(url, reason.original_error)
    for kind, loss in _LOSSES.items():
        if isinstance(cause, kind) or isinstance(reason, kind):
            return loss.error(url)
    return gone(url, reason)


def malformed(url: str) -> ConfigurationError:
    """The request cannot even be made."""
    return ConfigurationError(f"{url} cannot be asked: its address, the proxy or a header is malformed")


def no_proxy(url: str, reason: object) -> TransportError:
    """The proxy cannot be reached, or refuses to go on."""
    return TransportError(f"the proxy on the way to {url} cannot be used: {reason}", sent=False)


def gone(url: str, reason: Exception) -> TransportError:
    """The connection ended too early."""
    return TransportError(f"the connection to {url} was lost: {type(reason).__name__}")


def untrusted(reason: ssl.SSLError, url: str, *, sent: bool) -> TransportError:
    """TLS with ``url`` failed."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return TransportError(
            f"the TLS certificate of {url} is not trusted: {reason.verify_message}; "
            "name its issuer in 'ca_bundle', or check the host",
            sent=sent,
        )
    return TransportError(f"no secure connection to {url}: {reason.reason or reason}", sent=sent)


def _root(cause: Exception) -> Exception:
    """The innermost reason that urllib3 and requests name."""
    reason = cause
    while isinstance(inner := _inner(reason), Exception):
        reason = inner
    return reason


def _inner(error: Exception) -> object:
    """What an error of requests or urllib3 wraps."""
    if isinstance(error, HTTPError) and isinstance(getattr(error, "reason", None), Exception):
        return error.reason  # type: ignore[attr-defined]
    if isinstance(error, (requests.RequestException, TlsError)):
        return error.args[0] if error.args else None
    return None


class _BoundedAdapter(HTTPAdapter):
    """Reads replies itself, so that one without an end is refused instead of filling the memory."""

    def __init__(self, total_seconds: float) -> None:
        super().__init__()
        self._total_seconds = total_seconds

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        end = time.monotonic() + self._total_seconds
        response = super().send(request, **{**kwargs, "stream": True})
        try:
            response._content = _read(response, end)
        except BaseException:
            response.close()
            raise
        return response


def _read(response: requests.Response, end: float) -> bytes:
    """All of a body, piece by piece as it arrives: ``iter_content`` would wait for whole chunks."""
    content = bytearray()
    while piece := _piece(response):
        content += piece
        if len(content) > MAX_REPLY_BYTES:
            raise too_long(f"of {response.url.split('?')[0]} ({response.status_code})")
        if time.monotonic() > end:
            raise requests.exceptions.ReadTimeout
    return bytes(content)


def _piece(response: requests.Response) -> bytes:
    try:
        return response.raw.read1(CHUNK_BYTES, decode_content=True) or b""
    except ReadTimeoutError as cause:
        raise requests.exceptions.ReadTimeout(cause) from cause
    except HTTPError as cause:
        raise requests.exceptions.ConnectionError(cause) from cause


def too_long(whose: str) -> ReplyError:
    """The error for a reply that is not read further."""
    return ReplyError(f"the reply {whose} is longer than {MAX_REPLY_BYTES >> 20} MB; it is not read further")
