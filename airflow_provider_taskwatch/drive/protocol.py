"""How ``aiohttp`` receives replies here: as :class:`ReplyReader` reads them, so that both drivers know one contract."""

from __future__ import annotations

import asyncio
import functools
import select
import time
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import BaseTimerContext
from aiohttp.http import HttpVersion11, RawResponseMessage
from aiohttp.streams import EmptyStreamReader
from multidict import CIMultiDict, CIMultiDictProxy

from airflow_provider_taskwatch.core.reply import BrokenReplyError, ReplyReader
from airflow_provider_taskwatch.core.wire import Reply


class WireProtocol(ResponseHandler):
    """One connection. It hands out whole replies only, and closes where more comes than was asked for."""

    _reader: ReplyReader | None = None
    _poll: select.poll | None = None

    def set_response_params(self, *, timer: BaseTimerContext | None = None, **params: Any) -> None:
        if timer is None:  # what a proxy answers to CONNECT has no end, and is the library's matter
            super().set_response_params(**params)
            return
        early, self._tail = self._tail, b""
        if self._reader is None:  # a session wants all its replies alike, and a parser that is not used need not be new
            super().set_response_params(timer=timer, **params)
        self._reader = ReplyReader("HEAD" if params.get("skip_payload") else "GET", time.time)
        if early:
            self.data_received(early)

    def is_connected(self) -> bool:
        """Whether it can be used; asked for each request. What has come unasked may not have been taken note of yet."""
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
            self.feed_data((_message(reader.reply.status), _Whole(reader.reply)), 0)
        elif self.transport is not None:
            self.transport.close()

    def _fail(self, broken: BrokenReplyError) -> None:
        self.set_exception(broken)
        if self.transport is not None:
            self.transport.close()


class _Whole(EmptyStreamReader):
    """A body that has been read, with the reply that it belongs to."""

    __slots__ = ("reply",)

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


_NO_HEADERS: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())


@functools.lru_cache(maxsize=64)
def _message(status: int) -> RawResponseMessage:
    """What the library needs to know; it neither reads nor judges what :class:`ReplyReader` has."""
    return RawResponseMessage(HttpVersion11, status, "", _NO_HEADERS, (), False, None, False, False)


def reply_of(response: aiohttp.ClientResponse) -> Reply:
    """The reply that came over a :class:`WireProtocol`."""
    return cast("_Whole", response.content).reply
