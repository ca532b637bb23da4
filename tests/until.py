"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def until(holds: Callable[[], bool], within_seconds: float = 30.0) -> None:
    """Check every now and then, until ``holds`` is true or the time is over."""
    async with asyncio.timeout(within_seconds):
        while not holds():  # noqa: ASYNC110 - what it waits for happens in another process or thread
            await asyncio.sleep(0.02)


def wait_until(holds: Callable[[], bool], within_seconds: float = 30.0) -> None:
    """Like :func:`until`, outside of an event loop."""
    ends_at = time.monotonic() + within_seconds
    while not holds():
        assert time.monotonic() < ends_at
        time.sleep(0.02)
