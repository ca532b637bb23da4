"""Reading a feed into the inbox, step by step: the order of the steps, and the state after a crash between two."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from inspect import isgenerator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, InboxError, LeaseError, ReplyError
from airflow_provider_taskwatch.core.feed import Batch, read_items
from airflow_provider_taskwatch.core.retry_after import said_at
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.feed.reading import FeedPosition, Program, Reading, Step, remarks, seal_for
from airflow_provider_taskwatch.inbox.aside import asides
from airflow_provider_taskwatch.inbox.event import event_of
from airflow_provider_taskwatch.inbox.message import Lease
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.seal import Seal, fresh_key
from airflow_provider_taskwatch.inbox.store import SqlInbox
from tests.feed.remote import NOW, QueueFeed, event
from tests.inbox.memory import MemoryInbox
from tests.play import reply

T = TypeVar("T")

LEASE = Lease(name="pump", holder="us")
KEY = fresh_key()
EVENTS = reply(200, [1, 2])


class CrashError(Exception):
    """The process ends abruptly."""


@pytest.fixture(params=["memory", "sqlite"])
def inbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Inbox]:
    url = f"sqlite:///{tmp_path}/inbox.db"
    inbox: Inbox = MemoryInbox() if request.param == "memory" else SqlInbox(url, clock=lambda: NOW)
    inbox.lease(LEASE.name, LEASE.holder, 60.0)
    yield inbox
    inbox.close()


def reading(inbox: Inbox, *, key: str = KEY, **kind: bool) -> Reading:
    feed = QueueFeed(**kind)
    return Reading(feed, inbox, LEASE, Seal([key]) if feed.is_consuming else None, lambda: NOW)


def drive(program: Program[T], *answers: Any, before: Callable[[str], object] = lambda _: None) -> T:
    """Run a program: conversations get the answers in turn, calls to the inbox run at once.

    :param before: called with the path of each request before its answer.
    """
    run: Run[Step, T] = Run(program)
    waiting = list(answers)
    while not run.is_over:
        step: Any = run.step
        if not isgenerator(step):
            run.send(step())
            continue
        talk: Run[Any, Any] = Run(step)
        while not talk.is_over:
            before(talk.step.path)
            talk.send(waiting.pop(0) if talk.step.path == "/read" else reply())
        run.send(talk.result)
    return run.result


def stored(inbox: Inbox) -> list[str]:
    return [one.message.delivery for one in inbox.after("fake queue", 0)]


def place(position: str = "0") -> FeedPosition:
    return FeedPosition(position=position, reader="reader")


def crash_at(path: str) -> Callable[[str], None]:
    def before(asked: str) -> None:
        if asked == path:
            raise CrashError

    return before


def test_reading_begins_once_and_then_continues_at_its_position(inbox: Inbox) -> None:
    asked: list[str] = []
    first = drive(reading(inbox).begin(5.0), before=asked.append)
    drive(reading(inbox).turn(first), EVENTS)
    again = drive(reading(inbox).begin(5.0), before=asked.append)

    assert asked == ["/begin"]
    assert (first.position, again.position) == ("0", "2")
    assert first.reader == again.reader


def test_a_remote_that_keeps_the_position_is_asked_at_each_beginning(inbox: Inbox) -> None:
    asked: list[str] = []
    for _ in range(2):
        drive(reading(inbox, is_positioned=True).begin(None), before=asked.append)

    assert asked == ["/begin", "/begin"]


def test_events_are_stored_before_they_are_acknowledged(inbox: Inbox) -> None:
    at: dict[str, list[str]] = {}
    batch = drive(reading(inbox).turn(place()), EVENTS, before=lambda path: at.update({path: stored(inbox)}))

    assert at == {"/read": [], "/acknowledge": ["1", "2"]}
    assert (len(batch.events), inbox.position("fake queue")) == (2, "2")


def test_events_delivered_again_after_a_missing_acknowledgement_are_stored_once(inbox: Inbox) -> None:
    with pytest.raises(CrashError):
        drive(reading(inbox).turn(place()), EVENTS, before=crash_at("/acknowledge"))
    drive(reading(inbox).turn(place()), reply(200, [1, 2, 3]))

    assert stored(inbox) == ["1", "2", "3"]


def test_reading_continues_from_the_position_of_a_restored_backup(inbox: Inbox) -> None:
    inbox.save_position("fake queue", "1")
    asked: list[str] = []
    feed = QueueFeed()
    feed.read = lambda position, reader, *, waits=True: asked.append(position) or QueueFeed.read(feed, position, reader)  # type: ignore[method-assign,func-returns-value]
    drive(Reading(feed, inbox, LEASE, None, lambda: NOW).turn(place("7")), reply(200, [2]))

    assert (asked, inbox.position("fake queue")) == (["1"], "2")


def test_a_batch_read_during_a_restore_does_not_move_the_position(inbox: Inbox) -> None:
    inbox.save_position("fake queue", "7")
    with pytest.raises(InboxError, match="has gone back while"):
        drive(
            reading(inbox).turn(place("7")),
            reply(200, [8]),
            before=lambda _: inbox.save_position("fake queue", "1"),
        )

    assert (stored(inbox), inbox.position("fake queue")) == ([], "1")


def test_nothing_is_written_after_the_lease_was_lost(inbox: Inbox) -> None:
    inbox.release(LEASE.name, LEASE.holder)
    inbox.lease(LEASE.name, "another", 60.0)
    asked: list[str] = []
    with pytest.raises(LeaseError):
        drive(reading(inbox).turn(place()), EVENTS, before=asked.append)

    assert (stored(inbox), asked) == ([], ["/read"])


def test_a_reply_of_a_consuming_feed_is_sealed_before_it_is_parsed(inbox: Inbox) -> None:
    class Watched(QueueFeed):
        def batch(self, reply: Any, position: str) -> Any:
            [kept] = inbox.sealed()
            assert b"1, 2" not in kept.content
            assert Seal([KEY]).open(kept.content) == EVENTS.body
            return super().batch(reply, position)

    drive(Reading(Watched(is_consuming=True), inbox, LEASE, Seal([KEY]), lambda: NOW).turn(place("")), EVENTS)

    assert (stored(inbox), inbox.sealed()) == (["1", "2"], [])


def test_a_reply_of_a_consuming_feed_is_sealed_even_after_the_lease_was_lost(inbox: Inbox) -> None:
    inbox.release(LEASE.name, LEASE.holder)
    inbox.lease(LEASE.name, "another", 60.0)
    with pytest.raises(LeaseError):
        drive(reading(inbox, is_consuming=True).turn(place("")), EVENTS)

    assert (stored(inbox), len(inbox.sealed())) == ([], 1)


def test_a_reply_sealed_before_a_crash_is_stored_by_the_next_reading(inbox: Inbox) -> None:
    class Crashing(QueueFeed):
        def batch(self, reply: Any, position: str) -> Any:
            raise CrashError

    with pytest.raises(CrashError):
        drive(Reading(Crashing(is_consuming=True), inbox, LEASE, Seal([KEY]), lambda: NOW).turn(place("")), EVENTS)
    assert (stored(inbox), len(inbox.sealed())) == ([], 1)
    drive(reading(inbox, is_consuming=True).turn(place("")), reply(200, [3]))

    assert (stored(inbox), inbox.sealed()) == (["1", "2", "3"], [])


def test_an_older_sealed_reply_does_not_move_the_position_back(inbox: Inbox) -> None:
    inbox.save_position("fake queue", "7")
    inbox.keep_sealed("fake queue", Seal([KEY]).close(EVENTS.body), NOW)
    with pytest.raises(CrashError):
        drive(reading(inbox, is_consuming=True).turn(place("7")), before=crash_at("/read"))

    assert (stored(inbox), inbox.position("fake queue")) == (["1", "2"], "7")


def test_events_stored_after_a_crash_carry_the_time_of_their_sealing(inbox: Inbox) -> None:
    class Timed(QueueFeed):
        def batch(self, reply: Reply, position: str) -> Batch:
            return Batch(events=(event(1, at=said_at(reply) or 0.0),))

    inbox.keep_sealed("fake queue", Seal([KEY]).close(EVENTS.body), NOW - 5)
    again = Reading(Timed(is_consuming=True), inbox, LEASE, Seal([KEY]), lambda: NOW)
    with pytest.raises(CrashError):
        drive(again.turn(place("")), before=crash_at("/read"))
    assert [event_of(one.message).at for one in inbox.after("fake queue", 0)] == [NOW - 5]


def test_an_unreadable_reply_stays_sealed_and_the_error_names_the_command_that_shows_it(inbox: Inbox) -> None:
    with pytest.raises(ReplyError, match=r"is no JSON; it is kept, .* `taskwatch inbox show --raw` shows it"):
        drive(reading(inbox, is_consuming=True).turn(place("")), reply(200, b"<html>"))
    drive(reading(inbox, is_consuming=True).turn(place("")), EVENTS)

    [kept] = inbox.sealed()
    assert (kept.problem, Seal([KEY]).open(kept.content)) == ("the answer is no JSON", b"<html>")
    assert stored(inbox) == ["1", "2"]


def test_an_unreadable_reply_left_by_a_crash_does_not_block_the_next_ones(inbox: Inbox) -> None:
    inbox.keep_sealed("fake queue", Seal([KEY]).close(b"<html>"), NOW)
    drive(reading(inbox, is_consuming=True).turn(place("")), EVENTS)

    assert [one.problem for one in inbox.sealed()] == ["the answer is no JSON"]
    assert stored(inbox) == ["1", "2"]


def test_an_unreadable_reply_of_a_feed_with_positions_is_not_kept(inbox: Inbox) -> None:
    with pytest.raises(ReplyError, match=r"is no JSON$"):
        drive(reading(inbox).turn(place()), reply(200, b"<html>"))

    assert inbox.sealed() == []


def test_a_removed_key_is_named_in_the_error(inbox: Inbox) -> None:
    inbox.keep_sealed("fake queue", Seal([KEY]).close(EVENTS.body), NOW)
    with pytest.raises(ConfigurationError, match=r"no longer among \[taskwatch\] inbox_keys; add it again"):
        drive(reading(inbox, key=fresh_key(), is_consuming=True).turn(place("")), EVENTS)


# --- items that are not events


class OddFeed(QueueFeed):
    """Numbers are events, other items are unreadable; the position counts items."""

    def batch(self, reply: Any, position: str) -> Any:
        items = json.loads(reply.body)
        events, unreadable = read_items(items, lambda one: event(one + 0))
        return Batch(events=events, unreadable=unreadable, position=str(int(position or 0) + len(items)))


def odd_reading(inbox: Inbox, *keys: str, is_consuming: bool = False) -> Reading:
    feed = OddFeed(is_consuming=is_consuming)
    return Reading(feed, inbox, LEASE, seal_for(feed, lambda: Seal(keys)), lambda: NOW)


def aside(inbox: Inbox) -> list[tuple[str, bytes]]:
    return [(one.feed, one.open(lambda: Seal([KEY]))) for one in asides(inbox)]


@pytest.mark.parametrize("keys, is_consuming", [([], False), ([KEY], False), ([KEY], True)])
def test_readable_items_are_stored_and_unreadable_ones_are_set_aside(
    inbox: Inbox, keys: list[str], is_consuming: bool
) -> None:
    batch = drive(odd_reading(inbox, *keys, is_consuming=is_consuming).turn(place()), reply(200, [1, "x", 2]))

    assert (stored(inbox), inbox.position("fake queue"), batch.count) == (["1", "2"], "3", 3)
    assert (aside(inbox), inbox.sealed()) == ([("fake queue", b'"x"')], [])


def test_a_batch_without_readable_items_moves_the_position(inbox: Inbox) -> None:
    drive(odd_reading(inbox).turn(place()), reply(200, ["x", None, {}]))

    assert (stored(inbox), inbox.position("fake queue"), len(aside(inbox))) == ([], "3", 3)


def test_an_item_delivered_again_is_set_aside_once(inbox: Inbox) -> None:
    for keys in ([KEY], [KEY]):
        with pytest.raises(CrashError):
            drive(odd_reading(inbox, *keys).turn(place()), reply(200, [1, "x"]), before=crash_at("/acknowledge"))

    assert (stored(inbox), aside(inbox)) == (["1"], [("fake queue", b'"x"')])


def test_the_position_does_not_move_when_setting_aside_fails() -> None:
    class Full(MemoryInbox):
        def append(self, channel: str, messages: Any, **options: Any) -> int:
            if any(one.channel != channel for one in messages):
                raise InboxError("the disk is full")
            return super().append(channel, messages, **options)

    inbox, asked = Full(), list[str]()
    inbox.lease(LEASE.name, LEASE.holder, 60.0)
    with pytest.raises(InboxError):
        drive(odd_reading(inbox).turn(place()), reply(200, [1, "x"]), before=asked.append)

    assert (stored(inbox), inbox.position("fake queue"), asked) == ([], None, ["/read"])


@pytest.mark.parametrize("error", [TypeError("odd"), OverflowError("odd"), KeyError("odd"), RecursionError("odd")])
def test_a_reply_that_raises_an_unexpected_error_is_kept_and_the_next_one_is_read(
    inbox: Inbox, error: Exception
) -> None:
    class Surprised(QueueFeed):
        def batch(self, reply: Any, position: str) -> Any:
            if b"9" in reply.body:
                raise error
            return super().batch(reply, position)

    one = Reading(Surprised(is_consuming=True), inbox, LEASE, Seal([KEY]), lambda: NOW)
    with pytest.raises(ReplyError, match=rf"cannot be understood \({type(error).__name__}\); it is kept"):
        drive(one.turn(place("")), reply(200, [9]))
    drive(one.turn(place("")), EVENTS)

    assert (stored(inbox), len(inbox.sealed())) == (["1", "2"], 1)


def test_remarks_hold_the_number_and_the_command_but_no_content() -> None:
    events, unreadable = read_items([1, "secret", "other"], lambda one: event(one + 0))
    batch = Batch(events=events, unreadable=unreadable, loss="3 events are lost", warning="it is late")

    (level, message), *others = remarks("fake queue", batch)
    assert level == logging.ERROR
    assert message == (
        "the feed fake queue: 2 of its events cannot be read and are set aside; `taskwatch inbox show` lists "
        "them: an event cannot be read (TypeError)"
    )
    assert others == [
        (logging.ERROR, "the feed fake queue: 3 events are lost"),
        (logging.WARNING, "the feed fake queue: it is late"),
    ]
