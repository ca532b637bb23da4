"""What the connection of the waiting driver does at odd moments, which no server can be made to hit for certain."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from typing import Any

import aiohttp
import pytest
from aiohttp.helpers import TimerNoop

from airflow_provider_taskwatch.core.mask import Mask
from airflow_provider_taskwatch.core.wire import Reply, get
from airflow_provider_taskwatch.drive.aiohttp_session import WireProtocol
from airflow_provider_taskwatch.drive.exchange import Origin
from tests.drive.contract import JSON, PLAIN


class Transport(asyncio.Transport):
    """Remembers that it was closed."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


async def test_bytes_that_come_before_the_request_are_read_by_the_same_reader() -> None:
    protocol = WireProtocol(asyncio.get_running_loop())
    protocol.connection_made(Transport())
    protocol.data_received(b"HTTP/1.1 103 x\r\n\r\n")
    protocol.set_response_params(timer=TimerNoop())
    protocol.data_received(PLAIN)
    _, content = await protocol.read()
    assert content.reply.body == JSON  # type: ignore[attr-defined]


async def test_bytes_that_come_after_the_reply_close_the_connection() -> None:
    protocol, transport = WireProtocol(asyncio.get_running_loop()), Transport()
    protocol.connection_made(transport)
    protocol.set_response_params(timer=TimerNoop())
    protocol.data_received(PLAIN)
    assert not transport.is_closed
    protocol.data_received(PLAIN)
    assert (transport.is_closed, protocol.should_close, len(protocol._buffer)) == (True, True, 1)


async def test_an_end_after_the_reply_changes_nothing_about_it() -> None:
    protocol = WireProtocol(asyncio.get_running_loop())
    protocol.connection_made(Transport())
    protocol.set_response_params(timer=TimerNoop())
    protocol.data_received(PLAIN)
    protocol.connection_lost(None)
    _, content = await protocol.read()
    assert content.reply.body == JSON  # type: ignore[attr-defined]
    assert not protocol.is_connected()


def test_a_marked_reply_keeps_its_fields_and_takes_those_of_its_origin() -> None:
    come: dict[str, Any] = {one.name: object() for one in fields(Reply)}
    known: dict[str, Any] = {one.name: object() for one in fields(Origin)} | {"mask": Mask(("sesame-street",))}
    marked = Origin(**known).marked(Reply(**come), get("/", headers={"Authorization": "Bearer token-1"}))
    expected = {name: known.get(name, value) for name, value in come.items()}
    assert {name: getattr(marked, name) for name in come} == {**expected, "mask": Mask(("token-1", "sesame-street"))}


async def test_a_kept_connection_waits_for_its_second_reply_no_longer_than_for_the_first() -> None:
    protocol = WireProtocol(asyncio.get_running_loop())
    protocol.connection_made(Transport())
    protocol.set_response_params(timer=TimerNoop(), read_timeout=0.01)
    protocol.data_received(PLAIN)
    await protocol.read()
    protocol.set_response_params(timer=TimerNoop(), read_timeout=0.01)
    protocol.start_timeout()
    with pytest.raises(aiohttp.SocketTimeoutError):
        await protocol.read()
