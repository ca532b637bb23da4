"""One listener reads the inbox for all waiters for callbacks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, InboxError
from airflow_provider_taskwatch.feed.listener import SUBJECTS, Listener
from airflow_provider_taskwatch.hub.poll_queue import Turn
from airflow_provider_taskwatch.hub.wakeup import Wakeup
from airflow_provider_taskwatch.inbox.cursor import CLEAR, Cursor, Horizon
from airflow_provider_taskwatch.inbox.message import PAGE_MESSAGES, Message, Received
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.store import SqlInbox
from tests.inbox.memory import MemoryInbox
from tests.until import until

QUICK = 0.01


def signal(subject: str, delivery: str = "", content: object = None) -> Message:
    return Message(channel="automic", subject=subject, delivery=delivery or subject, content=content, received_at=0.0)


def listener_on(inbox: Inbox, clock: Callable[[], float] = time.monotonic, **options: Any) -> Listener:
    async def opened() -> Inbox:
        return inbox

    return Listener(opened, read_seconds=QUICK, clock=clock, **options)


def silent_wakeup() -> Wakeup:
    return Wakeup(lambda message: None)


async def contents_of(wakeup: Wakeup, times: int = 1) -> list[object]:
    await until(lambda: len(wakeup.contents) >= times)
    return list(wakeup.contents)


async def test_a_signal_wakes_only_the_waiter_of_its_subject() -> None:
    inbox, mine, other = MemoryInbox(), silent_wakeup(), silent_wakeup()
    listener = listener_on(inbox)
    with listener.listening("mine", mine), listener.listening("other", other):
        await until(lambda: listener.reads > 0)
        inbox.add([signal("mine", content={"status": 1900})])

        assert await contents_of(mine) == [{"status": 1900}]
        assert not other.contents


async def test_a_waiter_receives_a_signal_that_arrived_before_it_listened() -> None:
    inbox, wakeup = MemoryInbox(), silent_wakeup()
    inbox.add([signal("mine"), *(signal(f"other-{number}") for number in range(PAGE_MESSAGES))])
    listener = listener_on(inbox)
    with listener.listening("mine", wakeup):
        assert await contents_of(wakeup) == [None]


async def test_a_waiter_that_joins_later_receives_its_signal() -> None:
    inbox, first, second = MemoryInbox(), silent_wakeup(), silent_wakeup()
    listener = listener_on(inbox)
    with listener.listening("first", first):
        inbox.add([signal("second"), signal("first")])
        await contents_of(first)
        with listener.listening("second", second):
            assert await contents_of(second) == [None]


async def test_a_thousand_waiters_share_each_read() -> None:
    inbox, wakeups = MemoryInbox(), [silent_wakeup() for _ in range(1_000)]
    listener = listener_on(inbox)
    held = [listener.listening(str(number), wakeup) for number, wakeup in enumerate(wakeups)]
    for one in held:
        one.__enter__()
    await until(lambda: listener.reads >= 1_000 / SUBJECTS)
    before = listener.reads
    inbox.add([signal(str(number)) for number in range(1_000)])
    await contents_of(wakeups[-1])

    assert all(wakeup.contents for wakeup in wakeups)
    assert listener.reads - before <= 5
    for one in held:
        one.__exit__(None, None, None)


async def test_many_signals_for_one_subject_do_not_hide_the_signal_of_another() -> None:
    inbox, wakeup = MemoryInbox(), silent_wakeup()
    inbox.add([signal("flooded", str(number)) for number in range(3 * PAGE_MESSAGES)])
    inbox.add([signal("mine"), *(signal(f"other-{number}") for number in range(PAGE_MESSAGES))])
    listener = listener_on(inbox)
    with listener.listening("flooded", silent_wakeup()), listener.listening("mine", wakeup):
        assert await contents_of(wakeup) == [None]


async def test_many_signals_for_one_subject_do_not_hide_a_late_signal_of_another() -> None:
    class Late(MemoryInbox):
        hidden = "mine"

        def horizon(self) -> Horizon:
            return Horizon(ended=0, begun=1) if self.hidden else CLEAR

        def read(self, cursor: Cursor, subjects: Collection[str] = ()) -> list[Received]:
            return [one for one in super().read(cursor, subjects) if one.message.subject != self.hidden]

    inbox, wakeup = Late(), silent_wakeup()
    listener = listener_on(inbox)
    with listener.listening("mine", wakeup):
        await until(lambda: listener.reads > 0)
        inbox.add([signal("flooded", str(number)) for number in range(PAGE_MESSAGES)])
        inbox.add([signal("mine"), signal("other")])
        passed = listener.reads + 5
        await until(lambda: listener.reads > passed)
        inbox.hidden = ""
        with listener.listening("flooded", silent_wakeup()):
            assert await contents_of(wakeup) == [None]


async def test_a_listener_without_waiters_stops_and_a_waiter_that_returns_misses_no_signal() -> None:
    inbox, wakeup = MemoryInbox(), silent_wakeup()
    listener = listener_on(inbox)
    with listener.listening("mine", silent_wakeup()):
        await until(lambda: listener.reads > 0)
    await until(lambda: listener.is_idle)
    inbox.add([signal("mine")])

    with listener.listening("mine", wakeup):
        assert await contents_of(wakeup) == [None]


async def test_a_moved_inbox_file_is_logged_and_read_after_it_is_moved_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, away = tmp_path / "inbox.db", tmp_path / "away.db"
    inbox, wakeup = SqlInbox(f"sqlite:///{file}", clock=lambda: 0.0), silent_wakeup()
    listener = listener_on(inbox)
    with listener.listening("mine", wakeup):
        await until(lambda: listener.reads > 0)
        file.rename(away)
        await until(lambda: "its file was deleted, moved or emptied" in caplog.text)
        away.rename(file)
        inbox.add([signal("mine")])
        assert await contents_of(wakeup) == [None]
    await until(lambda: listener.is_idle)


async def test_an_inbox_that_is_down_is_logged_once_and_read_again(caplog: pytest.LogCaptureFixture) -> None:
    class Shaky(MemoryInbox):
        is_down, asked = True, 0

        def read(self, cursor: Cursor, subjects: Collection[str] = ()) -> list[Received]:
            self.asked += 1
            if self.is_down:
                raise InboxError("the inbox is down")
            return super().read(cursor, subjects)

    inbox, wakeup = Shaky(), silent_wakeup()
    inbox.add([signal("mine")])
    listener = listener_on(inbox)
    with caplog.at_level(logging.WARNING), listener.listening("mine", wakeup):
        await until(lambda: inbox.asked >= 3)
        inbox.is_down = False
        assert await contents_of(wakeup) == [None]

    assert [record.getMessage() for record in caplog.records] == ["the inbox cannot be read for now: the inbox is down"]


async def test_the_listener_survives_an_unexpected_error(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryInbox):
        asked = 0

        def read(self, cursor: Cursor, subjects: Collection[str] = ()) -> list[Received]:
            self.asked += 1
            if self.asked < 3:
                raise OSError("read-only file system")
            return super().read(cursor, subjects)

    inbox, wakeup = Broken(), silent_wakeup()
    inbox.add([signal("mine")])
    with caplog.at_level(logging.WARNING), listener_on(inbox).listening("mine", wakeup):
        assert await contents_of(wakeup) == [None]

    assert caplog.text.count("read-only file system") == 1


async def test_waiters_for_callbacks_are_warned_of_an_invalid_configuration() -> None:
    async def refuse() -> Inbox:
        raise ConfigurationError("the inbox's address is none")

    warnings: list[str] = []
    with Listener(refuse, read_seconds=QUICK).listening("mine", Wakeup(warnings.append)):
        await until(lambda: bool(warnings))

    assert warnings == ["the inbox cannot be read for now: the inbox's address is none"]


@pytest.mark.parametrize("beats, count", [(False, 1), (True, 0)])
async def test_waiters_for_callbacks_are_warned_once_of_a_missing_receiver(beats: bool, count: int) -> None:
    inbox, warnings = MemoryInbox(), []
    if beats:
        inbox.beat("api", "https://airflow.example.com")
    now = [0.0]
    wakeup = Wakeup(warnings.append)
    listener = listener_on(inbox, lambda: now[0])
    with listener.listening("mine", wakeup):
        for _ in range(3):
            before = listener.reads
            now[0] += 120.0
            await until(lambda before=before: listener.reads > before + 1)

    assert len(warnings) == count
    assert all("none runs" in one and "another inbox" in one for one in warnings)


async def test_a_wakeup_ends_the_wait_for_the_next_poll() -> None:
    wakeup, answer = silent_wakeup(), asyncio.get_running_loop().create_future()
    wakeup.wait_on(answer)
    assert not answer.done()
    wakeup.ring("content")

    assert answer.result() is Turn.POLL_ALONE
    assert list(wakeup.contents) == ["content"]


async def test_a_wakeup_during_a_poll_ends_only_the_next_wait() -> None:
    wakeup, loop = silent_wakeup(), asyncio.get_running_loop()
    under_way, following, last = (loop.create_future() for _ in range(3))
    wakeup.wait_on(under_way)
    under_way.set_result(None)
    wakeup.ring("content")
    wakeup.wait_on(following)
    wakeup.wait_on(last)

    assert (following.done(), last.done()) == (True, False)
