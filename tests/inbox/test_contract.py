"""The contract that every inbox fulfils."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace

import pytest

from airflow_provider_taskwatch.core.error import LeaseError
from airflow_provider_taskwatch.feed.checkpoint import deletions_of
from airflow_provider_taskwatch.inbox import sealed_table
from airflow_provider_taskwatch.inbox.cursor import Cursor
from airflow_provider_taskwatch.inbox.message import PAGE_MESSAGES, Lease, Message, Received, Sealed
from airflow_provider_taskwatch.inbox.protocol import Inbox
from tests.inbox import memory

SIGNAL = Message(channel="automic", subject="start-1", delivery="a", content={"status": 1900}, received_at=100.0)


def events(channel: str, *numbers: int) -> list[Message]:
    """Messages received at second 1, 2, ..."""
    return [replace(SIGNAL, channel=channel, delivery=str(n), received_at=float(n)) for n in numbers]


def subjects(found: Iterable[Received]) -> list[str]:
    return [one.message.subject for one in found]


def deliveries(found: Iterable[Received]) -> list[str]:
    return [one.message.delivery for one in found]


def test_an_added_message_is_read_unchanged(inbox: Inbox) -> None:
    assert inbox.add([SIGNAL]) == 1

    [received] = inbox.read(Cursor())
    assert received.message == SIGNAL


@pytest.mark.parametrize(
    "content",
    [None, {}, {"status": 1900}, {"text": 'an "odd" one\u0000\U0001f600 \ud800'}, {"deep": [[{"a": None}]]}],
)
def test_any_json_content_is_read_unchanged(inbox: Inbox, content: object) -> None:
    inbox.add([replace(SIGNAL, content=content)])

    assert [one.message.content for one in inbox.read(Cursor())] == [content]


def test_a_second_delivery_changes_nothing(inbox: Inbox) -> None:
    inbox.add([SIGNAL])

    assert inbox.add([replace(SIGNAL, content={"status": 1800}, received_at=200.0)]) == 0
    assert [one.message for one in inbox.read(Cursor())] == [SIGNAL]


def test_the_same_delivery_in_two_channels_is_two_messages(inbox: Inbox) -> None:
    assert inbox.add([SIGNAL, replace(SIGNAL, channel="acronis"), SIGNAL]) == 2


def test_a_moved_cursor_reads_the_following_messages(inbox: Inbox) -> None:
    cursor = inbox.end()
    inbox.add([SIGNAL])
    first = inbox.read(cursor)
    cursor = cursor.moved([one.number for one in first])
    inbox.add([replace(SIGNAL, delivery="b")])

    assert deliveries(first) == ["a"]
    assert deliveries(inbox.read(cursor)) == ["b"]
    assert inbox.read(cursor.moved([one.number for one in inbox.read(cursor)])) == []


def test_a_new_cursor_starts_after_the_stored_messages(inbox: Inbox) -> None:
    inbox.add([replace(SIGNAL, delivery=str(number)) for number in range(400)])
    cursor = inbox.end()
    seen = inbox.read(cursor)

    assert len(seen) < 400
    assert inbox.read(cursor.moved([one.number for one in seen])) == []


def test_messages_of_a_subject_are_found_before_the_cursor(inbox: Inbox) -> None:
    inbox.add([SIGNAL, replace(SIGNAL, subject="start-2", delivery="b")])
    inbox.add([replace(SIGNAL, subject="other", delivery=str(number)) for number in range(400)])
    cursor = inbox.end()
    cursor = cursor.moved([one.number for one in inbox.read(cursor)])

    assert subjects(inbox.read(cursor, ["start-2", "unknown"])) == ["start-2"]


def test_the_next_read_returns_the_rest_of_a_full_page(inbox: Inbox) -> None:
    inbox.add([replace(SIGNAL, delivery=str(number)) for number in range(PAGE_MESSAGES + 10)])
    first = inbox.read(Cursor())
    rest = inbox.read(Cursor().moved([one.number for one in first]))

    assert (len(first), len(rest)) == (PAGE_MESSAGES, 10)
    assert deliveries([*first, *rest]) == [str(number) for number in range(PAGE_MESSAGES + 10)]


def test_prune_deletes_the_oldest_messages(inbox: Inbox) -> None:
    inbox.add([replace(SIGNAL, delivery=str(at), received_at=float(at)) for at in range(5)])

    assert inbox.prune(3.0, limit=2) == 2
    assert deliveries(inbox.read(Cursor())) == ["2", "3", "4"]
    assert inbox.prune(3.0, limit=2) == 1
    assert inbox.prune(3.0, limit=2) == 0


def test_the_numbers_of_pruned_messages_are_not_reused(inbox: Inbox) -> None:
    inbox.add([SIGNAL])
    [before] = inbox.read(Cursor())
    inbox.prune(200.0, limit=10)
    inbox.add([SIGNAL])

    [after] = inbox.read(Cursor())
    assert after.number > before.number


def test_keep_newest_keeps_the_newest_messages_of_a_subject(inbox: Inbox) -> None:
    for channel in ("automic", "other"):
        inbox.add([replace(SIGNAL, channel=channel, delivery=str(number)) for number in range(5)])
    inbox.add([replace(SIGNAL, subject="start-2", delivery=f"{number} of 2") for number in range(5)])

    assert inbox.keep_newest(["start-1", "unknown"], 3) == 4
    assert inbox.keep_newest(["start-1", "unknown"], 3) == 0
    kept = [one.message.delivery for one in inbox.read(Cursor()) if one.message.subject == "start-1"]
    assert kept == ["2", "3", "4"] * 2
    assert len(inbox.read(Cursor())) == 11
    assert inbox.add([replace(SIGNAL, delivery="0")]) == 1  # a deleted delivery is no longer a duplicate


def test_keep_bytes_keeps_the_newest_bytes_of_a_channel(inbox: Inbox) -> None:
    inbox.append("tasks", [replace(one, content="x" * 98) for one in events("tasks", *range(1_300))])
    inbox.append("tasks", [replace(one, content=None) for one in events("tasks", 5_000)])
    inbox.append("alerts", events("alerts", 1))

    assert inbox.keep_bytes("tasks", 1_000) == 1_290
    assert inbox.keep_bytes("tasks", 1_000) == inbox.keep_bytes("unknown", 0) == 0
    assert deliveries(inbox.after("tasks", 0)) == [*map(str, range(1_290, 1_300)), "5000"]
    assert deliveries(inbox.after("alerts", 0)) == ["1"]
    assert deletions_of(inbox, "tasks").count == 1_290  # a reader behind them counts them as lost


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


def test_an_expired_lease_is_free(inbox: Inbox) -> None:
    assert inbox.lease("acronis", "one", 0.0)
    assert inbox.lease("acronis", "two", 60.0)


def test_a_lease_names_its_holder_until_it_expires(inbox: Inbox) -> None:
    assert inbox.holder("acronis") is None
    inbox.lease("acronis", "one", 60.0)
    inbox.lease("docplanner", "two", 60.0)
    assert (inbox.holder("acronis"), inbox.holders()) == ("one", {"acronis": "one", "docplanner": "two"})
    inbox.lease("acronis", "one", 0.0)
    assert (inbox.holder("acronis"), inbox.holders()) == (None, {"docplanner": "two"})


def test_a_channel_is_read_in_order(inbox: Inbox) -> None:
    inbox.add([SIGNAL])
    assert inbox.append("tasks", events("tasks", 1, 2, 3)) == 3
    inbox.append("alerts", events("alerts", 4))

    first = inbox.after("tasks", 0, limit=2)
    rest = inbox.after("tasks", first[-1].number)
    assert (deliveries(first), deliveries(rest)) == (["1", "2"], ["3"])
    assert inbox.after("tasks", rest[-1].number) == []


def test_an_event_that_is_already_stored_changes_nothing(inbox: Inbox) -> None:
    inbox.append("tasks", events("tasks", 1, 2))
    assert inbox.append("tasks", events("tasks", 2, 3)) == 1
    assert deliveries(inbox.after("tasks", 0)) == ["1", "2", "3"]


def test_a_channel_can_be_read_from_a_moment_on(inbox: Inbox) -> None:
    assert inbox.number_before("tasks", 0.0) == 0
    inbox.append("tasks", events("tasks", 1, 2, 3))
    inbox.add([SIGNAL])

    assert deliveries(inbox.after("tasks", inbox.number_before("tasks", 2.0))) == ["2", "3"]
    assert inbox.after("tasks", inbox.number_before("tasks", 9.0)) == []


def test_the_position_of_a_feed_is_stored_with_its_events(inbox: Inbox) -> None:
    inbox.append("tasks", events("tasks", 1), position="17")
    inbox.append("tasks", events("tasks", 2))
    assert inbox.position("tasks") == "17"


def test_nothing_is_written_under_a_lost_lease(inbox: Inbox) -> None:
    lease = Lease(name="tasks", holder="one")
    inbox.lease("tasks", "one", 0.0)
    assert inbox.append("tasks", events("tasks", 1), lease=lease) == 1  # it has expired, and no other process holds it
    inbox.lease("tasks", "two", 60.0)

    writes = [
        lambda: inbox.append("tasks", events("tasks", 2), lease=lease, position="2"),
        lambda: inbox.save_position("tasks", "2", lease),
    ]
    for write in writes:
        with pytest.raises(LeaseError, match="the lease 'tasks' is held by another process now"):
            write()
    assert (deliveries(inbox.after("tasks", 0)), inbox.position("tasks"), inbox.sealed()) == (["1"], None, [])


def test_a_sealed_reply_is_kept_until_its_events_are_stored(inbox: Inbox) -> None:
    first, second = inbox.keep_sealed("queue", b"\x00one", 990.0), inbox.keep_sealed("queue", b"two", 991.0)
    inbox.set_problem(first, "is no JSON")
    inbox.append("queue", events("queue", 1), unsealed=second)

    [kept] = inbox.sealed("queue")
    assert kept == Sealed(number=first, feed="queue", content=b"\x00one", received_at=990.0, problem="is no JSON")
    assert (inbox.sealed("another"), inbox.sealed()) == ([], [kept])
    assert "one" not in repr(kept)


def test_unreadable_replies_do_not_hide_replies_that_were_not_read_yet(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (memory, sealed_table):
        monkeypatch.setattr(module, "PAGE_MESSAGES", 20)
    for _ in range(20):
        inbox.set_problem(inbox.keep_sealed("queue", b"odd", 990.0), "is no JSON")
    number = inbox.keep_sealed("queue", b"new", 990.0)

    assert [one.number for one in inbox.sealed("queue", unread=True)] == [number]
    assert inbox.sealed("another", unread=True) == []
    assert len(inbox.sealed("queue")) == 20


@pytest.mark.parametrize("unread, kept", [(False, [b"new", b"unread"]), (True, [b"new"])])
def test_sealed_replies_that_were_not_read_yet_are_forgotten_only_on_request(
    inbox: Inbox, unread: bool, kept: list[bytes]
) -> None:
    for content, at in ((b"old", 10.0), (b"new", 30.0)):
        inbox.set_problem(inbox.keep_sealed("queue", content, at), "is no JSON")
    inbox.keep_sealed("queue", b"unread", 10.0)
    inbox.prune(1_000.0, limit=10)
    assert len(inbox.sealed()) == 3

    assert inbox.forget_sealed(20.0, unread=unread) == 3 - len(kept)
    assert [one.content for one in inbox.sealed()] == kept


def test_heartbeats_list_the_receivers(inbox: Inbox) -> None:
    assert inbox.heartbeats() == []

    inbox.beat("api-1", "https://one.example.com")
    inbox.beat("dmz-1", "https://two.example.com")
    inbox.beat("api-1", "https://one.example.com")

    beats = inbox.heartbeats()
    assert [one.host for one in beats] == ["api-1", "dmz-1"]
    assert all(0.0 <= one.age_seconds < 30.0 for one in beats)


def test_concurrent_writes_store_each_delivery_once(inbox: Inbox) -> None:
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


def test_messages_of_a_channel_are_counted_and_found(inbox: Inbox) -> None:
    inbox.add([SIGNAL])
    inbox.append("tasks", events("tasks", 1, 2, 3))

    first, second, third = inbox.after("tasks", 0)
    assert [inbox.held("tasks", one) for one in (0, first.number, third.number, 1_000)] == [0, 1, 3, 3]
    assert inbox.find("tasks", "2") == second
    assert inbox.find("tasks", "4") is None
    assert inbox.find("alerts", "2") is None


def test_only_one_of_two_equal_claims_succeeds(inbox: Inbox) -> None:
    assert inbox.claim("reader", None, "1", replace(SIGNAL, channel="reader"))
    assert not inbox.claim("reader", None, "2", replace(SIGNAL, channel="reader", delivery="b"))
    assert inbox.claim("reader", "1", "3", replace(SIGNAL, channel="reader", delivery="c"))

    assert (inbox.position("reader"), deliveries(inbox.after("reader", 0))) == ("3", ["a", "c"])


def test_only_one_of_several_concurrent_claims_succeeds(inbox: Inbox) -> None:
    won: list[bool] = []

    def claim(number: int) -> None:
        won.append(inbox.claim("reader", None, str(number), replace(SIGNAL, channel="reader", delivery=str(number))))

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won) == [False] * 5 + [True]
    assert deliveries(inbox.after("reader", 0)) == [inbox.position("reader")]


def test_several_positions_are_saved_together(inbox: Inbox) -> None:
    inbox.save_position("feed", "1", also={"feed passed": "7"})
    inbox.lease("feed", "another", 60.0)
    with pytest.raises(LeaseError):
        inbox.save_position("feed", "2", Lease(name="feed", holder="us"), also={"feed passed": "8"})

    assert (inbox.position("feed"), inbox.position("feed passed")) == ("1", "7")
