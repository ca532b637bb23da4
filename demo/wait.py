"""Waiting for a condition, always with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

ROOM_SECONDS = 240.0
"""Far more than anything takes: a busy host is no failure, and a wait for a condition ends when it holds."""
_PAUSE_SECONDS = 0.1


class NotInTimeError(TimeoutError):
    """What was waited for did not happen before its deadline."""


def until(
    ask: Callable[[], Answer | None],
    *,
    within_seconds: float = ROOM_SECONDS,
    what: str,
    say: Callable[[], str] = str,
    every_seconds: float = _PAUSE_SECONDS,
) -> Answer:
    """
    Ask again and again, and return the first answer that is neither None nor empty.

    :param what: what is waited for; the first half of the error.
    :param every_seconds: the pause between two questions; longer where asking itself is work.
    :param say: called after the deadline for the second half of the error: what was seen instead.
    """
    deadline = time.monotonic() + within_seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise NotInTimeError(f"Waited {within_seconds:g} s in vain until {what}. {say()}".rstrip())
        time.sleep(every_seconds)
    return answer
