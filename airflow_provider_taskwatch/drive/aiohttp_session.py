"""An ``aiohttp`` session that reads replies with :class:`ReplyReader`, so that both drivers have one contract."""

from __future__ import annotations

import asyncio
import functools
import os
import select
import ssl
import time
from pathlib import Path
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import BaseTimerContext
from aiohttp.http import HttpVersion11, RawResponseMessage
from aiohttp.streams import EmptyStreamReader
from multidict import CIMultiDict, CIMultiDictProxy
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from airflow_provider_taskwatch.core.error import ConfigurationError, described
from airflow_provider_taskwatch.core.reply import BrokenReplyError, ReplyReader
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Reply

from .exchange import total_seconds


def aiohttp_session(settings: Settings) -> aiohttp.ClientSession:
    """A session for one connection, without cookies and retries, with replies that are bounded in size and time."""
    timeout = aiohttp.ClientTimeout(
        total=total_seconds(settings),
        sock_connect=settings.connect_timeout,
        sock_read=settings.read_timeout,
    )
    connector = aiohttp.TCPConnector(limit=settings.concurrency)
    # aiohttp's own factory makes connections that read replies in another way than the worker.
    connector._factory = functools.partial(WireProtocol, asyncio.get_running_loop())  # type: ignore[assignment]
    session = aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,  # True would add a ~/.netrc to our credentials, and cost two threads per request
    )
    session._retry_connection = False  # True would send a PUT or DELETE again whose reply was lost
    return session


def tls_for(settings: Settings) -> ssl.SSLContext | bool:
    """The ``ssl`` option of ``aiohttp``. It trusts the same certificates as ``requests`` on the worker."""
    if settings.verify is False or settings.base_url.startswith("http:"):
        return bool(settings.verify)
    if isinstance(settings.verify, str):
        return _trusting(settings.verify)
    return _trusting_default(os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE"))


def _trusting(bundle: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(**{"capath" if Path(bundle).is_dir() else "cafile": bundle})
    except OSError as cause:
        raise ConfigurationError(f"the CA bundle {bundle!r} cannot be read: {described(cause)}") from cause
    return context


@functools.cache
def _trusting_default(bundle: str | None) -> ssl.SSLContext:
    """Read once for all connections: reading takes 45 ms, in which the event loop stands still."""
    return _trusting(bundle or DEFAULT_CA_BUNDLE_PATH)


class WireProtocol(ResponseHandler):
    """One connection. It returns whole replies only, and closes if more bytes arrive than it has asked for."""

    _reader: ReplyReader | None = None
    _poll: select.poll | None = None

    def set_response_params(self, *, timer: BaseTimerContext | None = None, **params: Any) -> None:
        if timer is None:  # the reply of a proxy to CONNECT, which the library reads
            super().set_response_params(**params)
            return
        early, self._tail = self._tail, b""
        if self._reader is None:  # once is enough: all requests of a session have the same options
            super().set_response_params(timer=timer, **params)
        self._reader = ReplyReader("HEAD" if params.get("skip_payload") else "GET", time.time)
        if early:
            self.data_received(early)

    def is_connected(self) -> bool:
        """Whether the next request can use it. Bytes that nothing asked for may not have been read yet."""
        is_idle = self._reader is not None and self._reader.reply is not None
        return super().is_connected() and not (is_idle and self._is_readable())

    def _is_readable(self) -> bool:
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(cast("asyncio.Transport", self.transport).get_extra_info("socket"), select.POLLIN)
        return bool(self._poll.poll(0))

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            super().data_received(data)
            return
        was_over = self._reader.reply is not None
        try:
            self._reader.feed(data)
        except BrokenReplyError as broken:
            self._fail(broken)
        else:
            self._deliver(self._reader, was_over)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._reader is not None and exc is None and self._exception is None:
            was_over = self._reader.reply is not None
            try:
                self._reader.end()
            except BrokenReplyError as broken:
                self._fail(broken)
            else:
                self._deliver(self._reader, was_over)
        self._parser = None
        super().connection_lost(exc)

    def _deliver(self, reader: ReplyReader, was_over: bool) -> None:
        if reader.reply is None:
            self._reschedule_timeout()
            return
        self._drop_timeout()
        if not reader.is_reusable:
            self.force_close()
        if not was_over:
            self.feed_data((_message(reader.reply.status), _ReadBody(reader.reply)), 0)
        elif self.transport is not None:
            self.transport.close()

    def _fail(self, broken: BrokenReplyError) -> None:
        self.set_exception(broken)
        if self.transport is not None:
            self.transport.close()


class _ReadBody(EmptyStreamReader):
    """A body that has been read, with its reply."""

    __slots__ = ("reply",)

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


_NO_HEADERS: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())


@functools.lru_cache(maxsize=64)
def _message(status: int) -> RawResponseMessage:
    """The head that the library gets: no headers, so that it does not interpret them."""
    return RawResponseMessage(HttpVersion11, status, "", _NO_HEADERS, (), False, None, False, False)


def reply_of(response: aiohttp.ClientResponse) -> Reply:
    """The reply that a :class:`WireProtocol` has read."""
    return cast("_ReadBody", response.content).reply
