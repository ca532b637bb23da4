"""Reads the polls with one selector by one list, unless lists are refused or fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_provider_taskwatch.core.error import RemoteError, ReplyError, TaskWatchError, TransportError
from airflow_provider_taskwatch.core.flow import Flow, nothing
from airflow_provider_taskwatch.core.phase import Observation
from airflow_provider_taskwatch.core.system import has_moved
from airflow_provider_taskwatch.core.watch import Poll

from .live_connection import LiveConnection, OpenConnection

REFUSED_SECONDS = 300.0
"""How long no lists are read after the remote has refused one."""
FAILURES = 3
FAILED_SECONDS = 60.0
"""How long a list is not read after it has failed several times in a row: one of its refs may be the cause."""
GATHER_SECONDS = 1.0
"""Between two lists where a list costs no more than one ref. Polls that become due meanwhile share the next list."""


@dataclass(slots=True, kw_only=True)
class Lists:
    """The lists of one connection, by their selectors."""

    connection: LiveConnection
    clock: Callable[[], float]
    _refused_until: float = field(default=0.0, init=False)
    _failures: dict[str, int] = field(default_factory=dict, init=False)
    _failed_until: dict[str, float] = field(default_factory=dict, init=False)
    _read_at: dict[str, float] = field(default_factory=dict, init=False)

    def next_read(self, selector: str, now: float) -> float | None:
        """When a list is to be read: now, which the caller then does, or later; None where refs are read one by one."""
        if not selector or now < self._refused_until or now < self._failed_until.get(selector, 0.0):
            return None
        if self.connection.reads_alone:  # a list that is held would delay refs that can be read now
            return None if self.connection.held_seconds(selector) else now
        at = max(now, self._read_at.get(selector, 0.0) + GATHER_SECONDS)
        if at == now:
            self._read_at[selector] = now
        return at

    async def read(self, polls: Sequence[Poll]) -> Mapping[str, Observation]:
        """Observations by ref; empty where the list was refused, or failed and each ref can be read alone."""
        selector = polls[0].selector

        def flow(opened: OpenConnection) -> Flow[Mapping[str, Observation]]:
            refs = {one.ref for one in polls if not has_moved(one.id_space, opened.id_space)}
            system = opened.system.for_wait(polls[0].options)
            return system.observe_many(selector, sorted(refs)) if refs else nothing({})

        try:
            found = await self.connection.run(flow, about=selector)
        except TaskWatchError as error:
            if not error.transient or isinstance(error, ReplyError):
                self._refused(error)
            elif self.connection.reads_alone and _may_be_of_list(error):
                self._failed(selector, error)
            else:
                raise
            return {}
        self._failures.pop(selector, None)
        self._failed_until.pop(selector, None)
        return found

    def _refused(self, error: TaskWatchError) -> None:
        if not self._refused_until:
            self.connection.warn("connection %r cannot read many at once, reading one by one: %s", error)
        self._refused_until = self.clock() + REFUSED_SECONDS

    def _failed(self, selector: str, error: TaskWatchError) -> None:
        self._failures[selector] = self._failures.get(selector, 0) + 1
        if self._failures[selector] == FAILURES:
            del self._failures[selector]
            self._failed_until[selector] = self.clock() + FAILED_SECONDS
            self.connection.warn("connection %r: the list %r fails, reading one by one: %s", selector, error)


def _may_be_of_list(error: TaskWatchError) -> bool:
    """Whether the remote may answer other requests, so that refs can be read one by one."""
    if isinstance(error, RemoteError):
        return error.status >= 500
    return isinstance(error, TransportError) and error.sent
