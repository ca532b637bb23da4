"""The cancel of a remote task whose Airflow task a user has ended. It is kept until it has reached the remote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from .error import RemoteError, ReplyError
from .flow import Flow, Retry
from .phase import Observation, Phase
from .single_poll import latest
from .system import Effect, Options, System
from .text import shown_ref

AGE_SECONDS = 86_400.0
REFUSALS = 5
"""After this number of refusals the remote is not asked again."""
PATIENCE = Retry(first_seconds=2.0, limit_seconds=600.0)
"""Between two attempts."""

_OF_THE_NEXT_ATTEMPT = ("scheduled", "queued", "running", "deferred", "up_for_retry", "up_for_reschedule", "restarting")
"""States of a task whose next attempt goes on with the remote task, or cancels it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """A cancel that is to reach the remote. Plain values without secrets.

    :param cancel_id: random; distinguishes two kills of the same remote task.
    :param id_space: where the ref means this task; see :meth:`~.system.System.id_space`. Empty: not known.
    :param options: how the system reads the remote's replies.
    :param keeps_record: whether the next attempt of the Airflow task knows this remote task.
    :param is_users: whether Airflow has confirmed that a user ended the task; it may not have answered yet.
    :param unknown_until: until then the remote may not know its own id; seconds since the epoch.
    :param valid_until: the deadline of the wait, in seconds since the epoch; None for none.
    :param kept_at: when the cancel was stored; seconds since the epoch.
    """

    cancel_id: str
    conn_id: str
    ref: str
    id_space: str = ""
    options: Options = field(default_factory=dict)
    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    map_index: int = -1
    keeps_record: bool = False
    is_users: bool = False
    unknown_until: float = 0.0
    valid_until: float | None = None
    kept_at: float = 0.0

    @property
    def shown_ref(self) -> str:
        """The ref, for messages."""
        return shown_ref(self.ref)

    @property
    def task(self) -> str:
        """The Airflow task, for a log."""
        index = "" if self.map_index < 0 else f"[{self.map_index}]"
        return f"{self.dag_id}.{self.task_id}{index} of {self.run_id}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def cancel_from(content: object) -> Cancel | None:
    """The cancel that :meth:`Cancel.to_json` made, perhaps in another version; None where it cannot be read."""
    if not isinstance(content, Mapping):
        return None
    known = {one.name for one in fields(Cancel)}
    try:
        return Cancel(**{name: value for name, value in content.items() if name in known})
    except TypeError:
        return None


def why_left(cancel: Cancel, state: str | None) -> str:
    """Why the remote task is not cancelled, for a log; empty where it is to be cancelled.

    :param state: of the Airflow task; ``cleared`` where it has none, None where Airflow knows no such task.
    """
    if state is None and not cancel.is_users:
        return "Airflow does not know the task any more, so it is unknown whether a user ended it"
    if state == "deferred" and not cancel.is_users:
        return "the task is still deferred, and another triggerer waits for it"
    if cancel.keeps_record and state in _OF_THE_NEXT_ATTEMPT:
        return f"the task is {state}, and its next attempt goes on with it, or cancels it after a clear"
    return ""


def kept_message(ref: str, reason: str, where: str) -> str:
    """A cancel failed and is kept: the line for the log of the task."""
    return f"{ref} was not cancelled: {reason}. It is kept in {where}; the triggerers that share it retry it for a day"


def lost_message(ref: str, reason: str, failure: str) -> str:
    """A cancel failed and could not be kept: the line for the log of the task."""
    return f"{ref} was not cancelled ({reason}), nor could that be kept ({failure}): cancel it at the remote by hand"


class CancelEnd(StrEnum):
    """How a cancel ended."""

    CANCELLED = "was cancelled, as the task was ended by a user"
    ENDED = "had ended before it could be cancelled"
    UNKNOWN = "is not known to the remote any more, so nothing was cancelled"
    IMPOSSIBLE = "goes on at the remote"


def carry_out(system: System, cancel: Cancel, now: float) -> Flow[tuple[CancelEnd, str]]:
    """Cancels the remote task, or its restart, if it still runs; how that ended, and the ref of the task.

    :param now: seconds since the epoch.
    :raises ReplyError: where the remote does not know the ref yet, or contradicts itself: it shows a task that it does
        not know when it is to be cancelled.
    """
    system = system.for_wait(cancel.options)
    if not system.can_cancel:
        return CancelEnd.IMPOSSIBLE, cancel.ref
    seen = yield from latest(system, cancel.ref, cancel.options)
    if seen.phase is Phase.LOST and now < cancel.unknown_until:
        raise ReplyError(f"the remote does not know {system.noun} {cancel.shown_ref} yet")
    if seen.phase.is_final:
        return _end_of(seen), seen.ref
    read_again = latest(system, seen.ref, cancel.options, is_restart=seen.ref != cancel.ref)
    try:
        effect = yield from system.cancel(seen.ref, cancel.options)
    except RemoteError as refused:
        if refused.transient or not (seen := (yield from read_again)).phase.is_final:
            raise
        return _end_of(seen), seen.ref
    if effect is not Effect.UNKNOWN:
        return CancelEnd[effect.name], seen.ref
    seen = yield from read_again
    if not seen.phase.is_final:
        raise ReplyError(
            f"{system.noun} {shown_ref(seen.ref)} is {seen.phase} at the remote, which does not know it for a cancel"
        )
    return _end_of(seen), seen.ref


def _end_of(seen: Observation) -> CancelEnd:
    """How a task ended that needs no cancel. Without a status the remote does not know it."""
    return CancelEnd.ENDED if seen.phase is not Phase.LOST or seen.status else CancelEnd.UNKNOWN
