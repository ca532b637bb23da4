"""Remotes that mean ill: whatever they say is read, bounded, and leads nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import ConfigurationError, TaskWatchError
from airflow_provider_taskwatch.core.feed import shown
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.outcome import Ending, Outcome
from airflow_provider_taskwatch.core.system import REF_CHARACTERS, System
from airflow_provider_taskwatch.core.text import safe
from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.systems.acquia import operation
from airflow_provider_taskwatch.systems.acquia.reference import find_reference, reference_of
from airflow_provider_taskwatch.systems.acquia.system import Acquia
from airflow_provider_taskwatch.systems.acronis.feed import feed_of
from airflow_provider_taskwatch.systems.acronis.system import Acronis
from airflow_provider_taskwatch.systems.aps.system import Aps
from airflow_provider_taskwatch.systems.automic.system import Automic
from tests.play import play, reply, result_of
from tests.rows import each_row
from tests.systems.acquia.test_system import NOTIFICATION, START_REPLY, UUID
from tests.systems.acronis.test_event import OPTIONS, settings
from tests.systems.acronis.test_feed import SAMPLE
from tests.systems.acronis.test_system import TASK
from tests.systems.automic.test_system import EXECUTION, entry

MEANT_ILL: Mapping[str, Any] = {
    "nested": "[" * 450 + "]" * 450,
    "huge number": "9" * 4000,
    "infinite": "1e999",
    "no number": "NaN",
    "many": json.dumps([{"a": number} for number in range(20_000)]),
    "wide": json.dumps({str(number): number for number in range(20_000)}),
    "long": json.dumps("x" * 10**6),
    "half a pair": '"\\ud800 \\u0000 \\u001b[31m\\n"',
    "true": "true",
    "null": "null",
}
SYSTEMS: Mapping[str, tuple[System, dict[str, Any]]] = {
    "acquia": (Acquia(), NOTIFICATION),
    "automic": (Automic(client="0100"), EXECUTION),
    "acronis": (Acronis(), TASK),
}
FIELDS = [(name, field) for name, (_, content) in SYSTEMS.items() for field in content]


def body_with(content: Mapping[str, Any], name: str, text: str) -> Reply:
    """A reply whose one member is the JSON ``text``."""
    return reply(200, json.dumps({**content, name: "@"}).replace('"@"', text))


@each_row("text", MEANT_ILL.values(), ids=MEANT_ILL)
@each_row("name, field", FIELDS)
def test_whatever_a_member_holds_the_reading_can_be_told_and_stored(name: str, field: str, text: str) -> None:
    system, content = SYSTEMS[name]
    seen = system.understand(result_of(system.observe("1005016"), body_with(content, field, text)), {})
    assert (seen.describe().isprintable(), len(seen.describe()) < 800) == (True, True)
    outcome = Outcome(ending=Ending.FAILED, ref=seen.ref, status=seen.status, message=seen.message, result=seen.result)
    event = json.dumps(outcome.to_event(), allow_nan=False)
    assert len(event) < 300_000
    assert not any(one in event for one in ("\\u0000", "\\ud800"))


@each_row("text", MEANT_ILL.values(), ids=MEANT_ILL)
def test_whatever_a_refusal_holds_it_is_told_in_one_short_line(text: str) -> None:
    for name in ("error", "message", "code", "details"):
        with pytest.raises(TaskWatchError) as caught:
            play(Acquia().observe("a"), reply(500, f'{{"error": "e", "{name}": {text}}}'))
        assert (str(caught.value).isprintable(), len(str(caught.value)) < 600) == (True, True)


@each_row("text", MEANT_ILL.values(), ids=MEANT_ILL)
@each_row("field", ["run_id", "status", "status_text", "name", "type", "alias", "reference_run_id"])
def test_whatever_an_entry_of_a_list_holds_a_failure_is_explained(field: str, text: str) -> None:
    children = json.dumps({"data": [{**entry(9, 1800), field: "@"}]}).replace('"@"', text)
    report = json.dumps({"data": [{"content": "@"}], "total": 1}).replace('"@"', text)
    replies = [reply(200, children), reply(200, report)]
    failed = result_of(Automic().observe("7"), reply(200, entry(7, 1800)))
    told = result_of(_at_most(Automic().explain(failed, {}), replies))
    assert all(one.isprintable() for one in told.split("\n"))
    result_of(Automic().successor(failed, {"follow_restarts": True}), reply(200, children))
    result_of(Automic().find("a-0123456789ab"), reply(200, children))


def _at_most(flow: Flow[str], replies: list[Reply]) -> Flow[str]:
    """Answer with the first reply for lists, with the second for reports; without asking anybody."""
    call = next(flow)
    try:
        while True:
            assert isinstance(call, Call)
            call = flow.send(replies["reports" in call.path])
    except StopIteration as end:
        return (yield from _nothing(end.value))


def _nothing(value: str) -> Flow[str]:
    yield from ()
    return value


@each_row("text", MEANT_ILL.values(), ids=MEANT_ILL)
def test_whatever_the_reply_to_a_start_holds_it_is_a_ref_or_none(text: str) -> None:
    for name in ("notification", "_links", "notification_id"):
        started = result_of(Acquia().start("POST", "a/b"), body_with({}, name, text))
        assert started.ref is None or len(started.ref) <= REF_CHARACTERS
    with pytest.raises(TaskWatchError):
        play(Automic().start({}), body_with({}, "run_id", text))


@each_row("text", MEANT_ILL.values(), ids=MEANT_ILL)
@each_row("field", SAMPLE)
def test_whatever_an_event_holds_it_is_short_where_it_is_shown_or_not_an_event(field: str, text: str) -> None:
    content = json.dumps({"offset": 9, "events": [{**SAMPLE, field: "@"}]}).replace('"@"', text)
    shown = _shown_of_event(reply(200, content))
    assert all(len(one) <= 1024 and one.isprintable() for one in shown)


def _shown_of_event(answer: Reply) -> list[str]:
    try:
        batch = feed_of(settings(), OPTIONS).batch(answer, "5")
    except TaskWatchError as error:
        return [str(error)]
    problems = [one.problem for one in batch.unreadable]
    return [*problems, *(text for event in batch.events for text in (event.id, event.name, event.subject))]


ANY_TEXT = st.text(st.characters(exclude_categories=()))
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(10**400), 10**400) | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT | st.sampled_from(["__classname__", "__id__"]), inner),
    max_leaves=20,
)


@settings_of_hypothesis(deadline=None)
@given(ANY, st.sampled_from(FIELDS), st.sampled_from(sorted(SAMPLE)))
def test_any_json_at_all_is_read_or_is_an_error_of_ours(value: Any, where: tuple[str, str], field: str) -> None:
    system, content = SYSTEMS[where[0]]
    text = json.dumps(value)
    seen = system.understand(result_of(system.observe("1005016"), body_with(content, where[1], text)), {})
    outcome = Outcome(ending=Ending.FAILED, ref=seen.ref, status=seen.status, message=seen.message, result=seen.result)
    assert safe(outcome.to_event()) == outcome.to_event()
    reading = reply(200, json.dumps({"offset": 9, "events": [{**SAMPLE, field: "@"}]}).replace('"@"', text))
    assert all(one.isprintable() for one in _shown_of_event(reading))


@given(st.binary())
def test_any_bytes_are_read_or_are_an_error_of_ours(body: bytes) -> None:
    for system, _ in SYSTEMS.values():
        with suppress(TaskWatchError):
            result_of(system.observe("7"), reply(200, body))
    _shown_of_event(reply(200, body))


@each_row("number", ["1" * 20, "-" + "9" * 300, "1e300", "9223372036854775808"])
def test_an_event_with_a_huge_number_or_half_a_character_is_kept_and_shown(number: str) -> None:
    data = f'{{"name": "caf\\ud83d", "number": {number}}}'
    content = json.dumps({"offset": 9, "events": [{**SAMPLE, "data": "@"}]}).replace('"@"', data)
    [event] = feed_of(settings(), OPTIONS).batch(reply(200, content), "5").events
    told = shown(event)["content"]["data"]
    assert (told["name"], float(told["number"])) == ("caf?", float(number))


def test_events_whose_long_ids_differ_at_their_end_are_two() -> None:
    events = [{**SAMPLE, "sequence": "x" * 2000 + end} for end in "ab"]
    found = feed_of(settings(), OPTIONS).batch(reply(200, {"offset": 9, "events": events}), "5").events
    assert len({event.id for event in found}) == 2


# --- links and ids

HOSTS = ("https://evil.example", "//evil.example", "https://user:pass@evil.example", "http://127.0.0.2:1", "ftp://x")


@each_row("host", HOSTS)
def test_a_link_to_another_host_gives_an_id_and_no_address(host: str) -> None:
    links = {"notification": {"href": f"{host}/api/notifications/{UUID}"}}
    started = result_of(Acquia().start("POST", "a/b"), reply(202, {**START_REPLY, "_links": links}))
    assert started.ref == UUID
    steps, _ = play(Acquia().observe(started.ref), reply(200, NOTIFICATION))
    [call] = steps
    assert call.target == f"/notifications/{UUID}"


TRICKS = (
    "../../account",
    "..",
    ".",
    "%2e%2e/account",
    "%2e%2e",
    "a/../../b",
    "a%2f..%2fb",
    "a\\..\\b",
    "//evil.example/x",
    "@evil.example",
    "a?b=c",
    "a#b",
    "a;b",
    "a\r\nX-Evil: 1",
    "a\0b",
    "a\u2025b",
    "\ud800",
    "x" * 10**5,
)


@each_row("trick", TRICKS)
def test_an_id_in_a_link_that_is_a_trick_is_none(trick: str) -> None:
    found = find_reference({"_links": {"notification": {"href": f"https://h/api/notifications/{trick}"}}})
    assert found is None or not set("/?#\\%\r\n\0") & set(found)


def _acquia(make: Callable[[str], operation.Operation]) -> Callable[[str], Flow[Any]]:
    return lambda trick: Acquia().start(*make(trick))


ENTRANCES: Mapping[str, tuple[int, Callable[[str], Flow[Any]]]] = {
    "notification": (2, lambda trick: Acquia().observe(Acquia().check_ref(trick))),
    "notification, unchecked": (2, lambda trick: Acquia().observe(trick)),
    "notification, by its reference": (2, lambda trick: Acquia().observe(reference_of(trick))),
    "application": (3, _acquia(lambda trick: operation.create_database(trick, "d"))),
    "environment": (5, _acquia(lambda trick: operation.create_database_backup(trick, "d"))),
    "database": (5, _acquia(lambda trick: operation.create_database_backup("e", trick))),
    "deployment": (5, _acquia(lambda trick: operation.deploy_artifact(trick, "a"))),
    "code": (5, _acquia(lambda trick: operation.switch_code(trick, "b"))),
    "execution": (3, lambda trick: Automic(client="1").observe(Automic().check_ref(trick))),
    "execution, unchecked": (3, lambda trick: Automic(client="1").observe(trick)),
    "cancel": (4, lambda trick: Automic(client="1").cancel(trick)),
    "acronis task": (5, lambda trick: Acronis().observe(Acronis().check_ref(trick))),
    "acronis task, unchecked": (5, lambda trick: Acronis().observe(trick)),
    "activity": (5, lambda trick: Acronis().activity(trick)),
    "client": (3, lambda trick: Automic(client=trick).observe("7")),
    "notification of APS": (6, lambda trick: Aps().delete(trick)),
    "manager of APS": (6, lambda trick: Aps(path="resource", manager_id=trick).channel()),
    "context of APS": (6, lambda trick: Aps().by_context(trick)),
    "object": (4, lambda trick: Automic(client="1").inputs_problems(trick, {})),
}


@each_row("trick", TRICKS)
@each_row("parts, ask", ENTRANCES.values(), ids=ENTRANCES)
def test_an_id_is_one_part_of_the_path_or_refused_before_any_request(
    parts: int, ask: Callable[[str], Flow[Any]], trick: str
) -> None:
    try:
        call = next(ask(trick))
    except (ConfigurationError, UnicodeEncodeError):
        return
    assert isinstance(call, Call)
    assert call.path.isascii()
    assert len(call.path.strip("/").split("/")) == parts
    assert not any(unquote(part) in (".", "..") for part in call.path.split("/"))
    assert not set("?#\\\r\n\0 @") & set(call.path)
