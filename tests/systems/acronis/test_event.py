from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError, ReplyError
from airflow_provider_taskwatch.core.wire import Pause
from airflow_provider_taskwatch.systems.acronis import event as manager
from airflow_provider_taskwatch.systems.acronis.subscription import Subscription, check_wish, read_subscription
from tests.play import play, reply, result_of, targets
from tests.rows import each_row
from tests.systems.acronis.case import OPTIONS, TOPIC, TYPE, settings

BASE = "/api/event_manager/v1"
ID = "454e9a51-2207-4a2c-9db4-6ca168ac9597"
READER = "5d0805ff-fa52-4175-abb1-c10061da437d"


def wished(**options) -> Subscription:
    return read_subscription(settings(), {**OPTIONS, **options})


def poll(**changes):
    return manager.poll(**{"subscription_id": ID, "consumer_id": READER, "offset": 5, **changes}, **LIMITS)


LIMITS = {"limit": 100, "timeout_seconds": 20}


# --- a subscription


def test_a_subscription_has_the_given_options_and_always_a_session_timeout():
    assert wished().body == {
        "subscription_id": wished().id,
        "topic_id": TOPIC,
        "types": [TYPE],
        "tenant_depth": "ALL",
        "session_timeout": "PT30S",
        "auto_commit": False,
    }


def test_a_subscription_has_all_given_options():
    body = wished(
        tenant_depth="DIRECT",
        tenant_id=ID.upper(),
        subject_types="cti.a.p.resource.v1.0~*",
        cel="event.source == 'x'",
        consumer="auto_commit",
        session_timeout="P1W",
        auto_commit_interval="P1M",
    ).body
    assert (body["tenant_depth"], body["tenant_id"]) == ("DIRECT", ID)
    assert (body["subject_types"], body["cel"]) == (["cti.a.p.resource.v1.0~*"], "event.source == 'x'")
    assert (body["auto_commit"], body["session_timeout"], body["auto_commit_interval"]) == (True, "P1W", "P1M")


@each_row("duration", ["P1W", "P1M", "P1Y", "P1Y2M3W4DT5H6M7S", "PT1H30M", "P90D"])
def test_all_durations_of_whole_numbers_are_taken(duration):
    assert wished(session_timeout=duration).body["session_timeout"] == duration


def test_equal_options_have_the_same_id_in_any_order():
    other = TYPE.replace("completed", "created")
    assert wished(types=[TYPE, other]).id == wished(types=[other, TYPE, TYPE], tenant_depth=None, cel="").id
    assert uuid.UUID(wished().id).version == 5


def test_an_id_is_the_same_in_all_versions_of_this_package_or_events_would_be_missed():
    assert wished().id == "6c150685-ca9c-5d28-a927-aad6944492fb"


@each_row(
    "options",
    [
        {"types": TYPE.replace("completed.v1.0", "*")},
        {"tenant_depth": "CURRENT"},
        {"tenant_id": ID},
        {"subject_types": ["cti.a"]},
        {"cel": "event.source == 'x'"},
        {"session_timeout": "PT31S"},
        {"consumer": "stateless"},
        {"consumer": "auto_commit"},
    ],
)
def test_other_options_have_another_id(options):
    assert wished(**options).id != wished().id


def test_another_connection_or_environment_has_its_own_subscription():
    ids = {
        read_subscription(one, OPTIONS).id
        for one in (settings(), settings(conn_id="other"), settings(environment="test"))
    }
    assert len(ids) == 3


@each_row(
    "options, problem",
    [
        ({"topic": None}, "topic is missing"),
        ({"types": []}, "types is missing"),
        ({"topic": "tasks"}, "topic must begin with cti.a.p.em.topic.v1.0~, not 'tasks'"),
        ({"topic": f"{TOPIC}*"}, "topic must name one topic, without '*'"),
        ({"topic": TOPIC + "x" * 1024}, "topic must have at most 1024 characters, not 1059"),
        ({"types": ["a.p.task.*"]}, "types must begin with cti.a.p.em.event.v1.0~ or cti.a.p.em.msg.v1.0~"),
        ({"types": [5]}, "types must begin with .*, not 5"),
        ({"types": [f"{TYPE} x"]}, "types must begin with"),
        ({"types": ["cti.a.p.em.event.v1.0~*.task"]}, "types may have '\\*' at its end only"),
        ({"types": [f"{TYPE}{n}" for n in range(33)]}, "types are 33, and at most 32 are allowed; use a pattern"),
        ({"tenant_depth": "DEEP"}, "tenant_depth must be one of CURRENT, DIRECT, ALL, not 'DEEP'"),
        ({"tenant_id": "5"}, "tenant_id must be a UUID, not '5'"),
        ({"subject_types": "x"}, "subject_types must begin with cti., not 'x'"),
        ({"cel": "x" * 4097}, "cel must be a string of at most 4096 characters"),
        ({"cel": 5}, "cel must be a string"),
        ({"consumer": ["stateful"]}, "consumer must be one of stateful, stateless, auto_commit"),
        ({"session_timeout": "PT0.5S"}, "session_timeout must be an ISO 8601 duration of whole numbers, such as PT30S"),
        ({"session_timeout": "PT0S"}, "session_timeout must be"),
        ({"session_timeout": "P"}, "session_timeout must be"),
        ({"session_timeout": "P1M1Y"}, "session_timeout must be"),
        ({"auto_commit_interval": "5m"}, "auto_commit_interval must be"),
        ({"session_timeout": "PT"}, "session_timeout must be"),
        ({"session_timeout": 30}, "session_timeout must be"),
        ({"filter": "x"}, "unknown filter; known are topic, types, tenant_depth, "),
    ],
)
def test_a_wrong_option_is_named_with_its_remedy(options, problem):
    with pytest.raises(ConfigurationError, match=f"no subscription for connection 'acronis_default': .*{problem}"):
        wished(**options)


def test_one_error_names_all_wrong_options():
    with pytest.raises(ConfigurationError, match="topic is missing; tenant_depth must be"):
        wished(topic="", tenant_depth="x")


@each_row("duration", ["PT30S", "PT5M", "P7D", "P1DT2H3M4S", "PT2H"])
def test_a_duration_of_whole_numbers_passes(duration):
    assert wished(session_timeout=duration).session_timeout == duration


def test_a_new_subscription_is_returned_as_the_server_describes_it():
    steps, (created, is_new) = play(manager.create_subscription(wished()), reply(201, {**wished().body, "more": 1}))
    [call] = steps
    assert (call.method, call.path, call.json()) == ("POST", f"{BASE}/subscriptions", wished().body)
    assert (created["more"], is_new) == (1, True)


def test_an_existing_subscription_is_no_error():
    assert result_of(manager.create_subscription(wished()), reply(409)) == (wished().body, False)


def test_a_refused_subscription_is_an_error_with_the_remotes_message():
    answer = reply(400, {"error": {"domain": "EM", "code": "BadCel", "message": "no such field"}})
    with pytest.raises(RemoteError, match="answered 400: BadCel: no such field"):
        play(manager.create_subscription(wished()), answer)


def test_a_server_in_trouble_is_asked_again_as_the_id_is_ours():
    steps, (_, is_new) = play(manager.create_subscription(wished()), reply(503), reply(409))
    assert ([type(step) for step in steps].count(Pause), is_new) == (1, False)


# --- topics and types


def test_all_topics_or_one_are_listed():
    steps, found = play(manager.topics(), reply(200, [{"id": TOPIC}, "odd"]))
    assert (targets(steps), found) == ([f"GET {BASE}/topics"], [{"id": TOPIC}])
    assert targets(play(manager.topics(TOPIC), reply(200, []))[0]) == [f"GET {BASE}/topics?topic_id={TOPIC}"]


def test_event_types_are_listed_with_their_schemas_on_request():
    flow = manager.event_types(TOPIC, TYPE, include_schema=True)
    steps, found = play(flow, reply(200, [{"id": TYPE, "data_schema": "{}"}]))
    assert targets(steps) == [f"GET {BASE}/types?topic_id={TOPIC}&type_id={TYPE}&include_schema=true"]
    assert found == [{"id": TYPE, "data_schema": "{}"}]
    assert targets(play(manager.event_types(), reply(200, []))[0]) == [f"GET {BASE}/types?include_schema=false"]


@pytest.mark.parametrize("content", [{"topics": []}, "x", "[" * 100_000])
def test_a_reply_without_a_list_of_topics_is_an_error(content):
    with pytest.raises(ReplyError, match="is not a JSON list"):
        play(manager.topics(), reply(200, content))


# --- offsets


def test_a_topic_s_offset_is_asked_for_as_the_guide_says():
    steps, offset = play(manager.topic_offset(TOPIC, "EARLIEST"), reply(200, {"topic_id": TOPIC, "offset": 0}))
    assert targets(steps) == [f"GET {BASE}/topics/{TOPIC}/offsets?topic_id={TOPIC}&position=EARLIEST"]
    assert offset == 0


def test_a_topic_s_offset_is_asked_for_as_the_api_description_says_where_the_guide_errs():
    steps, offset = play(manager.topic_offset(TOPIC, "CURRENT"), reply(404), reply(200, {"offset": "93376478"}))
    assert targets(steps)[1] == f"GET {BASE}/topics/offsets?topic_id={TOPIC}&position=CURRENT"
    assert offset == 93376478


@pytest.mark.parametrize("at", ["2026-01-31T07:00:00+01:00", datetime(2026, 1, 31, 6, tzinfo=UTC)])
def test_an_offset_of_a_time_is_asked_for_in_utc(at):
    steps, _ = play(manager.topic_offset(TOPIC, "TIMESTAMP", at), reply(200, {"offset": 7}))
    assert targets(steps)[0].endswith("&position=TIMESTAMP&timestamp=2026-01-31T06%3A00%3A00Z")


@pytest.mark.parametrize(
    "position, at, problem",
    [
        ("LATEST", None, "position must be one of EARLIEST, CURRENT, TIMESTAMP, not 'LATEST'"),
        ("TIMESTAMP", None, "position TIMESTAMP needs a time with its zone, not None"),
        ("TIMESTAMP", "2026-01-31T06:00:00", "needs a time with its zone"),
    ],
)
def test_a_malformed_position_is_refused_before_any_request(position, at, problem):
    with pytest.raises(ConfigurationError, match=problem):
        next(manager.topic_offset(TOPIC, position, at))


@each_row("offset", [None, -1, 1.5, "x", True, 2**63, "1" * 20])
def test_a_reply_without_an_offset_is_an_error(offset):
    with pytest.raises(ReplyError, match="holds no offset"):
        play(manager.subscription_offset(ID), reply(200, {"offset": offset}))


def test_a_subscription_s_offset_is_read_and_committed():
    steps, offset = play(manager.subscription_offset(ID), reply(200, {"subscription_id": ID, "offset": 7}))
    assert (targets(steps), offset) == ([f"GET {BASE}/subscriptions/offset?subscription_id={ID}"], 7)
    steps, said = play(manager.commit_offset(ID, "8"), reply(200, {"offset": 8}))
    [call] = steps
    assert (call.method, call.path) == ("POST", f"{BASE}/subscriptions/offset")
    assert (call.json(), said) == ({"subscription_id": ID, "offset": 8}, {"offset": 8})


@pytest.mark.parametrize("answer", [reply(204), reply(200, "OK"), reply(202, [1])])
def test_any_good_answer_to_a_commit_is_a_yes(answer):
    assert result_of(manager.commit_offset(ID, 8), answer) == {}


def test_a_commit_is_repeated_as_that_changes_nothing():
    steps, _ = play(manager.commit_offset(ID, 8), reply(500), reply(204))
    assert len(targets(steps)) == 2


# --- polls


def test_a_poll_names_reader_offset_and_patience():
    assert poll().target == (
        f"{BASE}/events?subscription_id={ID}&consumer_id={READER}&offset=5&limit=100&timeout=PT20S"
    )


def test_each_subscription_has_its_own_rate_limit():
    assert len({poll().quota, poll(subscription_id=READER).quota}) == 2
    assert poll(offset=6, consumer_id=ID).quota == poll().quota


@each_row(
    "changes, problem",
    [
        ({"subscription_id": "x"}, "subscription_id must be a UUID, not 'x'"),
        ({"consumer_id": None}, "consumer_id must be a UUID, not None"),
        ({"offset": "soon"}, "offset must be a whole number from 0 on, not 'soon'"),
        ({"offset": -1}, "offset must be a whole number from 0 on, not -1"),
    ],
)
def test_a_poll_with_a_wrong_argument_is_not_sent(changes, problem):
    with pytest.raises(ConfigurationError, match=problem):
        poll(**changes)


@each_row("read_timeout, seconds", [(30.0, 20), (70.5, 60), (10.0, 1), (5.0, 1)])
def test_a_poll_ends_before_the_connection_takes_the_remote_for_silent(read_timeout, seconds):
    assert manager.poll_seconds(settings(read_timeout=read_timeout)) == seconds


@each_row(
    "answer, content",
    [
        (reply(200, {"offset": 9, "events": [{"id": "a"}]}), {"offset": 9, "events": [{"id": "a"}]}),
        (reply(200, {"offset": "9", "events": None}), {"offset": 9, "events": []}),
        (reply(202, retry_after="1"), {"offset": 5, "events": []}),
        (reply(204), {"offset": 5, "events": []}),
        (reply(202, {"offset": 6}), {"offset": 6, "events": []}),
    ],
)
def test_events_have_one_shape_even_if_there_are_none(answer, content):
    assert result_of(manager.events(poll()), answer) == content


def test_a_reader_that_is_not_served_asks_again_after_retry_after():
    steps, _ = play(manager.events(poll()), reply(429, retry_after="7"), reply(204))
    assert [step.seconds for step in steps if isinstance(step, Pause)] == [7.0]


@pytest.mark.parametrize("name, value", [("consumer", "me"), ("tenant_depth", "NONE"), ("session_timeout", "soon")])
def test_one_field_of_a_subscription_can_be_checked_by_itself(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        check_wish(name, value)
    check_wish(name, "")
