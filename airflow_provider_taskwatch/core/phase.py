"""Our words for the state of one remote task, and one reading of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from .mask import NO_MASK, Mask
from .text import LINE_CHARACTERS, line

STATUS_CHARACTERS = 100


class Phase(StrEnum):
    """The state of a remote task. Only :attr:`is_final` ends a wait."""

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
    """A mapping that is made when somebody looks into it: of most readings, nobody wants the result.

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
    """One reading of a ref.

    :param status: the remote's own word or number, as text; empty where it gave none.
    :param progress: 0..100 as the remote reports it; shown, never believed.
    :param message: what the remote says in words, for people.
    :param elapsed_seconds: how long the remote says that the task has run.
    :param expected_seconds: how long such a task usually takes, where the remote knows.
    :param ended_at: when it ended, by the remote's clock, in seconds since the epoch.
    :param result: what the task pushes as its XCom when this is the last reading: plain JSON, no personal data.
    :param personal: what is added to the result only when the user asks for it.
    :param mask: what must not be shown of it; the fields are as the remote gave them.
    """

    ref: str
    phase: Phase
    status: str = ""
    progress: float | None = None
    message: str = ""
    elapsed_seconds: float | None = None
    expected_seconds: float | None = None
    ended_at: float | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    personal: Mapping[str, Any] = field(default_factory=dict)
    mask: Mask = field(default=NO_MASK, repr=False, compare=False)

    def brief(self) -> Observation:
        """The same without result: what a wait of hours keeps in memory is kept a thousand times."""
        return replace(self, result={}, personal={})

    def with_mask(self, mask: Mask) -> Observation:
        """The same with that mask; made by hand, as ``replace`` takes twice as long, for each poll."""
        return Observation(
            ref=self.ref,
            phase=self.phase,
            status=self.status,
            progress=self.progress,
            message=self.message,
            elapsed_seconds=self.elapsed_seconds,
            expected_seconds=self.expected_seconds,
            ended_at=self.ended_at,
            result=self.result,
            personal=self.personal,
            mask=mask,
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
    """The reading of a ref that the remote does not know (a 404).

    Whether that means *not yet* or *gone* depends on the age of the wait, which :mod:`.judge` knows.
    """
    return Observation(ref=ref, phase=Phase.LOST, message="not found")
