"""The record of a start: first the intent, then the ref, then that a bad end was handed over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from .error import ConfigurationError
from .mask import NO_MASK, Mask
from .phase import Observation
from .text import shortened


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The result of a start request.

    :param ref: the remote's id of the task; None where the reply names none.
    :param ended: the end of the task, where the reply shows it already.
    :param reply: the remote's reply.
    :param mask: the secrets in it.
    """

    ref: str | None
    ended: Observation | None = None
    reply: Mapping[str, Any] = field(default_factory=dict, repr=False)
    mask: Mask = field(default=NO_MASK, repr=False, compare=False)

    @property
    def whole(self) -> Any:
        """The reply without its secrets."""
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
    """One start, as Airflow's task state store keeps it: first the intent, then the ref, then a bad end.

    :param start_id: random, 12 hex digits; the marker at the remote ends in it.
    :param fingerprint: of the inputs.
    :param max_tries: of the task instance at the start; a clear raises it, a retry does not. None: adopted; the next
        attempt rejoins it, whatever its inputs.
    :param started_at: ISO 8601, UTC.
    :param ref: None until a reply names it.
    :param marker: what the start left at the remote, where it keeps markers; a retry may render another alias.
    :param is_called_back: the remote was asked to call back at the end.
    :param is_delivered: a bad end was handed to Airflow; the next attempt starts anew.
    :param clear_number: of the DAG run at the start; a clear of any of its tasks raises it. None: not known.
    :param carrier: of the task instance's trace at the start; a clear renews it for each task that it clears, a retry
        does not. Empty: not known.
    :param conn_id: the connection that it was sent over; empty where that is not known.
    :param id_space: where the ref and the marker are valid; see :meth:`~.system.System.id_space`. Empty: anywhere.
    :param inputs: a mark of each input, to name one that changed; see :func:`marks`.
    :param is_adopted: a person has named the ref; it need not carry our marker.
    :param options: what polls of this start need of its inputs, as the system documents; a retry may render others.
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
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def known_ref(self) -> str:
        """The ref; :class:`ValueError` where no reply has named it."""
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
            "check at the remote whether it runs, then delete the record to start anew"
        ) from cause


def _check(record: Record) -> None:
    """Raise an error for what would fail only after a decision: a record may have been edited by hand."""
    if datetime.fromisoformat(record.started_at).tzinfo is None:
        raise ValueError("started_at has no zone")
    ref: object = record.ref
    if not isinstance(ref, str | None):
        raise TypeError("ref must be a string")


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
    """16 bits of a salted hash of each input, by its dotted name. They name a changed input, and hide its value.

    :param inputs: JSON.
    :param start_id: the salt.
    """
    leaves = list(_leaves(inputs))
    named = leaves if len(leaves) <= MOST_MARKS else inputs.items()
    return {name: hashlib.sha256(f"{start_id} {_sorted(value)}".encode()).hexdigest()[:4] for name, value in named}


MOST_MARKS = 200


def changed_inputs(record: Record, inputs: Mapping[str, Any]) -> list[str]:
    """The names of the inputs that changed since the start; empty where the record does not know them."""
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
