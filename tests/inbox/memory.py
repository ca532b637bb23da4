"""An inbox in memory, for tests without a database."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from airflow_provider_taskwatch.core.error import LeaseError
from airflow_provider_taskwatch.inbox.checkpoint import View, by_channel, deletions_from, deletions_name
from airflow_provider_taskwatch.inbox.cursor import CLEAR, Cursor, Horizon, cursor_at
from airflow_provider_taskwatch.inbox.message import PAGE_MESSAGES, Heartbeat, Lease, Message, Received, Sealed
from airflow_provider_taskwatch.inbox.task_state import TaskKey


class MemoryInbox:
    """See :class:`~.protocol.Inbox`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: dict[int, Message] = {}
        self._deliveries: set[tuple[str, str]] = set()
        self._newest = 0
        self._positions: dict[str, str] = {}
        self._leases: dict[str, tuple[str, float]] = {}
        self._sealed: dict[int, Sealed] = {}
        self._beats: dict[tuple[str, str], float] = {}
        self._task_states: dict[TaskKey, dict[str, str]] = {}
        self._checked: dict[TaskKey, float] = {}

    def add(self, messages: Sequence[Message]) -> int:
        with self._lock:
            return sum(self._add(one) for one in messages)

    def _add(self, message: Message) -> bool:
        delivery = (message.channel, message.delivery)
        if delivery in self._deliveries:
            return False
        self._deliveries.add(delivery)
        self._newest += 1
        self._messages[self._newest] = message
        return True

    def keep_newest(self, subjects: Collection[str], limit: int) -> int:
        with self._lock:
            groups = defaultdict[tuple[str, str], list[int]](list)
            for number, one in self._messages.items():
                groups[one.channel, one.subject].append(number)
            old = [number for key, numbers in groups.items() if key[1] in subjects for number in numbers[:-limit]]
            self._forget(old)
        return len(old)

    def keep_bytes(self, channel: str, limit: int) -> int:
        held, old = 0, list[int]()
        for one in reversed(self._of(channel)):
            content = one.message.content
            held += 0 if content is None else len(json.dumps(content))
            if held > limit:
                old.append(one.number)
        with self._lock:
            self._forget(old)
        return len(old)

    def end(self) -> Cursor:
        return cursor_at(self._newest)

    def horizon(self) -> Horizon:
        return CLEAR

    def read(self, cursor: Cursor, subjects: Collection[str] = ()) -> list[Received]:
        missing, wanted = set(cursor.missing), set(subjects)
        with self._lock:
            found = [
                Received(number=number, message=one)
                for number, one in self._messages.items()
                if number > cursor.last or number in missing or one.subject in wanted
            ]
        return found[:PAGE_MESSAGES]

    def prune(self, before: float, limit: int) -> int:
        with self._lock:
            old = [number for number, one in self._messages.items() if one.received_at < before][:limit]
            self._forget(old)
        return len(old)

    def _forget(self, numbers: Sequence[int]) -> None:
        old = [(number, self._messages.pop(number)) for number in numbers]
        self._deliveries -= {(one.channel, one.delivery) for _, one in old}
        deleted = by_channel((one.channel, number, one.received_at) for number, one in old)
        for channel, deletions in deleted.items():
            name = deletions_name(channel)
            self._positions[name] = deletions_from(self._positions.get(name)).with_(deletions).to_text()

    def forget_sealed(self, before: float, *, unread: bool = False) -> int:
        with self._lock:
            old = [
                number for number, one in self._sealed.items() if one.received_at < before and (unread or one.problem)
            ]
            for number in old:
                del self._sealed[number]
        return len(old)

    def append(
        self,
        channel: str,
        messages: Sequence[Message],
        *,
        lease: Lease | None = None,
        position: str | None = None,
        unsealed: int | None = None,
    ) -> int:
        with self._lock:
            self._check(lease)
            if position is not None:
                self._positions[channel] = position
            if unsealed is not None:
                self._sealed.pop(unsealed, None)
            return sum(self._add(one) for one in messages)

    def after(self, channel: str, number: int, limit: int = PAGE_MESSAGES) -> list[Received]:
        return [one for one in self._of(channel) if one.number > number][:limit]

    def page(self, channel: str, number: int) -> View:
        rows, deletions = self.after(channel, number), deletions_from(self._positions.get(deletions_name(channel)))
        held = self.held(channel, number) if deletions.number > number else 0
        return View(rows=rows, deletions=deletions, newest=self._newest, there=self.at(number), held=held)

    def newest(self) -> int:
        return self._newest

    def at(self, number: int) -> Received | None:
        with self._lock:
            message = self._messages.get(number)
        return None if message is None else Received(number=number, message=message)

    def held(self, channel: str, number: int) -> int:
        return sum(one.number <= number for one in self._of(channel))

    def find(self, channel: str, delivery: str) -> Received | None:
        return next((one for one in self._of(channel) if one.message.delivery == delivery), None)

    def claim(self, name: str, before: str | None, position: str, message: Message) -> bool:
        with self._lock:
            if self._positions.get(name) != before:
                return False
            self._positions[name] = position
            self._add(message)
            return True

    def number_before(self, channel: str, moment: float) -> int:
        ours = self._of(channel)
        first = (one.number - 1 for one in ours if one.message.received_at >= moment)
        return next(first, ours[-1].number if ours else 0)

    def _of(self, channel: str) -> list[Received]:
        with self._lock:
            return [Received(number=n, message=one) for n, one in self._messages.items() if one.channel == channel]

    def position(self, feed: str) -> str | None:
        return self._positions.get(feed)

    def save_position(
        self, feed: str, position: str, lease: Lease | None = None, *, also: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        with self._lock:
            self._check(lease)
            self._positions.update({feed: position, **also})

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        now = time.monotonic()
        with self._lock:
            other, until = self._leases.get(name, (holder, 0.0))
            if other != holder and until > now:
                return False
            self._leases[name] = (holder, now + seconds)
            return True

    def release(self, name: str, holder: str) -> None:
        with self._lock:
            if self._leases.get(name, ("", 0.0))[0] == holder:
                del self._leases[name]

    def holder(self, name: str) -> str | None:
        holder, until = self._leases.get(name, ("", 0.0))
        return holder if until > time.monotonic() else None

    def holders(self) -> dict[str, str]:
        now = time.monotonic()
        return {name: holder for name, (holder, until) in sorted(self._leases.items()) if until > now}

    def _check(self, lease: Lease | None) -> None:
        if lease is not None and self._leases.get(lease.name, ("", 0.0))[0] != lease.holder:
            raise LeaseError(f"the lease {lease.name!r} is held by another process now")

    def keep_sealed(self, feed: str, content: bytes, received_at: float) -> int:
        with self._lock:
            number = max(self._sealed, default=0) + 1
            self._sealed[number] = Sealed(number=number, feed=feed, content=content, received_at=received_at)
            return number

    def sealed(self, feed: str | None = None, *, unread: bool = False) -> list[Sealed]:
        with self._lock:
            found = [one for one in self._sealed.values() if feed in (None, one.feed) and not (unread and one.problem)]
        return found[:PAGE_MESSAGES]

    def set_problem(self, number: int, problem: str) -> None:
        with self._lock:
            self._sealed[number] = replace(self._sealed[number], problem=problem)

    def beat(self, host: str, url: str) -> None:
        with self._lock:
            self._beats.pop((host, url), None)
            self._beats[host, url] = time.monotonic()

    def heartbeats(self) -> list[Heartbeat]:
        now = time.monotonic()
        with self._lock:
            return [Heartbeat(host=host, url=url, age_seconds=now - at) for (host, url), at in self._beats.items()][
                ::-1
            ]

    def task_state(self, task: TaskKey, key: str) -> str | None:
        return self._task_states.get(task, {}).get(key)

    def task_states_elsewhere(self, task: TaskKey, key: str) -> dict[str, str]:
        with self._lock:
            same = [one for one in self._task_states if one != task and replace(one, airflow=task.airflow) == task]
            return {one.airflow: held[key] for one in same if key in (held := self._task_states[one])}

    def replace_task_state(self, task: TaskKey, key: str, before: str | None, after: str | None) -> bool:
        with self._lock:
            held = self._task_states.setdefault(task, {})
            if held.get(key) != before:
                return held.get(key) == after
            held.pop(key, None)
            if after is not None:
                held[key] = after
            self._checked[task] = time.time()
            return True

    def unchecked_task_states(self, airflow: str, seconds: float, limit: int) -> list[TaskKey]:
        with self._lock:
            due = [one for one, held in self._task_states.items() if held and one.airflow == airflow]
            due = [one for one in due if self._checked[one] < time.time() - seconds]
            return sorted(due, key=self._checked.__getitem__)[:limit]

    def settle_task_states(self, over: Collection[TaskKey], going_on: Collection[TaskKey], seconds: float) -> None:
        with self._lock:
            for one in over:
                if self._checked.get(one, 0.0) < time.time() - seconds:
                    self._task_states.pop(one, None)
            for one in going_on:
                if one in self._checked:
                    self._checked[one] = time.time()

    def count_task_states(self) -> int:
        return sum(bool(held) for held in self._task_states.values())

    def close(self) -> None:
        """Does nothing: there is no connection to close."""
