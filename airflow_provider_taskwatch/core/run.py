"""A program in progress: what it wants next, and its result in the end. Every driver is a loop around it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


class Run(Generic[S, T]):
    """Runs a generator step by step; what it raises comes out of :meth:`send` and :meth:`throw`.

    :param program: anything that yields steps and returns a result: a flow, or a watch.
    """

    def __init__(self, program: Generator[S, Any, T]) -> None:
        self._program = program
        self.is_over = False
        self.send(None)

    @property
    def step(self) -> S:
        """What the program waits for; only while it is not over."""
        return self._step

    @property
    def result(self) -> T:
        """What the program has returned; only when it is over."""
        return self._result

    def send(self, answer: object) -> None:
        """Answer the step."""
        try:
            self._step = self._program.send(answer)
        except StopIteration as end:
            self._end(end)

    def throw(self, error: Exception) -> None:
        """Let the step fail."""
        try:
            self._step = self._program.throw(error)
        except StopIteration as end:
            self._end(end)

    def _end(self, end: StopIteration) -> None:
        self.is_over = True
        self._result: T = end.value
