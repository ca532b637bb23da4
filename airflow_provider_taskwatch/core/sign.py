"""Adds credentials to calls, as a flow around a flow, so that the rule of replay exists once."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from .error import TaskWatchError
from .flow import Flow
from .mask import NO_MASK, Mask, mask_error
from .outcome import Outcome
from .phase import Observation
from .record import Started
from .refusal import error_message
from .run import Run
from .watch import Assessment
from .wire import Call, Pause, Reply

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A step. The answer is ``call`` with its credentials.

    :param refused: the signed call that the remote has just rejected. Its token is dropped if it is still in use.
    """

    call: Call
    refused: Call | None = None


Signed = Generator[Sign | Call | Pause, Any, T]


def masking(flow: Flow[T]) -> Flow[T]:
    """Run ``flow``. Its errors contain no secret, and the observations that it returns carry the mask."""
    mask = NO_MASK
    try:
        run = Run(flow)
        while not run.is_over:
            with run.answering() as answer:
                answer.value = yield run.step
                if isinstance(answer.value, Reply):
                    mask = answer.value.mask.also(*mask.secrets) if mask.secrets else answer.value.mask
    except TaskWatchError as error:
        mask_error(error, mask)
        raise
    return cast("T", _with_mask(run.result, mask)) if mask.secrets else run.result


def _with_mask(result: object, mask: Mask) -> object:
    if isinstance(result, Started):
        return replace(result, mask=mask)
    if isinstance(result, Observation):
        return result.with_mask(mask)
    if isinstance(result, Outcome):
        return result.masked(mask)
    if isinstance(result, Assessment):
        seen = result.observation and result.observation.with_mask(mask)
        return replace(result, observation=seen, outcome=result.outcome and result.outcome.masked(mask))
    if isinstance(result, Mapping) and any(isinstance(one, Observation) for one in result.values()):
        return {name: _with_mask(one, mask) for name, one in result.items()}
    return result


def signed(flow: Flow[T], is_rejected: Callable[[Reply], bool]) -> Signed[T]:
    """Run ``flow`` with credentials on each call to the connection's host.

    A call whose token is rejected is replayed once with a new one.
    """
    run = Run(masking(flow))
    while not run.is_over:
        step = run.step
        with run.answering() as answer:
            answer.value = (yield from _exchange(step, is_rejected)) if isinstance(step, Call) else (yield step)
    return run.result


def _exchange(call: Call, is_rejected: Callable[[Reply], bool]) -> Signed[Reply]:
    if call.origin:
        reply: Reply = yield call
        return reply
    signed_call: Call = yield Sign(call=call)
    reply = yield signed_call
    if is_rejected(reply):
        again: Call = yield Sign(call=call, refused=signed_call)
        if again != signed_call:
            reply = yield again
    return reply


def rejects_token(reject_403: bool, expired: str = "") -> Callable[[Reply], bool]:
    """A test whether a reply rejects the token: 401, and 403 if the reply or the connection says so.

    :param reject_403: every 403 rejects the token.
    :param expired: a regular expression for the message of a 403 whose token has expired; empty: 403 means a missing
        right.
    """
    pattern = re.compile(expired, re.IGNORECASE) if expired else None

    def is_rejected(reply: Reply) -> bool:
        if reply.status != 403 or reject_403:
            return reply.status in (401, 403)
        if "invalid_token" in reply.headers.get("www-authenticate", ""):
            return True
        return pattern is not None and bool(pattern.search(error_message(replace(reply, mask=NO_MASK))))

    return is_rejected
