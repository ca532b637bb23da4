from __future__ import annotations

import json

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, ReplyError
from airflow_provider_taskwatch.core.feed import Batch, Feed
from airflow_provider_taskwatch.core.wire import MAX_REPLY_BYTES, LengthError
from airflow_provider_taskwatch.systems.docplanner.feed import expiry_warning, feed_of, push_event
from tests.play import play, reply, result_of, targets
from tests.rows import each_row
from tests.systems.docplanner.case import NOBODY, ONE, TWO, feed, settings_of
from tests.systems.docplanner.test_notification import notification

HOUR = 3600.0


def test_it_is_a_feed_whose_reads_delete():
    one: Feed = feed()
    assert (one.is_consuming, one.is_positioned, one.is_pushed) == (True, False, False)


def test_a_pushed_feed_is_not_read():
    one: Feed = feed(delivery="push")
    assert (one.is_consuming, one.is_positioned, one.is_pushed) == (False, False, True)
    assert one.key == feed().key


def test_its_key_belongs_to_the_client_and_not_to_the_connection():
    assert feed().key == feed_of(settings_of("www.DOCTORALIA.es", store_payload="full"), {}).key
    assert feed().key != feed_of(settings_of("doctoralia.com.br"), {}).key
    assert feed().key.startswith("docplanner www.doctoralia.es ")
    assert len(feed_of(settings_of(f"{'a' * 60}.{'b' * 60}.{'c' * 60}.es"), {}).key) < 200


def test_it_has_no_options():
    with pytest.raises(ConfigurationError, match="one feed, and no option 'topic'"):
        feed_of(settings_of(), {"topic": "x"})


@pytest.mark.parametrize("since", [None, 5.0])
def test_a_feed_begins_with_the_earliest_notification_in_the_queue(since):
    assert play(feed().begin(since)) == ([], "")


def test_a_read_pulls_the_maximum():
    steps, answer = play(feed().read("", "a-b"), reply(200, TWO))
    assert (targets(steps), answer) == (["GET /notifications/multiple?limit=100"], reply(200, TWO))


def test_the_reply_of_an_empty_queue_has_no_body():
    answer = result_of(feed().read("", "a-b"), reply(404, NOBODY, date="soon"))
    assert answer == reply(204, date="soon")


def test_there_is_nothing_to_acknowledge():
    assert play(feed().acknowledge(Batch(), "a-b")) == ([], None)


def test_a_reply_becomes_events_in_its_order():
    batch = feed().batch(reply(200, {"notifications": [TWO, ONE], "remaining": 9}), "")
    assert [one.subject for one in batch.events] == ["8", "7"]
    assert (batch.position, batch.pause_seconds) == ("", 0.0)


@pytest.mark.parametrize("content, pause", [(ONE, 0.0), ({"notifications": [ONE], "remaining": 0}, 10.0)])
def test_the_queue_is_pulled_at_once_until_it_says_that_it_is_empty(content, pause):
    assert feed().batch(reply(200, content), "").pause_seconds == pause


def test_an_empty_queue_is_left_alone_for_ten_seconds():
    assert feed().batch(reply(204), "") == Batch(pause_seconds=10.0)


def test_malformed_notifications_are_set_aside_and_show_no_patient():
    odd = ["x", None, [], {"data": {"patient": "Anna"}}, {"name": "slot-booked", "data": ["Anna"]}]
    batch = feed().batch(reply(200, {"notifications": [TWO, *odd, ONE], "remaining": 0}), "")
    assert [one.subject for one in batch.events] == ["8", "7"]
    asides = [json.loads(one.content) for one in batch.unreadable]
    assert len(asides) == 5
    assert all(one in asides for one in odd)
    assert "Anna" not in str([one.problem for one in batch.unreadable]) + repr(batch)


def test_a_queue_without_readable_notifications_is_pulled_again():
    batch = feed().batch(reply(200, {"notifications": ["x"], "remaining": 5}), "")
    assert (batch.count, batch.pause_seconds) == (1, 0.0)


@pytest.mark.parametrize("cut", [b"", b'{"name": "slot-', b'{"name": 1}, ' + b'{"name": "' + b"x" * 100])
def test_the_received_part_of_a_reply_that_is_too_long_is_kept(cut):
    begin = json.dumps({"notifications": [TWO, ONE]}).encode()[:-2]
    body = begin + b", " + cut + b" " * MAX_REPLY_BYTES
    error = LengthError("longer than 8 MB", reply(200, body[:MAX_REPLY_BYTES]))
    batch = feed().batch(result_of(feed().read("", "a-b"), error), "")
    assert [one.subject for one in batch.events] == ["8", "7"]
    assert cut.rpartition(b", ")[2] in batch.unreadable[-1].content
    assert "up to 9" in batch.loss
    assert "are lost; compare with its bookings" in batch.loss


@each_row("position", ["", "soon", "-1", "1.5"])
def test_a_malformed_position_is_replaced(position):
    assert feed().batch(reply(204, date="Sat, 31 Jan 2026 06:00:00 GMT"), position).position == "491622"


def test_a_reply_of_another_shape_is_no_batch():
    with pytest.raises(ReplyError, match="_items"):
        feed().batch(reply(200, {"_items": [ONE]}), "")


@pytest.mark.parametrize("date, at", [("Sat, 31 Jan 2026 06:00:00 GMT", 1_769_839_200.0), ("soon", 0.0), ("", 0.0)])
def test_a_notification_without_a_time_gets_the_time_of_the_reply(date, at):
    content = {"notifications": [{**ONE, "created_at": None}], "remaining": 0}
    [one] = feed().batch(reply(200, content, date=date), "").events
    assert one.at == at


def test_a_pushed_notification_is_the_same_event_as_a_pulled_one():
    [pulled] = feed().batch(reply(200, {"notifications": [notification()], "remaining": 0}), "").events
    assert push_event(json.dumps(notification()).encode(), "ids") == pulled


def test_the_connection_decides_how_much_is_stored():
    body = json.dumps(notification()).encode()
    assert "patient" not in push_event(body, "ids").content["visit_booking"]
    assert "patient" in push_event(body, "full").content["visit_booking"]


def test_a_pushed_notification_without_a_time_gets_the_time_of_its_receipt():
    assert push_event(json.dumps({**ONE, "created_at": "soon"}).encode(), "ids", now=9.0).at == 9.0


@each_row("body", [b"", b"{", b"[]", b"5", b'{"a": 1}', b'{"notifications": []}', b"<html>"])
def test_a_push_that_is_no_notification_is_refused(body):
    with pytest.raises(ReplyError):
        push_event(body, "ids")


def test_a_field_that_is_not_stored_cannot_be_matched():
    fields = ["visit_booking.id", "visit_booking.patient.email"]
    with pytest.raises(ConfigurationError, match=r"^'visit_booking.patient.email' cannot .*store_payload='full'.*'c'"):
        feed().check(fields)
    feed().check(["visit_booking.id", "presence"])
    feed(store_payload="full").check(fields)


@each_row(
    "oldest, pulled, message",
    [
        (0, 0, ""),
        (59, 59, ""),
        (61.5, 1, "its oldest notification was made 61 h ago; Docplanner deletes"),
        (0, 60, "it was not pulled for 60 h; Docplanner deletes"),
        (71, 80, "was made 71 h ago, and it was not pulled for 80 h; Docplanner deletes"),
    ],
)
def test_it_warns_before_notifications_are_deleted_unread(oldest, pulled, message):
    now = 1000 * HOUR
    warning = expiry_warning(oldest_at=now - oldest * HOUR, pulled_at=now - pulled * HOUR, now=now)
    assert message in warning if message else warning == ""


def test_a_batch_warns_of_old_notifications_by_the_remote_s_clock():
    content = {"notifications": [ONE, {**ONE, "created_at": "2026-02-03T06:00:00Z"}], "remaining": 0}
    batch = feed().batch(reply(200, content, date="Tue, 03 Feb 2026 06:00:00 GMT"), "")
    assert batch.warning.startswith("its oldest notification was made 72 h ago;")
    assert feed().batch(reply(200, content), "").warning == ""


def test_the_time_of_the_last_pull_is_kept_to_the_hour():
    place = ""
    for date in ("Sat, 31 Jan 2026 06:00:00 GMT", "Sat, 31 Jan 2026 06:59:59 GMT"):
        batch = feed().batch(reply(204, date=date), place)
        assert (batch.position, batch.warning) == ("491622", "")
        place = batch.position
    assert feed().batch(reply(204), place).position == place
    late = feed().batch(reply(204, date="Tue, 03 Feb 2026 06:10:00 GMT"), place)
    assert (late.position, late.warning[:26]) == ("491694", "it was not pulled for 72 h")


def test_a_batch_is_made_of_the_reply_to_a_read():
    reply_read = result_of(feed().read("", "a-b"), reply(200, {"notifications": [ONE], "remaining": 0}))
    assert len(feed().batch(reply_read, "").events) == 1
