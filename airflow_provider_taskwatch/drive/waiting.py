"""The driver that lets others go on: flows over ``aiohttp``, in the triggerer."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import aiohttp
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from yarl import URL

from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    TaskWatchError,
    TokenError,
    TransportError,
    described,
)
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.reply import BrokenReplyError
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.sign import Sign, rejects_token, signed
from airflow_provider_taskwatch.core.wire import Call, Pause, Reply

from .address import address
from .credential import Credential, credential_for
from .limiter import Limiter
from .protocol import WireProtocol, reply_of
from .session import (
    NOT_ACCEPTED,
    NOT_ANSWERED,
    NOT_HTTP,
    REFUSED,
    UNRESOLVED,
    Loss,
    check_bundle,
    deletions,
    is_unknown_name,
    malformed,
    no_proxy,
    origin_of,
    proxy_for,
    sendable,
    shown_cause,
    shown_errors,
    total_seconds,
    untrusted,
)

T = TypeVar("T")

log = logging.getLogger(__name__)

RISE, FALL = 0.002, 0.05

_NO_KIND = ("Content-Type",)
"""The worker does not make one up either."""

_TO_SIGN = "a token"
"""What a request to the token endpoint is about; no path is spelled so."""


class WaitingDriver:
    """Runs flows for one connection, on one session, under one limiter. Lives in one event loop.

    ``latency`` is how long the remote usually takes to answer, in seconds. It falls at once and rises slowly: when the
    event loop has stood still, all that is under way comes late, and the remote is no slower.

    :param warn: hears of each failure that is lived through, as soon as it has happened.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        credential: Credential | None = None,
        limiter: Limiter | None = None,
        warn: Callable[[str], object] = log.warning,
    ) -> None:
        self._warn = warn
        self.settings = settings
        self.credential = credential or credential_for(settings)
        self.limiter = limiter or Limiter(settings.concurrency, settings.rate_limit)
        self.latency = 0.0
        self._is_rejected = rejects_token(settings.reject_403, settings.expired)
        check_bundle(settings)
        self._tls: ssl.SSLContext | bool = _tls(settings)
        self._proxy = proxy_for(settings)
        self._origin = origin_of(settings)
        self.mask = self._origin.mask
        self._signing = asyncio.Lock()
        self._session = _session(settings)

    async def run(self, flow: Flow[T], *, about: str = "") -> T:
        """The flow's result; its errors are raised.

        :param about: what its requests are about, for the limiter: a ref, say; empty: what path and quota say.
        """
        run = Run(signed(flow, self._is_rejected))
        while not run.is_over:
            with run.answering() as answer, shown_errors(self.settings):
                answer.value = await self._answer(run.step, about)
        return run.result

    async def close(self) -> None:
        await self._session.close()

    def _answer(self, step: Sign | Call | Pause, about: str) -> Awaitable[Call | Reply | None]:
        if isinstance(step, Call):
            return self._send(step, about)
        if isinstance(step, Sign):
            return self._sign(step)
        if step.trouble:
            self._warn(step.trouble)
        return asyncio.sleep(step.seconds * (1 + step.spread * random.random()))  # noqa: S311 - not for secrets

    async def _sign(self, step: Sign) -> Call:
        """In one thread where a token must be fetched: the same blocking code as on the worker, once for all."""
        if step.refused is None and self.credential.is_ready:
            return self.credential.sign(step.call)
        async with self._signing:
            if step.refused is None and self.credential.is_ready:
                return self.credential.sign(step.call)
            return await self._sign_anew(step)

    async def _sign_anew(self, step: Sign) -> Call:
        """With a token that is asked for as anything else is: where there is none, nobody can ask for anything."""
        async with self.limiter.passage(_TO_SIGN) as passage:
            try:
                return await asyncio.to_thread(self.credential.sign, step.call, step.refused)
            except TokenError as error:
                if error.transient:
                    passage.note(None, sent=False, lasting=error if error.is_lasting else None)
                raise

    async def _send(self, call: Call, about: str) -> Reply:
        async with self.limiter.passage(about or f"{call.path} {call.quota}", call.quota) as passage:
            try:
                reply = await self._exchange(call)
            except TransportError as lost:
                passage.note(None, sent=lost.sent, lasting=lost if lost.is_lasting and not lost.sent else None)
                raise
            passage.note(reply)
            return reply

    async def _exchange(self, call: Call) -> Reply:
        """Send one call and read its reply; every foreign error becomes one of ours here."""
        url = URL(address(self.settings, call), encoded=True)
        if self._session.closed:
            raise TransportError("the connection was closed here, because its settings have changed", sent=False)
        asked_at = time.monotonic()
        try:
            async with self._session.request(
                call.method,
                url,
                data=call.body,
                headers=sendable(call.headers, self.settings.base_url),
                skip_auto_headers=None if call.method == "GET" else _NO_KIND,
                ssl=self._tls,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                self.latency = usual(self.latency, time.monotonic() - asked_at)
                return self._origin.marked(reply_of(response), call)
        except BrokenReplyError as broken:
            raise self._origin.unread(broken, call) from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as cause:
            error = lost(cause, self._origin.url)
            raise error from shown_cause(error, cause)


def usual(latency: float, seconds: float) -> float:
    """The usual latency after one more answer."""
    if not latency:
        return seconds
    return min(seconds, latency * (1 + RISE)) if seconds > latency else latency + (seconds - latency) * FALL


def lost(cause: Exception, where: str) -> TaskWatchError:
    """Why ``aiohttp`` could not ask, in one sentence."""
    if isinstance(cause, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)):
        return _untrusted(cause, where)
    if isinstance(cause, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)):
        return no_proxy(where, getattr(cause, "os_error", None) or f"it answered {getattr(cause, 'status', '')}")
    reason: BaseException = cause
    while reason.__cause__ is not None:
        reason = reason.__cause__
    for kind, loss in _LOSSES.items():
        if isinstance(cause, kind) or isinstance(reason, kind):
            return loss.error(where, is_lasting=is_unknown_name(cause))
    return malformed(where) if isinstance(cause, ValueError) else deletions(where, cause)


_LOSSES: Mapping[type[Exception], Loss] = {
    aiohttp.ClientConnectorDNSError: UNRESOLVED,
    aiohttp.ConnectionTimeoutError: NOT_ACCEPTED,
    aiohttp.ClientConnectorError: REFUSED,
    TimeoutError: NOT_ANSWERED,
    aiohttp.ClientResponseError: NOT_HTTP,
}


def _untrusted(
    cause: aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError, where: str
) -> TransportError:
    """A handshake that failed: ``aiohttp`` raises these two before anything is sent."""
    certificate = isinstance(cause, aiohttp.ClientConnectorCertificateError)
    reason = cause.certificate_error if certificate else cause.os_error
    return untrusted(reason, where, sent=False) if isinstance(reason, ssl.SSLError) else deletions(where, cause)


def _session(settings: Settings) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(
        total=total_seconds(settings),
        sock_connect=settings.connect_timeout,
        sock_read=settings.read_timeout,
    )
    connector = aiohttp.TCPConnector(limit=settings.concurrency)
    # What it makes by itself does not read replies as the worker does.
    connector._factory = functools.partial(WireProtocol, asyncio.get_running_loop())  # type: ignore[assignment]
    session = aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,  # it would add a ~/.netrc to our credentials, and cost two threads per request
    )
    session._retry_connection = False  # it would send a PUT or DELETE again whose reply was lost
    return session


def _tls(settings: Settings) -> ssl.SSLContext | bool:
    """What ``aiohttp`` calls ``ssl``: whoever is trusted on the worker is trusted here, and nobody else."""
    if settings.verify is False or settings.base_url.startswith("http:"):
        return bool(settings.verify)
    if isinstance(settings.verify, str):
        return _trusting(settings.verify)
    return _trusting_usual(os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE"))


def _trusting(bundle: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(**{"capath" if Path(bundle).is_dir() else "cafile": bundle})
    except OSError as cause:
        raise ConfigurationError(f"the CA bundle {bundle!r} cannot be read: {described(cause)}") from cause
    return context


@functools.cache
def _trusting_usual(bundle: str | None) -> ssl.SSLContext:
    """Read once for all connections: that takes 45 ms, in which the event loop stands still."""
    return _trusting(bundle or DEFAULT_CA_BUNDLE_PATH)
