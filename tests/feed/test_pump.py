"""The pump of a feed: when it reads, when another process takes over, and which errors it reports."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    InboxError,
    NotFoundError,
    RemoteError,
    ReplyError,
    TransportError,
)
from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.core.feed import Batch, Unreadable
from airflow_provider_taskwatch.core.flow import Retry
from airflow_provider_taskwatch.feed import pump as module
from airflow_provider_taskwatch.feed.pump import GRACE_SECONDS, LIMIT_SECONDS, Pump
from airflow_provider_taskwatch.inbox import thread
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.seal import Seal, fresh_key
from airflow_provider_taskwatch.inbox.store import SqlInbox
from tests.drive import virtual
from tests.feed.remote import NOW, InlineExecutor, QueueFeed, RecordingWaiter, Remote
from tests.inbox.memory import MemoryInbox
from tests.until import until

KEY = fresh_key()
QUICK = {"lease_seconds": 0.4, "renew_seconds": 0.05}
LASTING = {"lease_seconds": 1e9, "renew_seconds": 1e6}
"""A lease that never expires within a test."""
LEASE = "pump fake queue"

DOWN = TransportError("no route to host")
UNKNOWN = NotFoundError(method="GET", path="/read", status=404, message="no such queue")


@pytest.fixture(params=["memory", "sqlite"])
def inbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Inbox]:
    url = f"sqlite:///{tmp_path}/inbox.db"
    inbox: Inbox = MemoryInbox() if request.param == "memory" else SqlInbox(url, clock=lambda: NOW)
    yield inbox
    inbox.close()


def pump_on(
    inbox: Inbox,
    remote: Remote,
    feed: QueueFeed | None = None,
    open_seal: Callable[[], Seal] = lambda: Seal([KEY]),
    **times: Any,
) -> Pump:
    async def opened() -> Inbox:
        return inbox

    return Pump(feed or QueueFeed(), opened, remote.converse, open_seal, clock=lambda: NOW, **{**QUICK, **times})


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a tenth of a second, where they usually last a second."""
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(module, "_PATIENCE", Retry(first_seconds=0.1))


def stored(inbox: Inbox) -> list[str]:
    return [one.message.delivery for one in inbox.after("fake queue", 0)]


async def test_a_pump_with_a_waiter_reads_and_stores_before_it_acknowledges(inbox: Inbox) -> None:
    at: list[tuple[str, list[str]]] = []
    remote = Remote(note=lambda call: at.append((call, stored(inbox))))
    async with pump_on(inbox, remote).serving(RecordingWaiter().waiter):
        remote.emit(1, 2)
        await until(lambda: len(at) == 4)

    assert at == [
        ("begin None", []),
        ("read 0", []),
        ("acknowledge", ["1", "2"]),
        ("read 2", ["1", "2"]),
    ]


async def test_a_pump_begins_at_the_earliest_moment_of_its_waiters() -> None:
    remote = Remote()
    pump = pump_on(MemoryInbox(), remote)
    async with AsyncExitStack() as held:
        for since in (0.0, 20.0, 10.0):
            await held.enter_async_context(pump.serving(RecordingWaiter(EventFilter(since=since)).waiter))
        await until(lambda: remote.reads == 1)

    assert remote.calls[0] == "begin 10.0"


async def test_the_next_pump_continues_at_the_last_position(inbox: Inbox) -> None:
    remote = Remote()
    for number in (1, 3):
        pump = pump_on(inbox, remote)
        async with pump.serving(RecordingWaiter().waiter):
            remote.emit(number)
            await until(lambda number=number: f"read {number}" in remote.calls)
        remote.emit(number + 1)
        await until(lambda pump=pump: pump.is_idle)

    assert [call for call in remote.calls if call.startswith("begin")] == ["begin None"]
    assert len(remote.readers) == 1
    assert stored(inbox) == ["1", "2", "3", "4"]


async def test_one_of_two_pumps_reads_and_the_other_takes_over_when_it_stops(inbox: Inbox) -> None:
    first, second = Remote(), Remote()
    reader, successor = (pump_on(inbox, remote, lease_seconds=60.0) for remote in (first, second))
    async with AsyncExitStack() as held:
        async with reader.serving(RecordingWaiter().waiter):
            await until(lambda: first.reads == 1)
            await held.enter_async_context(successor.serving(RecordingWaiter().waiter))
            await asyncio.sleep(0.2)
            assert second.calls == []
        first.emit(1)
        await until(lambda: second.reads == 1)

    assert second.calls == ["read 1"]


async def test_a_pump_takes_over_when_the_lease_of_another_process_expires(inbox: Inbox) -> None:
    remote = Remote()
    inbox.lease(LEASE, "a process that has ended", 0.4)
    async with pump_on(inbox, remote).serving(RecordingWaiter().waiter):
        await asyncio.sleep(0.2)
        assert remote.calls == []
        await until(lambda: remote.reads == 1)


async def test_a_lease_is_renewed_during_a_long_read(inbox: Inbox) -> None:
    remote = Remote()
    async with pump_on(inbox, remote, lease_seconds=1.0).serving(RecordingWaiter().waiter):
        await until(lambda: remote.reads == 1)
        before = inbox.holder(LEASE)
        await asyncio.sleep(1.3)
        assert inbox.holder(LEASE) == before


def steal(inbox: Inbox) -> None:
    while not inbox.lease(LEASE, "another", 60.0):
        inbox.release(LEASE, inbox.holder(LEASE) or "")


async def test_events_read_after_the_lease_was_lost_are_not_stored_and_reading_continues_with_a_new_lease(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    remote, waiting = Remote(), RecordingWaiter()
    async with pump_on(inbox, remote).serving(waiting.waiter):
        await until(lambda: remote.reads == 1)
        steal(inbox)
        remote.emit(1)
        await until(lambda: "another process reads the feed fake queue now" in caplog.text)
        assert stored(inbox) == []
        inbox.release(LEASE, "another")
        await until(lambda: stored(inbox) == ["1"])

    assert (waiting.warnings, waiting.errors) == ([], [])


async def test_a_lease_lost_during_a_read_leaves_no_unretrieved_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inbox, remote = MemoryInbox(), Remote()
    async with pump_on(inbox, remote).serving(RecordingWaiter().waiter):
        await until(lambda: remote.reads == 1)
        steal(inbox)
        await asyncio.sleep(0.2)
        remote.emit(1)
        await until(lambda: "another process reads the feed fake queue now" in caplog.text)
        gc.collect()

    assert "never retrieved" not in caplog.text


@pytest.mark.usefixtures("hasty")
async def test_a_lost_lease_ends_the_pause_between_reads(caplog: pytest.LogCaptureFixture) -> None:
    class Slow(QueueFeed):
        def batch(self, reply: Any, position: str) -> Any:
            return replace(super().batch(reply, position), pause_seconds=600.0)

    inbox, remote = MemoryInbox(), Remote()
    remote.emit(1)
    async with pump_on(inbox, remote, Slow()).serving(RecordingWaiter().waiter):
        await until(lambda: stored(inbox) == ["1"])
        steal(inbox)
        await until(lambda: "another process reads the feed" in caplog.text)


async def test_a_stopped_pump_releases_its_lease(inbox: Inbox) -> None:
    remote = Remote()
    pump = pump_on(inbox, remote, lease_seconds=60.0)
    async with pump.serving(RecordingWaiter().waiter):
        remote.emit(1)
        await until(lambda: remote.reads == 2)
    remote.emit(2)
    await until(lambda: pump.is_idle)
    await until(lambda: inbox.holder(LEASE) is None)


async def test_an_open_read_continues_after_the_last_waiter_has_left(inbox: Inbox) -> None:
    remote = Remote()
    pump = pump_on(inbox, remote)
    async with pump.serving(RecordingWaiter().waiter):
        await until(lambda: remote.reads == 1)
    await asyncio.sleep(0.1)
    assert not pump.is_idle
    remote.emit(1)
    await until(lambda: pump.is_idle)

    assert stored(inbox) == ["1"]
    assert remote.calls == ["begin None", "read 0", "acknowledge"]


async def test_a_waiter_that_joins_during_the_last_read_is_served(inbox: Inbox) -> None:
    remote = Remote()
    pump = pump_on(inbox, remote)
    async with pump.serving(RecordingWaiter().waiter):
        await until(lambda: remote.reads == 1)
    async with pump.serving(RecordingWaiter().waiter):
        remote.emit(1)
        await until(lambda: remote.reads == 2)

    assert [call for call in remote.calls if call.startswith("begin")] == ["begin None"]


@pytest.mark.usefixtures("hasty")
async def test_a_reply_of_a_consuming_feed_is_stored_after_a_crash(inbox: Inbox) -> None:
    class Crashing(QueueFeed):
        def batch(self, reply: Any, position: str) -> Any:
            raise MemoryError("not a byte left")

    remote = Remote()
    remote.emit(1)
    broken = pump_on(inbox, remote, Crashing(is_consuming=True))
    async with broken.serving(RecordingWaiter().waiter):
        await until(lambda: len(inbox.sealed()) == 1)
    await until(lambda: broken.is_idle)
    async with pump_on(inbox, remote, QueueFeed(is_consuming=True)).serving(RecordingWaiter().waiter):
        await until(lambda: stored(inbox) == ["1"])
        await until(lambda: inbox.sealed() == [])


@pytest.mark.usefixtures("hasty")
async def test_an_unreadable_reply_of_a_consuming_feed_is_reported_and_the_next_one_is_read(inbox: Inbox) -> None:
    remote, waiting = Remote(), RecordingWaiter()
    remote.bodies.append(b"<html>")
    async with pump_on(inbox, remote, QueueFeed(is_consuming=True)).serving(waiting.waiter):
        await until(lambda: bool(waiting.warnings))
        remote.emit(1)
        await until(lambda: stored(inbox) == ["1"])

    assert "`taskwatch inbox show --raw` shows it" in waiting.warnings[0]
    assert [one.problem for one in inbox.sealed()] == ["the answer is no JSON"]


async def test_unreadable_events_are_counted_and_logged_at_intervals_and_the_others_are_stored(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(QueueFeed):
        def batch(self, reply: Any, position: str) -> Any:
            batch = super().batch(reply, position)
            odd = Unreadable(content=batch.position.encode(), problem="it is odd")
            return replace(batch, unreadable=(odd,), events=batch.events[1:])

    remote, waiting, counted = Remote(), RecordingWaiter(), list[tuple[str, int]]()
    pump = pump_on(inbox, remote, Odd(), count=lambda name, number: counted.append((name, number)))
    async with pump.serving(waiting.waiter):
        for number in (1, 3, 5):
            remote.emit(number, number + 1)
            await until(lambda number=number: str(number + 1) in stored(inbox))

    await until(lambda: counted == [("feed.unreadable", 1)] * 3)
    errors = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert errors == waiting.warnings
    [message] = errors
    assert message.startswith("the feed fake queue: 1 of its events cannot be read and are set aside; `taskwatch inbox")


async def test_keys_are_fetched_in_a_thread_because_a_command_may_provide_them() -> None:
    def fetch() -> Seal:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return Seal([KEY])

    remote = Remote()
    remote.emit(1)
    async with pump_on(MemoryInbox(), remote, QueueFeed(is_consuming=True), fetch).serving(RecordingWaiter().waiter):
        await until(lambda: "acknowledge" in remote.calls)


# --- failures, in virtual time


def in_virtual_time(work: Callable[[], Any]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thread, "_threads", InlineExecutor())
        return virtual.run(work())


def reads_at(times: list[float]) -> Callable[[str], None]:
    def note(call: str) -> None:
        if call.startswith("read"):
            times.append(virtual.now())

    return note


def test_all_waiters_are_warned_of_a_passing_failure_and_the_retries_slow_down() -> None:
    at: list[float] = []
    remote, waiting = Remote(reads_at(at)), [RecordingWaiter(), RecordingWaiter()]
    remote.failures.extend([DOWN] * 9)

    async def work() -> None:
        pump = pump_on(MemoryInbox(), remote, **LASTING)
        async with AsyncExitStack() as held:
            for one in waiting:
                await held.enter_async_context(pump.serving(one.waiter))
            remote.emit(1)
            await asyncio.sleep(600.0)

    in_virtual_time(work)
    pauses = [round(later - sooner) for sooner, later in pairwise(at)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 0]
    for one in waiting:
        assert set(one.warnings) == {"the feed fake queue cannot be read for now: no route to host"}
        assert one.errors == []


def test_waiters_are_warned_when_the_remote_keeps_serving_another_reader() -> None:
    class Busy(QueueFeed):
        def batch(self, reply: Any, position: str) -> Any:
            return Batch(position=position, pause_seconds=30.0, refusal="it serves another reader")

    def warnings_after(seconds: float) -> list[str]:
        waiting, remote = RecordingWaiter(), Remote()
        remote.bodies.extend([b"[]"] * 1_000)

        async def work() -> None:
            async with pump_on(MemoryInbox(), remote, Busy(), **LASTING).serving(waiting.waiter):
                await asyncio.sleep(seconds)

        in_virtual_time(work)
        return waiting.warnings

    assert warnings_after(GRACE_SECONDS - 1) == []
    message = "the feed fake queue was not read for 5 minutes: it serves another reader"
    assert set(warnings_after(GRACE_SECONDS + 600)) == {message}


def test_a_lasting_failure_is_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> None:
    remote = Remote()
    remote.failures.extend([ReplyError("the reply is not JSON")] * 100)

    async def work() -> None:
        async with pump_on(MemoryInbox(), remote, **LASTING).serving(RecordingWaiter().waiter):
            await asyncio.sleep(GRACE_SECONDS + 2 * LIMIT_SECONDS)

    in_virtual_time(work)
    levels = [one.levelno for one in caplog.records if "cannot be read for now" in one.getMessage()]
    assert (levels[0], levels[-1]) == (logging.WARNING, logging.ERROR)
    assert len(levels) > 10


def refused(seconds: float, *first: Exception) -> RecordingWaiter:
    """A waiter for a feed that the remote refuses, after that time and after other errors."""
    waiting, remote = RecordingWaiter(), Remote()
    remote.failures.extend([*first, *[UNKNOWN] * 100])

    async def work() -> None:
        pump = pump_on(MemoryInbox(), remote, **LASTING)
        async with pump.serving(waiting.waiter):
            await asyncio.sleep(seconds)

    in_virtual_time(work)
    return waiting


def test_a_refusal_fails_the_waiters_after_five_minutes() -> None:
    assert refused(GRACE_SECONDS - 1).errors == []
    assert UNKNOWN in refused(GRACE_SECONDS + LIMIT_SECONDS).errors


def test_the_five_minutes_begin_with_the_first_refusal() -> None:
    down = [DOWN] * 12

    assert refused(700.0, *down).errors == []
    assert UNKNOWN in refused(700.0 + GRACE_SECONDS, *down).errors


def test_invalid_settings_fail_the_waiters_at_once(inbox: Inbox) -> None:
    def no_key() -> Seal:
        return Seal([])

    waiting = RecordingWaiter()

    async def work() -> None:
        async with pump_on(MemoryInbox(), Remote(), QueueFeed(is_consuming=True), no_key).serving(waiting.waiter):
            await asyncio.sleep(0.5)

    in_virtual_time(work)
    [error] = waiting.errors
    assert isinstance(error, ConfigurationError)
    assert "taskwatch inbox key" in str(error)


def test_a_requested_pause_is_kept_only_while_a_waiter_is_left() -> None:
    busy = RemoteError(method="GET", path="/read", status=429, message="slowly", retry_after=3600.0)
    remote = Remote()
    remote.failures.append(busy)

    async def work() -> None:
        pump = pump_on(MemoryInbox(), remote, **LASTING)
        async with pump.serving(RecordingWaiter().waiter):
            await asyncio.sleep(3500.0)
            assert remote.reads == 1
        await asyncio.sleep(2.0)
        assert pump.is_idle

    in_virtual_time(work)


def test_opening_the_inbox_is_retried() -> None:
    inbox, remote, tries = MemoryInbox(), Remote(), list[float]()

    async def opened() -> Inbox:
        tries.append(virtual.now())
        if len(tries) < 3:
            raise InboxError("the inbox is down")
        return inbox

    async def work() -> None:
        pump = Pump(QueueFeed(), opened, remote.converse, lambda: Seal([KEY]), **LASTING)
        async with pump.serving(RecordingWaiter().waiter):
            remote.emit(1, 2)
            await asyncio.sleep(10.0)

    in_virtual_time(work)
    assert (tries, len(inbox.after(QueueFeed().key, 0))) == ([0.0, 1.0, 3.0], 2)


def test_the_retry_delay_starts_again_after_a_success(caplog: pytest.LogCaptureFixture) -> None:
    at: list[float] = []
    remote = Remote(reads_at(at))
    remote.failures.extend([DOWN] * 5)

    async def work() -> None:
        async with pump_on(MemoryInbox(), remote, **LASTING).serving(RecordingWaiter().waiter):
            remote.emit(1)
            await asyncio.sleep(100.0)
            remote.failures.append(DOWN)
            remote.wake_reads()
            await asyncio.sleep(5.0)

    with caplog.at_level(logging.INFO):
        in_virtual_time(work)
    assert "the feed fake queue is read again" in caplog.text
    assert round(at[-1] - 100.0) == 1


async def test_a_lease_survives_failed_renewals_while_the_inbox_is_down() -> None:
    class Shaky(MemoryInbox):
        renewals = 0

        def lease(self, name: str, holder: str, seconds: float) -> bool:
            self.renewals += 1
            if 1 < self.renewals < 4:
                raise InboxError("the inbox is down")
            return super().lease(name, holder, seconds)

    inbox, remote = Shaky(), Remote()
    async with pump_on(inbox, remote).serving(RecordingWaiter().waiter):
        await until(lambda: inbox.renewals >= 5)
        remote.emit(1)
        await until(lambda: remote.reads == 2)

    assert remote.calls == ["begin None", "read 0", "acknowledge", "read 1"]


async def test_a_released_lease_is_not_renewed() -> None:
    class Slow(MemoryInbox):
        """Renews a lease slowly."""

        log: list[str]

        def lease(self, name: str, holder: str, seconds: float) -> bool:
            if self.log:
                time.sleep(0.2)
            self.log.append("lease")
            return super().lease(name, holder, seconds)

        def release(self, name: str, holder: str) -> None:
            self.log.append("release")
            super().release(name, holder)

    inbox, remote = Slow(), Remote()
    inbox.log = []
    pump = pump_on(inbox, remote, lease_seconds=60.0)
    async with pump.serving(RecordingWaiter().waiter):
        await until(lambda: remote.reads == 1)
        await asyncio.sleep(0.1)
    remote.emit(1)
    await until(lambda: "release" in inbox.log)
    await asyncio.sleep(0.3)

    assert inbox.log == ["lease", "lease", "release"]
