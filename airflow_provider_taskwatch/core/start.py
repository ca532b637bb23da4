"""Starting is not repeatable: what is written down about a start, and what a new attempt does about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from .error import ConfigurationError
from .mask import NO_MASK, Mask
from .text import shortened


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What a start request brought.

    :param ref: the remote's id of the task; None where the reply names none.
    :param reply: the remote's reply, for whoever wants to read more of it.
    :param mask: what must not be shown of it.
    """

    ref: str | None
    reply: Mapping[str, Any] = field(default_factory=dict)
    mask: Mask = field(default=NO_MASK, repr=False, compare=False)

    @property
    def whole(self) -> Any:
        """The reply, as much of it as may be shown."""
        return self.mask.data(self.reply)

    @property
    def result(self) -> Any:
        """The reply as an XCom."""
        return shortened(self.whole)

    @property
    def summary(self) -> str:
        """The reply in a message."""
        return self.mask.text(repr(shortened(self.reply)))[:500]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One start, as it is kept in Airflow's task state store: first the intent, then the ref, then a bad end.

    :param start_id: random, 12 hex digits; the marker at the remote ends in it.
    :param fingerprint: of the inputs.
    :param max_tries: of the task instance at the start; a clear raises it, a retry does not. None: adopted, so that
        the next attempt rejoins whatever it is.
    :param started_at: ISO 8601, UTC.
    :param ref: None as long as no reply has named it.
    :param marker: what the start left at the remote, where it keeps markers; a retry may render another alias.
    :param is_called_back: the remote was asked to call back when it has ended.
    :param is_delivered: a bad end was handed to Airflow, so that the next attempt starts anew.
    :param clear_number: of the DAG run at the start; each clear of any of its tasks raises it. None: not known.
    :param carrier: of the task instance's trace at the start; a clear renews it for each task that it clears, a retry
        does not. Empty: not known.
    :param conn_id: the connection that it was sent over; empty where that is not known.
    :param id_space: where the ref and the marker mean anything; see :meth:`~.system.System.id_space`. Empty: anywhere.
    :param inputs: a mark of each input, so that a changed one can be named; see :func:`marks`.
    :param is_adopted: a person has named the ref, so it need not carry our marker.
    """

    start_id: str
    fingerprint: str
    max_tries: int | None
    started_at: str
    ref: str | None = None
    marker: str = ""
    is_called_back: bool = False
    is_delivered: bool = False
    clear_number: int | None = None
    carrier: str = ""
    conn_id: str = ""
    id_space: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    is_adopted: bool = False

    @property
    def known_ref(self) -> str:
        """The ref, where a reply has named it."""
        if self.ref is None:
            raise ValueError(f"the start {self.start_id} has no ref yet")
        return self.ref

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def from_json(stored: object) -> Record | None:
    """The record that :meth:`Record.to_json` wrote; None where there is none.

    :raises ConfigurationError: where it cannot be read; to take it for none could start a task twice.
    """
    if stored is None:
        return None
    try:
        known = stored if isinstance(stored, Mapping) else {}
        record = Record(**{one.name: known[one.name] for one in fields(Record) if one.name in known})
        _check(record)
        return record
    except (TypeError, ValueError) as cause:
        raise ConfigurationError(
            f"the record of the start in the task state store cannot be read ({stored!r:.200}); "
            "look at the remote whether it runs, and delete the record to start anew"
        ) from cause


def _check(record: Record) -> None:
    """Raise an error for what would fail later on, behind a decision: a record may have been edited by hand."""
    if datetime.fromisoformat(record.started_at).tzinfo is None:
        raise ValueError("started_at has no zone")
    ref: object = record.ref
    if not isinstance(ref, str | None):
        raise TypeError("ref must be a text")


class Decision(StrEnum):
    """What an attempt does about what an earlier one has written down."""

    START = "start"
    START_CLEARED = "start_cleared"
    """Start; the earlier execution, if it still runs, belongs to an attempt that a user has cleared."""
    START_CHANGED = "start_changed"
    """The earlier execution was started with other inputs: the user says whether to start, to rejoin or to fail."""
    MOVED = "moved"
    """The earlier execution was started elsewhere: its ref and marker mean nothing, or another one, here."""
    LOOK_UP = "look_up"
    """A start may have been sent: find out before another one."""
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
    """What to do, from top to bottom: the first row that fits.

    The arguments are what the record's fields of the same names would be now.
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
    """Whether a user has cleared the task since the start; never for what was adopted and not taken up yet.

    Most clears raise ``max_tries``, and no retry does. Two leave it as it is: that of a task whose ``retries`` were
    lowered meanwhile, and that of a running task whose worker dies. Those are known by the carrier, as Airflow 3.3.2
    renews it where it clears. It counts together with the clear number of the run only, so that an Airflow that
    renewed it for a retry would not make a clear of that.
    """
    if record.max_tries is None:
        return False
    if record.max_tries != max_tries:
        return True
    is_renewed = "" not in (record.carrier, carrier) and record.carrier != carrier
    return is_renewed and None not in (record.clear_number, clear_number) and record.clear_number != clear_number


def objection(record: Record, ref: str, state: str | None) -> str:
    """Why a person should think twice before a task adopts a ref; empty where nothing is lost by it.

    :param state: of the Airflow task; None where it has none.
    """
    if state in _AT_WORK:
        return f"the task is {state}: {record.ref or 'what it starts'} is what it waits for; mark it failed first"
    if state == "success":
        return f"the task has succeeded with {record.ref}, and a clear of it starts anew"
    if record.ref not in (None, ref):
        return f"the task has {record.ref}, which may still run, and which nobody would wait for or cancel any more"
    return ""


_AT_WORK = ("scheduled", "queued", "running", "restarting", "deferred", "up_for_reschedule")


def has_moved(started_at: str, is_at: str) -> bool:
    """Whether two id spaces are known and differ."""
    return "" not in (started_at, is_at) and started_at != is_at


def fingerprint(inputs: object) -> str:
    """A short hash of a start's inputs, whatever the order of their names.

    :raises ConfigurationError: where they are no JSON: the text of an object may differ from attempt to attempt.
    """
    try:
        sent = json.loads(json.dumps(inputs, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as cause:
        raise ConfigurationError(
            "the inputs of a start must be JSON: texts, finite numbers, booleans, lists and dicts"
        ) from cause
    return hashlib.sha256(_sorted(sent).encode()).hexdigest()[:16]


def marks(inputs: Mapping[str, Any], start_id: str) -> dict[str, str]:
    """A mark of each input by its dotted name: enough to see which one has changed, too little to guess a value from.

    :param inputs: JSON.
    :param start_id: makes the marks of equal values differ from start to start.
    """
    leaves = list(_leaves(inputs))
    named = leaves if len(leaves) <= MOST_MARKS else inputs.items()
    return {name: hashlib.sha256(f"{start_id} {_sorted(value)}".encode()).hexdigest()[:4] for name, value in named}


MOST_MARKS = 200


def changed_inputs(record: Record, inputs: Mapping[str, Any]) -> list[str]:
    """The names of the inputs that are not what they were at the start; empty where they are not known."""
    now = marks(inputs, record.start_id)
    names = sorted(record.inputs.keys() | now.keys()) if record.inputs else []
    return [name for name in names if record.inputs.get(name) != now.get(name)]


def _leaves(inputs: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in inputs.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _sorted(value: object) -> str:
    return json.dumps(value, sort_keys=True)
