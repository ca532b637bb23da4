"""Starting is not repeatable: what is written down about a start, and what a new attempt does about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
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
    def result(self) -> Any:
        """The reply as an XCom."""
        return shortened(self.mask.data(self.reply))

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
    """

    start_id: str
    fingerprint: str
    max_tries: int | None
    started_at: str
    ref: str | None = None
    marker: str = ""
    is_called_back: bool = False
    is_delivered: bool = False

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
        return Record(**{one.name: known[one.name] for one in fields(Record) if one.name in known})
    except TypeError as cause:
        raise ConfigurationError(
            f"the record of the start in the task state store cannot be read ({stored!r:.200}); "
            "look at the remote whether it runs, and delete the record to start anew"
        ) from cause


class Decision(StrEnum):
    """What an attempt does about what an earlier one has written down."""

    START = "start"
    START_CLEARED = "start_cleared"
    """Start; the earlier execution, if it still runs, belongs to an attempt that a user has cleared."""
    START_CHANGED = "start_changed"
    """Start; the earlier execution was started with other inputs."""
    LOOK_UP = "look_up"
    """A start may have been sent: find out before another one."""
    REJOIN = "rejoin"


def decide(record: Record | None, *, fingerprint: str, max_tries: int) -> Decision:
    """What to do, from top to bottom: the first row that fits."""
    if record is None or record.is_delivered:
        return Decision.START
    if record.max_tries is not None and record.max_tries != max_tries:
        return Decision.START_CLEARED
    if record.ref is None:
        return Decision.LOOK_UP
    if record.max_tries is not None and record.fingerprint != fingerprint:
        return Decision.START_CHANGED
    return Decision.REJOIN


def fingerprint(inputs: object) -> str:
    """A short hash of a start's inputs, whatever the order of their names."""
    sent = json.loads(json.dumps(inputs, default=str))
    text = json.dumps(sent, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
