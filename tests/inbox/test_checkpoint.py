"""The checkpoint of a reader, and the events that were deleted before it read them."""

from __future__ import annotations

import threading
from dataclasses import replace

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import InboxError
from airflow_provider_taskwatch.feed.checkpoint import (
    checkpoint_at,
    deletions_of,
    has_gone_back,
    is_older,
    read_page,
    restored_checkpoint,
)
from airflow_provider_taskwatch.inbox import schema
from airflow_provider_taskwatch.inbox.checkpoint import KEPT_DAYS, Checkpoint, Deletions, deletions_from
from airflow_provider_taskwatch.inbox.engine import engine_for
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.inbox.protocol import Inbox
from tests.inbox.conftest import NOW, OpenInbox
from tests.inbox.memory import MemoryInbox

DAY = 86_400.0
EVENT = Message(channel="queue", subject="", delivery="", content={}, received_at=0.0)


def bring(inbox: Inbox, *ats: float, channel: str = "queue", begin: int = 0) -> None:
    messages = [
        replace(EVENT, channel=channel, delivery=str(begin + number), received_at=at) for number, at in enumerate(ats)
    ]
    inbox.append(channel, messages)


def read_on(inbox: Inbox, checkpoint: Checkpoint) -> tuple[int, Checkpoint, int]:
    """The number of events read, the next checkpoint, and the number of lost events."""
    page = read_page(inbox, "queue", checkpoint)
    assert not page.is_back
    return len(page.rows), *checkpoint.after(page.rows, page)


def test_deletions_are_recorded_for_each_channel(inbox: Inbox) -> None:
    bring(inbox, 1.0, DAY + 1, 3 * DAY)
    bring(inbox, 2.0, channel="other")
    assert deletions_of(inbox, "queue") == Deletions()
    assert inbox.prune(2 * DAY, limit=100) == 3

    assert deletions_of(inbox, "queue") == Deletions(number=2, count=2, at=DAY + 1, days={0: 1, 1: 1})
    assert (deletions_of(inbox, "other").count, deletions_of(inbox, "third")) == (1, Deletions())


def test_successive_deletions_are_added_up(inbox: Inbox) -> None:
    bring(inbox, *map(float, range(10)))
    while inbox.prune(7.0, limit=2):
        pass
    bring(inbox, 100.0, begin=10)
    inbox.prune(DAY, limit=100)

    assert (deletions_of(inbox, "queue").count, deletions_of(inbox, "queue").days) == (11, {0: 11})


def test_a_reader_that_has_read_every_event_loses_none(inbox: Inbox) -> None:
    bring(inbox, *map(float, range(10)))
    _, checkpoint, _ = read_on(inbox, checkpoint_at(inbox, "queue", 0))
    inbox.prune(DAY, limit=100)
    bring(inbox, DAY, begin=10)

    assert read_on(inbox, checkpoint)[0::2] == (1, 0)


@pytest.mark.parametrize("read", [0, 1, 4, 10])
def test_a_late_reader_counts_its_lost_events_once(inbox: Inbox, read: int) -> None:
    bring(inbox, *map(float, range(read)))
    _, checkpoint, _ = read_on(inbox, checkpoint_at(inbox, "queue", 0))
    bring(inbox, 50.0, channel="other")
    bring(inbox, *(100.0 + number for number in range(6)), begin=read)
    bring(inbox, DAY, DAY, begin=100)
    inbox.prune(200.0, limit=100)
    seen, after, lost = read_on(inbox, checkpoint)

    assert (seen, lost) == (2, 6)
    assert read_on(inbox, after)[0::2] == (0, 0)
    assert after.passed == checkpoint_at(inbox, "queue", after.number).passed


def test_lost_events_are_counted_in_an_empty_channel(inbox: Inbox) -> None:
    bring(inbox, *map(float, range(6)))
    inbox.prune(DAY, limit=100)

    assert read_on(inbox, Checkpoint(number=2, passed=2)) == (0, Checkpoint(number=6, passed=6), 4)


def test_lost_events_of_a_checkpoint_without_a_count_are_an_upper_bound(inbox: Inbox) -> None:
    bring(inbox, *map(float, range(6)))
    inbox.prune(DAY, limit=100)

    assert read_on(inbox, Checkpoint(number=2))[2] == 6


def test_an_event_deleted_after_it_was_read_is_not_lost(inbox: Inbox) -> None:
    bring(inbox, *map(float, range(6)))
    checkpoint = checkpoint_at(inbox, "queue", 2)
    page = read_page(inbox, "queue", checkpoint)
    inbox.prune(DAY, limit=100)

    after, lost = checkpoint.after(page.rows, page)
    assert (after.number, after.passed, lost, read_on(inbox, after)[2]) == (6, 6, 0, 0)


def test_a_deleted_event_with_the_stamp_of_a_slow_clock_is_counted_as_lost(
    inbox: Inbox,
) -> None:
    bring(inbox, 100.0, 101.0, 102.0, 5.0, 103.0)
    inbox.prune(50.0, limit=100)
    page = read_page(inbox, "queue", checkpoint := Checkpoint(passed=0))

    assert checkpoint.after(page.rows[:0], page) == (Checkpoint(number=0, passed=1), 1)
    seen, behind, lost = read_on(inbox, checkpoint)
    assert (seen, lost, behind.passed, read_on(inbox, behind)[0::2]) == (4, 1, 5, (0, 0))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("bring"), st.integers(1, 5)),
            st.tuples(st.just("prune"), st.integers(1, 8)),
            st.tuples(st.just("read"), st.integers(1, 4)),
        )
    )
)
def test_each_event_is_either_read_or_counted_as_lost(steps: list[tuple[str, int]]) -> None:
    inbox, checkpoint, brought, read, lost = MemoryInbox(), Checkpoint(passed=0), 0, 0, 0
    for step, number in [*steps, ("read", 1_000), ("read", 1_000)]:
        if step == "bring":
            bring(inbox, *(float((brought + one) * 7 % 11) for one in range(number)), begin=brought)
            brought += number
        elif step == "prune":
            inbox.prune(1.0 + number, limit=number)
        else:
            page = read_page(inbox, "queue", checkpoint)
            assert not page.is_back
            rows = page.rows[:number]
            checkpoint, missed = checkpoint.after(rows, page)
            read, lost = read + len(rows), lost + missed

    assert read + lost == brought


# --- an inbox that was restored


def checkpoint_behind(inbox: Inbox) -> Checkpoint:
    return read_on(inbox, checkpoint_at(inbox, "queue", 0))[1]


def test_an_inbox_that_was_not_restored_has_not_gone_back(inbox: Inbox) -> None:
    assert not has_gone_back(inbox, "queue", Checkpoint())
    bring(inbox, 1.0, 2.0)
    checkpoint = checkpoint_behind(inbox)
    assert not has_gone_back(inbox, "queue", checkpoint)
    bring(inbox, 3.0, begin=10)
    assert not has_gone_back(inbox, "queue", checkpoint)
    inbox.prune(100.0, limit=10)
    assert not has_gone_back(inbox, "queue", checkpoint)


@pytest.mark.parametrize("rows", [0, 1, 3, 5])
def test_a_restored_inbox_has_gone_back_with_fewer_equal_or_more_rows(inbox: Inbox, rows: int) -> None:
    bring(inbox, 1.0, 2.0, 3.0)
    checkpoint, other = checkpoint_behind(inbox), MemoryInbox()
    bring(other, 1.0, 2.0, *(9.0,) * (rows - 2)) if rows > 2 else bring(other, *(1.0, 2.0)[:rows])

    assert has_gone_back(other, "queue", checkpoint)
    assert is_older(other, checkpoint.number, inbox.at(checkpoint.number))
    assert not is_older(inbox, checkpoint.number, inbox.at(checkpoint.number))


def test_reading_continues_after_the_events_that_a_restored_inbox_holds(inbox: Inbox) -> None:
    bring(inbox, 1_000.0, 2_000.0, 3_000.0)
    checkpoint, other = checkpoint_behind(inbox), MemoryInbox()
    bring(other, 1_000.0, 2_000.0, 4_000.0, 5_000.0)
    again = restored_checkpoint(other, "queue", checkpoint)

    assert (again.number, again.passed) == (2, 2)
    assert restored_checkpoint(other, "queue", Checkpoint(number=9)).number == 4
    assert restored_checkpoint(MemoryInbox(), "queue", checkpoint) == Checkpoint(passed=0)


def rewind(url: str, number: int) -> None:
    """Restore a database to the state in which ``number`` was its last one."""
    engine = engine_for(url)
    with engine.begin() as connection:
        connection.execute(schema.message.delete().where(schema.message.c.number > number))
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text(f"SELECT setval('taskwatch_message_number_seq', {number})"))
        else:
            connection.execute(sa.text(f"UPDATE sqlite_sequence SET seq = {number}"))
    engine.dispose()


@pytest.mark.parametrize("since", [0, 1, 3, 9])
def test_a_restored_database_has_gone_back_with_any_number_of_newer_events(
    open_inbox: OpenInbox, url: str, since: int
) -> None:
    inbox = open_inbox(url)
    bring(inbox, *(NOW + number for number in range(5)))
    checkpoint = checkpoint_behind(inbox)
    rewind(url, 2)
    bring(inbox, *(NOW + 100.0 + number for number in range(since)), begin=50)

    assert has_gone_back(inbox, "queue", checkpoint)
    again = restored_checkpoint(inbox, "queue", replace(checkpoint, at=NOW + 90.0))
    assert (again.number, len(read_page(inbox, "queue", again).rows)) == (2, since)


def test_the_newest_number_is_known_after_every_message_was_deleted(inbox: Inbox) -> None:
    assert inbox.newest() == 0
    bring(inbox, 1.0, 2.0)
    last = inbox.after("queue", 0)[-1]
    assert (inbox.newest(), inbox.at(last.number), inbox.at(99)) == (last.number, last, None)
    inbox.prune(DAY, limit=10)
    assert (inbox.newest(), inbox.at(last.number)) == (last.number, None)


def test_deletions_since_a_moment_include_its_whole_day() -> None:
    deletions = Deletions().with_([(1, 0.5 * DAY), (2, 1.5 * DAY), (3, 2.5 * DAY)])

    assert [deletions.since(moment * DAY) for moment in (0.9, 1.0, 2.0, 2.4, 2.5, 9.0)] == [3, 2, 1, 1, 0, 0]


def test_deletions_keep_a_limited_number_of_days_and_survive_a_round_trip_through_text() -> None:
    deletions = Deletions().with_([(number, number * DAY) for number in range(2 * KEPT_DAYS)])

    assert (len(deletions.days), deletions.count) == (KEPT_DAYS, 2 * KEPT_DAYS)
    assert deletions_from(deletions.to_text()) == deletions
    assert deletions_from(None) == Deletions()


def test_messages_deleted_for_size_are_counted_as_deletions(inbox: Inbox) -> None:
    inbox.append("queue", [replace(EVENT, delivery=str(number), content="x" * 100) for number in range(10)])
    deleted = inbox.keep_bytes("queue", 350)

    assert 0 < deleted < 10
    assert (deletions_of(inbox, "queue").count, deletions_of(inbox, "queue").number) == (deleted, deleted)


def test_concurrent_deletions_are_counted_once(inbox: Inbox) -> None:
    bring(inbox, *map(float, range(300)))
    deleted: list[int] = []

    def prune() -> None:
        while number := inbox.prune(DAY, limit=7):
            deleted.append(number)

    threads = [threading.Thread(target=prune) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(deleted) == deletions_of(inbox, "queue").count == 300


def reset_sequence(url: str, table: str = "taskwatch_message") -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'number'), 1)")


def test_a_reset_sequence_is_advanced_before_the_first_write(
    postgres_url: str, open_inbox: OpenInbox, caplog: pytest.LogCaptureFixture
) -> None:
    one = open_inbox(postgres_url)
    bring(one, *map(float, range(6)))
    one.prune(3.0, limit=100)
    one.keep_sealed("queue", b"x", NOW)
    checkpoint = checkpoint_behind(one)
    reset_sequence(postgres_url)
    restored = open_inbox(postgres_url)

    assert not has_gone_back(restored, "queue", checkpoint)
    bring(restored, 7.0, begin=10)
    assert [row.number for row in read_page(restored, "queue", checkpoint).rows] == [7]
    assert "begun anew in this inbox; they go on after 6" in caplog.text


def test_a_number_that_is_assigned_twice_is_an_error(postgres_url: str, open_inbox: OpenInbox) -> None:
    inbox = open_inbox(postgres_url)
    bring(inbox, *map(float, range(6)))
    reset_sequence(postgres_url)

    with pytest.raises(InboxError, match="duplicate key"):
        bring(inbox, 7.0, begin=10)
