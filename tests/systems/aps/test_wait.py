"""Waiting for notifications: one read of the lists answers every wait."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.phase import Observation, Phase, absent
from airflow_provider_taskwatch.systems.aps.listing import by_context, notification_ref
from airflow_provider_taskwatch.systems.aps.system import Aps
from tests.play import play, reply, result_of, targets
from tests.rows import each_row
from tests.systems.aps.case import item

DISPLAY = "GET /aps/2/services/notification-manager/notifications/displayMessages"
LOG = "GET /aps/2/services/notification-manager/notifications/activitylog"
LAST = "GET /aps/2/services/notification-manager/notifications/lastMessagesByContext?context="


def shown(*items: dict[str, Any]) -> Any:
    return reply(200, {"inProgressActivities": list(items)})


def read(ref: str, *items: dict[str, Any], locale: str = "") -> Observation:
    """What a list with all of these says about a ref."""
    replies = [shown(*items), reply(200, list(items)), reply(200, [])]
    flow, steps = Aps(locale=locale).observe(ref), 0
    answer = None
    while True:
        try:
            flow.send(answer)
        except StopIteration as end:
            return end.value
        answer, steps = replies[steps], steps + 1


# --- how many requests


def test_one_list_answers_for_all_shown_notifications() -> None:
    refs = [f"n{number}" for number in range(1000)]
    steps, found = play(Aps().observe_many("notifications", refs), shown(*map(item, refs)))
    assert targets(steps) == [DISPLAY]
    assert [found[ref].phase for ref in refs] == [Phase.RUNNING] * 1000


def test_notifications_that_the_panel_no_longer_shows_are_read_from_the_action_log_once() -> None:
    refs = ["a", "b", "c"]
    steps, found = play(
        Aps().observe_many("notifications", refs),
        shown(item("a")),
        reply(200, [item("b", "ready"), item("c", "error")]),
    )
    assert targets(steps) == [DISPLAY, LOG]
    assert [found[ref].phase for ref in refs] == [Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED]


def test_a_notification_that_is_in_no_list_is_absent_and_not_asked_for_alone() -> None:
    steps, found = play(Aps().observe_many("notifications", ["a", "b"]), shown(), reply(200, []))
    assert targets(steps) == [DISPLAY, LOG]
    assert found == {"a": absent("a"), "b": absent("b")}


@each_row(
    "contexts, asked",
    [
        (["load.x"], "load.x"),
        (["load.*"], "load.%2A"),
        (["load.x", "load.y", "lo*"], "lo%2A"),
        (["a", "b"], "%2A"),
    ],
)
def test_contexts_that_are_in_no_list_are_asked_for_together(contexts: list[str], asked: str) -> None:
    refs = [by_context(one) for one in contexts]
    steps, found = play(Aps().observe_many("", refs), shown(), reply(200, []), reply(200, [item("1", context="zzz")]))
    assert targets(steps) == [DISPLAY, LOG, LAST + asked]
    assert all(one == absent(ref) for ref, one in found.items())


def test_a_context_is_found_where_only_the_last_messages_have_it() -> None:
    replies = [shown(), reply(200, []), reply(200, [item("1", "ready", "load.x")])]
    assert result_of(Aps().observe("context=load.x"), *replies).phase is Phase.SUCCEEDED


def test_all_watches_of_a_connection_are_read_together() -> None:
    assert Aps().selector({}) == Aps(locale="de").selector({}) != ""


# --- what a status means


def test_an_observation_has_the_texts_that_readers_see() -> None:
    texts = {
        "message": {"message": "__what__ of __who__", "keys": {"who": "us"}, "multilangKeys": {"what": {"de": "Lauf"}}},
        "details": {"message": "disk full"},
        "fullDetails": {"message": "/dev/sda has 0 bytes left"},
    }
    seen = read("a", item("a", "error", **texts), locale="de_DE")
    assert seen.describe() == "failed (error): Lauf of us: disk full"
    assert result_of(Aps().explain(seen, {})) == "/dev/sda has 0 bytes left"
    assert seen.ended_at == 1769839200.0
    assert read("a", item("a", "error", localizedMessage="Wie gezeigt")).message == "Wie gezeigt"


# --- contexts


def test_of_a_context_the_last_one_is_found() -> None:
    items = [
        item("1", "error", "load", modified="2026-01-30T06:00:00Z"),
        item("2", "ready", "load", modified="2026-01-31T07:00:00+00:00"),
        item("3", "ready", "load", modified=None, created="?"),
    ]
    for shown_items in (items, items[::-1]):
        replies = [shown(*shown_items)]
        found = result_of(Aps().find_notification("context=load"), *replies)
        assert found is not None
        assert found.id == "2"
    assert result_of(Aps().find_notification("n"), shown(), reply(200, [])) is None


@each_row(
    "statuses, phase",
    [
        (["ready", "inProgress", "error"], Phase.FAILED),
        (["ready", "inProgress", "odd"], Phase.RUNNING),
        (["ready", "odd"], Phase.UNKNOWN),
        (["ready", "ready"], Phase.SUCCEEDED),
    ],
)
@each_row("ref, context", [("context=load.*", "load.{}"), ("context=load.1", "load.1")])
def test_of_several_notifications_one_failure_fails_and_all_must_succeed(
    ref: str, context: str, statuses: list[str], phase: Phase
) -> None:
    items = [item(str(number), status, context.format(number)) for number, status in enumerate(statuses)]
    seen = read(ref, *items, item("x", "error", "lead"), item("y", "error", "load"))
    assert seen.phase is phase
    assert [one["id"] for one in seen.result["notifications"]] == [one["id"] for one in items]
    assert f"(one of {len(items)})" in seen.message


@pytest.mark.parametrize("ref", ["context=load.*", "context=load.1"])
def test_a_success_of_a_context_is_believed_only_with_the_action_log(ref: str) -> None:
    replies = [shown(item("1", "ready", "load.1")), reply(200, [item("2", "error", "load.1")])]
    assert result_of(Aps().observe(ref), *replies).phase is Phase.FAILED


@pytest.mark.parametrize("status", ["inProgress", "error"])
def test_a_context_that_goes_on_or_has_failed_needs_no_action_log(status: str) -> None:
    steps, _ = play(Aps().observe("context=load.1"), shown(item("1", status, "load.1")))
    assert targets(steps) == [DISPLAY]


@each_row("pattern, matches", [("*", 3), ("a*", 2), ("*c", 1), ("a*c", 1), ("a.*.c", 1), ("a.c", 0), ("A*", 0)])
def test_an_asterisk_stands_for_anything_and_nothing_else_does(pattern: str, matches: int) -> None:
    items = [item("1", context="a.b.c"), item("2", context="a.b"), item("3", context="x"), item("4", context=None)]
    seen = read(by_context(pattern), *items)
    assert (seen.phase is not Phase.LOST, len(seen.result.get("notifications", ()))) == (matches > 0, matches)


# --- refs


@pytest.mark.parametrize("ref", ["a-1", "context=a/b c*", "context=*"])
def test_an_id_or_a_context_is_a_ref(ref: str) -> None:
    assert Aps().check_ref(ref) == ref


def test_an_item_without_an_id_is_left_out() -> None:
    assert read("context=a", {"context": "a", "status": "ready"}, item("", context="b")).phase is Phase.LOST


@each_row(
    "notification, context, ref",
    [
        ("n-1", None, "n-1"),
        ({"id": "n-1", "status": "ready"}, "", "n-1"),
        (None, "load.*", "context=load.*"),
        ("", ' "load" ', "context=load"),
    ],
)
def test_a_notification_or_a_context_is_a_ref(notification: object, context: object, ref: str) -> None:
    assert notification_ref(notification, context) == ref


@each_row("notification, context", [(None, None), ("n-1", "load")])
def test_both_or_none_of_notification_and_context_are_refused(notification: object, context: object) -> None:
    with pytest.raises(ConfigurationError, match="give one of notification_id and context, and not both"):
        notification_ref(notification, context)
