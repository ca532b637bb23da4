"""The routes of callbacks and pushes: authentication, storing, answer."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastapi import HTTPException, Request
from fastapi.responses import Response

from airflow_provider_taskwatch.core.error import TaskWatchError
from airflow_provider_taskwatch.core.feed import Unreadable
from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.inbox.aside import set_aside
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.inbox.seal import Seal

from . import callback, push
from .body_reader import BodyReader
from .token import Keys, PushTicket, Ticket

log = logging.getLogger(__name__)


class Route:
    """What both routes share.

    :param clock: seconds since the epoch.
    """

    def __init__(self, keys: Keys, body_reader: BodyReader, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._body_reader = body_reader
        self._clock = clock


class CallbackRoute(Route):
    """Takes callbacks. Each one wakes its wait, whatever its body says."""

    async def take(self, token: str, request: Request) -> Response:
        """Store a callback, then answer: the remote sends again what is not acknowledged."""
        ticket = self._ticket(token, request)
        what = f"a callback for the start {ticket.start_id}"
        body = await self._body_reader.read(request, what)
        if isinstance(body, Response):
            return body
        message = callback.message_of(ticket, body, self._clock())
        return await self._body_reader.store(message, what) or self._accept(message)

    def _ticket(self, token: str, request: Request) -> Ticket:
        """Authenticate. Both secrets are always compared, so that the time does not reveal which one is wrong."""
        ticket = self._keys.read(token, self._clock())
        is_bearer = self._keys.is_bearer(token, callback.bearer_in(request.headers.get("authorization", "")))
        if ticket is None:
            raise HTTPException(404, "its token is not ours, or has expired")
        if not is_bearer:
            raise HTTPException(404, f"its bearer is not that of the start {ticket.start_id}")
        return ticket

    def _accept(self, message: Message) -> Response:
        is_unreadable = message.content is None
        if is_unreadable:
            self._body_reader.count("unreadable")
        remark = ", but its body cannot be read" if is_unreadable else ""
        log.info("a callback for the start %s of %s is in the inbox%s", message.subject, message.channel, remark)
        return Response(status_code=204)


class PushRoute(Route):
    """Takes pushes. Each one is an event of a feed.

    :param seal: encrypts a push that is no event, as it may hold personal data; None: such a push is not kept.
    """

    def __init__(self, keys: Keys, body_reader: BodyReader, clock: Callable[[], float], seal: Seal | None) -> None:
        super().__init__(keys, body_reader, clock)
        self._seal = seal

    async def take(self, token: str, request: Request) -> Response:
        """Store an event, then answer: the remote keeps what was not taken, and may send it again."""
        ticket = self._ticket(token, request)
        what = f"a push into the feed {ticket.channel}"
        body = await self._body_reader.read(request, what)
        if isinstance(body, Response):
            return body
        try:
            message, reply = push.taken(ticket, body, self._clock())
        except TaskWatchError as error:
            return await self._set_aside(ticket, what, body, error)
        return await self._body_reader.store(message, what) or self._answer(what, reply)

    def _ticket(self, token: str, request: Request) -> PushTicket:
        """Authenticate. The key is always compared, as the bearer of a callback is."""
        ticket = self._keys.read_push(token)
        is_key = self._keys.is_push_key(token, push.key_in(request.headers))
        if ticket is None:
            raise HTTPException(404, "its token is not ours")
        if ticket.needs_key and not is_key:
            raise HTTPException(404, f"its API key is not that of the feed {ticket.channel}")
        return ticket

    async def _set_aside(self, ticket: PushTicket, what: str, body: bytes, error: TaskWatchError) -> Response:
        """Keep a push that is no event, as the remote may send it once only. Without a key it is refused.

        Neither the log nor the answer shows its content, which may be personal data.
        """
        self._body_reader.count("unreadable")
        problem = f"it is none of its events ({type(error).__name__}, {len(body)} bytes)"
        if self._seal is None:
            log.error("%s was not taken: %s; set [taskwatch] inbox_keys to keep such ones", what, problem)
            return Response(status_code=422)
        log.error("%s was set aside: %s; `taskwatch inbox show` shows it", what, problem)
        one = Unreadable(content=body, problem=f"a push: {problem}")
        aside = set_aside(ticket.channel, one, self._clock(), self._seal)
        return await self._body_reader.store(aside, what) or Response(status_code=204)

    def _answer(self, what: str, reply: Reply) -> Response:
        log.info("%s is in the inbox%s", what, "" if reply.is_ok else f", and was denied with {reply.status}")
        return Response(content=reply.body, status_code=reply.status, headers=dict(reply.headers))
