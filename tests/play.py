"""Flows, driven by hand: replies are played in, and what the flow did is compared."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.wire import Call, Pause, Reply

T = TypeVar("T")


def reply(status: int = 200, content: object = None, **headers: str) -> Reply:
    """A reply with ``content`` as JSON; a text or bytes stand for themselves, None for an empty body."""
    body = content.encode() if isinstance(content, str) else content
    if body is None:
        body = b""
    return Reply(
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )


def play(flow: Flow[T], *replies: Reply | Exception) -> tuple[list[Call | Pause], T]:
    """Run a flow: every call gets the next of ``replies`` (an exception is thrown in), every pause passes.

    :return: the calls and pauses in order, and the flow's result. All replies must have been asked for.
    """
    waiting = list(replies)
    steps: list[Call | Pause] = []
    answer: Any = None
    while True:
        try:
            step = flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer)
        except StopIteration as end:
            assert not waiting, f"never asked for: {waiting}"
            return steps, end.value
        steps.append(step)
        assert isinstance(step, Pause) or waiting, f"no reply is left for {step}"
        answer = None if isinstance(step, Pause) else waiting.pop(0)


def result_of(flow: Flow[T], *replies: Reply | Exception) -> T:
    """The result of a flow whose steps are of no interest."""
    return play(flow, *replies)[1]


def targets(steps: list[Call | Pause]) -> list[str]:
    """Method, path and query of all calls."""
    return [f"{step.method} {step.target}" for step in steps if isinstance(step, Call)]
