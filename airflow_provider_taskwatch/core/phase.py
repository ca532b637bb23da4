"""The phases of a remote task, and an observation of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from .mask import NO_MASK, Mask
from .text import LINE_CHARACTERS, VALUE_CHARACTERS, line

STATUS_CHARACTERS = 100


class Phase(StrEnum):
    """The state of a remote task, the same for all remotes. A phase that :attr:`is_final` ends a wait."""

    PENDING = "pending"
    RUNNING = "running"
    BLOCKED = "blocked"
    SUCCEEDED = "succeeded"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        return self in _FINAL

    @property
    def is_ok(self) -> bool:
        return self in (Phase.SUCCEEDED, Phase.SKIPPED)


_FINAL = frozenset({Phase.SUCCEEDED, Phase.SKIPPED, Phase.FAILED, Phase.CANCELLED, Phase.LOST})


class LazyMapping(Mapping[str, Any]):
    """A mapping that is made when it is first read. Most results are never read, and making one costs more than a poll.

    :param make: returns the mapping; called at most once.
    """

    def __init__(self, make: Callable[[], Mapping[str, Any]]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> Mapping[str, Any]:
        return self._make()

    def __getitem__(self, name: str) -> Any:
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)

    def __repr__(self) -> str:
        return repr(self._made)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one poll of a ref has found.

    :param status: the remote's own word or number, as text; empty where it gave none.
    :param progress: 0..100 as the remote reports it; it is logged and sets the next poll, and ends nothing.
    :param message: a text of the remote, for people.
    :param elapsed_seconds: how long the task has run, as the remote reports it.
    :param expected_seconds: how long such a task usually takes, where the remote knows.
    :param retry_after: seconds before which the remote wants no further poll.
    :param moved_to: the ref under which the task goes on (a queued item that has become a build); empty: it stays.
    :param ended_at: when it ended, by the remote's clock, in seconds since the epoch.
    :param result: what the task pushes as its XCom when this is the last observation: plain JSON, no personal data.
    :param result_characters: how much of the result an XCom may hold.
    :param personal: what is added to the result only when the user asks for it.
    :param mask: hides secrets where a field is shown; the fields are as the remote gave them.
    """

    ref: str
    phase: Phase
    status: str = ""
    progress: float | None = None
    message: str = ""
    elapsed_seconds: float | None = None
    expected_seconds: float | None = None
    retry_after: float | None = None
    moved_to: str = ""
    ended_at: float | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    result_characters: int = VALUE_CHARACTERS
    personal: Mapping[str, Any] = field(default_factory=dict)
    mask: Mask = field(default=NO_MASK, repr=False, compare=False)

    def brief(self) -> Observation:
        """The same without results, for the memory of a wait: a thousand waits keep one each."""
        return replace(self, result={}, personal={})

    def with_mask(self, mask: Mask) -> Observation:
        """The same with another mask. ``replace`` would take twice as long, for each poll."""
        return Observation(
            ref=self.ref,
            phase=self.phase,
            status=self.status,
            progress=self.progress,
            message=self.message,
            elapsed_seconds=self.elapsed_seconds,
            expected_seconds=self.expected_seconds,
            retry_after=self.retry_after,
            moved_to=self.moved_to,
            ended_at=self.ended_at,
            result=self.result,
            result_characters=self.result_characters,
            personal=self.personal,
            mask=mask,
        )

    def is_state_of(self, other: Observation | None) -> bool:
        """Whether both show the same state of the task; how long it has run does not count."""
        return other is not None and (
            (self.status, self.progress, self.message, self.phase, self.ref)
            == (other.status, other.progress, other.message, other.phase, other.ref)
        )

    def describe(self) -> str:
        """Phase, raw status, progress and message on one line, for logs."""
        status = f" ({self.status_line})" if self.status else ""
        progress = "" if self.progress is None else f" {self.progress:g} %"
        return f"{self.phase}{status}{progress}" + (f": {self.message_line}" if self.message else "")

    @property
    def status_line(self) -> str:
        """The beginning of the raw status, as it may be shown."""
        return line(self.mask.beginning(self.status, LINE_CHARACTERS * 4), STATUS_CHARACTERS)

    @property
    def message_line(self) -> str:
        """The beginning of the message, as it may be shown."""
        return line(self.mask.beginning(self.message, LINE_CHARACTERS * 4))


def absent(ref: str) -> Observation:
    """The observation of a ref that the remote does not know (a 404).

    :mod:`.judge` decides by the age of the wait whether that means *not yet* or *gone*.
    """
    return Observation(ref=ref, phase=Phase.LOST, message="not found")
