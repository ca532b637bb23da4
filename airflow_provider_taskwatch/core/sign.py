"""Giving calls their credentials, as a flow around a flow, so that the replay rule is written once."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from .error import TaskWatchError
from .flow import Flow, words
from .mask import NO_MASK, Mask, clean
from .outcome import Outcome
from .phase import Observation
from .record import Started
from .run import Run
from .watch import Weighed
from .wire import Call, Pause, Reply

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A step: answer with ``call`` and its credentials.

    :param refused: the signed call that the remote has just rejected; its token is dropped if it is still in use.
    """

    call: Call
    refused: Call | None = None


Signed = Generator[Sign | Call | Pause, Any, T]


def masking(flow: Flow[T]) -> Flow[T]:
    """Run ``flow``: no error that leaves it shows a secret, and readings that it returns carry what hides them."""
    mask = NO_MASK
    try:
        run = Run(flow)
        while not run.is_over:
            with run.answering() as answer:
                answer.value = yield run.step
                if isinstance(answer.value, Reply):
                    mask = answer.value.mask.also(*mask.secrets) if mask.secrets else answer.value.mask
    except TaskWatchError as error:
        clean(error, mask)
        raise
    return cast("T", _with_mask(run.result, mask)) if mask.secrets else run.result


def _with_mask(result: object, mask: Mask) -> object:
    if isinstance(result, Started):
        return replace(result, mask=mask)
    if isinstance(result, Observation):
        return result.with_mask(mask)
    if isinstance(result, Outcome):
        return result.masked(mask)
    if isinstance(result, Weighed):
        seen = result.observation and result.observation.with_mask(mask)
        return replace(result, observation=seen, outcome=result.outcome and result.outcome.masked(mask))
    if isinstance(result, Mapping) and any(isinstance(one, Observation) for one in result.values()):
        return {name: _with_mask(one, mask) for name, one in result.items()}
    return result


def signed(flow: Flow[T], is_rejected: Callable[[Reply], bool]) -> Signed[T]:
    """Run ``flow`` with credentials on each call; a call whose token was rejected is replayed once with a new one."""
    run = Run(masking(flow))
    while not run.is_over:
        step = run.step
        with run.answering() as answer:
            answer.value = (yield from _exchange(step, is_rejected)) if isinstance(step, Call) else (yield step)
    return run.result


def _exchange(call: Call, is_rejected: Callable[[Reply], bool]) -> Signed[Reply]:
    ready: Call = yield Sign(call=call)
    reply: Reply = yield ready
    if is_rejected(reply):
        again: Call = yield Sign(call=call, refused=ready)
        if again != ready:
            reply = yield again
    return reply


def rejects_token(reject_403: bool, expired: str = "") -> Callable[[Reply], bool]:
    """Whether a reply says that the token is no good: 401, and 403 where it says so, or the connection.

    :param expired: what a 403 says where the token has expired, a regular expression; most say that it lacks a right.
    """
    pattern = re.compile(expired, re.IGNORECASE) if expired else None

    def is_rejected(reply: Reply) -> bool:
        if reply.status != 403 or reject_403:
            return reply.status in (401, 403)
        if "invalid_token" in reply.headers.get("www-authenticate", ""):
            return True
        return pattern is not None and bool(pattern.search(words(replace(reply, mask=NO_MASK))))

    return is_rejected
