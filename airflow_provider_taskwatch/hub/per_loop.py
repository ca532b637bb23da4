"""One object per event loop: what belongs to a loop (tasks, locks, sessions) works in no other one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Holds one object per running event loop and name. It drops those whose loop is closed, and those that ended.

    :param has_ended: whether an object is of no use any more, so that the next call makes a new one.
    """

    def __init__(self, has_ended: Callable[[T], bool] = lambda _held: False) -> None:
        self._has_ended = has_ended
        self._held: dict[tuple[asyncio.AbstractEventLoop, str], T] = {}

    def get(self, make: Callable[[], T], name: str = "") -> T:
        """The object of the running loop; made where there is none, or it has ended.

        :raises RuntimeError: where no event loop runs.
        """
        key = asyncio.get_running_loop(), name
        if key not in self._held or self._has_ended(self._held[key]):
            for other in [other for other, held in self._held.items() if other[0].is_closed() or self._has_ended(held)]:
                del self._held[other]
            self._held[key] = make()
        return self._held[key]
