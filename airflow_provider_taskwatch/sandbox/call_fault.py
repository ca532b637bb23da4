"""Faults of calls to a remote, by name: how each is answered."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from airflow_provider_taskwatch.core.wire import Call, Reply

from .answer import header, html_reply, json_reply
from .fault import Fault
from .remote import Remote


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How a call is answered.

    :param reply: None: the connection is closed without an answer.
    :param delay_seconds: how long the answer is held back; infinite: until the client gives up.
    :param fault: name of the fault that made it so.
    :param open_until: unix seconds; until then the call is held open, and can be asked again for a better answer.
    """

    reply: Reply | None
    delay_seconds: float = 0.0
    fault: str = ""
    ref: str = ""
    open_until: float | None = None


Work = Callable[[], Delivery]
Effect = Callable[[Fault, Remote[Any], Call, Work], Delivery]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    :param work_done: whether the remote does what it was asked, although its answer is not the one sent.
    :param is_own: whether the effect itself asks the remote, and changes what comes of it.
    """

    effect: Effect
    work_done: bool = False
    is_own: bool = False


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


CALL_FAULTS: Mapping[str, Kind] = {
    "latency": Kind(_latency, is_own=True),
    "revoke_tokens": Kind(_revoke, is_own=True),
    "headers": Kind(_headers, is_own=True),
    "callback_early": Kind(_early, is_own=True),
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
"""All faults of calls to a remote.

Those of :data:`~.active_fault.ON_TOP` change the result of another one. Of the rest, the first that matches strikes.
"""
