"""Threads for work that must not wait for the log.

Airflow 3.3.2 writes log lines in the event loop's own threads, which block while the triggerer's supervisor is busy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8
_threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="taskwatch")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of blocking work; its log lines belong to no task."""
    return await asyncio.wrap_future(_threads.submit(work, *args, **kwargs))


def later(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Runs in the background; the result is ignored."""
    _threads.submit(work, *args, **kwargs)
