"""How a wait ended, and the one event that carries it from the triggerer to the worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from .error import EventError
from .mask import Mask
from .phase import Phase
from .text import bounded, cut, printable, storable

EVENT_VERSION = 1
MOVED = "moved"
"""The status of a refusal that no retry cures: the connection leads to another place than where the wait began."""


class Ending(StrEnum):
    """Why a wait is over. The first five are final phases of the remote task."""

    SUCCEEDED = "succeeded"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    UNKNOWN = "unknown"
    """Its status was unknown for longer than ``unknown_status_grace``."""
    BLOCKED = "blocked"
    """It waits for a person, and ``fail_on_blocked`` or ``blocked_timeout`` ended the wait."""
    REFUSED = "refused"
    """The remote refuses the poll (400, 401, 403, ...)."""
    TIMED_OUT = "timed_out"
    """The wait's deadline has passed."""
    CONTINUES = "continues"
    """The task goes on under another ref, that of the outcome; a worker writes it down, and waits on."""

    @property
    def is_ok(self) -> bool:
        return self in (Ending.SUCCEEDED, Ending.SKIPPED)

    @property
    def is_of_remote(self) -> bool:
        """Whether the remote task itself has ended."""
        return self in _OF_REMOTE


_OF_REMOTE = frozenset({Ending.SUCCEEDED, Ending.SKIPPED, Ending.FAILED, Ending.CANCELLED, Ending.LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one wait, small enough for the row of Airflow's database that holds its event.

    :param phase: the last observed phase; None where there was no observation.
    :param result: what the task pushes as its XCom, within the bounds of :func:`~.text.bounded`.
    :param loss: what was left out of the result; empty where it is whole.
    :param message: for people; after a failure with the messages of the remote.
    """

    ending: Ending
    ref: str
    phase: Phase | None = None
    status: str = ""
    message: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    loss: str = ""

    def __post_init__(self) -> None:
        for name in ("status", "message"):
            object.__setattr__(self, name, printable(cut(storable(getattr(self, name)))))
        object.__setattr__(self, "ref", printable(storable(self.ref)))  # a ref that this would change is refused before
        kept = bounded(self.result)
        object.__setattr__(self, "result", kept.value)
        object.__setattr__(self, "loss", kept.loss or self.loss)

    def masked(self, mask: Mask) -> Outcome:
        """The same without secrets. The ref stays, because it is used."""
        return replace(
            self,
            status=mask.text(self.status),
            message=mask.text(self.message),
            result=mask.data(self.result, keep=self.ref),
        )

    @property
    def rests_on_clock(self) -> bool:
        """Whether a wall clock has ended the wait: its deadline, or the grace period for a ref that is not found."""
        return self.ending is Ending.TIMED_OUT or (self.ending is Ending.LOST and not self.status)

    @property
    def warning(self) -> str:
        """That the result is not whole, for the log; empty where it is."""
        if not self.loss:
            return ""
        return f"the result is too long for an XCom: {self.loss}; set output_path= to get all of it"

    def to_event(self) -> dict[str, Any]:
        """Plain JSON, the payload of the trigger's event."""
        return {
            "version": EVENT_VERSION,
            "ending": str(self.ending),
            "ref": self.ref,
            "phase": self.phase and str(self.phase),
            "status": self.status,
            "message": self.message,
            "result": dict(self.result),
            **({"loss": self.loss} if self.loss else {}),
        }


def from_event(event: object) -> Outcome:
    """The outcome in a trigger's event.

    :raises EventError: where the event is missing, malformed or of a newer version.
    """
    if not isinstance(event, Mapping):
        raise EventError(f"the trigger sent {event!r:.80} instead of an event; clear the task to start again")
    version = event.get("version")
    if not isinstance(version, int) or version > EVENT_VERSION:
        raise EventError(
            f"the trigger's event has the version {version!r}, this worker reads up to {EVENT_VERSION}: "
            "install the same airflow-provider-taskwatch on triggerer and workers"
        )
    with reading_event():
        return Outcome(
            ending=Ending(event["ending"]),
            ref=str(event["ref"]),
            phase=Phase(event["phase"]) if event.get("phase") else None,
            status=str(event.get("status") or ""),
            message=str(event.get("message") or ""),
            result=dict(event.get("result") or {}),
            loss=str(event.get("loss") or ""),
        )


@contextmanager
def reading_event() -> Iterator[None]:
    """Raises :class:`EventError` where the block finds a field of an event missing, or of another form."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as cause:
        raise EventError(f"the trigger's event is malformed ({cause!r}); clear the task to start again") from cause
