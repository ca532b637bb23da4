"""Whether Airflow calls ``on_kill`` of a trigger that it cancels, as it does since 3.3."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from airflow.triggers.base import BaseTrigger

CALLS_ON_KILL = hasattr(BaseTrigger, "on_kill")
"""Below Airflow 3.3 a trigger sees a user's kill as a cancellation of its ``run``, and nothing else."""

_first_tasks: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakSet[asyncio.Task[object]]] = WeakKeyDictionary()


def note_triggerer() -> None:
    """Remember the tasks that the event loop has when its first wait begins; the triggerer itself is one of them."""
    loop = asyncio.get_running_loop()
    if loop not in _first_tasks:
        _first_tasks[loop] = WeakSet(asyncio.all_tasks(loop))


def is_shutdown() -> bool:
    """Whether the present cancellation is the end of the triggerer, whose event loop then cancels all tasks.

    Another triggerer goes on with the waits, so nothing is to be asked or cancelled for them.
    """
    tasks = _first_tasks.get(asyncio.get_running_loop(), WeakSet())
    return all(task.done() or task.cancelling() for task in tasks)


async def undisturbed(kill: Coroutine[Any, Any, None]) -> None:
    """Carries out a kill, in a task of its own: Airflow cancels the trigger again each second until it has ended."""
    killing = asyncio.get_running_loop().create_task(kill)
    while not killing.done():
        try:
            await asyncio.shield(killing)
        except asyncio.CancelledError:
            continue
