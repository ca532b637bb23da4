"""A follower reads a feed in order, in bundles, and its position never passes a bundle without confirmation."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from airflow_provider_taskwatch.config.inbox import aopen_inbox, open_named_inbox
from airflow_provider_taskwatch.core.error import InboxError, LeaseError
from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.feed.follower import BATCH_BYTES, UNCONFIRMED_BUNDLES, Bundle, FeedFollower
from airflow_provider_taskwatch.inbox.engine import CONNECTIONS
from airflow_provider_taskwatch.inbox.event import message_of
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.store import SqlInbox
from airflow_provider_taskwatch.inbox.thread import THREADS, in_thread
from tests.feed.remote import NOW, event
from tests.inbox.memory import MemoryInbox
from tests.inbox.replaceable import ReplaceableInbox
from tests.until import until, wait_until

FEED = "fake queue"
LEASE = "feed trigger mine"
BURST = f"{LEASE} burst"


@pytest.fixture(params=["memory", "sqlite"])
def inbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Inbox]:
    inbox: Inbox = MemoryInbox()
    if request.param == "sqlite":
        inbox = SqlInbox(f"sqlite:///{tmp_path}/inbox.db", clock=lambda: NOW)
    yield inbox
    inbox.close()


def bring(inbox: Inbox, *numbers: int, name: str = "made", **content: Any) -> None:
    inbox.append(FEED, [message_of(FEED, event(number, name, **content), NOW) for number in numbers])


def follower_of(inbox: Inbox, *, fingerprint: str = "f", **changes: Any) -> FeedFollower:
    given = {
        "name": "mine",
        "channel": FEED,
        "event_filter": EventFilter(),
        "lease_seconds": 0.5,
        "renew_seconds": 0.05,
        **changes,
    }
    return FeedFollower(inbox, fingerprint=fingerprint, **given)


class Reader:
    """Collects a follower's bundles and confirms none by itself."""

    def __init__(self, follower: FeedFollower) -> None:
        self.follower = follower
        self.bundles: list[Bundle] = []
        self.error: Exception | None = None

    async def read(self) -> None:
        try:
            async for bundle in self.follower.bundles():
                self.bundles.append(bundle)
        except (LeaseError, InboxError) as error:
            self.error = error

    @property
    def ids(self) -> list[str]:
        return [one["id"] for bundle in self.bundles for one in bundle.events]

    async def confirm(self, bundles: Sequence[Bundle] = ()) -> None:
        for bundle in bundles or list(self.bundles):
            await self.follower.confirm(bundle.number)


@asynccontextmanager
async def following(inbox: Inbox, **changes: Any) -> AsyncIterator[Reader]:
    """A reader whose follower holds the lease of its name."""
    reader = Reader(follower_of(inbox, **changes))
    task = asyncio.create_task(reader.read())
    await until(lambda: inbox.position(LEASE) is not None and inbox.holder(LEASE) is not None)
    yield reader
    task.cancel()
    await asyncio.wait([task])
    await reader.follower.close()


async def has(reader: Reader, events: int) -> None:
    await until(lambda: len(reader.ids) >= events)


def position(inbox: Inbox) -> int:
    return int(inbox.position(LEASE) or 0)


async def moves_to(inbox: Inbox, number: int) -> None:
    await until(lambda: position(inbox) == number)


def last(inbox: Inbox) -> int:
    return inbox.after(FEED, 0)[-1].number


async def test_a_new_follower_starts_at_the_end_of_the_feed(inbox: Inbox) -> None:
    bring(inbox, 1, 2)
    async with following(inbox) as reader:
        bring(inbox, 3)
        await has(reader, 1)

    assert reader.ids == ["3"]


async def test_events_are_delivered_as_plain_json(inbox: Inbox) -> None:
    async with following(inbox) as reader:
        bring(inbox, 1, subject="7")
        await has(reader, 1)

    [delivered] = reader.bundles[0].events
    assert delivered == {
        "id": "1",
        "name": "made",
        "subject": "7",
        "at": "1970-01-01T00:16:40+00:00",
        "content": {"number": 1},
    }
    json.dumps(delivered)


async def test_a_notification_wakes_the_follower_before_its_next_read(inbox: Inbox) -> None:
    async with following(inbox, renew_seconds=30.0, lease_seconds=60.0) as reader:
        bring(inbox, 1)
        reader.follower.news.set()
        await has(reader, 1)


async def test_the_position_moves_only_after_confirmation(inbox: Inbox) -> None:
    async with following(inbox) as reader:
        before = position(inbox)
        bring(inbox, 1, 2)
        await has(reader, 2)
        await asyncio.sleep(0.2)
        assert position(inbox) == before
        await reader.confirm()
        assert position(inbox) == last(inbox)


async def test_a_restarted_follower_continues_after_the_confirmed_events(inbox: Inbox) -> None:
    async with following(inbox, batch_size=2) as reader:
        bring(inbox, 1, 2, 3, 4, 5)
        await has(reader, 5)
        await reader.confirm(reader.bundles[:1])
    bring(inbox, 6)
    async with following(inbox) as again:
        await has(again, 4)

    assert again.ids == ["3", "4", "5", "6"]


async def test_a_late_confirmation_does_not_move_the_position_back(inbox: Inbox) -> None:
    async with following(inbox, batch_size=1) as reader:
        bring(inbox, 1, 2)
        await has(reader, 2)
        first, second = reader.bundles
        await reader.confirm([second])
        await reader.confirm([first])

        assert position(inbox) == second.number


async def test_the_position_passes_events_that_the_filter_rejects(inbox: Inbox) -> None:
    async with following(inbox, event_filter=EventFilter(names=["moved"])) as reader:
        bring(inbox, 1, 2)
        await moves_to(inbox, last(inbox))
        bring(inbox, 3, name="moved")
        await has(reader, 1)

    assert reader.ids == ["3"]


async def test_the_position_does_not_pass_rejected_events_while_an_earlier_bundle_is_unconfirmed(inbox: Inbox) -> None:
    async with following(inbox, event_filter=EventFilter(names=["moved"])) as reader:
        bring(inbox, 1, name="moved")
        await has(reader, 1)
        before = position(inbox)
        bring(inbox, 2)
        await asyncio.sleep(0.2)
        assert position(inbox) == before
        await reader.confirm()
        bring(inbox, 3)
        await moves_to(inbox, last(inbox))


async def test_the_number_of_unconfirmed_bundles_is_limited(inbox: Inbox) -> None:
    async with following(inbox, batch_size=2) as reader:
        bring(inbox, *range(1, 4 * UNCONFIRMED_BUNDLES + 1))
        await until(lambda: len(reader.bundles) >= UNCONFIRMED_BUNDLES)
        await asyncio.sleep(0.2)
        assert len(reader.bundles) == UNCONFIRMED_BUNDLES
        await reader.confirm(reader.bundles[:1])
        await until(lambda: len(reader.bundles) > UNCONFIRMED_BUNDLES)
        await asyncio.sleep(0.1)
        assert len(reader.bundles) == UNCONFIRMED_BUNDLES + 1
        await reader.confirm()
        await has(reader, 4 * UNCONFIRMED_BUNDLES)

    assert reader.ids == [str(number) for number in range(1, 4 * UNCONFIRMED_BUNDLES + 1)]


async def test_a_bundle_holds_at_most_batch_size_events(inbox: Inbox) -> None:
    async with following(inbox, batch_size=3) as reader:
        bring(inbox, *range(1, 8))
        await has(reader, 7)

    assert [len(bundle.events) for bundle in reader.bundles] == [3, 3, 1]
    assert [bundle.number - reader.bundles[0].number for bundle in reader.bundles] == [0, 3, 4]


async def test_a_bundle_is_limited_in_bytes_and_an_oversized_event_has_a_bundle_to_itself(inbox: Inbox) -> None:
    async with following(inbox) as reader:
        bring(inbox, 1, 2, 3, text="x" * (BATCH_BYTES // 2 - 1000))
        bring(inbox, 4, text="x" * 2 * BATCH_BYTES)
        bring(inbox, 5)
        await has(reader, 5)

    sizes = [len(json.dumps(list(bundle.events))) for bundle in reader.bundles]
    assert [one["id"] for one in reader.bundles[-1].events] == ["5"]
    assert all(
        size <= BATCH_BYTES for size, bundle in zip(sizes, reader.bundles, strict=True) if len(bundle.events) > 1
    )


async def test_a_second_follower_of_the_same_name_waits_and_takes_over_at_once(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    second = Reader(follower_of(inbox, lease_seconds=60.0))
    async with following(inbox, lease_seconds=60.0) as first:
        task = asyncio.create_task(second.read())
        bring(inbox, 1, 2)
        await has(first, 2)
        await asyncio.sleep(0.2)
        assert second.ids == []
        await first.confirm(first.bundles[-1:])
    bring(inbox, 3)
    await has(second, 1)
    task.cancel()

    assert (second.ids, caplog.records) == (["3"], [])


async def test_a_name_used_with_different_arguments_is_logged_once(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    other = Reader(follower_of(inbox, fingerprint="g"))
    with caplog.at_level(logging.ERROR):
        async with following(inbox):
            task = asyncio.create_task(other.read())
            await asyncio.sleep(0.3)
    bring(inbox, 1)
    await has(other, 1)
    task.cancel()

    [record] = caplog.records
    assert "two triggers with different arguments have the name 'mine'" in record.getMessage()


async def test_a_successor_takes_over_when_the_lease_expires(inbox: Inbox) -> None:
    inbox.save_position(LEASE, "0")
    inbox.lease(LEASE, "f gone", 0.4)
    bring(inbox, 1)
    reader = Reader(follower_of(inbox))
    task = asyncio.create_task(reader.read())
    await asyncio.sleep(0.2)
    assert reader.ids == []
    await has(reader, 1)
    task.cancel()


def steal(inbox: Inbox) -> None:
    while not inbox.lease(LEASE, "f another", 60.0):
        inbox.release(LEASE, inbox.holder(LEASE) or "")


async def test_a_follower_that_lost_its_lease_ends_and_confirms_nothing(inbox: Inbox) -> None:
    async with following(inbox) as reader:
        bring(inbox, 1)
        await has(reader, 1)
        before = position(inbox)
        steal(inbox)
        with pytest.raises(LeaseError):
            await reader.confirm()
        await until(lambda: reader.error is not None)

    assert isinstance(reader.error, LeaseError)
    assert position(inbox) == before


async def test_a_follower_renews_its_lease_while_it_waits_for_confirmations(inbox: Inbox) -> None:
    async with following(inbox, batch_size=1, lease_seconds=1.0) as reader:
        bring(inbox, *range(1, 2 * UNCONFIRMED_BUNDLES))
        await has(reader, UNCONFIRMED_BUNDLES)
        before = inbox.holder(LEASE)
        await asyncio.sleep(1.3)
        assert inbox.holder(LEASE) == before


async def test_a_follower_notices_a_lost_lease_while_it_waits_for_confirmations(inbox: Inbox) -> None:
    async with following(inbox, batch_size=1) as reader:
        bring(inbox, *range(1, 2 * UNCONFIRMED_BUNDLES))
        await has(reader, UNCONFIRMED_BUNDLES)
        steal(inbox)
        await until(lambda: reader.error is not None)


async def test_an_empty_bundle_closes_a_confirmed_burst_after_the_quiet_time(inbox: Inbox) -> None:
    async with following(inbox, batch_size=1, quiet_seconds=0.2) as reader:
        bring(inbox, 1, 2)
        await has(reader, 2)
        await asyncio.sleep(0.3)
        assert len(reader.bundles) == 2  # unconfirmed bundles may still start runs of their own
        await reader.confirm()
        await until(lambda: len(reader.bundles) == 3)
        await reader.confirm(reader.bundles[-1:])
        await until(lambda: inbox.position(BURST) == "closed")
        await asyncio.sleep(0.3)

    assert [len(bundle.events) for bundle in reader.bundles] == [1, 1, 0]
    assert position(inbox) == last(inbox)


async def test_events_soon_after_an_empty_bundle_form_a_new_burst(inbox: Inbox) -> None:
    async with following(inbox, batch_size=1, quiet_seconds=0.3) as reader:
        bring(inbox, 1, 2)
        await has(reader, 2)
        await reader.confirm()
        await until(lambda: len(reader.bundles) == 3)
        bring(inbox, 3)
        await has(reader, 3)
        await reader.confirm()
        await until(lambda: len(reader.bundles) == 5)

    assert [len(bundle.events) for bundle in reader.bundles] == [1, 1, 0, 1, 0]


async def test_single_bundles_are_not_followed_by_an_empty_bundle(inbox: Inbox) -> None:
    async with following(inbox, quiet_seconds=0.2) as reader:
        for number in (1, 2):
            bring(inbox, number)
            await has(reader, number)
            await reader.confirm()
            await until(lambda: inbox.position(BURST) == "closed")

    assert [len(bundle.events) for bundle in reader.bundles] == [1, 1]


async def test_the_next_follower_of_the_name_closes_the_burst(inbox: Inbox) -> None:
    async with following(inbox, batch_size=1) as reader:
        bring(inbox, 1, 2)
        await has(reader, 2)
        await reader.confirm()
    async with following(inbox, quiet_seconds=0.2) as again:
        await until(lambda: len(again.bundles) == 1)

    assert again.ids == []


async def test_an_inbox_error_ends_the_follower() -> None:
    class Shaky(MemoryInbox):
        is_down: Callable[[], bool] = staticmethod(lambda: False)

        def after(self, *args: Any, **options: Any) -> Any:
            if self.is_down():
                raise InboxError("the inbox is down")
            return super().after(*args, **options)

    inbox = Shaky()
    async with following(inbox) as reader:
        inbox.is_down = lambda: True
        await until(lambda: reader.error is not None)

    assert isinstance(reader.error, InboxError)


_SLOW = {"lease_seconds": 60.0, "renew_seconds": 1.0}


async def test_sixty_followers_share_the_database_connections_of_their_process(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", postgres_url)
    writer = SqlInbox(postgres_url, clock=lambda: NOW)
    inboxes = [await aopen_inbox() for _ in range(60)]
    readers = [Reader(follower_of(inbox, name=str(number), **_SLOW)) for number, inbox in enumerate(inboxes)]
    tasks = [asyncio.create_task(one.read()) for one in readers]
    await until(lambda: len(writer.holders()) == 60, 60.0)
    await until(lambda: all(writer.position(f"feed trigger {n}") is not None for n in range(60)), 60.0)
    bring(writer, 1)
    await until(lambda: all(one.ids == ["1"] for one in readers), 60.0)
    writer.close()

    with psycopg.connect(postgres_url, autocommit=True) as database:
        assert 0 < connections(database) <= 2 * CONNECTIONS
        await stop(tasks)
    for inbox in inboxes:
        inbox.close()


def test_a_worker_holds_no_database_connection_while_it_is_idle(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", postgres_url)
    inbox = open_named_inbox()
    inbox.append(FEED, [message_of(FEED, event(1), time.time())])

    with psycopg.connect(postgres_url, autocommit=True) as database:
        wait_until(lambda: connections(database) == 0)  # a server takes a moment to end one
    assert last(inbox) == 1
    inbox.close()


async def test_closing_a_shared_inbox_leaves_it_open_for_its_other_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")
    first, second = await aopen_inbox(), await aopen_inbox()
    assert first is second
    first.close()
    assert second.lease("mine", "me", 60.0)
    second.close()

    third = await aopen_inbox()
    assert third is not first
    third.close()


def connections(database: psycopg.Connection) -> int:
    """The number of connections to that database, except this one."""
    query = "SELECT * FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return len(database.execute(query).fetchall())


async def stop(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel the tasks and wait for their calls to the inbox, which continue in threads for a moment."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    all_threads = threading.Barrier(THREADS, timeout=30.0)
    await asyncio.gather(*(in_thread(all_threads.wait) for _ in range(THREADS)))


# --- deleted events, and an inbox that was restored


def counts() -> tuple[list[tuple[str, int]], Callable[[str, int], object]]:
    counted: list[tuple[str, int]] = []
    return counted, lambda name, number: counted.append((name, number))


async def test_the_number_of_lost_events_is_logged_after_a_long_pause_and_reading_continues(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    async with following(inbox) as reader:
        bring(inbox, 1, 2)
        await has(reader, 2)
        await reader.confirm()
    bring(inbox, *range(3, 9))
    inbox.prune(NOW + 1, limit=100)
    bring(inbox, 9)
    counted, count = counts()
    async with following(inbox, count=count) as again:
        await has(again, 1)
        await again.confirm()
        inbox.prune(NOW + 1, limit=100)
        bring(inbox, 10)
        await has(again, 2)

    [error] = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert error.startswith(
        "the trigger 'mine': the feed fake queue: 6 of its events were deleted before they could be"
    )
    assert (again.ids, counted) == (["9", "10"], [("feed.lost", 6)])


async def test_a_position_from_an_older_version_gains_the_count_of_passed_events(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    bring(inbox, 1, 2)
    inbox.save_position(LEASE, str(last(inbox)))
    async with following(inbox) as reader:
        bring(inbox, 3)
        await has(reader, 1)
        await reader.confirm()
    bring(inbox, 4, 5)
    inbox.prune(NOW + 1, limit=100)
    async with following(inbox):
        await until(lambda: "the feed fake queue: 2 of its events were deleted" in caplog.text)


@pytest.fixture
def replaceable() -> ReplaceableInbox:
    return ReplaceableInbox()


def bring_at(inbox: Any, at: float, *numbers: int) -> None:
    inbox.append(FEED, [message_of(FEED, event(number), at) for number in numbers])


@pytest.mark.parametrize("new", [1, 3, 4, 9])
async def test_a_restored_backup_is_logged_and_read_from_its_own_position(
    replaceable: ReplaceableInbox, caplog: pytest.LogCaptureFixture, new: int
) -> None:
    inbox: Any = replaceable
    counted, count = counts()
    async with following(inbox, back_seconds=0.2, count=count) as reader:
        bring_at(inbox, NOW, 1, 2)
        await has(reader, 2)
        await reader.confirm()
        saved = replaceable.backup()
        bring_at(inbox, NOW + 100, 3, 4, 5)
        await has(reader, 5)
        late = reader.bundles[-1]
        bring_at(saved, NOW + 200, *range(11, 11 + new))
        replaceable.present = saved
        await has(reader, 5 + new)
        if late.number != reader.bundles[-1].number:
            await reader.follower.confirm(late.number)
            assert position(inbox) == 2
        await reader.confirm(reader.bundles[-1:])
        bring_at(inbox, NOW + 300, 99)
        await has(reader, 6 + new)

    assert reader.ids == [*map(str, (1, 2, 3, 4, 5)), *map(str, range(11, 11 + new)), "99"]
    assert caplog.text.count("the inbox has gone back") == 1
    assert counted == [("inbox.went_back", 1)]


async def test_a_replica_that_lags_briefly_causes_no_duplicates_and_no_log(
    replaceable: ReplaceableInbox, caplog: pytest.LogCaptureFixture
) -> None:
    inbox: Any = replaceable
    async with following(inbox, back_seconds=5.0) as reader:
        bring_at(inbox, NOW, 1, 2)
        behind = replaceable.backup()
        bring_at(inbox, NOW, 3)
        await has(reader, 3)
        primary = replaceable.present
        for _ in range(3):
            replaceable.present = behind
            await asyncio.sleep(0.15)
            replaceable.present = primary
            await asyncio.sleep(0.15)
        bring_at(inbox, NOW, 4)
        await has(reader, 4)

    assert (reader.ids, caplog.text) == (["1", "2", "3", "4"], "")


async def test_a_follower_restarted_after_a_restore_ignores_its_earlier_confirmations(
    replaceable: ReplaceableInbox, caplog: pytest.LogCaptureFixture
) -> None:
    inbox: Any = replaceable
    async with following(inbox) as reader:
        bring_at(inbox, NOW, 1)
        saved = replaceable.backup()
        bring_at(inbox, NOW + 100, 2, 3)
        await has(reader, 3)
        await reader.confirm()
        reached = reader.follower.reached
    replaceable.present = saved
    saved.release(LEASE, saved.holder(LEASE) or "")
    bring_at(inbox, NOW + 200, 11, 12, 13)
    async with following(inbox, confirmed=reached, back_seconds=0.1) as again:
        await has(again, 3)

    assert again.ids == ["11", "12", "13"]
    assert "the inbox has gone back" in caplog.text
