"""A waiter receives the stored events since its moment, then the new ones, and misses none."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, InboxError
from airflow_provider_taskwatch.core.event_filter import AHEAD_SECONDS, EventFilter
from airflow_provider_taskwatch.feed.listener import SILENT_SECONDS, Listener
from airflow_provider_taskwatch.inbox.event import message_of
from airflow_provider_taskwatch.inbox.message import PAGE_MESSAGES, Heartbeat, Received
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.store import SqlInbox
from tests.feed.remote import NOW, RecordingWaiter, event
from tests.feed.test_listener import QUICK, contents_of, listener_on, signal, silent_wakeup
from tests.inbox.memory import MemoryInbox
from tests.inbox.replaceable import ReplaceableInbox
from tests.until import until

FEED = "fake queue"


@pytest.fixture(params=["memory", "sqlite"])
def inbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Inbox]:
    inbox: Inbox = MemoryInbox()
    if request.param == "sqlite":
        inbox = SqlInbox(f"sqlite:///{tmp_path}/inbox.db", clock=lambda: NOW)
    yield inbox
    inbox.close()


def bring(inbox: Inbox, *numbers: int, channel: str = FEED, received_at: float = NOW) -> None:
    inbox.append(channel, [message_of(channel, event(number, subject=str(number)), received_at) for number in numbers])


async def test_stored_events_arrive_before_new_ones(inbox: Inbox) -> None:
    waiting = RecordingWaiter()
    bring(inbox, 1, 2)
    listener = listener_on(inbox)
    with listener.hearing(FEED, waiting.waiter):
        await until(lambda: len(waiting.received) == 2)
        bring(inbox, 3)
        await until(lambda: len(waiting.received) == 3)

    assert waiting.received == ["1", "2", "3"]


async def test_many_pages_of_stored_events_arrive_in_order(inbox: Inbox) -> None:
    waiting, numbers = RecordingWaiter(), range(1, 2 * PAGE_MESSAGES + 3)
    bring(inbox, *numbers)
    with listener_on(inbox).hearing(FEED, waiting.waiter):
        await until(lambda: len(waiting.received) >= len(numbers))

    assert waiting.received == [str(number) for number in numbers]


async def test_events_received_long_before_the_moment_are_not_read() -> None:
    asked: list[int] = []

    class Watched(MemoryInbox):
        def after(self, channel: str, number: int, limit: int = PAGE_MESSAGES) -> list[Received]:
            asked.append(number)
            return super().after(channel, number, limit)

    inbox, waiting = Watched(), RecordingWaiter(EventFilter(since=NOW))
    bring(inbox, 1, received_at=NOW - AHEAD_SECONDS - 1.0)
    bring(inbox, 2, received_at=NOW - AHEAD_SECONDS + 1.0)
    with listener_on(inbox).hearing(FEED, waiting.waiter):
        await until(lambda: bool(waiting.received))

    assert (waiting.received, asked[0]) == (["2"], 1)


async def test_a_waiter_receives_no_events_of_other_feeds(inbox: Inbox) -> None:
    waiting, other = RecordingWaiter(), RecordingWaiter()
    listener = listener_on(inbox)
    bring(inbox, 1, channel="another")
    with listener.hearing(FEED, waiting.waiter), listener.hearing("another", other.waiter):
        bring(inbox, 2, channel="another")
        await until(lambda: len(other.received) == 2)
        bring(inbox, 3)
        await until(lambda: bool(waiting.received))

    assert (waiting.received, other.received) == (["3"], ["1", "2"])


async def test_no_event_is_missed_between_stored_and_new_ones(inbox: Inbox) -> None:
    """A pump writes continuously while waiters for single events join."""
    ends = threading.Event()

    def pump() -> None:
        for number in range(1, 201):
            bring(inbox, number)
            ends.wait(0.002)

    listener, all_ = listener_on(inbox), [RecordingWaiter(EventFilter(subject=str(10 * n))) for n in range(1, 21)]
    writing = asyncio.create_task(asyncio.to_thread(pump))
    with ExitStack() as held:
        for one in all_:
            held.enter_context(listener.hearing(FEED, one.waiter))
            await asyncio.sleep(0.01)
        await writing
        await until(lambda: all(one.received for one in all_))

    assert [set(one.received) for one in all_] == [{str(10 * n)} for n in range(1, 21)]


async def test_events_that_arrive_while_a_new_waiter_catches_up_are_received() -> None:
    class Busy(MemoryInbox):
        """An event arrives after each page that is read."""

        number = 10

        def after(self, channel: str, number: int, limit: int = PAGE_MESSAGES) -> list[Received]:
            found = super().after(channel, number, limit)
            if self.number < 20:
                self.number += 1
                bring(self, self.number)
            return found

    inbox, waiting = Busy(), RecordingWaiter()
    bring(inbox, 1)
    with listener_on(inbox).hearing(FEED, waiting.waiter):
        await until(lambda: "20" in waiting.received)

    assert set(waiting.received) == {"1", *map(str, range(11, 21))}


async def test_waiters_that_join_and_leave_do_not_disturb_one_that_catches_up(inbox: Inbox) -> None:
    listener, patient = listener_on(inbox), RecordingWaiter()
    bring(inbox, *range(1, 50))
    with listener.hearing(FEED, patient.waiter):
        for _ in range(20):
            with listener.hearing(FEED, RecordingWaiter(EventFilter(subject="none")).waiter):
                await asyncio.sleep(0.003)
        bring(inbox, 50)
        await until(lambda: "50" in patient.received)
    await until(lambda: listener.is_idle)

    assert (listener._newcomers, listener._waiter_indexes) == ({}, {})


async def test_no_event_is_lost_while_the_inbox_is_down(caplog: pytest.LogCaptureFixture) -> None:
    class Shaky(MemoryInbox):
        is_down = True

        def after(self, channel: str, number: int, limit: int = PAGE_MESSAGES) -> list[Received]:
            if self.is_down and number:
                raise InboxError("the inbox is down")
            return super().after(channel, number, limit)

    inbox, waiting = Shaky(), RecordingWaiter()
    bring(inbox, 1)
    with caplog.at_level(logging.WARNING), listener_on(inbox).hearing(FEED, waiting.waiter):
        await until(lambda: "the inbox is down" in caplog.text)
        bring(inbox, 2)
        inbox.is_down = False
        await until(lambda: "2" in waiting.received)

    assert set(waiting.received) == {"1", "2"}


async def test_waiters_are_warned_of_an_inbox_that_stays_down() -> None:
    async def refuse() -> Inbox:
        raise InboxError("the inbox is down")

    now, old, new = [0.0], RecordingWaiter(), RecordingWaiter()
    listener = Listener(refuse, read_seconds=QUICK, clock=lambda: now[0])
    with listener.hearing(FEED, old.waiter), listener.hearing(FEED, new.waiter):
        await asyncio.sleep(5 * QUICK)
        assert (old.warnings, new.warnings) == ([], [])
        now[0] = SILENT_SECONDS + 1.0
        await until(lambda: bool(old.warnings and new.warnings))

    assert old.warnings[0] == "the inbox cannot be read for now: the inbox is down"


async def test_waiters_are_warned_of_an_invalid_inbox_address_at_once() -> None:
    async def refuse() -> Inbox:
        raise ConfigurationError("the inbox's address is none")

    waiting = RecordingWaiter()
    with Listener(refuse, read_seconds=QUICK).hearing(FEED, waiting.waiter):
        await until(lambda: bool(waiting.warnings))


@pytest.mark.parametrize("beats, count", [(False, 1), (True, 0)])
async def test_waiters_for_a_pushed_feed_are_warned_once_of_a_missing_receiver(
    beats: bool, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    now, waiting, inbox = [0.0], RecordingWaiter(), MemoryInbox()
    if beats:
        inbox.beat("api", "https://airflow.example.com")
    listener = listener_on(inbox, lambda: now[0])
    with listener.hearing(FEED, waiting.waiter), listener.expecting(FEED, waiting.waiter):
        for _ in range(3):
            before = listener.reads
            now[0] += 120.0
            await until(lambda before=before: listener.reads > before + 1)

    messages = [one for one in caplog.messages if "no receiver has been heard of" in one]
    assert len(messages) == len(set(waiting.warnings)) == count
    for one in (*messages, *waiting.warnings):
        assert one.startswith(f"the feed {FEED} is pushed to a receiver, and no receiver")
        assert "none runs" in one
        assert "another inbox" in one


async def test_a_receiver_that_falls_silent_again_is_logged_again(caplog: pytest.LogCaptureFixture) -> None:
    class Aging(MemoryInbox):
        """The test sets the age of its receiver's heartbeat."""

        age = 10_000.0

        def heartbeats(self) -> list[Heartbeat]:
            return [Heartbeat(host="api", url="", age_seconds=self.age)]

    now, inbox = [0.0], Aging()
    listener = listener_on(inbox, lambda: now[0])
    with listener.expecting(FEED, RecordingWaiter().waiter):
        for age in (SILENT_SECONDS, 1.0, SILENT_SECONDS):
            inbox.age, before = age, listener.reads
            now[0] += 120.0
            await until(lambda before=before: listener.reads > before + 1)
    await until(lambda: listener.is_idle)

    assert len([one for one in caplog.messages if "no receiver has been heard of" in one]) == 2


async def test_waiters_for_other_feeds_are_not_warned_of_missing_receivers() -> None:
    now, waiting, inbox = [0.0], RecordingWaiter(), MemoryInbox()
    listener = listener_on(inbox, lambda: now[0])
    with listener.hearing(FEED, waiting.waiter):
        await until(lambda: listener.reads > 0)
        now[0] = 10_000.0
        before = listener.reads
        await until(lambda: listener.reads > before + 1)

    assert waiting.warnings == []


async def test_one_listener_delivers_both_signals_and_events(inbox: Inbox) -> None:
    listener, wakeup, waiting = listener_on(inbox), silent_wakeup(), RecordingWaiter(EventFilter(subject="7"))
    with listener.listening("start", wakeup), listener.hearing(FEED, waiting.waiter):
        inbox.add([signal("start")])
        bring(inbox, 7)
        await contents_of(wakeup)
        await until(lambda: bool(waiting.received))


async def test_followers_are_notified_of_new_events(inbox: Inbox) -> None:
    listener, notified = listener_on(inbox), list[str]()
    with listener.following(FEED, lambda: notified.append("first")):
        with listener.following(FEED, lambda: notified.append("second")):
            await until(lambda: listener.reads > 0)
            bring(inbox, 1)
            await until(lambda: "second" in notified)
        notified.clear()
        bring(inbox, 1, channel="another")
        bring(inbox, 2)
        await until(lambda: bool(notified))
        assert notified == ["first"]
    await until(lambda: listener.is_idle)

    assert listener._followers == {}


async def test_waiters_survive_the_end_of_the_listener_s_task(inbox: Inbox) -> None:
    listener, first, second = listener_on(inbox), RecordingWaiter(), RecordingWaiter()
    with listener.hearing(FEED, first.waiter):
        bring(inbox, 1)
        await until(lambda: bool(first.received))
        assert listener._task is not None
        listener._task.cancel()
        await until(lambda: listener.is_idle)
        bring(inbox, 2)
        with listener.hearing(FEED, second.waiter):
            await until(lambda: "2" in first.received and "2" in second.received)


# --- an inbox that was restored


def put(inbox: Any, at: float, *numbers: int) -> None:
    bring(inbox, *numbers, received_at=at)


@pytest.mark.parametrize("new", [1, 2, 3, 9])
async def test_waiters_receive_events_that_arrive_in_a_restored_backup(
    caplog: pytest.LogCaptureFixture, new: int
) -> None:
    replaceable, counted, wakeup = ReplaceableInbox(), list[tuple[str, int]](), silent_wakeup()
    inbox: Any = replaceable
    waiting = [RecordingWaiter(EventFilter(subject=str(number))) for number in range(10, 10 + new)]
    listener = listener_on(inbox, back_seconds=0.1, count=lambda *one: counted.append(one))
    with ExitStack() as held:
        held.enter_context(listener.listening("mine", wakeup))
        for one in waiting:
            held.enter_context(listener.hearing(FEED, one.waiter))
        put(inbox, NOW, 1, 2)
        saved = replaceable.backup()
        put(inbox, NOW + 1, 3, 4)
        first = listener.reads
        await until(lambda: listener.reads >= first + 2)
        saved.add([signal("mine")])
        put(saved, NOW + 100, *range(10, 10 + new))
        replaceable.present = saved
        await contents_of(wakeup)
        await until(lambda: all(one.received for one in waiting))

    assert [one.received for one in waiting] == [[str(number)] for number in range(10, 10 + new)]
    assert caplog.text.count("the inbox has gone back") == len(counted) == 1


async def test_a_replica_that_lags_briefly_does_not_restart_reading(caplog: pytest.LogCaptureFixture) -> None:
    replaceable, waiting = ReplaceableInbox(), RecordingWaiter()
    inbox: Any = replaceable
    listener = listener_on(inbox, back_seconds=5.0)
    with listener.hearing(FEED, waiting.waiter):
        put(inbox, NOW, 1, 2)
        behind = replaceable.backup()
        put(inbox, NOW, 3)
        await until(lambda: len(waiting.received) == 3)
        for _ in range(3):
            replaceable.present, primary = behind, replaceable.present
            await asyncio.sleep(0.1)
            replaceable.present = primary
        put(inbox, NOW, 4)
        await until(lambda: len(waiting.received) == 4)

    assert (waiting.received, caplog.text) == (["1", "2", "3", "4"], "")


async def test_pruned_events_are_not_taken_for_a_restored_inbox(inbox: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    waiting = RecordingWaiter()
    with listener_on(inbox, back_seconds=0.0).hearing(FEED, waiting.waiter):
        bring(inbox, 1, 2)
        await until(lambda: len(waiting.received) == 2)
        inbox.prune(NOW + 1, limit=10)
        bring(inbox, 3)
        await until(lambda: len(waiting.received) == 3)

    assert caplog.text == ""
