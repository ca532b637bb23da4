"""A program in progress: its next step, and its result in the end. Every driver is a loop around one."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import Any, Generic, TypeVar

from .error import TaskWatchError

S = TypeVar("S")
T = TypeVar("T")


class Run(Generic[S, T]):
    """Runs a generator step by step; what it raises comes out of :meth:`send`, :meth:`throw` and :meth:`answering`.

    ::

        run = Run(flow)
        while not run.is_over:
            with run.answering() as answer:
                answer.value = carry_out(run.step)
        return run.result

    :param program: anything that yields steps and returns a result: a flow, a watch, the reading of a feed.
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

    def answering(self) -> Answer:
        """A ``with`` block that answers the step; a :class:`TaskWatchError` in it lets the step fail."""
        return Answer(self)

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


class Answer:
    """The answer to one step, sent when its ``with`` block ends.

    A context manager, as one function cannot serve programs, blocking code and coroutines.
    """

    __slots__ = ("_run", "value")

    def __init__(self, run: Run[Any, Any]) -> None:
        self._run = run
        self.value: Any = None

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, TaskWatchError):
            self._run.throw(error)
            return True
        if error is None:
            value, self.value = self.value, None  # a large reply is not kept while the next step waits
            self._run.send(value)
        return False
