"""Whoever waits for an event hears of what is there since his moment, then of what comes, and misses nothing."""

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
from tests.feed.remote import NOW, Listening, event
from tests.feed.test_listener import QUICK, listener_on, rung, signal, silent_wakeup
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


async def test_what_is_there_is_heard_before_what_comes(inbox: Inbox) -> None:
    listening = Listening()
    bring(inbox, 1, 2)
    listener = listener_on(inbox)
    with listener.hearing(FEED, listening.waiter):
        await until(lambda: len(listening.heard) == 2)
        bring(inbox, 3)
        await until(lambda: len(listening.heard) == 3)

    assert listening.heard == ["1", "2", "3"]


async def test_many_pages_that_are_there_are_heard_in_their_order(inbox: Inbox) -> None:
    listening, numbers = Listening(), range(1, 2 * PAGE_MESSAGES + 3)
    bring(inbox, *numbers)
    with listener_on(inbox).hearing(FEED, listening.waiter):
        await until(lambda: len(listening.heard) >= len(numbers))

    assert listening.heard == [str(number) for number in numbers]


async def test_what_came_in_long_before_the_moment_is_not_even_read() -> None:
    asked: list[int] = []

    class Watched(MemoryInbox):
        def after(self, channel: str, number: int, limit: int = PAGE_MESSAGES) -> list[Received]:
            asked.append(number)
            return super().after(channel, number, limit)

    inbox, listening = Watched(), Listening(EventFilter(since=NOW))
    bring(inbox, 1, received_at=NOW - AHEAD_SECONDS - 1.0)
    bring(inbox, 2, received_at=NOW - AHEAD_SECONDS + 1.0)
    with listener_on(inbox).hearing(FEED, listening.waiter):
        await until(lambda: bool(listening.heard))

    assert (listening.heard, asked[0]) == (["2"], 1)


async def test_other_feeds_are_not_heard(inbox: Inbox) -> None:
    listening, other = Listening(), Listening()
    listener = listener_on(inbox)
    bring(inbox, 1, channel="another")
    with listener.hearing(FEED, listening.waiter), listener.hearing("another", other.waiter):
        bring(inbox, 2, channel="another")
        await until(lambda: len(other.heard) == 2)
        bring(inbox, 3)
        await until(lambda: bool(listening.heard))

    assert (listening.heard, other.heard) == (["3"], ["1", "2"])


async def test_nothing_is_missed_between_what_is_there_and_what_comes(inbox: Inbox) -> None:
    """A pump writes as fast as it can, while others come to wait for single events."""
    ends = threading.Event()

    def pump() -> None:
        for number in range(1, 401):
            bring(inbox, number)
            ends.wait(0.002)

    listener, all_ = listener_on(inbox), [Listening(EventFilter(subject=str(10 * n))) for n in range(1, 41)]
    writing = asyncio.create_task(asyncio.to_thread(pump))
    with ExitStack() as held:
        for one in all_:
            held.enter_context(listener.hearing(FEED, one.waiter))
            await asyncio.sleep(0.01)
        await writing
        await until(lambda: all(one.heard for one in all_))

    assert [set(one.heard) for one in all_] == [{str(10 * n)} for n in range(1, 41)]


async def test_what_comes_while_a_newcomer_catches_up_is_heard() -> None:
    class Busy(MemoryInbox):
        """Something comes in after each page that is asked for."""

        number = 10

        def after(self, channel: str, number: int, limit: int = PAGE_MESSAGES) -> list[Received]:
            found = super().after(channel, number, limit)
            if self.number < 20:
                self.number += 1
                bring(self, self.number)
            return found

    inbox, listening = Busy(), Listening()
    bring(inbox, 1)
    with listener_on(inbox).hearing(FEED, listening.waiter):
        await until(lambda: "20" in listening.heard)

    assert set(listening.heard) == {"1", *map(str, range(11, 21))}


async def test_who_comes_and_goes_while_others_catch_up_does_no_harm(inbox: Inbox) -> None:
    listener, patient = listener_on(inbox), Listening()
    bring(inbox, *range(1, 50))
    with listener.hearing(FEED, patient.waiter):
        for _ in range(20):
            with listener.hearing(FEED, Listening(EventFilter(subject="none")).waiter):
                await asyncio.sleep(0.003)
        bring(inbox, 50)
        await until(lambda: "50" in patient.heard)
    await until(lambda: listener.is_idle)

    assert (listener._newcomers, listener._waiter_indexes) == ({}, {})


async def test_an_inbox_that_is_down_for_a_while_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Shaky(MemoryInbox):
        is_down = True

        def after(self, channel: str, number: int, limit: int = PAGE_MESSAGES) -> list[Received]:
            if self.is_down and number:
                raise InboxError("the inbox is down")
            return super().after(channel, number, limit)

    inbox, listening = Shaky(), Listening()
    bring(inbox, 1)
    with caplog.at_level(logging.WARNING), listener_on(inbox).hearing(FEED, listening.waiter):
        await until(lambda: "the inbox is down" in caplog.text)
        bring(inbox, 2)
        inbox.is_down = False
        await until(lambda: "2" in listening.heard)

    assert set(listening.heard) == {"1", "2"}


async def test_an_inbox_that_stays_down_is_told_to_those_who_wait() -> None:
    async def refuse() -> Inbox:
        raise InboxError("the inbox is down")

    now, old, new = [0.0], Listening(), Listening()
    listener = Listener(refuse, read_seconds=QUICK, clock=lambda: now[0])
    with listener.hearing(FEED, old.waiter), listener.hearing(FEED, new.waiter):
        await asyncio.sleep(5 * QUICK)
        assert (old.doubts, new.doubts) == ([], [])
        now[0] = SILENT_SECONDS + 1.0
        await until(lambda: bool(old.doubts and new.doubts))

    assert old.doubts[0] == "the inbox cannot be read for now: the inbox is down"


async def test_an_inbox_whose_address_is_none_is_told_at_once() -> None:
    async def refuse() -> Inbox:
        raise ConfigurationError("the inbox's address is none")

    listening = Listening()
    with Listener(refuse, read_seconds=QUICK).hearing(FEED, listening.waiter):
        await until(lambda: bool(listening.doubts))


@pytest.mark.parametrize("beats, told", [(False, 1), (True, 0)])
async def test_who_waits_for_what_is_pushed_is_told_of_missing_receivers(
    beats: bool, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    now, listening, inbox = [0.0], Listening(), MemoryInbox()
    if beats:
        inbox.beat("api", "https://airflow.example.com")
    listener = listener_on(inbox, lambda: now[0])
    with listener.hearing(FEED, listening.waiter), listener.expecting(FEED, listening.waiter):
        for _ in range(3):
            before = listener.reads
            now[0] += 120.0
            await until(lambda before=before: listener.reads > before + 1)

    words = [one for one in caplog.messages if "no receiver has been heard of" in one]
    assert len(words) == len(set(listening.doubts)) == told
    for one in (*words, *listening.doubts):
        assert one.startswith(f"the feed {FEED} is pushed to a receiver, and no receiver")
        assert "none runs" in one
        assert "another inbox" in one


async def test_a_silence_that_comes_again_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    class Aging(MemoryInbox):
        """Its receiver is of the age that a test says."""

        age = 10_000.0

        def heartbeats(self) -> list[Heartbeat]:
            return [Heartbeat(host="api", url="", age_seconds=self.age)]

    now, inbox = [0.0], Aging()
    listener = listener_on(inbox, lambda: now[0])
    with listener.expecting(FEED, Listening().waiter):
        for age in (SILENT_SECONDS, 1.0, SILENT_SECONDS):
            inbox.age, before = age, listener.reads
            now[0] += 120.0
            await until(lambda before=before: listener.reads > before + 1)
    await until(lambda: listener.is_idle)

    assert len([one for one in caplog.messages if "no receiver has been heard of" in one]) == 2


async def test_who_waits_for_events_is_not_told_of_missing_receivers() -> None:
    now, listening, inbox = [0.0], Listening(), MemoryInbox()
    listener = listener_on(inbox, lambda: now[0])
    with listener.hearing(FEED, listening.waiter):
        await until(lambda: listener.reads > 0)
        now[0] = 10_000.0
        before = listener.reads
        await until(lambda: listener.reads > before + 1)

    assert listening.doubts == []


async def test_signals_and_events_go_together(inbox: Inbox) -> None:
    listener, wakeup, listening = listener_on(inbox), silent_wakeup(), Listening(EventFilter(subject="7"))
    with listener.listening("start", wakeup), listener.hearing(FEED, listening.waiter):
        inbox.add([signal("start")])
        bring(inbox, 7)
        await rung(wakeup)
        await until(lambda: bool(listening.heard))


async def test_followers_are_told_that_there_may_be_something_new(inbox: Inbox) -> None:
    listener, told = listener_on(inbox), list[str]()
    with listener.following(FEED, lambda: told.append("first")):
        with listener.following(FEED, lambda: told.append("second")):
            await until(lambda: listener.reads > 0)
            bring(inbox, 1)
            await until(lambda: "second" in told)
        told.clear()
        bring(inbox, 1, channel="another")
        bring(inbox, 2)
        await until(lambda: bool(told))
        assert told == ["first"]
    await until(lambda: listener.is_idle)

    assert listener._followers == {}


async def test_a_listener_that_died_hands_all_over_to_the_next(inbox: Inbox) -> None:
    listener, first, second = listener_on(inbox), Listening(), Listening()
    with listener.hearing(FEED, first.waiter):
        bring(inbox, 1)
        await until(lambda: bool(first.heard))
        assert listener._task is not None
        listener._task.cancel()
        await until(lambda: listener.is_idle)
        bring(inbox, 2)
        with listener.hearing(FEED, second.waiter):
            await until(lambda: "2" in first.heard and "2" in second.heard)


# --- an inbox that has gone back


def put(inbox: Any, at: float, *numbers: int) -> None:
    bring(inbox, *numbers, received_at=at)


@pytest.mark.parametrize("new", [1, 2, 3, 9])
async def test_who_waits_hears_of_what_comes_into_a_backup_that_was_restored(
    caplog: pytest.LogCaptureFixture, new: int
) -> None:
    replaceable, told, wakeup = ReplaceableInbox(), list[tuple[str, int]](), silent_wakeup()
    inbox: Any = replaceable
    waiting = [Listening(EventFilter(subject=str(number))) for number in range(10, 10 + new)]
    listener = listener_on(inbox, back_seconds=0.1, count=lambda *one: told.append(one))
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
        await rung(wakeup)
        await until(lambda: all(one.heard for one in waiting))

    assert [one.heard for one in waiting] == [[str(number)] for number in range(10, 10 + new)]
    assert caplog.text.count("the inbox has gone back") == len(told) == 1


async def test_a_replica_that_lags_for_a_moment_is_no_reason_to_begin_anew(caplog: pytest.LogCaptureFixture) -> None:
    replaceable, listening = ReplaceableInbox(), Listening()
    inbox: Any = replaceable
    listener = listener_on(inbox, back_seconds=5.0)
    with listener.hearing(FEED, listening.waiter):
        put(inbox, NOW, 1, 2)
        behind = replaceable.backup()
        put(inbox, NOW, 3)
        await until(lambda: len(listening.heard) == 3)
        for _ in range(3):
            replaceable.present, primary = behind, replaceable.present
            await asyncio.sleep(0.1)
            replaceable.present = primary
        put(inbox, NOW, 4)
        await until(lambda: len(listening.heard) == 4)

    assert (listening.heard, caplog.text) == (["1", "2", "3", "4"], "")


async def test_what_is_pruned_behind_it_is_no_going_back(inbox: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    listening = Listening()
    with listener_on(inbox, back_seconds=0.0).hearing(FEED, listening.waiter):
        bring(inbox, 1, 2)
        await until(lambda: len(listening.heard) == 2)
        inbox.prune(NOW + 1, limit=10)
        bring(inbox, 3)
        await until(lambda: len(listening.heard) == 3)

    assert caplog.text == ""
