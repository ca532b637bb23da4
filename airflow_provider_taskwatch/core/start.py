"""Starting is not repeatable: what a new attempt does about the record of an earlier one."""

from __future__ import annotations

from enum import StrEnum

from .record import Record
from .system import has_moved


class Decision(StrEnum):
    """What an attempt does about the record of an earlier one."""

    START = "start"
    START_CLEARED = "start_cleared"
    """Start; the earlier execution belongs to an attempt that a user has cleared, and may still run."""
    START_CHANGED = "start_changed"
    """The earlier execution has other inputs: ``on_changed_inputs`` says whether to start, to rejoin or to fail."""
    MOVED = "moved"
    """The earlier execution was started elsewhere: here its ref and marker name nothing, or something else."""
    LOOK_UP = "look_up"
    """A start may have been sent: look it up before another one."""
    REJOIN = "rejoin"


def decide(
    record: Record | None,
    *,
    fingerprint: str,
    max_tries: int,
    clear_number: int | None = None,
    carrier: str = "",
    id_space: str = "",
) -> Decision:
    """The first rule that applies, from top to bottom.

    The arguments are the current values of the record's fields of the same names.
    """
    if record is None or record.is_delivered:
        return Decision.START
    if was_cleared(record, max_tries=max_tries, clear_number=clear_number, carrier=carrier):
        return Decision.START_CLEARED
    if has_moved(record.id_space, id_space):
        return Decision.MOVED
    if record.ref is None:
        return Decision.LOOK_UP
    if record.max_tries is not None and record.fingerprint != fingerprint:
        return Decision.START_CHANGED
    return Decision.REJOIN


def was_cleared(record: Record, *, max_tries: int, clear_number: int | None, carrier: str) -> bool:
    """Whether a user has cleared the task since the start. False for an adopted ref that no attempt has rejoined yet.

    Most clears raise ``max_tries``, and no retry does. Two clears do not: that of a task whose ``retries`` were lowered
    meanwhile, and that of a running task whose worker dies. They are known by the carrier, which Airflow 3.3.2 renews
    in a clear. The clear number of the run must differ, too: otherwise an Airflow that renewed the carrier in a retry
    would make a clear of the retry.
    """
    if record.max_tries is None:
        return False
    if record.max_tries != max_tries:
        return True
    is_renewed = "" not in (record.carrier, carrier) and record.carrier != carrier
    return is_renewed and None not in (record.clear_number, clear_number) and record.clear_number != clear_number


def objection(record: Record, ref: str, state: str | None) -> str:
    """What a task would lose by adopting a ref; empty where it loses nothing.

    :param state: of the Airflow task; None where it has none.
    """
    if state in _AT_WORK:
        return f"the task is {state}: {record.ref or 'what it starts'} is what it waits for; mark it failed first"
    if state == "success":
        return f"the task has succeeded with {record.ref}, and a clear of it starts anew"
    if record.ref not in (None, ref):
        return f"the task has {record.ref}, which may still run; no task would wait for it or cancel it any more"
    return ""


_AT_WORK = ("scheduled", "queued", "running", "restarting", "deferred", "up_for_reschedule")
