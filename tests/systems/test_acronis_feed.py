from __future__ import annotations

import json

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError, ReplyError, TransportError
from airflow_provider_taskwatch.core.feed import Batch, Feed
from airflow_provider_taskwatch.systems.acronis_feed import AcronisFeed, feed_of
from tests.play import play, reply, result_of, targets
from tests.systems.test_acronis_event import BASE, OPTIONS, READER, TOPIC, TYPE, settings

SAMPLE = {
    "id": "9251fdc0-eb78-49b6-acaa-ed258074e4f5",
    "ingest_time": "2024-10-01T11:01:16.070777369Z",
    "previous": 93376477,
    "sequence": 93376478,
    "source": "account-server",
    "subject": "692ff7d2-8505-44ed-82b0-e82ee8d42ef2",
    "tenant_id": "692ff7d2-8505-44ed-82b0-e82ee8d42ef2",
    "time": "2024-10-01T11:01:16.03094914Z",
    "type": "cti.a.p.em.event.v1.0~a.p.tenant.disabled.v1.0",
}
"""As in the vendor's guide."""


def feed(**options) -> AcronisFeed:
    return feed_of(settings(), {**OPTIONS, **options})


def offset(value: int):
    return reply(200, {"topic_id": TOPIC, "offset": value})


def batch_of(*events: object) -> Batch:
    return feed().batch(reply(200, {"offset": 9, "events": list(events)}), "5")


# --- what it is


def test_it_is_a_feed_whose_reads_delete_nothing():
    one: Feed = feed()
    one.check(["data.anything"])
    assert one.is_consuming is False


def test_its_key_is_the_same_for_all_who_want_the_same():
    assert feed().key == feed(tenant_depth="ALL").key
    assert feed().key != feed(cel="event.source == 'x'").key
    assert feed().key == f"acronis acronis_default a.p.task.v1.0 {feed().subscription.id}"


def test_its_key_is_short_whatever_it_is_made_of():
    topic = f"{TOPIC[:22]}{'x' * 900}"
    assert len(feed_of(settings(conn_id="c" * 250), {**OPTIONS, "topic": topic}).key) < 200


@pytest.mark.parametrize(
    "options, problem",
    [
        ({"on_offset_lost": "latest"}, "on_offset_lost must be one of earliest, current, fail, not 'latest'"),
        ({"since": 5}, "unknown since"),
        ({"topic": ""}, "topic is missing"),
    ],
)
def test_a_wrong_option_is_named(options, problem):
    with pytest.raises(ConfigurationError, match=problem):
        feed(**options)


# --- where it begins


def test_it_begins_at_the_first_event_that_somebody_waits_for():
    steps, position = play(feed().begin(1_769_839_200.5), reply(201, {}), offset(7))
    create, ask = targets(steps)
    assert (create, position) == (f"POST {BASE}/subscriptions", "6")
    assert ask.endswith("position=TIMESTAMP&timestamp=2026-01-31T06%3A00%3A00.500000Z")


def test_there_is_nothing_before_the_first_offset():
    assert result_of(feed().begin(0.0), reply(409), offset(0)) == "0"


def test_it_begins_now_where_nobody_waits_for_what_was():
    steps, position = play(feed().begin(None), reply(409), offset(7))
    assert (targets(steps)[1].endswith("position=CURRENT"), position) == (True, "7")


@pytest.mark.parametrize("consumer", ["stateless", "auto_commit"])
def test_a_stateless_consumer_goes_on_where_the_server_knows_it_to_be(consumer):
    one = feed(consumer=consumer)
    steps, position = play(one.begin(5.0), reply(409), offset(7))
    stored = f"GET {BASE}/subscriptions/offset?subscription_id={one.subscription.id}"
    assert (targets(steps)[1], position) == (stored, "7")


def test_a_new_subscription_of_a_stateless_consumer_has_no_offset_to_go_on_at():
    assert result_of(feed(consumer="stateless").begin(None), reply(201, {}), offset(7)) == "7"


# --- reading


def test_a_read_waits_ten_seconds_less_than_the_connection():
    steps, answer = play(feed().read("5", READER), reply(202))
    [call] = targets(steps)
    id_ = feed().subscription.id
    assert call == f"GET {BASE}/events?subscription_id={id_}&consumer_id={READER}&offset=5&limit=100&timeout=PT20S"
    assert answer.status == 202


@pytest.mark.parametrize("status", [200, 202, 204, 429])
def test_what_is_no_trouble_is_an_answer(status):
    assert result_of(feed().read("5", READER), reply(status)).status == status


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_trouble_is_raised_for_the_pump_to_be_patient_with(status):
    with pytest.raises(RemoteError) as caught:
        play(feed().read("5", READER), reply(status))
    assert caught.value.status == status


def test_a_cut_connection_is_not_taken_for_a_quiet_poll():
    with pytest.raises(TransportError):
        play(feed().read("5", READER), TransportError("reset"))


@pytest.mark.parametrize("status", [400, 404, 410, 416, 422])
def test_an_offset_that_is_no_longer_kept_leads_to_the_earliest_one(status):
    steps, answer = play(feed().read("5", READER), reply(status), reply(409), offset(40))
    assert "position=EARLIEST" in targets(steps)[2]
    assert feed().batch(answer, "5") == Batch(position="40", pause_seconds=1.0)


def test_or_to_the_current_one():
    answer = result_of(feed(on_offset_lost="current").read("5", READER), reply(410), reply(409), offset(40), offset(90))
    assert feed().batch(answer, "5").position == "90"


def test_or_is_a_failure_that_says_what_to_do():
    with pytest.raises(RemoteError, match="the offset 5 is no longer kept, the earliest one is 40; on_offset_lost="):
        play(feed(on_offset_lost="fail").read("5", READER), reply(410), reply(409), offset(40))


def test_a_refusal_of_an_offset_that_is_kept_has_another_reason():
    with pytest.raises(RemoteError, match="answered 400: no such subscription"):
        play(feed().read("40", READER), reply(400, "no such subscription"), reply(409), offset(40))


def test_a_subscription_that_the_server_has_lost_is_made_again_and_read_on():
    steps, answer = play(feed().read("5", READER), reply(404), reply(201, {}))
    assert targets(steps)[1] == f"POST {BASE}/subscriptions"
    assert feed().batch(answer, "5") == Batch(position="5", pause_seconds=1.0)


# --- what a reply holds


def test_the_vendor_s_sample_is_an_event():
    found = feed().batch(reply(200, {"events": [SAMPLE], "offset": 93376478}), "5")
    [event] = found.events
    assert (found.position, found.pause_seconds) == ("93376478", 0.0)
    assert (event.id, event.name) == (f"93376478 {SAMPLE['type']}", SAMPLE["type"])
    assert (event.subject, event.at) == (SAMPLE["subject"], pytest.approx(1_727_780_476.070777))
    assert event.content == SAMPLE


def test_events_keep_their_order_and_a_second_delivery_its_id():
    first, second = {**SAMPLE, "sequence": 1}, {**SAMPLE, "sequence": 2}
    ids = [event.id.split()[0] for event in batch_of(second, first, second).events]
    assert ids == ["2", "1", "2"]


def test_without_a_sequence_the_producer_s_id_counts_together_with_the_type():
    event = {"id": "a-1", "type": TYPE, "time": "2026-01-31T06:00:00Z", "source": "s", "tenant_id": "t"}
    [found] = batch_of(event).events
    assert (found.id, found.subject, found.at) == (f"a-1 {TYPE}", "", 1_769_839_200.0)


@pytest.mark.parametrize("digits", ["1234567", "12345678", "123456789"])
def test_fractions_of_any_length_are_understood(digits):
    [found] = batch_of({**SAMPLE, "ingest_time": f"2026-01-31T06:00:00.{digits}Z"}).events
    assert found.at == pytest.approx(1_769_839_200.123456)


@pytest.mark.parametrize(
    "answer, batch",
    [
        (reply(200, {"offset": 9, "events": []}), Batch(position="9", pause_seconds=1.0)),
        (reply(200, {"offset": 9}, retry_after="3"), Batch(position="9", pause_seconds=3.0)),
        (reply(202, retry_after="2"), Batch(position="5", pause_seconds=2.0)),
        (reply(202), Batch(position="5", pause_seconds=1.0)),
        (reply(204), Batch(position="5", pause_seconds=1.0)),
        (reply(429, retry_after="17"), Batch(position="5", pause_seconds=17.0)),
        (reply(429), Batch(position="5", pause_seconds=10.0)),
    ],
)
def test_there_are_many_ways_to_say_that_there_is_nothing_yet(answer, batch):
    assert feed().batch(answer, "5") == batch


@pytest.mark.parametrize(
    "content, problem",
    [
        ("", "is not JSON"),
        ([], "is not a JSON object"),
        ({"offset": 9, "events": "none"}, "holds no list of events"),
        ({"events": [SAMPLE]}, "holds events and no offset"),
        ({"offset": 9, "events": ["x"]}, "lacks its type, its time, or both its sequence and its id; it has nothing"),
        ({"offset": 9, "events": [{**SAMPLE, "type": None}]}, "lacks its type.*it has id, ingest_time"),
        ({"offset": 9, "events": [{"type": TYPE, "id": "a"}]}, "lacks its type"),
        ({"offset": 9, "events": [{"type": TYPE, "time": SAMPLE["time"]}]}, "lacks its type"),
    ],
)
def test_what_cannot_be_understood_is_loud_and_shows_nobody_s_data(content, problem):
    with pytest.raises(ReplyError, match=problem) as caught:
        feed().batch(reply(200, content), "5")
    assert "account-server" not in str(caught.value) or "events" in problem


# --- acknowledging


def test_a_stateless_consumer_commits_when_the_events_are_stored():
    one = feed(consumer="stateless")
    steps, _ = play(one.acknowledge(batch_of(SAMPLE), READER), reply(204))
    [call] = steps
    assert json.loads(call.body or b"") == {"subscription_id": one.subscription.id, "offset": 9}


@pytest.mark.parametrize(
    "consumer, batch",
    [("stateful", batch_of(SAMPLE)), ("auto_commit", batch_of(SAMPLE)), ("stateless", batch_of())],
)
def test_whoever_has_nothing_to_tell_asks_nothing(consumer, batch):
    assert play(feed(consumer=consumer).acknowledge(batch, READER))[0] == []
