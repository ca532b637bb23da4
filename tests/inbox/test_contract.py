"""What every inbox does, whatever it is made of."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace

import pytest

from airflow_provider_taskwatch.inbox.cursor import Cursor
from airflow_provider_taskwatch.inbox.message import PAGE_MESSAGES, Inbox, Message, Received

SIGNAL = Message(channel="automic", subject="start-1", delivery="a", content={"status": 1900}, received_at=100.0)


def subjects(found: Iterable[Received]) -> list[str]:
    return [one.message.subject for one in found]


def deliveries(found: Iterable[Received]) -> list[str]:
    return [one.message.delivery for one in found]


def test_what_was_added_is_read_as_it_was(inbox: Inbox) -> None:
    assert inbox.add([SIGNAL]) == 1

    [received] = inbox.read(Cursor())
    assert received.message == SIGNAL


@pytest.mark.parametrize(
    "content",
    [None, {}, {"status": 1900}, {"text": 'an "odd" one\u0000\U0001f600 \ud800'}, {"deep": [[{"a": None}]]}],
)
def test_any_json_comes_back(inbox: Inbox, content: object) -> None:
    inbox.add([replace(SIGNAL, content=content)])

    assert [one.message.content for one in inbox.read(Cursor())] == [content]


def test_a_second_delivery_changes_nothing(inbox: Inbox) -> None:
    inbox.add([SIGNAL])

    assert inbox.add([replace(SIGNAL, content={"status": 1800}, received_at=200.0)]) == 0
    assert [one.message for one in inbox.read(Cursor())] == [SIGNAL]


def test_channels_tell_deliveries_apart(inbox: Inbox) -> None:
    assert inbox.add([SIGNAL, replace(SIGNAL, channel="acronis"), SIGNAL]) == 2


def test_a_cursor_moves_on(inbox: Inbox) -> None:
    cursor = inbox.end()
    inbox.add([SIGNAL])
    first = inbox.read(cursor)
    cursor = cursor.moved([one.number for one in first], 0.0)
    inbox.add([replace(SIGNAL, delivery="b")])

    assert deliveries(first) == ["a"]
    assert deliveries(inbox.read(cursor)) == ["b"]
    assert inbox.read(cursor.moved([one.number for one in inbox.read(cursor)], 0.0)) == []


def test_a_new_cursor_comes_after_what_is_there(inbox: Inbox) -> None:
    inbox.add([replace(SIGNAL, delivery=str(number)) for number in range(400)])
    cursor = inbox.end()
    seen = inbox.read(cursor)

    assert len(seen) < 400
    assert inbox.read(cursor.moved([one.number for one in seen], 0.0)) == []


def test_subjects_are_found_in_what_was_passed_long_ago(inbox: Inbox) -> None:
    inbox.add([SIGNAL, replace(SIGNAL, subject="start-2", delivery="b")])
    inbox.add([replace(SIGNAL, subject="other", delivery=str(number)) for number in range(400)])
    cursor = inbox.end()
    cursor = cursor.moved([one.number for one in inbox.read(cursor)], 0.0)

    assert subjects(inbox.read(cursor, ["start-2", "unknown"])) == ["start-2"]


def test_a_page_is_followed_by_the_rest(inbox: Inbox) -> None:
    inbox.add([replace(SIGNAL, delivery=str(number)) for number in range(PAGE_MESSAGES + 10)])
    first = inbox.read(Cursor())
    rest = inbox.read(Cursor().moved([one.number for one in first], 0.0))

    assert (len(first), len(rest)) == (PAGE_MESSAGES, 10)
    assert deliveries([*first, *rest]) == [str(number) for number in range(PAGE_MESSAGES + 10)]


def test_what_is_pruned_is_the_oldest(inbox: Inbox) -> None:
    inbox.add([replace(SIGNAL, delivery=str(at), received_at=float(at)) for at in range(5)])

    assert inbox.prune(3.0, limit=2) == 2
    assert deliveries(inbox.read(Cursor())) == ["2", "3", "4"]
    assert inbox.prune(3.0, limit=2) == 1
    assert inbox.prune(3.0, limit=2) == 0


def test_the_numbers_of_what_was_pruned_are_not_given_away_again(inbox: Inbox) -> None:
    inbox.add([SIGNAL])
    [before] = inbox.read(Cursor())
    inbox.prune(200.0, limit=10)
    inbox.add([SIGNAL])

    [after] = inbox.read(Cursor())
    assert after.number > before.number


def test_a_feed_has_a_position(inbox: Inbox) -> None:
    assert inbox.position("acronis/tasks") is None

    inbox.save_position("acronis/tasks", "7")
    inbox.save_position("acronis/tasks", "8")

    assert inbox.position("acronis/tasks") == "8"


def test_a_lease_has_one_holder(inbox: Inbox) -> None:
    assert inbox.lease("acronis", "one", 60.0)
    assert inbox.lease("acronis", "one", 60.0)
    assert not inbox.lease("acronis", "two", 60.0)
    assert inbox.lease("docplanner", "two", 60.0)

    inbox.release("acronis", "two")
    assert not inbox.lease("acronis", "two", 60.0)
    inbox.release("acronis", "one")
    assert inbox.lease("acronis", "two", 60.0)


def test_a_lease_that_has_run_out_is_free(inbox: Inbox) -> None:
    assert inbox.lease("acronis", "one", 0.0)
    assert inbox.lease("acronis", "two", 60.0)


def test_receivers_are_known_by_their_heartbeats(inbox: Inbox) -> None:
    assert inbox.heartbeats() == []

    inbox.beat("api-1", "https://one.example.com")
    inbox.beat("dmz-1", "https://two.example.com")
    inbox.beat("api-1", "https://one.example.com")

    beats = inbox.heartbeats()
    assert [one.host for one in beats] == ["api-1", "dmz-1"]
    assert all(0.0 <= one.age_seconds < 30.0 for one in beats)


def test_many_may_write_at_once(inbox: Inbox) -> None:
    new: list[int] = []

    def write() -> None:
        new.extend(inbox.add([replace(SIGNAL, delivery=str(number))]) for number in range(20))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(new) == 20
    assert sorted(deliveries(inbox.read(Cursor()))) == sorted(map(str, range(20)))
