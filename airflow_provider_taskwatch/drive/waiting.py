"""The driver that lets others go on: flows over ``aiohttp``, in the triggerer."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from airflow_provider_taskwatch.core.connection import Settings
from airflow_provider_taskwatch.core.error import ReplyError, TaskWatchError, TransportError
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.sign import Sign, rejects_token, signed
from airflow_provider_taskwatch.core.wire import MAX_REPLY_BYTES, Call, Pause, Reply

from .credential import Credential, credential_for
from .limiter import Limiter

T = TypeVar("T")

LATENCY_SHARE = 0.1


class WaitingDriver:
    """Runs flows for one connection, on one session, under one limiter. Lives in one event loop.

    ``latency`` is how long the remote takes to answer, in seconds, as a moving average.
    """

    def __init__(
        self, settings: Settings, *, credential: Credential | None = None, limiter: Limiter | None = None
    ) -> None:
        self.settings = settings
        self.credential = credential or credential_for(settings)
        self.limiter = limiter or Limiter(settings.concurrency, settings.rate_limit)
        self.latency = 0.0
        self._is_rejected = rejects_token(settings.reject_403)
        self._session = _session(settings)
        self._tls: ssl.SSLContext | bool = _tls(settings.verify)

    async def run(self, flow: Flow[T]) -> T:
        """The flow's result; its errors are raised."""
        program = signed(flow, self._is_rejected)
        answer: Any = None
        error: TaskWatchError | None = None
        while True:
            try:
                step = program.throw(error) if error else program.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            error = None
            try:
                answer = await self._answer(step)
            except TaskWatchError as raised:
                error = raised

    async def close(self) -> None:
        await self._session.close()

    async def _answer(self, step: Sign | Call | Pause) -> Call | Reply | None:
        if isinstance(step, Call):
            return await self._send(step)
        if isinstance(step, Sign):
            return await self._sign(step)
        await asyncio.sleep(step.seconds * (1 + step.spread * random.random()))  # noqa: S311 - not for secrets
        return None

    async def _sign(self, step: Sign) -> Call:
        """In a thread where a token must be fetched: the same blocking code as on the worker, once for all."""
        if step.refused is None and self.credential.is_ready:
            return self.credential.sign(step.call)
        return await asyncio.to_thread(self.credential.sign, step.call, step.refused)

    async def _send(self, call: Call) -> Reply:
        async with self.limiter:
            try:
                reply = await self._exchange(call)
            except TransportError:
                self.limiter.note(None)
                raise
            self.limiter.note(reply)
            return reply

    async def _exchange(self, call: Call) -> Reply:
        """Send one call and read its reply; every foreign error becomes one of ours here."""
        asked_at = time.monotonic()
        try:
            async with self._session.request(
                call.method,
                URL(self.settings.base_url + call.target, encoded=True),
                data=call.body,
                headers=call.headers,
                ssl=self._tls,
                proxy=self.settings.proxy,
                allow_redirects=False,
            ) as response:
                body = await _read(response, call)
                self.latency += (time.monotonic() - asked_at - self.latency) * LATENCY_SHARE
                return Reply(status=response.status, headers=response.headers, body=body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as cause:
            raise lost(cause, self.settings.base_url) from cause


def lost(cause: Exception, url: str) -> TransportError:
    """Why ``aiohttp`` could not ask, in one sentence."""
    if isinstance(cause, aiohttp.ClientConnectorDNSError):
        return TransportError(f"the host name of {url} cannot be resolved", sent=False)
    if isinstance(cause, (aiohttp.ClientSSLError, ssl.SSLError)):
        return TransportError(f"the TLS certificate of {url} is not trusted: {cause}", sent=False)
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        return TransportError(f"{url} did not accept a connection in time", sent=False)
    if isinstance(cause, aiohttp.ClientConnectorError):
        return TransportError(f"{url} refuses connections", sent=False)
    if isinstance(cause, TimeoutError):
        return TransportError(f"{url} did not answer in time")
    return TransportError(f"the connection to {url} was lost: {type(cause).__name__}")


def _session(settings: Settings) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(
        total=settings.connect_timeout + 10 * settings.read_timeout,
        sock_connect=settings.connect_timeout,
        sock_read=settings.read_timeout,
    )
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=settings.concurrency),
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=True,
    )


def _tls(verify: bool | str) -> ssl.SSLContext | bool:
    """What ``aiohttp`` calls ``ssl``."""
    return ssl.create_default_context(cafile=verify) if isinstance(verify, str) else verify


async def _read(response: aiohttp.ClientResponse, call: Call) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MAX_REPLY_BYTES:
            raise ReplyError(
                f"the reply to {call.method} {call.path} ({response.status}) is longer than "
                f"{MAX_REPLY_BYTES >> 20} MB; it is not read further"
            )
    return bytes(content)
