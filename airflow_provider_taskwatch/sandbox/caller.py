"""Making the callbacks of a sandbox: the only requests that it sends.

They run in the event loop that serves it, so that stopping the server stops them; h11 is what uvicorn speaks too.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from functools import partial
from urllib.parse import SplitResult, urlsplit

import h11

from .post import Post
from .sandbox import Sandbox

Clock = Callable[[], float]
PORTS = {"http": 80, "https": 443}


@contextlib.asynccontextmanager
async def calling(sandbox: Sandbox, clock: Clock) -> AsyncIterator[None]:
    """Make the callbacks of a sandbox while the block runs; what is under way at its end is dropped.

    :param clock: gives unix seconds.
    """
    caller = asyncio.create_task(_call_back(sandbox, clock), name="taskwatch-sandbox-callbacks")
    try:
        yield
    finally:
        caller.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await caller


async def _call_back(sandbox: Sandbox, clock: Clock) -> None:
    """Send what is due, sleep until something is, for ever."""
    stirred = asyncio.Event()
    hear = partial(asyncio.get_running_loop().call_soon_threadsafe, stirred.set)
    with sandbox.listening(hear):
        async with asyncio.TaskGroup() as under_way:
            while True:
                stirred.clear()
                for post in sandbox.due(clock()):
                    under_way.create_task(_attempt(sandbox, post, clock))
                await _sleep(stirred, sandbox.next_due(), clock)


async def _sleep(stirred: asyncio.Event, until: float | None, clock: Clock) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None if until is None else max(0.0, until - clock())):
            await stirred.wait()


async def _attempt(sandbox: Sandbox, post: Post, clock: Clock) -> None:
    """Send one, and tell the sandbox what came of it."""
    try:
        async with asyncio.timeout(post.timeout_seconds):
            status = await _send(post)
    except (OSError, ValueError, h11.ProtocolError) as problem:
        sandbox.answered(post, None, clock(), f"{type(problem).__name__}: {problem}")
    else:
        sandbox.answered(post, status, clock())


async def _send(post: Post) -> int:
    """The status of the answer, once it is complete."""
    to = urlsplit(post.url)
    trust = ssl.create_default_context(cafile=post.ca_bundle or None) if to.scheme == "https" else None
    reader, writer = await asyncio.open_connection(to.hostname, to.port or PORTS[to.scheme], ssl=trust)
    try:
        talk = h11.Connection(h11.CLIENT)
        for event in (_head(post, to), h11.Data(data=post.body), h11.EndOfMessage()):
            writer.write(talk.send(event) or b"")
        await writer.drain()
        return await _status(talk, reader)
    finally:
        writer.transport.abort()


def _head(post: Post, to: SplitResult) -> h11.Request:
    """The request line and the headers; those of the start stand for ours of the same name."""
    ours = {
        "Host": to.netloc.rpartition("@")[2],
        "User-Agent": "taskwatch-sandbox",
        "Content-Type": "application/json",
        "Content-Length": str(len(post.body)),
        "Connection": "close",
    }
    given = {name.lower() for name in post.headers}
    headers = {name: value for name, value in ours.items() if name.lower() not in given} | dict(post.headers)
    target = f"{to.path or '/'}?{to.query}" if to.query else to.path or "/"
    return h11.Request(method="POST", target=target, headers=list(headers.items()))


async def _status(talk: h11.Connection, reader: asyncio.StreamReader) -> int:
    status = 0
    while not isinstance(event := talk.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            talk.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            status = event.status_code
    return status
