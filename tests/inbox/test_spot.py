"""How far a reader has come, and what was deleted before it came."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.inbox.memory import MemoryInbox
from airflow_provider_taskwatch.inbox.message import Inbox, Message
from airflow_provider_taskwatch.inbox.spot import KEPT_DAYS, Gone, Spot, gone_from, gone_of, read_page, spot_at

DAY = 86_400.0
EVENT = Message(channel="queue", subject="", delivery="", content={}, received_at=0.0)


def bring(inbox: Inbox, *ats: float, channel: str = "queue", begin: int = 0) -> None:
    messages = [
        replace(EVENT, channel=channel, delivery=str(begin + number), received_at=at) for number, at in enumerate(ats)
    ]
    inbox.append(channel, messages)


def read_on(inbox: Inbox, spot: Spot) -> tuple[int, Spot, int]:
    """How many were read, where that leads, and how many are lost."""
    page, gone = read_page(inbox, "queue", spot)
    return len(page), *spot.after([one.number for one in page], gone)


def test_what_is_gone_of_a_channel_is_written_down(inbox: Inbox) -> None:
    bring(inbox, 1.0, DAY + 1, 3 * DAY)
    bring(inbox, 2.0, channel="other")
    assert gone_of(inbox, "queue") == Gone()
    assert inbox.prune(2 * DAY, limit=100) == 3

    assert gone_of(inbox, "queue") == Gone(number=2, count=2, at=DAY + 1, days={0: 1, 1: 1})
    assert (gone_of(inbox, "other").count, gone_of(inbox, "third")) == (1, Gone())


def test_it_adds_up_step_by_step(inbox: Inbox) -> None:
    bring(inbox, *map(float, range(10)))
    while inbox.prune(7.0, limit=2):
        pass
    bring(inbox, 100.0, begin=10)
    inbox.prune(DAY, limit=100)

    assert (gone_of(inbox, "queue").count, gone_of(inbox, "queue").days) == (11, {0: 11})


def test_who_has_read_all_loses_nothing(inbox: Inbox) -> None:
    bring(inbox, *map(float, range(10)))
    _, spot, _ = read_on(inbox, spot_at(inbox, "queue", 0))
    inbox.prune(DAY, limit=100)
    bring(inbox, DAY, begin=10)

    assert read_on(inbox, spot)[0::2] == (1, 0)


@pytest.mark.parametrize("read", [0, 1, 4, 10])
def test_who_comes_late_knows_how_many_it_has_lost_and_only_once(inbox: Inbox, read: int) -> None:
    bring(inbox, *map(float, range(read)))
    _, spot, _ = read_on(inbox, spot_at(inbox, "queue", 0))
    bring(inbox, 50.0, channel="other")
    bring(inbox, *(100.0 + number for number in range(6)), begin=read)
    bring(inbox, DAY, DAY, begin=100)
    inbox.prune(200.0, limit=100)
    seen, after, lost = read_on(inbox, spot)

    assert (seen, lost) == (2, 6)
    assert read_on(inbox, after)[0::2] == (0, 0)
    assert after == spot_at(inbox, "queue", after.number)


def test_where_nothing_is_left_it_is_told_all_the_same(inbox: Inbox) -> None:
    bring(inbox, *map(float, range(6)))
    inbox.prune(DAY, limit=100)

    assert read_on(inbox, Spot(number=2, passed=2)) == (0, Spot(number=6, passed=6), 4)


def test_where_nobody_has_counted_it_is_so_many_at_most(inbox: Inbox) -> None:
    bring(inbox, *map(float, range(6)))
    inbox.prune(DAY, limit=100)

    assert read_on(inbox, Spot(number=2))[2] == 6


def test_what_is_deleted_just_after_it_was_read_is_not_lost(inbox: Inbox) -> None:
    bring(inbox, *map(float, range(6)))
    spot = spot_at(inbox, "queue", 2)
    numbers = [one.number for one in inbox.after("queue", spot.number)]
    inbox.prune(DAY, limit=100)

    assert spot.after(numbers, gone_of(inbox, "queue")) == (Spot(number=6, passed=6), 0)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("bring"), st.integers(1, 5)),
            st.tuples(st.just("prune"), st.integers(1, 8)),
            st.tuples(st.just("read"), st.integers(1, 4)),
        )
    )
)
def test_whatever_happens_each_event_is_read_or_counted_as_lost(steps: list[tuple[str, int]]) -> None:
    inbox, spot, brought, read, lost = MemoryInbox(), Spot(passed=0), 0, 0, 0
    for step, number in [*steps, ("read", 1_000), ("read", 1_000)]:
        if step == "bring":
            bring(inbox, *(float(brought + one) for one in range(number)), begin=brought)
            brought += number
        elif step == "prune":
            inbox.prune(1e9, limit=number)
        else:
            page, gone = read_page(inbox, "queue", spot)
            numbers = [one.number for one in page[:number]]
            spot, missed = spot.after(numbers, gone)
            read, lost = read + len(numbers), lost + missed

    assert read + lost == brought


def test_a_moment_asks_for_those_of_its_day_and_later() -> None:
    gone = Gone().with_([(1, 0.5 * DAY), (2, 1.5 * DAY), (3, 2.5 * DAY)])

    assert [gone.since(moment * DAY) for moment in (0.9, 1.0, 2.0, 2.4, 2.5, 9.0)] == [3, 2, 1, 1, 0, 0]


def test_it_remembers_days_for_a_while_and_comes_back_from_its_text() -> None:
    gone = Gone().with_([(number, number * DAY) for number in range(2 * KEPT_DAYS)])

    assert (len(gone.days), gone.count) == (KEPT_DAYS, 2 * KEPT_DAYS)
    assert gone_from(gone.to_text()) == gone
    assert gone_from(None) == Gone()


def test_what_made_room_for_others_is_gone_as_well(inbox: Inbox) -> None:
    inbox.append("queue", [replace(EVENT, delivery=str(number), content="x" * 100) for number in range(10)])
    deleted = inbox.keep_bytes("queue", 350)

    assert 0 < deleted < 10
    assert (gone_of(inbox, "queue").count, gone_of(inbox, "queue").number) == (deleted, deleted)
