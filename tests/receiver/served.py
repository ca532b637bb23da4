"""A receiver on a real socket, served by a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from airflow_provider_taskwatch.receiver.server import HEAD_SECONDS, address_of, config_for, listen

READY_SECONDS = 30


class _Server(uvicorn.Server):
    """Sets an event when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def serving(app: ASGIApp, *, head_seconds: float = HEAD_SECONDS, http: str = "") -> Iterator[str]:
    """Serve the app within the block, and yield its address.

    :param http: uvicorn's name of an HTTP implementation; empty: that of the receiver's own server.
    """
    with listen("127.0.0.1", 0) as listener:
        config = config_for(app, head_seconds=head_seconds)
        config.http = http or config.http
        server = _Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
        thread.start()
        try:
            assert server.ready.wait(READY_SECONDS)
            yield address_of(listener)
        finally:
            server.should_exit = True
            thread.join(READY_SECONDS)
