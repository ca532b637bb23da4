from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError, ReplyError, TransportError
from airflow_provider_taskwatch.core.feed import Batch, Feed
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.wire import MAX_REPLY_BYTES, LengthError
from airflow_provider_taskwatch.systems.acronis.feed import ASIDE_BYTES, feed_of
from airflow_provider_taskwatch.systems.acronis.subscription import feed_options
from tests.play import play, reply, result_of, targets
from tests.rows import each_row
from tests.systems.acronis.case import OPTIONS, SAMPLE, TOPIC, TYPE, feed, settings
from tests.systems.acronis.test_event import BASE, READER


def offset(value: int):
    return reply(200, {"topic_id": TOPIC, "offset": value})


def batch_of(*events: object) -> Batch:
    return feed().batch(reply(200, {"offset": 9, "events": list(events)}), "5")


# --- what it is


def test_it_is_a_feed_whose_reads_delete_nothing():
    one: Feed = feed()
    one.check(["data.anything"])
    assert one.is_consuming is False


def test_equal_options_have_the_same_key():
    assert feed().key == feed(tenant_depth="ALL").key
    assert feed().key != feed(cel="event.source == 'x'").key
    assert feed().key == f"acronis acronis_default a.p.task.v1.0 {feed().subscription.id}"


def test_a_key_is_short():
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


def test_a_feed_begins_at_the_first_event_of_a_waiter():
    steps, position = play(feed().begin(1_769_839_200.5), reply(201, {}), offset(7))
    create, ask = targets(steps)
    assert (create, position) == (f"POST {BASE}/subscriptions", "6")
    assert ask.endswith("position=TIMESTAMP&timestamp=2026-01-31T06%3A00%3A00.500000Z")


def test_there_is_nothing_before_the_first_offset():
    assert result_of(feed().begin(0.0), reply(409), offset(0)) == "0"


def test_a_feed_begins_now_without_a_waiter_for_earlier_events():
    steps, position = play(feed().begin(None), reply(409), offset(7))
    assert (targets(steps)[1].endswith("position=CURRENT"), position) == (True, "7")


@pytest.mark.parametrize("consumer", ["stateless", "auto_commit"])
def test_a_stateless_consumer_goes_on_where_the_server_knows_it_to_be(consumer):
    one = feed(consumer=consumer)
    steps, position = play(one.begin(5.0), reply(409), offset(7))
    stored = f"GET {BASE}/subscriptions/offset?subscription_id={one.subscription.id}"
    assert (targets(steps)[1], position) == (stored, "7")


@each_row("odd", [None, "soon", -1, {}])
def test_where_the_server_names_no_offset_it_is_taken_for_lost(odd):
    one = feed(consumer="stateless")
    assert result_of(one.begin(5.0), reply(409), reply(200, {"offset": odd}), offset(3)) == "3"
    one = feed(consumer="stateless", on_offset_lost="fail")
    with pytest.raises(ConfigurationError, match="the server knows None as the offset of"):
        play(one.begin(5.0), reply(409), reply(200, {"offset": odd}))


def test_a_new_subscription_of_a_stateless_consumer_has_no_offset_to_go_on_at():
    assert result_of(feed(consumer="stateless").begin(None), reply(201, {}), offset(7)) == "7"


# --- reading


def test_a_read_waits_ten_seconds_less_than_the_connection():
    steps, answer = play(feed().read("5", READER), reply(202))
    [call] = targets(steps)
    id_ = feed().subscription.id
    assert call == f"GET {BASE}/events?subscription_id={id_}&consumer_id={READER}&offset=5&limit=100&timeout=PT20S"
    assert answer.status == 202


@each_row("status", [200, 202, 204, 429])
def test_a_429_and_an_empty_reply_are_replies(status):
    assert result_of(feed().read("5", READER), reply(status)).status == status


@each_row("status", [401, 403, 500, 503])
def test_trouble_is_raised_for_the_pump_to_be_patient_with(status):
    with pytest.raises(RemoteError) as caught:
        play(feed().read("5", READER), reply(status))
    assert caught.value.status == status


def test_a_cut_connection_is_not_taken_for_a_quiet_poll():
    with pytest.raises(TransportError):
        play(feed().read("5", READER), TransportError("reset"))


@each_row("status", [400, 404, 410, 416, 422])
def test_an_offset_that_is_no_longer_kept_leads_to_the_earliest_one(status):
    steps, answer = play(feed().read("5", READER), reply(status), reply(409), offset(40))
    assert "position=EARLIEST" in targets(steps)[2]
    lost = "what came after the offset 5 is no longer kept; up to 35 events are lost"
    assert feed().batch(answer, "5") == Batch(position="40", pause_seconds=1.0, loss=lost)


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


@each_row("sequence", [0, "0", "", "x", -1, 10**30])
def test_a_sequence_that_is_the_same_for_all_events_makes_them_no_single_one(sequence: object) -> None:
    found = batch_of(*({**SAMPLE, "sequence": sequence, "id": one} for one in "abb")).events
    assert [found.index(one) for one in found] == [0, 1, 1]
    assert found[0].id != found[1].id == found[2].id


@pytest.mark.parametrize("offset", [3, 5])
def test_a_server_that_does_not_advance_is_asked_again_after_a_pause_with_a_warning(offset: int) -> None:
    batch = feed().batch(reply(200, {"events": [SAMPLE], "offset": offset}), "5")
    assert (batch.position, batch.pause_seconds, len(batch.events)) == (str(offset), 1.0, 1)
    assert f"the server still names {offset} as the next offset" in batch.warning


def test_without_a_sequence_the_producer_s_id_counts_together_with_the_type():
    event = {"id": "a-1", "type": TYPE, "time": "2026-01-31T06:00:00Z", "source": "s", "tenant_id": "t"}
    [found] = batch_of(event).events
    assert (found.id, found.subject, found.at) == (f"a-1 {TYPE}", "", 1_769_839_200.0)


def test_ids_that_differ_stay_apart_however_long_and_odd_they_are():
    ids = ["x" * 3_000, "x" * 3_001, "a\ud800", "a\ud801", "a b", "a  b"]
    found = batch_of(*({**SAMPLE, "sequence": None, "id": one} for one in ids)).events
    assert len({one.id for one in found}) == len(ids)
    assert all(one.id.isprintable() for one in found)


@pytest.mark.parametrize("digits", ["1234567", "12345678", "123456789"])
def test_fractions_of_any_length_are_understood(digits):
    [found] = batch_of({**SAMPLE, "ingest_time": f"2026-01-31T06:00:00.{digits}Z"}).events
    assert found.at == pytest.approx(1_769_839_200.123456)


@each_row(
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


@each_row(
    "content, problem",
    [
        ("", "is not JSON"),
        ([], "is not a JSON object"),
        ({"offset": 9, "events": "none"}, "holds no list of events"),
        ({"events": [{**SAMPLE, "sequence": None}]}, "holds events and no offset"),
    ],
)
def test_the_error_of_an_unreadable_reply_shows_no_data(content, problem):
    with pytest.raises(ReplyError, match=problem) as caught:
        feed().batch(reply(200, content), "5")
    assert "account-server" not in str(caught.value) or "events" in problem


@each_row(
    "event, problem",
    [
        ("x", "lacks its type, its time, or both its sequence and its id; it has nothing"),
        (None, "lacks its type"),
        ([SAMPLE], "lacks its type"),
        ({**SAMPLE, "type": None}, "lacks its type.*it has id, ingest_time"),
        ({"type": TYPE, "id": "a"}, "lacks its type"),
        ({"type": TYPE, "time": SAMPLE["time"]}, "lacks its type"),
        ({**SAMPLE, "time": "soon", "ingest_time": {}}, "lacks its type"),
        ({**SAMPLE, "sequence": 1.5}, "lacks its type"),
    ],
)
def test_an_event_that_cannot_be_read_is_set_aside_and_the_others_are_read(event, problem):
    found = batch_of({**SAMPLE, "sequence": 1}, event, {**SAMPLE, "sequence": 2})
    [aside] = found.unreadable
    assert ([one.id.split()[0] for one in found.events], found.position) == (["1", "2"], "9")
    assert json.loads(aside.content) == event
    assert re.search(problem, aside.problem)
    assert "account-server" not in aside.problem + repr(aside)


def test_a_stateless_consumer_commits_events_that_were_set_aside():
    one = feed(consumer="stateless")
    steps, _ = play(one.acknowledge(one.batch(reply(200, {"offset": 9, "events": ["x"]}), "5"), READER), reply(204))
    assert json.loads(steps[0].body or b"")["offset"] == 9


def test_an_offset_that_does_not_move_is_not_asked_for_again_at_once():
    found = feed().batch(reply(200, {"offset": 5, "events": [SAMPLE]}), "5")
    assert (len(found.events), found.pause_seconds) == (1, 1.0)


# --- what cannot be read at all


class Topic:
    """A remote that holds events by their offsets, some of them without a form: its replies are made of them."""

    def __init__(self, **bodies: object) -> None:
        self.bodies = {int(name[1:]): body for name, body in bodies.items()}
        self.asked: list[tuple[int, int]] = []
        self.is_down = False

    def answer(self, call):
        if "offset" not in dict(call.query):
            return offset(max(self.bodies))
        after, limit = int(dict(call.query)["offset"]), int(dict(call.query)["limit"])
        self.asked.append((after, limit))
        ahead = sorted(number for number in self.bodies if number > after)[:limit]
        bodies = [self.bodies[number] for number in ahead]
        if self.is_down:
            return reply(200, b"<html>down</html>")
        if odd := [one for one in bodies if not isinstance(one, dict)]:
            return odd[0]
        return reply(200, {"offset": ahead[-1], "events": bodies}) if ahead else reply(202)


def sample(number: int) -> dict[str, object]:
    return {**SAMPLE, "sequence": number}


def read_all(topic: Topic, position: str = "0", turns: int = 20) -> tuple[list[str], list[bytes], str]:
    """Offsets of the events that were read, contents of what was set aside, and the last position."""
    seen: list[str] = []
    aside: list[bytes] = []
    one = feed()
    for _ in range(turns):
        run = Run(one.read(position, READER))
        while not run.is_over:
            answer = topic.answer(run.step)
            run.throw(answer) if isinstance(answer, Exception) else run.send(answer)
        batch = one.batch(run.result, position)
        seen += [event.id.split()[0] for event in batch.events]
        aside += [other.content for other in batch.unreadable]
        position = batch.position
    return seen, aside, position


def too_long(mark: bytes = b"a") -> LengthError:
    body = b'{"offset": 1, "events": [' + mark * MAX_REPLY_BYTES
    return LengthError("longer than 8 MB", reply(200, body[:MAX_REPLY_BYTES]))


DEEP = reply(200, b"[" * 100_000)
HUGE = reply(200, b'{"offset": 1, "events": [' + b"9" * 5_000 + b"]}")


@each_row("odd", [too_long(), DEEP, HUGE, reply(200, b"\xff")], ids=["long", "deep", "huge", "bytes"])
def test_one_event_that_makes_a_reply_unreadable_is_set_aside_wherever_it_stands(odd):
    topic = Topic(_3=sample(3), _900=odd, _901=sample(901), _70000=sample(70_000))
    seen, [aside], position = read_all(topic)
    assert (seen, position) == (["3", "901", "70000"], "70000")
    body = odd.beginning.body if isinstance(odd, LengthError) else odd.body
    assert aside == body[:ASIDE_BYTES]
    assert len(topic.asked) < 100


def test_events_that_cannot_be_read_one_after_another_take_none_with_them():
    topic = Topic(_1=too_long(b"a"), _2=too_long(b"b"), _50=sample(50), _51=HUGE, _52=DEEP, _99=sample(99))
    seen, aside, position = read_all(topic)
    assert (seen, len(aside), position) == (["50", "99"], 4, "99")


def test_half_as_many_are_asked_for_until_the_reply_can_be_read():
    topic = Topic(**{f"_{number}": sample(number) for number in range(1, 61)}, _61=too_long())
    seen, _, _ = read_all(topic, turns=1)
    assert topic.asked == [(0, 100), (0, 50)]
    assert len(seen) == 50


def test_no_event_is_skipped_if_no_reply_of_the_remote_can_be_read():
    topic = Topic(_3=sample(3), _9=sample(9))
    topic.is_down = True
    with pytest.raises(ReplyError, match="is not JSON") as caught:
        read_all(topic)
    assert caught.value.transient
    topic.is_down = False
    assert read_all(topic)[0] == ["3", "9"]


def test_a_search_that_is_refused_goes_on_where_it_was():
    busy = reply(429, retry_after="7")
    topic = Topic(_900=too_long(), _1000=sample(1000))
    run = Run(feed().read("0", READER))
    while not run.is_over:
        found = busy if len(topic.asked) == 10 else topic.answer(run.step)
        run.throw(found) if isinstance(found, Exception) else run.send(found)
    assert run.result.pause_seconds == 7.0
    assert 0 < int(run.result.position) < 900
    assert read_all(topic, run.result.position)[0] == ["1000"]


def test_a_search_meets_an_offset_that_is_no_longer_kept():
    topic = Topic(_900=too_long(), _1000=sample(1000))
    gone = [reply(410), reply(409), offset(2_000)]
    run = Run(feed().read("0", READER))
    while not run.is_over:
        is_asking = len(topic.asked) >= 8 and gone
        found = gone.pop(0) if is_asking else topic.answer(run.step)
        run.throw(found) if isinstance(found, Exception) else run.send(found)
    assert feed().batch(run.result, "0").count <= 1


def test_a_server_that_is_busy_at_the_end_of_the_topic_is_no_reason_to_give_up():
    topic = Topic(_900=too_long(), _1000=sample(1000))
    run = Run(feed().read("0", READER))
    while not run.is_over:
        is_end = dict(getattr(run.step, "query", ())).get("offset") == "1000"
        found = reply(429) if is_end else topic.answer(run.step)
        run.throw(found) if isinstance(found, Exception) else run.send(found)
    batch = feed().batch(run.result, "0")
    assert (batch.position, len(batch.unreadable)) == ("900", 1)


def test_an_outage_that_passes_during_the_search_costs_no_event():
    topic = Topic(_3=sample(3), _9=sample(9))
    run = Run(feed().read("0", READER))
    while not run.is_over:
        topic.is_down = len(topic.asked) < 7
        run.send(topic.answer(run.step))
    batch = feed().batch(run.result, "0")
    assert ([one.id.split()[0] for one in batch.events], batch.unreadable) == (["3"], ())


@each_row("odd", ["soon", -1, 1.5, None, {}, 2**63])
def test_a_malformed_offset_is_taken_from_the_last_event(odd):
    found = feed().batch(reply(200, {"offset": odd, "events": [sample(7), sample(8)]}), "5")
    assert (len(found.events), found.position) == (2, "8")


@pytest.mark.parametrize("events", [[], [sample(7)]])
def test_an_offset_behind_the_end_of_its_topic_is_not_believed(events):
    answer = reply(200, {"offset": 2**63 - 1, "events": events})
    batch = feed().batch(result_of(feed().read("5", READER), answer, offset(9)), "5")
    assert (batch.position, len(batch.events), batch.pause_seconds) == ("9", len(events), 1.0)
    assert "which is beyond the end of its topic, 9" in batch.warning


def test_a_429_names_its_likely_causes():
    assert "it serves another reader of this subscription" in feed().batch(reply(429), "5").refusal


def test_a_429_with_a_page_is_still_one():
    busy = reply(429, b"<html>", retry_after="3")
    assert feed().batch(result_of(feed().read("5", READER), busy), "5").pause_seconds == 3.0


def test_a_leap_that_the_topic_has_made_is_believed():
    answer = reply(200, {"offset": 5_000_000, "events": []})
    assert feed().batch(result_of(feed().read("5", READER), answer, offset(5_000_001)), "5").position == "5000000"


@each_row("position", ["", "x", "-1", "1.5", "None", "9" * 30])
def test_a_malformed_position_is_reported_and_replaced(position):
    steps, batch = play(feed().read(position, READER), offset(40))
    assert "position=EARLIEST" in targets(steps)[0]
    assert (batch.position, "its offset, which is none; reading continues at 40" in batch.loss) == ("40", True)
    with pytest.raises(ConfigurationError, match="on_offset_lost='earliest' or 'current' goes on"):
        play(feed(on_offset_lost="fail").read(position, READER))


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
def test_an_acknowledgement_without_effect_sends_nothing(consumer, batch):
    assert play(feed(consumer=consumer).acknowledge(batch, READER))[0] == []


@each_row("cel, given", [("", {}), (None, {}), ("event.source == 'x'", {"cel": "event.source == 'x'"})])
def test_arguments_of_a_task_are_options_of_a_feed(cel, given):
    task = SimpleNamespace(subscription={"tenant_depth": "DIRECT"}, topic=TOPIC, types=TYPE, cel=cel)
    assert feed_options(task) == {"tenant_depth": "DIRECT", "topic": TOPIC, "types": [TYPE], **given}
