"""Waiting for a condition inside an event loop, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], bool], within_seconds: float = 10.0) -> None:
    """Look every now and then, until ``holds`` is true or the time is over."""
    async with asyncio.timeout(within_seconds):
        while not holds():  # noqa: ASYNC110 - what it waits for happens in another process or thread
            await asyncio.sleep(0.02)
