"""Faults: what can go wrong between a client and a remote, by name."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import Call, Reply

from .answer import header, html_reply, json_reply
from .bend import BENDS
from .post import Post
from .remote import Remote
from .rule import HTTP_STATUS, SECONDS, check, is_count_or_none, is_http_status_or_none, is_seconds, is_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How a call is answered.

    :param reply: None: the connection is closed without an answer.
    :param delay_seconds: so long the answer is held back; infinite: until the client gives up.
    :param fault: name of the fault that made it so.
    :param open_until: unix seconds; until then the call is held open, and can be asked again for a better answer.
    """

    reply: Reply | None
    delay_seconds: float = 0.0
    fault: str = ""
    ref: str = ""
    open_until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, and the calls that it hits: those to a remote, or the callbacks of one.

    :param name: one of :data:`FAULTS`, or of :data:`~.bend.BENDS`: then the calls are those of a remote itself.
    :param system: only calls to this remote; empty: to any.
    :param method: only this HTTP method.
    :param path: regular expression, searched in the path after the remote's mount point, or in that of a callback.
    :param body: regular expression, searched in the body of the request.
    :param endpoint: ``token`` or ``api``; empty: both.
    :param skip: the first so many calls that match are left alone.
    :param times: so many calls are hit; None: no such bound.
    :param until: unix seconds after which no call is hit; None: no such bound.
    :param work_done: whether the remote does what it was asked before the fault strikes; None: what
        :data:`FAULTS` says.
    :param seconds: how long ``latency`` holds the reply back (1), or until the connection is closed after
        ``lost_reply``, ``lost_request`` (0) and ``hang`` (for ever). How long ``callback_late`` holds a callback
        back (1), ``callback_duplicate`` its copy (0); how long after the start ``callback_early`` comes (0).
    :param status: HTTP status, where the fault has a choice; of an execution, as ``callback_status`` tells it
        (1800 instead of a good one, 1900 instead of another).
    :param run_id: of an execution, as ``callback_run_id`` tells it; None: the next one.
    :param retry_after: value of the ``Retry-After`` header of a refusal; None: no header.
    :param headers: names in lower case; added by ``headers`` to any reply, and to a refusal.
    :param location: where ``redirect`` points.
    :param size: bytes of ``huge_body``, and those that ``bomb`` unpacks to.
    :param message: words of the refusal.
    """

    name: str
    system: str = ""
    method: str = ""
    path: str = ""
    body: str = ""
    endpoint: str = ""
    skip: int = 0
    times: int | None = None
    until: float | None = None
    work_done: bool | None = None
    seconds: float | None = None
    status: int | None = None
    run_id: int | None = None
    retry_after: float | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    location: str = "https://elsewhere.invalid/"
    size: int = 50 * 1024 * 1024
    message: str = ""

    def __post_init__(self) -> None:
        if self.name not in (*FAULTS, *BENDS):
            raise ConfigurationError(f"unknown fault {self.name!r}; known are {', '.join((*FAULTS, *BENDS))}")
        if self.endpoint not in ("", "token", "api"):
            raise ConfigurationError(f"endpoint must be 'token' or 'api', not {self.endpoint!r}")
        check(self, "system", "method", "location", "message", is_good=is_text, words="a text")
        check(self, "path", "body", is_good=_is_pattern, words="a regular expression")
        check(self, "skip", "size", is_good=_is_count, words="a whole number")
        check(self, "times", "status", "run_id", is_good=is_count_or_none, words="a whole number, or null")
        if self.name not in BENDS:
            check(self, "status", is_good=is_http_status_or_none, words=HTTP_STATUS)
        check(self, "until", "seconds", is_good=_is_seconds_or_none, words=f"{SECONDS}, or null")
        check(self, "work_done", is_good=lambda value: value in (None, True, False), words="true, false or null")
        check(self, "retry_after", is_good=_is_wait, words=f"{SECONDS}, a text, or null")
        check(self, "headers", is_good=_are_headers, words="an object with texts")

    def matches(self, remote: Remote[Any], call: Call) -> bool:
        endpoint = "token" if remote.is_token(call) else "api"
        body = (call.body or b"").decode(errors="replace")
        return (
            self.system in ("", remote.name)
            and self.method.upper() in ("", call.method)
            and self.endpoint in ("", endpoint)
            and re.search(self.path, call.path) is not None
            and re.search(self.body, body) is not None
            and (self.name in BENDS or FAULTS[self.name].needs in body)
        )


def _is_pattern(value: object) -> bool:
    try:
        return isinstance(value, str) and re.compile(value) is not None
    except re.error:
        return False


def _is_count(value: object) -> bool:
    return value is not None and is_count_or_none(value)


def _is_seconds_or_none(value: object) -> bool:
    return value is None or is_seconds(value) or value == math.inf


def _is_wait(value: object) -> bool:
    return isinstance(value, str) or _is_seconds_or_none(value)


def _are_headers(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(is_text, (*value, *value.values())))


Work = Callable[[], Delivery]
Effect = Callable[["Fault", "Remote[Any]", Call, Work], Delivery]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    :param work_done: whether the remote does what it was asked, although its answer is not the one sent.
    :param is_own: whether the effect itself asks the remote, and changes what comes of it.
    :param needs: what the body of a call must hold, lest the fault makes no sense.
    """

    effect: Effect
    work_done: bool = False
    is_own: bool = False
    needs: str = ""


def _latency(fault: Fault, remote: Remote[Any], call: Call, work: Work) -> Delivery:
    done = work()
    return replace(done, delay_seconds=done.delay_seconds + _or(fault.seconds, 1.0))


def _revoke(fault: Fault, remote: Remote[Any], call: Call, work: Work) -> Delivery:
    remote.tokens.revoke()
    return work()


def _headers(fault: Fault, remote: Remote[Any], call: Call, work: Work) -> Delivery:
    done = work()
    reply = done.reply and replace(done.reply, headers={**done.reply.headers, **fault.headers})
    return replace(done, reply=reply)


def _early(fault: Fault, remote: Remote[Any], call: Call, work: Work) -> Delivery:
    done = work()
    remote.hasten(done.ref, _or(fault.seconds, 0.0))
    return done


def _silence(seconds: float) -> Effect:
    """The connection is closed without an answer, after a while."""
    return lambda fault, remote, call, work: Delivery(reply=None, delay_seconds=_or(fault.seconds, seconds))


def _refuse(status: int) -> Effect:
    """A refusal in the remote's own shape."""

    def effect(fault: Fault, remote: Remote[Any], call: Call, work: Work) -> Delivery:
        reply = remote.refuse_call(call, _or(fault.status, status), fault.message)
        wait = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
        return Delivery(reply=replace(reply, headers={**reply.headers, **wait, **fault.headers}))

    return effect


def _reply(make: Callable[[Fault], Reply]) -> Effect:
    return lambda fault, remote, call, work: Delivery(reply=make(fault))


def _html(fault: Fault) -> Reply:
    return html_reply(_or(fault.status, 200))


def _empty(fault: Fault) -> Reply:
    return Reply(status=_or(fault.status, 200), headers=_JSON)


def _huge(fault: Fault) -> Reply:
    return json_reply(_or(fault.status, 200), {"filler": "x" * fault.size})


def _echo(fault: Fault, remote: Remote[Any], call: Call, work: Work) -> Delivery:
    """The refusal of a debugging page, which shows what was sent, credentials included."""
    sent = f"you sent {header(call, 'authorization')} {(call.body or b'').decode(errors='replace')}"
    return Delivery(reply=remote.refuse_call(call, _or(fault.status, 400), sent))


def _bomb(fault: Fault) -> Reply:
    packed = gzip.compress(bytes(fault.size))
    return Reply(status=_or(fault.status, 200), headers={**_JSON, "content-encoding": "gzip"}, body=packed)


def _many_headers(fault: Fault) -> Reply:
    named = {f"x-{number}": "y" * 100 for number in range(10_000)}
    return Reply(status=_or(fault.status, 200), headers={**_JSON, **named}, body=b"{}")


def _deep(fault: Fault) -> Reply:
    return Reply(status=_or(fault.status, 200), headers=_JSON, body=b"[" * 1_000_000)


def _charset(fault: Fault) -> Reply:
    kind = {"content-type": "application/json; charset=x-none"}
    return Reply(status=_or(fault.status, 200), headers=kind, body=b'{"message": "\xff\xfe\x00"}')


_JSON = {"content-type": "application/json"}


def _redirect(fault: Fault) -> Reply:
    return Reply(status=_or(fault.status, 302), headers={"location": fault.location})


N = TypeVar("N", int, float)


def _or(value: N | None, default: N) -> N:
    return default if value is None else value


FAULTS: Mapping[str, Kind] = {
    "latency": Kind(_latency, is_own=True),
    "revoke_tokens": Kind(_revoke, is_own=True),
    "headers": Kind(_headers, is_own=True),
    "callback_early": Kind(_early, is_own=True, needs='"callback"'),
    "lost_reply": Kind(_silence(0.0), work_done=True),
    "lost_request": Kind(_silence(0.0)),
    "hang": Kind(_silence(math.inf)),
    "unauthorized": Kind(_refuse(401)),
    "forbidden": Kind(_refuse(403)),
    "not_found": Kind(_refuse(404)),
    "too_many": Kind(_refuse(429)),
    "server_error": Kind(_refuse(503)),
    "html": Kind(_reply(_html)),
    "empty_body": Kind(_reply(_empty)),
    "huge_body": Kind(_reply(_huge)),
    "bomb": Kind(_reply(_bomb)),
    "many_headers": Kind(_reply(_many_headers)),
    "deep_json": Kind(_reply(_deep)),
    "wrong_charset": Kind(_reply(_charset)),
    "echo": Kind(_echo),
    "redirect": Kind(_reply(_redirect)),
}
"""All faults of calls to a remote. Those of :data:`_ON_TOP` come on top of others; of the rest the first one that
matches strikes."""

ABOUT: Mapping[str, str] = {
    "latency": "holds the reply back (seconds, 1); comes on top of others",
    "revoke_tokens": "rejects every token from this call on",
    "headers": "adds headers to the reply (headers); comes on top of others",
    "callback_early": "calls back early, so long after the start (seconds, 0)",
    "lost_reply": "does what was asked, and closes the connection without an answer",
    "lost_request": "does nothing, and closes the connection without an answer",
    "hang": "never answers",
    "unauthorized": "refuses with 401",
    "forbidden": "refuses with 403",
    "not_found": "refuses with 404",
    "too_many": "refuses with 429 (retry_after)",
    "server_error": "refuses with 503 (status, retry_after)",
    "html": "answers with a web page",
    "empty_body": "answers with nothing",
    "huge_body": "answers with 50 MB (size)",
    "bomb": "answers with a little that unpacks to 50 MB (size)",
    "many_headers": "answers with 10,000 headers",
    "deep_json": "answers with JSON that is nested a million levels deep",
    "wrong_charset": "answers with bytes that are no text, in a charset that nobody knows",
    "echo": "refuses with 400, and repeats what was sent, credentials included",
    "redirect": "answers with 302 (location)",
    "callback_duplicate": "calls back twice (seconds between them, 0)",
    "callback_late": "calls back late (seconds, 1)",
    "callback_lost": "does not call back, and takes it for delivered",
    "callback_secret": "calls back with a wrong secret",
    "callback_garbage": "calls back with what is no JSON",
    "callback_run_id": "calls back about another execution (run_id)",
    "callback_status": "calls back with the opposite status (status)",
}
"""What each fault does, and which of its fields it heeds."""

_ON_TOP = ("latency", "headers", "callback_early")


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._faults: list[_Counted] = []

    def add(self, *faults: Fault) -> None:
        """Put faults behind those that are there."""
        self._faults += [_Counted(fault) for fault in faults]

    def clear(self, name: str = "") -> None:
        """Remove the faults of this name, or all."""
        if name and name not in ABOUT:
            raise ConfigurationError(f"unknown fault {name!r:.80}; known are {', '.join(ABOUT)}")
        self._faults = [one for one in self._faults if name and one.fault.name != name]

    def view(self) -> list[dict[str, Any]]:
        """The faults, with how many calls each has seen and hit."""
        return [{**asdict(one.fault), "seen": one.seen, "hits": one.hits} for one in self._faults]

    def strike(self, remote: Remote[Any], call: Call, now: float, work: Work) -> Delivery:
        """Answer a call, with what goes wrong."""
        due = self._due(FAULTS, remote, call, now)
        strikes = next((one for one in due if one.fault.name not in _ON_TOP), None)
        delivery = work() if strikes is None else strikes.apply(remote, call, work)
        for one in (one for one in due if one.fault.name in _ON_TOP):
            delivery = one.apply(remote, call, partial(replace, delivery))
        return delivery

    def bend(self, remote: Remote[Any], post: Post, now: float) -> tuple[Post, ...]:
        """A callback as it goes on its way, or several."""
        posts: tuple[Post, ...] = (post,)
        for one in self._due(BENDS, remote, post.call, now):
            posts = one.bend(posts)
        return posts

    def _due(self, kinds: Collection[str], remote: Remote[Any], call: Call, now: float) -> list[_Counted]:
        ours = (one for one in self._faults if one.fault.name in kinds)
        return [one for one in ours if one.fault.matches(remote, call) and one.is_due(now)]


class _Counted:
    """A fault, how many calls have matched it, and how many it has hit."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.hits = 0

    def is_due(self, now: float) -> bool:
        """Whether the fault hits the call that it sees now."""
        self.seen += 1
        fault = self.fault
        is_early = self.seen <= fault.skip
        is_used_up = fault.times is not None and self.hits >= fault.times
        is_over = fault.until is not None and now >= fault.until
        return not (is_early or is_used_up or is_over)

    def apply(self, remote: Remote[Any], call: Call, work: Work) -> Delivery:
        self.hits += 1
        kind = FAULTS[self.fault.name]
        does_work = kind.work_done if self.fault.work_done is None else self.fault.work_done
        done = work() if does_work and not kind.is_own else Delivery(reply=None)
        delivery = kind.effect(self.fault, remote, call, work)
        return replace(delivery, fault=self._named(delivery.fault), ref=delivery.ref or done.ref)

    def bend(self, posts: tuple[Post, ...]) -> tuple[Post, ...]:
        self.hits += 1
        bent = (one for post in posts for one in BENDS[self.fault.name](self.fault, post))
        return tuple(replace(one, fault=self._named(one.fault)) for one in bent)

    def _named(self, others: str) -> str:
        return f"{others} + {self.fault.name}" if others else self.fault.name
