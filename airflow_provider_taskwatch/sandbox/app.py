"""The sandbox over HTTP: one ASGI app, each remote at a mount point of its own, the control API beside them.

``create_app()`` runs under any ASGI server. Closing a connection without an answer needs the server's help,
which :mod:`.server` gives; elsewhere such a fault becomes an error of the app. Callbacks are made while the app
lives, which a server signals by ASGI's lifespan protocol.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_taskwatch.core.wire import Call, Reply

from .call_fault import Delivery
from .caller import Clock, calling
from .control import control, overview
from .sandbox import Sandbox

DROP = "taskwatch.sandbox.drop"
"""ASGI extension: a function that closes the connection."""
HOLD_SECONDS = 0.05
"""Between two attempts to answer a call that is held open."""


def create_app(sandbox: Sandbox | None = None, clock: Clock = time.time) -> Starlette:
    """The sandbox as an ASGI app.

    :param clock: gives unix seconds.
    """
    used = Sandbox() if sandbox is None else sandbox
    mounts = [Mount(f"/{name}", app=_remote(used, name, clock)) for name in used.remotes]
    routes = [Route("/", _overview(used)), Mount("/_control", app=_control(used, clock)), *mounts]
    app = Starlette(routes=routes, lifespan=lambda _: calling(used, clock))
    app.state.sandbox = used
    return app


def _overview(sandbox: Sandbox) -> Callable[[Request], Awaitable[Response]]:
    async def show(request: Request) -> Response:
        return JSONResponse(overview(sandbox))

    return show


def _remote(sandbox: Sandbox, system: str, clock: Clock) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        call = await _read(request)
        client = f"{request.client.host}:{request.client.port}" if request.client else ""
        delivery = sandbox.handle(call, system, clock(), client)
        try:
            if delivery.open_until is not None:
                delivery = await _hold(sandbox, call, system, clock, client, delivery, receive)
            await _deliver(delivery, scope, receive, send)
        except asyncio.CancelledError:  # the server stops
            _drop(scope)
            raise

    return serve


async def _hold(
    sandbox: Sandbox, call: Call, system: str, clock: Clock, client: str, held: Delivery, receive: Receive
) -> Delivery:
    """Hold a call open until there is something to tell, its time is over, or the client has gone."""
    ends_at, delivery = held.open_until or 0.0, held
    while delivery.open_until is not None and (left := ends_at - clock()) > 0:
        if await _has_left(receive, min(left, HOLD_SECONDS)):
            delivery = Delivery(reply=None, fault=held.fault)
        else:
            delivery = sandbox.again(call, system, clock(), held)
    sandbox.over(call, system, clock(), client, delivery)
    return delivery


def _control(sandbox: Sandbox, clock: Clock) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        call = await _read(Request(scope, receive))
        await _send(control(sandbox, call, clock()), scope, receive, send)

    return serve


async def _read(request: Request) -> Call:
    """The request as a call; its path stays percent-encoded and begins behind the mount point."""
    scope = request.scope
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    headers = {"x-forwarded-proto": scope["scheme"], **dict(request.headers)}
    return Call(
        method=request.method,
        path=raw_path.decode("ascii", "replace").removeprefix(scope["root_path"]) or "/",
        query=tuple(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        headers=headers,
        body=await request.body(),
    )


async def _deliver(delivery: Delivery, scope: Scope, receive: Receive, send: Send) -> None:
    if delivery.delay_seconds and await _has_left(receive, delivery.delay_seconds):
        _drop(scope)  # uvicorn 0.44 reports its own shutdown in the same way, and would answer 500
        return
    if delivery.reply is None:
        _drop(scope)
        await _has_left(receive, math.inf)
    else:
        await _send(delivery.reply, scope, receive, send)


async def _has_left(receive: Receive, seconds: float) -> bool:
    """Wait; True as soon as the client's connection is closed."""
    try:
        async with asyncio.timeout(None if math.isinf(seconds) else seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


def _drop(scope: Scope) -> None:
    """Close the connection; an error of the app where the server cannot."""
    if DROP not in scope.get("extensions", {}):
        raise ConnectionAbortedError("the sandbox drops this connection")
    scope["extensions"][DROP]()


async def _send(reply: Reply, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {**reply.headers, "server": "taskwatch-sandbox"}
    await Response(reply.body, status_code=reply.status, headers=headers)(scope, receive, send)
