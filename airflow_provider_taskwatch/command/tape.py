"""The recording of a rehearsal as a tape: it gives each request its next recorded reply, and notes which were used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qsl, unquote

from airflow_provider_taskwatch.core.error import TaskWatchError
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.wire import Call, Pause, Reply

from .exchange import Recorded

T = TypeVar("T")


class NotRecordedError(TaskWatchError):
    """The recording has no reply to a request."""


@dataclass(kw_only=True)
class Tape:
    """A recording, and how far it has been played.

    :ivar base: the path before those of the profile.
    :ivar is_guessed: whether the base may be another one, which the first request that ends in an asked path tells.
    :ivar at: the number of the next reply.
    :ivar used: the numbers of the requests that were asked for.
    """

    recorded: list[Recorded]
    base: str = ""
    is_guessed: bool = False
    at: int = 0
    used: set[int] = field(default_factory=set)
    _steps: int = 0

    @property
    def began(self) -> int:
        """The number of the first request that was asked for."""
        return min(self.used, default=0)

    def run(self, flow: Flow[T], numbers: list[int]) -> T:
        """The result of a flow over the recording.

        :param numbers: takes the numbers of the replies that it has got.
        """
        answer: Reply | None = None
        while True:
            try:
                step = flow.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = None
            if isinstance(step, Pause):
                continue
            number = self.find(step, self.at, len(self.recorded))
            if number is None:
                raise NotRecordedError(f"the recording has no further {step.method} {step.path.partition('?')[0]}")
            self.at = number + 1
            self.used.add(number)
            numbers.append(number)
            answer = self.recorded[number].reply

    def find(self, call: Call, first: int, last: int) -> int | None:
        """The number of the next recorded request that is this one."""
        path = unquote(call.target.partition("?")[0])
        found = [number for number in range(first, last) if self._is_like(call, self.recorded[number])]
        base = "" if call.origin else self.base
        exact = next((number for number in found if unquote(self.recorded[number].call.path) == base + path), None)
        if exact is None and self.is_guessed and not call.origin:
            exact = next((number for number in found if unquote(self.recorded[number].call.path).endswith(path)), None)
            self.base = self.base if exact is None else unquote(self.recorded[exact].call.path)[: -len(path)]
        self.is_guessed = self.is_guessed and exact is None
        return exact

    def _is_like(self, call: Call, one: Recorded) -> bool:
        """Whether all but the path is that of a recorded request, which may have more in its query."""
        wanted = set(parse_qsl(call.target.partition("?")[2], keep_blank_values=True))
        return one.call.method == call.method and wanted <= set(one.call.query) and call.origin in ("", one.origin)

    def step(self, number: int) -> tuple[str, str]:
        """The line of a request."""
        self.used.add(number)
        self._steps += 1
        one = self.recorded[number]
        asked = f"{one.call.method} {one.call.path.removeprefix(self.base)}"
        return (
            "bold",
            f"{self._steps}. {asked}: recorded reply {number + 1} of {len(self.recorded)}, {one.reply.status}",
        )

    def unused(self) -> Iterator[tuple[str, str]]:
        """A line about what was not asked for."""
        left = [one.call for number, one in enumerate(self.recorded) if number not in self.used]
        if left:
            some = ", ".join(f"{call.method} {call.path}" for call in left[:5])
            more = ", ..." if len(left) > 5 else ""
            yield "", f"not asked for: {len(left)} of {len(self.recorded)} recorded requests, {some}{more}"
