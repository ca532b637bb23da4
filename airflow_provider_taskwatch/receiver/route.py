"""The routes on which remotes bring something: who may, what it is taken for, and what is answered."""

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
    """What every route needs.

    :param clock: seconds since the epoch.
    """

    def __init__(self, keys: Keys, body_reader: BodyReader, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._body_reader = body_reader
        self._clock = clock


class Callbacks(Route):
    """The route of callbacks: each is a signal, whatever it says."""

    async def take(self, token: str, request: Request) -> Response:
        """Store a callback, and only then say so: what is not acknowledged is sent again."""
        ticket = self._ticket(token, request)
        what = f"a callback for the start {ticket.start_id}"
        body = await self._body_reader.read(request, what)
        if isinstance(body, Response):
            return body
        message = callback.message_of(ticket, body, self._clock())
        return await self._body_reader.store(message, what) or self._accept(message)

    def _ticket(self, token: str, request: Request) -> Ticket:
        """Who calls. Both secrets are looked at in any case, so that the time does not tell which one is wrong."""
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
        words = ", but what it says cannot be read" if is_unreadable else ""
        log.info("a callback for the start %s of %s is in the inbox%s", message.subject, message.channel, words)
        return Response(status_code=204)


class Pushes(Route):
    """The route of pushes: each is an event of a feed.

    :param seal: encrypts what is no event, as it may concern people; None: such a push is not kept.
    """

    def __init__(self, keys: Keys, body_reader: BodyReader, clock: Callable[[], float], seal: Seal | None) -> None:
        super().__init__(keys, body_reader, clock)
        self._seal = seal

    async def take(self, token: str, request: Request) -> Response:
        """Store an event, and only then answer: what was not taken the remote keeps, and may send again."""
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
        """Who pushes. The key is looked at in any case, as that of a callback is."""
        ticket = self._keys.read_push(token)
        is_key = self._keys.is_push_key(token, push.key_in(request.headers))
        if ticket is None:
            raise HTTPException(404, "its token is not ours")
        if ticket.needs_key and not is_key:
            raise HTTPException(404, f"its API key is not that of the feed {ticket.channel}")
        return ticket

    async def _set_aside(self, ticket: PushTicket, what: str, body: bytes, error: TaskWatchError) -> Response:
        """Keep what is no event, as a remote may push it once only. Without a key it is left to the remote.

        Nothing of it is shown, not even in the words of the error, as it may concern people.
        """
        self._body_reader.count("unreadable")
        problem = f"it is none of its events ({type(error).__name__}, {len(body)} bytes)"
        if self._seal is None:
            log.error("%s was not taken: %s; set [taskwatch] inbox_keys to keep such ones", what, problem)
            return Response(status_code=422)
        log.error("%s was set aside: %s; `airflow taskwatch inbox show` shows it", what, problem)
        one = Unreadable(content=body, problem=f"a push: {problem}")
        aside = set_aside(ticket.channel, one, self._clock(), self._seal)
        return await self._body_reader.store(aside, what) or Response(status_code=204)

    def _answer(self, what: str, reply: Reply) -> Response:
        log.info("%s is in the inbox%s", what, "" if reply.is_ok else f", and was denied with {reply.status}")
        return Response(content=reply.body, status_code=reply.status, headers=dict(reply.headers))
