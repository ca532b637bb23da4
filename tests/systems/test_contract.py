"""What every system and every feed does, whatever its remote; see ``contract.py``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.callback import Callback
from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    LossError,
    RemoteError,
    ReplyError,
    TaskWatchError,
    TransportError,
)
from airflow_provider_taskwatch.core.feed import Batch, Event, shown
from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.core.phase import Observation, Phase, absent
from airflow_provider_taskwatch.core.system import REF_CHARACTERS
from airflow_provider_taskwatch.core.text import safe
from airflow_provider_taskwatch.core.wire import Call, Pause, Reply
from airflow_provider_taskwatch.remotes import REMOTES
from tests.play import play, reply, result_of
from tests.rows import each_row
from tests.systems.contract import (
    BODIES,
    HOSTILE,
    FeedCase,
    Raw,
    StartCase,
    SystemCase,
    finish,
    first_call,
    spliced,
    with_member,
)

READER = "5d0805ff-fa52-4175-abb1-c10061da437d"
SYSTEMS: Mapping[str, SystemCase] = {
    name: import_module(f"tests.systems.{row.modules}.case").SYSTEM for name, row in REMOTES.rows.items() if row.system
}
FEEDS: Mapping[str, FeedCase] = {
    name: import_module(f"tests.systems.{row.modules}.case").FEED for name, row in REMOTES.rows.items() if row.feed
}


@pytest.fixture(params=SYSTEMS)
def case(request: pytest.FixtureRequest) -> SystemCase:
    return SYSTEMS[request.param]


@pytest.fixture(params=[name for name, one in SYSTEMS.items() if one.starting])
def starter(request: pytest.FixtureRequest) -> SystemCase:
    return SYSTEMS[request.param]


@pytest.fixture(params=FEEDS)
def events(request: pytest.FixtureRequest) -> FeedCase:
    return FEEDS[request.param]


def observed(case: SystemCase, content: Mapping[str, Any]) -> Observation:
    return finish(case.system.observe(case.ref), spliced(lambda one: case.answer({case.ref: one}), content))


# --- refs


def test_a_ref_has_one_form(case: SystemCase) -> None:
    spellings = [case.ref, f" {case.ref} ", *case.spellings]
    assert {one: case.system.check_ref(one) for one in spellings} == dict.fromkeys(spellings, case.ref)
    assert case.system.doubt(case.ref) == ""


def test_a_malformed_ref_is_refused_before_any_request(case: SystemCase) -> None:
    for wrong in ("", " ", "..", "a/b", "a?b", "a#b", "%2e%2e", "a\nb", "a\0b", "\ud800", "x" * 10**5, *case.not_refs):
        with pytest.raises(ConfigurationError):
            case.system.check_ref(wrong)


def test_a_page_is_named_by_the_ref(case: SystemCase) -> None:
    assert case.system.page(case.ref)["ref"] == case.ref


def test_an_id_space_is_an_address_and_no_credential(case: SystemCase) -> None:
    here = case.system.id_space(case.settings)
    assert here.startswith(case.settings.base_url)
    assert here == case.system.id_space(replace(case.settings, login="another", password="another"))
    assert here != case.system.id_space(replace(case.settings, base_url="https://elsewhere.example.com"))


# --- start


def test_a_start_is_one_request_whose_reply_names_the_ref(starter: SystemCase) -> None:
    assert starter.starting
    steps, started = play(starter.starting.start(), starter.starting.reply)
    [call] = steps
    assert isinstance(call, Call)
    assert call.method != "GET"
    assert (started.ref, started.reply) == (starter.ref, starter.starting.reply.json())


def test_a_start_that_is_refused_did_nothing(starter: SystemCase) -> None:
    assert starter.starting
    for status in (400, 401, 403, 404, 409, 422):
        with pytest.raises(RemoteError) as refused:
            play(starter.starting.start(), reply(status, {"error": "no", "message": "no"}))
        assert (refused.value.status, starter.system.was_refused(refused.value)) == (status, True)


def test_a_start_that_may_have_been_done_is_not_repeated(starter: SystemCase) -> None:
    assert starter.starting
    for answer in (reply(500), reply(502, "<html>"), reply(503), reply(504), reply(408), TransportError("reset")):
        with pytest.raises(TaskWatchError) as failed:
            play(starter.starting.start(), answer)
        assert not starter.system.was_refused(failed.value)


def test_a_start_that_did_nothing_for_certain_is_repeated(starter: SystemCase) -> None:
    assert starter.starting
    for answer, seconds in ((reply(429, retry_after="9"), 9.0), (TransportError("refused", sent=False), 2.0)):
        steps, started = play(starter.starting.start(), answer, starter.starting.reply)
        assert started.ref == starter.ref
        assert [step.seconds for step in steps if isinstance(step, Pause)] == [seconds]


def test_a_reply_without_a_ref_does_not_count_as_refused(starter: SystemCase) -> None:
    assert starter.starting
    for answer in (*starter.starting.unnamed, *(reply(200, body) for body in BODIES.values())):
        outcome = ref_or_error(starter.starting, answer)
        assert outcome is None or (isinstance(outcome, ReplyError) and not starter.system.was_refused(outcome))


def ref_or_error(case: StartCase, answer: Reply) -> str | ReplyError | None:
    try:
        return result_of(case.start(), answer).ref
    except ReplyError as error:
        return error


@each_row("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_reply_to_a_start_names_a_ref_that_can_be_sent_or_none(starter: SystemCase, text: str) -> None:
    assert starter.starting
    for name in starter.starting.members:
        answer = spliced(lambda one: reply(200, one), {name: Raw(text)})
        with suppress(ReplyError):
            started = result_of(starter.starting.start(), answer)
            assert started.ref is None or starter.system.check_ref(started.ref) == started.ref
            assert started.ref is None or len(started.ref) <= REF_CHARACTERS


# --- observe


def test_a_reading_becomes_an_observation(case: SystemCase) -> None:
    call = first_call(case.system.observe(case.ref))
    assert (call.method, call.body) == ("GET", None)
    seen = observed(case, case.content)
    assert seen.ref == case.ref
    assert seen.describe().startswith(seen.phase.value)
    assert case.system.understand(seen, {}) == seen
    assert case.system.is_own(seen, {})


def test_each_state_is_a_phase(case: SystemCase) -> None:
    assert {changes_phase[1] for changes_phase in case.states} >= {Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED}
    for changes, phase in case.states:
        assert (changes, observed(case, {**case.content, **changes}).phase) == (changes, phase)


def test_an_unknown_status_is_unknown_and_shown(case: SystemCase) -> None:
    for changes, status in case.unknown:
        seen = observed(case, {**case.content, **changes})
        assert (seen.phase, seen.status) == (Phase.UNKNOWN, status)


def test_an_unknown_task_is_absent_and_no_error(case: SystemCase) -> None:
    for replies in case.absent:
        assert result_of(case.system.observe(case.ref), *replies) == absent(case.ref)


def test_people_are_apart_from_the_result(case: SystemCase) -> None:
    seen = observed(case, case.content)
    assert set(seen.personal) == set(case.people)
    assert not set(case.people) & set(seen.result)


def test_a_reading_that_fails_is_an_error_which_names_the_request(case: SystemCase) -> None:
    path = first_call(case.system.observe(case.ref)).path
    for answer in (reply(401), reply(403), reply(500), reply(503, "<html>"), reply(200, "<html>"), reply(200)):
        with pytest.raises((RemoteError, ReplyError), match=path):
            finish(case.system.observe(case.ref), answer)
    with pytest.raises(TransportError):
        finish(case.system.observe(case.ref), TransportError("lost"))


def test_a_body_that_cannot_be_read_is_no_end(case: SystemCase) -> None:
    for body in BODIES.values():
        with suppress(ReplyError):
            assert finish(case.system.observe(case.ref), reply(200, body)).phase in (Phase.UNKNOWN, Phase.LOST)


@each_row("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_reading_can_be_shown_and_stored(case: SystemCase, text: str) -> None:
    for name in case.content:
        seen = case.system.understand(observed(case, with_member(case.content, name, text)), {})
        assert (seen.describe().isprintable(), len(seen.describe()) < 800) == (True, True)
        event = json.dumps(outcome_of(seen).to_event(), allow_nan=False)
        assert len(event) < 300_000
        assert not any(one in event for one in ("\\u0000", "\\ud800"))


def outcome_of(seen: Observation) -> Outcome:
    return Outcome(ending=Ending.FAILED, ref=seen.ref, status=seen.status, message=seen.message, result=seen.result)


ANY_TEXT = st.text(st.characters(exclude_categories=()))
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(10**400), 10**400) | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT | st.sampled_from(["__classname__", "__id__"]), inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(ANY, st.sampled_from([(name, field) for name, one in SYSTEMS.items() for field in one.content]))
def test_any_json_is_a_reading_that_can_be_stored(value: Any, where: tuple[str, str]) -> None:
    name, field = where
    seen = observed(SYSTEMS[name], with_member(SYSTEMS[name].content, field, json.dumps(value)))
    event = outcome_of(SYSTEMS[name].system.understand(seen, {})).to_event()
    assert safe(event) == event


@given(st.binary())
def test_any_bytes_are_read_or_are_an_error_of_ours(body: bytes) -> None:
    for one in SYSTEMS.values():
        with suppress(TaskWatchError):
            finish(one.system.observe(one.ref), reply(200, body))
    for feed in FEEDS.values():
        shown_of(feed, reply(200, body))


# --- many at once


@pytest.fixture(params=[name for name, one in SYSTEMS.items() if one.listed])
def lister(request: pytest.FixtureRequest) -> SystemCase:
    return SYSTEMS[request.param]


def test_a_system_reads_many_or_says_that_it_does_not(case: SystemCase) -> None:
    assert bool(case.system.selector(case.options)) == bool(case.listed)
    if not case.listed:
        with pytest.raises(NotImplementedError):
            case.system.observe_many("", [case.ref])


def test_a_list_says_of_a_task_what_a_single_read_says_or_nothing(lister: SystemCase) -> None:
    assert lister.listed
    for changes, phase in lister.states:
        content = {**lister.content, **changes}
        flow = lister.system.observe_many(lister.system.selector(lister.options), [lister.ref])
        found = finish(flow, lister.listed({lister.ref: content}))
        assert {one.phase for one in found.values()} <= {phase}
        assert lister.ref in found or phase.is_final or phase is Phase.UNKNOWN


def test_a_list_without_a_task_does_not_end_it(lister: SystemCase) -> None:
    assert lister.listed
    selector = lister.system.selector(lister.options)
    found = finish(lister.system.observe_many(selector, [lister.ref]), lister.listed({}))
    assert found in ({}, {lister.ref: absent(lister.ref)})


def test_a_reply_without_a_list_is_no_empty_list(lister: SystemCase) -> None:
    selector = lister.system.selector(lister.options)
    for content in ({"error": "no"}, {"data": None, "items": "none", "warnings": 5}, "<html>", None, "7"):
        with suppress(ReplyError):
            found = finish(lister.system.observe_many(selector, [lister.ref]), reply(200, content))
            pytest.fail(f"{content!r} was read as {found}")


@each_row("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_entry_of_a_list_can_be_shown(lister: SystemCase, text: str) -> None:
    assert lister.listed
    selector = lister.system.selector(lister.options)
    for name in lister.content:
        content = with_member(lister.content, name, text)
        answer = spliced(lambda one: lister.listed({lister.ref: one}), content)  # type: ignore[misc]
        found = finish(lister.system.observe_many(selector, [lister.ref]), answer)
        assert all(one.describe().isprintable() and len(one.describe()) < 800 for one in found.values())


# --- cancel, find, explain


def test_a_cancel_says_what_it_has_done(case: SystemCase) -> None:
    assert case.system.can_cancel == bool(case.effects)
    for replies, effect in case.effects:
        assert result_of(case.system.cancel(case.ref), *replies) is effect
    for answer in [reply(401), reply(403, {"error": "no"}), TransportError("lost")] if case.effects else []:
        with pytest.raises(TaskWatchError):
            finish(case.system.cancel(case.ref), answer)
    if not case.effects:
        with pytest.raises(NotImplementedError):
            case.system.cancel(case.ref)


def test_a_task_is_found_by_its_marker(case: SystemCase) -> None:
    assert case.system.keeps_marker == bool(case.found)
    if case.found:
        marker, one, none = case.found
        assert result_of(case.system.find(marker), one) == case.ref
        assert result_of(case.system.find(marker), none) is None
    else:
        with pytest.raises(NotImplementedError):
            case.system.find("a-0123456789ab")


def test_without_an_option_no_other_task_takes_over(case: SystemCase) -> None:
    assert play(case.system.successor(observed(case, case.content), {})) == ([], None)


@each_row("text", HOSTILE.values(), ids=HOSTILE)
def test_an_explanation_never_fails(case: SystemCase, text: str) -> None:
    failed = next(changes for changes, phase in case.states if phase is Phase.FAILED)
    seen = observed(case, {**case.content, **failed})
    hostile = spliced(lambda one: reply(200, one), {"data": Raw(text)})
    for answer in (reply(404), reply(500), reply(200, "<html>"), TransportError("lost")):
        assert finish(case.system.explain(seen, {"report_tail": 2}), answer) == ""
    explanation = finish(case.system.explain(seen, {"report_tail": 2}), hostile)
    assert all(line.isprintable() for line in explanation.split("\n"))


def test_any_payload_of_a_callback_is_read(case: SystemCase) -> None:
    for text in HOSTILE.values():
        for name in ("runid", "status", "last_error_message"):
            content = json.loads(f'{{"{name}": {text}}}') if len(text) != 4000 else {name: 10**400}
            assert isinstance(case.system.read_callback(content, {}), Callback)
    for content in (None, [], "7", 7, {}):
        assert case.system.read_callback(content, {}) == Callback()


def test_a_connection_test_says_what_it_has_proved_or_fails(case: SystemCase) -> None:
    assert result_of(case.system.probe(), *case.probe)
    with pytest.raises(RemoteError):
        finish(case.system.probe(), reply(401))


# --- feeds


def shown_of(events: FeedCase, answer: Reply) -> list[str]:
    """All that people see of a batch, or of the error that a reply is."""
    try:
        batch = events.feed().batch(answer, events.position)
    except TaskWatchError as error:
        return [str(error)]
    problems = [one.problem for one in batch.unreadable]
    return [*problems, *(text for event in batch.events for text in (event.id, event.name, event.subject))]


def read_of(events: FeedCase, answer: Reply) -> Batch:
    """The batch of a reply, as a pump gets it."""
    feed = events.feed()
    return feed.batch(finish(feed.read(events.position, READER), answer), events.position)


def test_a_feed_is_known_by_its_key(events: FeedCase) -> None:
    feed = events.feed()
    assert (feed.key, len(feed.key) < 200, feed.key.isprintable()) == (events.feed().key, True, True)
    assert len({feed.key, *(other.key for other in events.others)}) == 1 + len(events.others)


def test_a_reply_becomes_events_in_its_order(events: FeedCase) -> None:
    batch = read_of(events, events.answer([events.event, events.other]))
    assert [one.name for one in batch.events] == [events.name] * 2
    assert tuple(one.subject for one in batch.events) == events.subjects
    assert all(is_storable(one) for one in batch.events)
    assert isinstance(batch.position, str)
    assert (batch.unreadable, batch.loss, batch.refusal) == ((), "", "")


def is_storable(event: Event) -> bool:
    stored = json.dumps(shown(event), allow_nan=False)
    return math.isfinite(event.at) and not any(one in stored for one in ("\\u0000", "\\ud800"))


def test_an_event_that_comes_again_has_the_same_id_and_another_has_another(events: FeedCase) -> None:
    first, other = read_of(events, events.answer([events.event, events.other])).events
    [again] = read_of(events, events.answer([events.event])).events
    assert (first.id == again.id, first.id == other.id) == (True, False)


def test_malformed_events_are_set_aside_and_the_others_are_read(events: FeedCase) -> None:
    odd: list[object] = ["secret-x", None, [], {"secret": "secret-x"}, 12345678901234567890]
    batch = read_of(events, events.answer([events.event, *odd, events.other]))
    assert [one.subject for one in batch.events] == [*events.subjects]
    assert len(batch.unreadable) == len(odd)
    assert "secret-x" not in str([one.problem for one in batch.unreadable]) + repr(batch)


def test_a_reply_without_events_leaves_the_remote_alone_for_a_while(events: FeedCase) -> None:
    for answer in events.empty:
        batch = read_of(events, answer)
        assert (batch.count, batch.pause_seconds > 0) == (0, True)


def test_a_body_that_cannot_be_read_brings_no_event(events: FeedCase) -> None:
    for body in BODIES.values():
        with suppress(ReplyError):
            assert events.feed().batch(reply(200, body), events.position).events == ()


@each_row("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_event_is_short_where_it_is_shown_or_set_aside(events: FeedCase, text: str) -> None:
    for name in events.event:
        answer = spliced(lambda one: events.answer([one]), with_member(events.event, name, text))
        texts = shown_of(events, answer)
        assert all(len(one) <= 1024 and one.isprintable() for one in texts)


@settings(deadline=None)
@given(ANY, st.sampled_from([(name, field) for name, one in FEEDS.items() for field in one.event]))
def test_any_json_is_an_event_that_can_be_stored_or_is_set_aside(value: Any, where: tuple[str, str]) -> None:
    name, field = where
    content = with_member(FEEDS[name].event, field, json.dumps(value))
    assert all(
        one.isprintable() for one in shown_of(FEEDS[name], spliced(lambda one: FEEDS[name].answer([one]), content))
    )


def test_a_lost_reply_is_a_loss_where_reading_deletes(events: FeedCase) -> None:
    with pytest.raises(TransportError) as lost:
        play(events.feed().read(events.position, READER), TransportError("timed out"))
    assert isinstance(lost.value, LossError) == events.feed().is_consuming
    with pytest.raises(TransportError) as unsent:
        play(events.feed().read(events.position, READER), TransportError("refused", sent=False))
    assert not isinstance(unsent.value, LossError)


def test_a_remote_in_trouble_is_an_error_that_passes(events: FeedCase) -> None:
    for status in (500, 503):
        with pytest.raises(RemoteError) as failed:
            play(events.feed().read(events.position, READER), reply(status))
        assert failed.value.transient


def test_an_empty_batch_needs_no_acknowledgement(events: FeedCase) -> None:
    assert play(events.feed().acknowledge(Batch(position=events.position), READER)) == ([], None)
