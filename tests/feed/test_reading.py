"""Reading a feed into the inbox, driven by hand: what comes after what, and what a crash in between leaves."""

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
    """The process is gone."""


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
    """Run a program; conversations get the answers in turn, and what asks the inbox is done.

    :param before: hears of each conversation that the program begins.
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


def test_it_begins_once_and_then_goes_on_where_it_was(inbox: Inbox) -> None:
    asked: list[str] = []
    first = drive(reading(inbox).begin(5.0), before=asked.append)
    drive(reading(inbox).turn(first), EVENTS)
    again = drive(reading(inbox).begin(5.0), before=asked.append)

    assert asked == ["/begin"]
    assert (first.position, again.position) == ("0", "2")
    assert first.reader == again.reader


def test_a_remote_that_keeps_the_position_is_asked_each_time(inbox: Inbox) -> None:
    asked: list[str] = []
    for _ in range(2):
        drive(reading(inbox, is_positioned=True).begin(None), before=asked.append)

    assert asked == ["/begin", "/begin"]


def test_events_are_stored_before_the_remote_is_told_so(inbox: Inbox) -> None:
    at: dict[str, list[str]] = {}
    batch = drive(reading(inbox).turn(place()), EVENTS, before=lambda path: at.update({path: stored(inbox)}))

    assert at == {"/read": [], "/acknowledge": ["1", "2"]}
    assert (len(batch.events), inbox.position("fake queue")) == (2, "2")


def test_what_was_not_acknowledged_and_comes_again_is_stored_once(inbox: Inbox) -> None:
    with pytest.raises(CrashError):
        drive(reading(inbox).turn(place()), EVENTS, before=crash_at("/acknowledge"))
    drive(reading(inbox).turn(place()), reply(200, [1, 2, 3]))

    assert stored(inbox) == ["1", "2", "3"]


def test_a_backup_of_the_inbox_that_was_restored_is_read_on_from_its_own_position(inbox: Inbox) -> None:
    inbox.save_position("fake queue", "1")
    asked: list[str] = []
    feed = QueueFeed()
    feed.read = lambda position, reader, *, waits=True: asked.append(position) or QueueFeed.read(feed, position, reader)  # type: ignore[method-assign,func-returns-value]
    drive(Reading(feed, inbox, LEASE, None, lambda: NOW).turn(place("7")), reply(200, [2]))

    assert (asked, inbox.position("fake queue")) == (["1"], "2")


def test_what_was_read_while_a_backup_was_restored_does_not_move_its_position(inbox: Inbox) -> None:
    inbox.save_position("fake queue", "7")
    with pytest.raises(InboxError, match="has gone back while"):
        drive(
            reading(inbox).turn(place("7")),
            reply(200, [8]),
            before=lambda _: inbox.save_position("fake queue", "1"),
        )

    assert (stored(inbox), inbox.position("fake queue")) == ([], "1")


def test_nothing_is_written_when_the_lease_has_gone(inbox: Inbox) -> None:
    inbox.release(LEASE.name, LEASE.holder)
    inbox.lease(LEASE.name, "another", 60.0)
    asked: list[str] = []
    with pytest.raises(LeaseError):
        drive(reading(inbox).turn(place()), EVENTS, before=asked.append)

    assert (stored(inbox), asked) == ([], ["/read"])


def test_a_reply_that_the_remote_forgets_is_sealed_before_anything_else(inbox: Inbox) -> None:
    class Watched(QueueFeed):
        def batch(self, reply: Any, position: str) -> Any:
            [kept] = inbox.sealed()
            assert b"1, 2" not in kept.content
            assert Seal([KEY]).open(kept.content) == EVENTS.body
            return super().batch(reply, position)

    drive(Reading(Watched(is_consuming=True), inbox, LEASE, Seal([KEY]), lambda: NOW).turn(place("")), EVENTS)

    assert (stored(inbox), inbox.sealed()) == (["1", "2"], [])


def test_a_reply_is_sealed_although_the_lease_has_gone(inbox: Inbox) -> None:
    inbox.release(LEASE.name, LEASE.holder)
    inbox.lease(LEASE.name, "another", 60.0)
    with pytest.raises(LeaseError):
        drive(reading(inbox, is_consuming=True).turn(place("")), EVENTS)

    assert (stored(inbox), len(inbox.sealed())) == ([], 1)


def test_what_was_sealed_and_not_stored_before_a_crash_is_stored_by_the_next(inbox: Inbox) -> None:
    class Crashing(QueueFeed):
        def batch(self, reply: Any, position: str) -> Any:
            raise CrashError

    with pytest.raises(CrashError):
        drive(Reading(Crashing(is_consuming=True), inbox, LEASE, Seal([KEY]), lambda: NOW).turn(place("")), EVENTS)
    assert (stored(inbox), len(inbox.sealed())) == ([], 1)
    drive(reading(inbox, is_consuming=True).turn(place("")), reply(200, [3]))

    assert (stored(inbox), inbox.sealed()) == (["1", "2", "3"], [])


def test_what_an_older_reply_holds_does_not_take_the_feed_back(inbox: Inbox) -> None:
    inbox.save_position("fake queue", "7")
    inbox.keep_sealed("fake queue", Seal([KEY]).close(EVENTS.body), NOW)
    with pytest.raises(CrashError):
        drive(reading(inbox, is_consuming=True).turn(place("7")), before=crash_at("/read"))

    assert (stored(inbox), inbox.position("fake queue")) == (["1", "2"], "7")


def test_what_is_stored_after_a_crash_came_when_it_was_sealed(inbox: Inbox) -> None:
    class Timed(QueueFeed):
        def batch(self, reply: Reply, position: str) -> Batch:
            return Batch(events=(event(1, at=said_at(reply) or 0.0),))

    inbox.keep_sealed("fake queue", Seal([KEY]).close(EVENTS.body), NOW - 5)
    again = Reading(Timed(is_consuming=True), inbox, LEASE, Seal([KEY]), lambda: NOW)
    with pytest.raises(CrashError):
        drive(again.turn(place("")), before=crash_at("/read"))
    assert [event_of(one.message).at for one in inbox.after("fake queue", 0)] == [NOW - 5]


def test_an_unreadable_reply_stays_sealed_and_the_error_says_how_to_see_it(inbox: Inbox) -> None:
    with pytest.raises(ReplyError, match=r"is no JSON; it is kept, .* `airflow taskwatch inbox show --raw` shows it"):
        drive(reading(inbox, is_consuming=True).turn(place("")), reply(200, b"<html>"))
    drive(reading(inbox, is_consuming=True).turn(place("")), EVENTS)

    [kept] = inbox.sealed()
    assert (kept.problem, Seal([KEY]).open(kept.content)) == ("the answer is no JSON", b"<html>")
    assert stored(inbox) == ["1", "2"]


def test_an_unreadable_reply_that_a_crash_left_does_not_keep_others_from_being_read(inbox: Inbox) -> None:
    inbox.keep_sealed("fake queue", Seal([KEY]).close(b"<html>"), NOW)
    drive(reading(inbox, is_consuming=True).turn(place("")), EVENTS)

    assert [one.problem for one in inbox.sealed()] == ["the answer is no JSON"]
    assert stored(inbox) == ["1", "2"]


def test_a_reply_of_a_remote_that_forgets_nothing_is_not_kept(inbox: Inbox) -> None:
    with pytest.raises(ReplyError, match=r"is no JSON$"):
        drive(reading(inbox).turn(place()), reply(200, b"<html>"))

    assert inbox.sealed() == []


def test_a_key_that_was_taken_away_is_missed(inbox: Inbox) -> None:
    inbox.keep_sealed("fake queue", Seal([KEY]).close(EVENTS.body), NOW)
    with pytest.raises(ConfigurationError, match=r"no longer among \[taskwatch\] inbox_keys; add it again"):
        drive(reading(inbox, key=fresh_key(), is_consuming=True).turn(place("")), EVENTS)


# --- what is no event


class OddFeed(QueueFeed):
    """Numbers are events, whatever else there is is none; a position counts items."""

    def batch(self, reply: Any, position: str) -> Any:
        told = json.loads(reply.body)
        events, unreadable = read_items(told, lambda one: event(one + 0))
        return Batch(events=events, unreadable=unreadable, position=str(int(position or 0) + len(told)))


def odd_reading(inbox: Inbox, *keys: str, is_consuming: bool = False) -> Reading:
    feed = OddFeed(is_consuming=is_consuming)
    return Reading(feed, inbox, LEASE, seal_for(feed, lambda: Seal(keys)), lambda: NOW)


def aside(inbox: Inbox) -> list[tuple[str, bytes]]:
    return [(one.feed, one.open(lambda: Seal([KEY]))) for one in asides(inbox)]


@pytest.mark.parametrize("keys, is_consuming", [([], False), ([KEY], False), ([KEY], True)])
def test_what_can_be_read_is_stored_and_what_cannot_is_set_aside(
    inbox: Inbox, keys: list[str], is_consuming: bool
) -> None:
    batch = drive(odd_reading(inbox, *keys, is_consuming=is_consuming).turn(place()), reply(200, [1, "x", 2]))

    assert (stored(inbox), inbox.position("fake queue"), batch.count) == (["1", "2"], "3", 3)
    assert (aside(inbox), inbox.sealed()) == ([("fake queue", b'"x"')], [])


def test_a_batch_of_nothing_readable_moves_the_position(inbox: Inbox) -> None:
    drive(odd_reading(inbox).turn(place()), reply(200, ["x", None, {}]))

    assert (stored(inbox), inbox.position("fake queue"), len(aside(inbox))) == ([], "3", 3)


def test_what_was_set_aside_and_not_acknowledged_is_set_aside_once(inbox: Inbox) -> None:
    for keys in ([KEY], [KEY]):
        with pytest.raises(CrashError):
            drive(odd_reading(inbox, *keys).turn(place()), reply(200, [1, "x"]), before=crash_at("/acknowledge"))

    assert (stored(inbox), aside(inbox)) == (["1"], [("fake queue", b'"x"')])


def test_nothing_moves_where_it_cannot_be_set_aside() -> None:
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
def test_a_reply_that_nobody_has_thought_of_is_kept_and_the_next_one_is_read(inbox: Inbox, error: Exception) -> None:
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


def test_people_are_told_how_many_and_where_to_look_and_nothing_of_what_they_hold() -> None:
    events, unreadable = read_items([1, "secret", "other"], lambda one: event(one + 0))
    batch = Batch(events=events, unreadable=unreadable, loss="3 events are lost", warning="it is late")

    (first, words), *others = remarks("fake queue", batch)
    assert first == logging.ERROR
    assert words == (
        "the feed fake queue: 2 of its events cannot be read and are set aside; `airflow taskwatch inbox show` lists "
        "them: an event cannot be read (TypeError)"
    )
    assert others == [
        (logging.ERROR, "the feed fake queue: 3 events are lost"),
        (logging.WARNING, "the feed fake queue: it is late"),
    ]
