"""Which events of a feed belong to which run of a reader: one range for each run and map index, kept in the inbox."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_taskwatch.compat.task_state import NEVER_EXPIRE, TaskState
from airflow_provider_taskwatch.inbox.checkpoint import Checkpoint
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.inbox.protocol import Inbox

KEY = "taskwatch_share"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRange:
    """The events of a run: those after ``start``, up to ``end``.

    :param size: how many events of the feed those are, wanted or not; None where they were not counted.
    """

    start: int
    end: int
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Where a reader's last run has ended.

    :param text: as the inbox has it; None for a new reader.
    """

    text: str | None
    end: Checkpoint


class BatchRanges:
    """The runs of one reader.

    :param name: of the reader's position in the inbox.
    :param run: the present run, with its map index.
    :param store: ``context["task_state_store"]``, which remembers a run's range for longer than the inbox; or None.
    :param clock: seconds since the epoch.
    """

    def __init__(
        self, inbox: Inbox, name: str, run: str, store: TaskState | None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._inbox = inbox
        self._name = name
        self._run = run
        self._store = store
        self._clock = clock

    def mine(self) -> BatchRange | None:
        """The range of this run, where it has claimed one before."""
        found = self._inbox.find(self._name, self._run)
        if found is not None:
            return BatchRange(**found.message.content)
        stored = json.loads(self._inbox.position(self._name) or "{}")
        if stored.get("run") == self._run:
            return BatchRange(start=stored["start"], end=stored["end"])
        kept = {} if self._store is None else self._store.get(KEY) or {}
        return BatchRange(**kept["share"]) if kept.get("reader") == self._name else None

    def reached(self) -> Reached | None:
        """Where the last run has ended; None for a new reader."""
        text = self._inbox.position(self._name)
        if text is None:
            return None
        stored: Mapping[str, Any] = json.loads(text)
        rest = {name: stored[name] for name in ("passed", "delivery", "at") if name in stored}
        return Reached(text=text, end=Checkpoint(number=stored["end"], **rest))

    def claim(self, reached: Reached | None, start: Checkpoint, end: Checkpoint, size: int) -> bool:
        """Take what lies between two checkpoints for this run; return False if another run took it meanwhile."""
        claimed = BatchRange(start=start.number, end=end.number, size=size)
        behind = {"end": end.number, "passed": end.passed, "delivery": end.delivery, "at": end.at}
        position = {"run": self._run, "start": claimed.start, **behind}
        is_mine = self._inbox.claim(
            self._name, reached.text if reached else None, json.dumps(position), self._message(claimed)
        )
        if is_mine and self._store is not None:
            self._store.set(KEY, {"reader": self._name, "share": asdict(claimed)}, retention=NEVER_EXPIRE)
        return is_mine

    def _message(self, claimed: BatchRange) -> Message:
        return Message(
            channel=self._name, subject="", delivery=self._run, content=asdict(claimed), received_at=self._clock()
        )
