"""A client of a receiver without a socket: ASGI by hand, so that a body is read only on request."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Scope

from airflow_provider_taskwatch.inbox.cursor import Cursor
from airflow_provider_taskwatch.inbox.message import Message as InboxMessage
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.receiver.app import create_app
from airflow_provider_taskwatch.receiver.token import Keys, PushTicket, Ticket
from tests.inbox.memory import MemoryInbox

SECRET = "first-secret-of-the-tests-0123456789"
OTHER_SECRET = "other-secret-of-the-tests-0123456789"
NOW = 1_750_000_000.0
TICKET = Ticket(channel="automic", start_id="0123456789ab", expires_at=int(NOW) + 60)
PUSH_TICKET = PushTicket(
    system="docplanner",
    channel="docplanner www.doctoralia.es c0ffee",
    needs_key=True,
    options={"store_payload": "ids", "denial_code": None},
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer of the app.

    :param read: the number of pieces of the body that the app has read.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    read: int

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Desk:
    """A receiver with its inbox, its keys and its counters."""

    inbox: Inbox = field(default_factory=MemoryInbox)
    keys: Keys = field(default_factory=lambda: Keys([SECRET]))
    counts: Counter[str] = field(default_factory=Counter)

    def app(self, **changes: Any) -> FastAPI:
        given = {"count": self.count, "clock": lambda: NOW, **changes}
        return create_app(self.inbox, self.keys, **given)

    def count(self, name: str) -> None:
        self.counts[name.removeprefix("taskwatch.callback.").removeprefix("taskwatch.")] += 1

    @property
    def messages(self) -> list[InboxMessage]:
        return [one.message for one in self.inbox.read(Cursor())]


def passport(keys: Keys, ticket: Ticket = TICKET) -> tuple[str, dict[str, str]]:
    """The path and the header of an authentic callback."""
    token = keys.mint(ticket)
    return f"/callbacks/{token}", {"Authorization": f"Bearer {keys.bearer(token)}"}


def push_pass(keys: Keys, ticket: PushTicket = PUSH_TICKET) -> tuple[str, dict[str, str]]:
    """The path and the header of an authentic push."""
    token = keys.mint_push(ticket)
    return f"/push/{token}", {"X-Api-Key": keys.push_key(token)}


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    pieces: Iterable[bytes] = (b"",),
) -> Answer:
    """Send one request; the client disconnects after its last piece."""
    sent: list[Message] = []
    left = list(pieces)
    total = len(left)

    async def receive() -> Message:
        if not left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope_of(method, path, headers or {}), receive, send)
    start, *bodies = sent
    return Answer(
        status=start["status"],
        headers={name.decode(): value.decode() for name, value in start["headers"]},
        body=b"".join(one.get("body", b"") for one in bodies),
        read=total - len(left),
    )


def scope_of(method: str, path: str, headers: Mapping[str, str]) -> Scope:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()],
        "client": ("192.0.2.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


@asynccontextmanager
async def living(app: FastAPI) -> AsyncIterator[None]:
    """Enter the lifespan of an app, as its server does."""
    async with app.router.lifespan_context(app):
        yield
