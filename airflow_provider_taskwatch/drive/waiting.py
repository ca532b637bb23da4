"""The driver of the triggerer: runs flows over ``aiohttp`` in an event loop."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp
from yarl import URL

from airflow_provider_taskwatch.core.error import TaskWatchError, TokenError, TransportError
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.reply import BrokenReplyError
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.sign import Sign, rejects_token, signed
from airflow_provider_taskwatch.core.wire import Call, Pause, Reply

from .aiohttp_session import aiohttp_session, reply_of, tls_for
from .credential import Credential, credential_for
from .exchange import address, check_bundle, mask_secrets, origin_of, proxy_for, sendable
from .failure import aiohttp_failure, shown_cause
from .limiter import Limiter

T = TypeVar("T")

log = logging.getLogger(__name__)

RISE, FALL = 0.002, 0.05

_NO_CONTENT_TYPE = ("Content-Type",)
"""Not added by ``aiohttp``, as ``requests`` adds none either."""

_TOKEN_REQUEST = "a token"  # noqa: S105 - not a secret
"""The subject of a token request for the limiter. No path is equal to it."""


class WaitingDriver:
    """Runs flows for one connection, with one session and one limiter, in one event loop.

    :param warn: called with a sentence for each failure that is retried.
    :ivar latency: the usual response time of the remote, in seconds. It falls fast and rises slowly: when the event
        loop was blocked, all replies are late although the remote is not slower.
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
        self._tls = tls_for(settings)
        self._proxy = proxy_for(settings)
        self._origin = origin_of(settings)
        self.mask = self._origin.mask
        self._signing = asyncio.Lock()
        self._session = aiohttp_session(settings)

    async def run(self, flow: Flow[T], *, about: str = "") -> T:
        """The result of a flow. Its errors are raised.

        :param about: the subject of its requests for the limiter, such as a ref; empty: path and quota.
        """
        run = Run(signed(flow, self._is_rejected))
        while not run.is_over:
            with run.answering() as answer:
                try:
                    answer.value = await self._answer(run.step, about)
                except TaskWatchError as error:
                    mask_secrets(error, self.settings)
                    raise
        return run.result

    async def close(self) -> None:
        await self._session.close()

    def _answer(self, step: Sign | Call | Pause, about: str) -> Awaitable[Call | Reply | None]:
        if isinstance(step, Call):
            return self._send(step, about)
        if isinstance(step, Sign):
            return self._sign(step)
        if step.warning:
            self._warn(step.warning)
        return asyncio.sleep(step.seconds * (1 + step.spread * random.random()))  # noqa: S311 - not for secrets

    async def _sign(self, step: Sign) -> Call:
        """A token request runs in a thread, with the blocking code of the worker, one at a time."""
        if step.refused is None and self.credential.is_ready:
            return self.credential.sign(step.call)
        async with self._signing:
            if step.refused is None and self.credential.is_ready:
                return self.credential.sign(step.call)
            return await self._fetch_token(step)

    async def _fetch_token(self, step: Sign) -> Call:
        """A token request passes the limiter: without a token, no other request is possible."""
        async with self.limiter.passage(_TOKEN_REQUEST) as passage:
            try:
                return await asyncio.to_thread(self.credential.sign, step.call, step.refused)
            except TokenError as error:
                if error.transient:
                    passage.note(None, sent=False, lasting=error if error.is_lasting else None)
                raise

    async def _send(self, call: Call, about: str) -> Reply:
        if call.origin:
            return await self._exchange(call)  # another host says nothing of this one
        async with self.limiter.passage(about or f"{call.path} {call.quota}", call.quota) as passage:
            try:
                reply = await self._exchange(call)
            except TransportError as error:
                passage.note(None, sent=error.sent, lasting=error if error.is_lasting and not error.sent else None)
                raise
            passage.note(reply)
            return reply

    async def _exchange(self, call: Call) -> Reply:
        """Send one signed call and read its reply.

        :raises TaskWatchError: for each error of the library.
        """
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
                skip_auto_headers=None if call.method == "GET" else _NO_CONTENT_TYPE,
                ssl=self._tls,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                self.latency = usual(self.latency, time.monotonic() - asked_at)
                return self._origin.marked(reply_of(response), call)
        except BrokenReplyError as broken:
            raise self._origin.broken(broken, call) from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as cause:
            error = aiohttp_failure(cause, call.origin or self._origin.url)
            raise error from shown_cause(error, cause)


def usual(latency: float, seconds: float) -> float:
    """The usual latency after one more reply."""
    if not latency:
        return seconds
    return min(seconds, latency * (1 + RISE)) if seconds > latency else latency + (seconds - latency) * FALL
