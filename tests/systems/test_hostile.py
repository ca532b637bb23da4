"""Hostile remotes: links, ids and long values are bounded and lead nowhere. See ``test_contract.py``, too."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, TaskWatchError
from airflow_provider_taskwatch.core.feed import shown
from airflow_provider_taskwatch.core.flow import Flow
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
from tests.systems.acquia.case import NOTIFICATION, START_REPLY, UUID
from tests.systems.acronis.case import OPTIONS, SAMPLE, settings
from tests.systems.automic.test_system import entry
from tests.systems.contract import HOSTILE


@each_row("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_refusal_is_shown_in_one_short_line(text: str) -> None:
    for name in ("error", "message", "code", "details"):
        with pytest.raises(TaskWatchError) as caught:
            play(Acquia().observe("a"), reply(500, f'{{"error": "e", "{name}": {text}}}'))
        assert (str(caught.value).isprintable(), len(str(caught.value)) < 600) == (True, True)


@each_row("text", HOSTILE.values(), ids=HOSTILE)
@each_row("field", ["run_id", "status", "status_text", "name", "type", "alias", "reference_run_id"])
def test_a_failure_is_explained_by_hostile_entries(field: str, text: str) -> None:
    children = json.dumps({"data": [{**entry(9, 1800), field: "@"}]}).replace('"@"', text)
    report = json.dumps({"data": [{"content": "@"}], "total": 1}).replace('"@"', text)
    failed = result_of(Automic().observe("7"), reply(200, entry(7, 1800)))
    explanation = explained(Automic().explain(failed, {}), reply(200, children), reply(200, report))
    assert all(one.isprintable() for one in explanation.split("\n"))
    result_of(Automic().successor(failed, {"follow_restarts": True}), reply(200, children))
    result_of(Automic().find("a-0123456789ab"), reply(200, children))


def explained(flow: Flow[str], children: Reply, report: Reply) -> str:
    """The explanation that a flow makes of these lists and reports."""
    call = next(flow)
    while True:
        assert isinstance(call, Call)
        try:
            call = flow.send(report if "reports" in call.path else children)
        except StopIteration as end:
            return str(end.value)


@each_row("number", ["1" * 20, "-" + "9" * 300, "1e300", "9223372036854775808"])
def test_an_event_with_a_huge_number_or_half_a_character_is_kept_and_shown(number: str) -> None:
    data = f'{{"name": "caf\\ud83d", "number": {number}}}'
    content = json.dumps({"offset": 9, "events": [{**SAMPLE, "data": "@"}]}).replace('"@"', data)
    [event] = feed_of(settings(), OPTIONS).batch(reply(200, content), "5").events
    seen = shown(event)["content"]["data"]
    assert (seen["name"], float(seen["number"])) == ("caf?", float(number))


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
def test_a_malicious_id_in_a_link_is_none(trick: str) -> None:
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
