"""A ``requests`` session as a connection wants it, and the one door where its errors become ours."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError

from airflow_provider_taskwatch.core.connection import Settings
from airflow_provider_taskwatch.core.error import ReplyError, TransportError
from airflow_provider_taskwatch.core.wire import MAX_REPLY_BYTES, Call, Reply

CHUNK_BYTES = 65536
REPLY_SECONDS = 300.0

S = TypeVar("S", bound=requests.Session)


def bounded(session: S, settings: Settings) -> S:
    """The session as the connection wants it: TLS, proxy, and replies that cannot fill the memory."""
    session.verify = settings.verify
    if settings.proxy:
        session.proxies = {"http": settings.proxy, "https": settings.proxy}
    session.mount("http://", _BoundedAdapter())
    session.mount("https://", _BoundedAdapter())
    return session


def exchange(session: requests.Session, settings: Settings, call: Call) -> Reply:
    """Send one call and read its reply; every foreign error becomes one of ours here."""
    try:
        response = session.request(
            call.method,
            settings.base_url + call.target,
            data=call.body,
            headers=dict(call.headers),
            timeout=timeouts(settings),
            allow_redirects=False,
        )
    except requests.RequestException as cause:
        raise lost(cause, settings.base_url) from cause
    return as_reply(response)


def as_reply(response: requests.Response) -> Reply:
    """What ``requests`` received, as a value."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(status=response.status_code, headers=headers, body=response.content)


def timeouts(settings: Settings) -> tuple[float, float]:
    """What ``requests`` calls ``timeout``."""
    return settings.connect_timeout, settings.read_timeout


def lost(cause: Exception, url: str) -> TransportError:
    """Why ``requests`` could not ask, in one sentence."""
    reason = _root(cause)
    if isinstance(cause, requests.exceptions.SSLError):
        return TransportError(f"the TLS certificate of {url} is not trusted: {reason}", sent=False)
    if isinstance(cause, requests.exceptions.ProxyError):
        return TransportError(f"the proxy on the way to {url} cannot be used: {reason}", sent=False)
    if isinstance(cause, requests.exceptions.ConnectTimeout):
        return TransportError(f"{url} did not accept a connection in time", sent=False)
    if isinstance(cause, requests.exceptions.ReadTimeout):
        return TransportError(f"{url} did not answer in time")
    if isinstance(reason, NameResolutionError):
        return TransportError(f"the host name of {url} cannot be resolved", sent=False)
    if isinstance(reason, NewConnectionError):
        return TransportError(f"{url} refuses connections", sent=False)
    return TransportError(f"the connection to {url} was lost: {type(cause).__name__}")


def _root(cause: Exception) -> object:
    """The innermost reason that urllib3 names."""
    reason: object = cause.args[0] if cause.args else cause
    while isinstance(reason, HTTPError) and getattr(reason, "reason", None) is not None:
        reason = reason.reason  # type: ignore[attr-defined]
    return reason


class _BoundedAdapter(HTTPAdapter):
    """Reads replies itself, so that one without an end is refused instead of filling the memory."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        response = super().send(request, **{**kwargs, "stream": True})
        response._content = _read(response)
        return response


def _read(response: requests.Response) -> bytes:
    content = bytearray()
    end = time.monotonic() + REPLY_SECONDS
    for chunk in response.iter_content(CHUNK_BYTES):
        content += chunk
        if len(content) > MAX_REPLY_BYTES or time.monotonic() > end:
            response.close()
            raise ReplyError(
                f"the reply of {response.url.split('?')[0]} ({response.status_code}) is longer than "
                f"{MAX_REPLY_BYTES >> 20} MB or takes longer than {REPLY_SECONDS:g} s; it is not read further"
            )
    return bytes(content)
