"""A notification as a value: every field of the vendor's page, what may be sent, and what readers see."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.systems.aps.notification import (
    PERSONAL,
    READ_ONLY,
    STATUSES,
    TEXTS,
    ApsNotification,
    as_result,
    changed,
    check_type,
    checked,
    context_for,
    read_notification,
    run_context,
    task_context,
    wire_name,
    write_notification,
)
from airflow_provider_taskwatch.systems.aps.text import (
    LocalizedMessage,
    localized,
    read_text,
    render,
    text_problems,
    write_text,
)
from tests.rows import each_row

TEXT = LocalizedMessage(
    message="__what__ of __day__", keys={"day": "Monday"}, multilang_keys={"what": {"en": "Load", "de": "Lauf"}}
)
WRITTEN = {
    "message": "__what__ of __day__",
    "keys": {"day": "Monday"},
    "multilangKeys": {"what": {"en": "Load", "de": "Lauf"}},
}
PAGE = {
    "id": "n-1",
    "type": "warning",
    "status": "existing",
    "message": WRITTEN,
    "localizedMessage": "Load of Monday",
    "details": {"message": "details"},
    "localizedDetails": "shown details",
    "fullDetails": {"message": "full"},
    "localizedFullDetails": "shown full",
    "link": "/v/aps/samples/async1pn/servers",
    "linkMore": "/v/more",
    "linkMoreText": {"message": "more"},
    "localizedLinkMoreText": "shown more",
    "packageId": "p-1",
    "updated": True,
    "resolved": True,
    "created": "2015-03-20T17:47:55Z",
    "modified": "2015-03-20T17:48:55Z",
    "accountId": "a-1",
    "userId": "u-1",
    "context": "c-1",
    "initiatorId": "u-2",
    "initiator": "Jane",
    "service": "s",
    "parentId": "n-0",
    "ipAddress": "192.0.2.1",
}
"""Every field of the vendor's structure."""
NEVER_SENT = {
    "id",
    "localizedMessage",
    "localizedDetails",
    "localizedFullDetails",
    "localizedLinkMoreText",
    "updated",
    "resolved",
    "created",
    "modified",
    "initiator",
}
GOOD = ApsNotification(message=LocalizedMessage(message="x"), package_id="p", service="s", user_id="u")


def test_there_is_a_field_for_each_of_the_vendors_page() -> None:
    assert {wire_name(one.name) for one in fields(ApsNotification)} == set(PAGE)
    assert {wire_name(name) for name in READ_ONLY} == NEVER_SENT


def test_every_field_is_read_and_those_that_a_client_may_set_are_written() -> None:
    message = read_notification(PAGE)
    assert all(getattr(message, one.name) for one in fields(ApsNotification))
    assert message.message == TEXT
    assert write_notification(message) == {name: value for name, value in PAGE.items() if name not in NEVER_SENT}


def test_type_and_status_are_always_sent() -> None:
    assert write_notification(GOOD)["type"] == "activity"
    assert write_notification(GOOD)["status"] == "inProgress"


@each_row("odd", [None, [], {}, "x", 7, True, {"message": 7}, {"keys": []}, {"keys": {"a": []}}])
@each_row("name", PAGE)
def test_whatever_a_field_holds_it_is_read(name: str, odd: Any) -> None:
    result = as_result(read_notification({**PAGE, name: odd}), "en", personal=True)
    json.dumps(result)


def test_a_value_that_is_not_known_is_kept_and_shown() -> None:
    message = read_notification({**PAGE, "type": "alarm", "status": "panic"})
    assert (message.type, message.status) == ("alarm", "panic")
    assert as_result(message, "en")["status"] == "panic"


def test_a_result_has_the_vendors_names_and_the_texts_that_are_shown() -> None:
    result = as_result(read_notification(PAGE), "de")
    assert result["message"] == "Load of Monday"
    assert not set(result) & {wire_name(name) for name in PERSONAL}
    bare = read_notification({**PAGE, "localizedMessage": None})
    assert as_result(bare, "de")["message"] == "Lauf of Monday"
    assert as_result(bare, "de", personal=True)["initiator"] == "Jane"


def test_a_change_drops_the_platforms_rendering_of_the_old_text() -> None:
    message = changed(read_notification(PAGE), {"message": LocalizedMessage(message="new")})
    assert as_result(message, "en")["message"] == "new"
    assert message.id == "n-1"


# --- what may be sent


@pytest.mark.parametrize("kind", STATUSES)
def test_what_the_page_allows_passes(kind: str) -> None:
    for status in STATUSES[kind]:
        assert checked(replace(GOOD, type=kind, status=status)).status == status


@each_row(
    "changes, problem",
    [
        ({"message": None}, "message is missing"),
        ({"message": LocalizedMessage()}, "message is missing"),
        ({"details": "plain"}, "details must be a LocalizedMessage"),
        ({"package_id": ""}, "package_id is missing"),
        ({"service": ""}, "service is missing"),
        ({"status": "existing"}, "status 'existing' of type 'activity' is none of inProgress, ready, error"),
        ({"type": "warning"}, "status 'inProgress' of type 'warning' is none of upcoming, existing"),
        ({"type": "warning", "status": "upcomming"}, "status 'upcomming'"),
        ({"type": "announcement", "status": "notification"}, "type 'announcement' is for providers"),
        ({"type": "alarm"}, "type 'alarm' is none of activity, warning"),
        ({"context": "a*"}, r"context must not hold '\*'"),
        ({"details": LocalizedMessage(message="__a__")}, r"details: __a__ is not among its keys; literal=True, or"),
        ({"details": LocalizedMessage(message="a", keys={"b": "c"})}, r"details: key 'b' is not .*; literal=True, or"),
    ],
)
def test_what_could_not_be_sent_is_named_before_it_is(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        checked(replace(GOOD, **changes))


def test_one_error_names_every_problem() -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked(ApsNotification(type="x"))
    assert all(name in str(caught.value) for name in ("message", "package_id", "service", "type"))


@pytest.mark.parametrize("name", ["account_id", "user_id"])
def test_one_addressee_is_enough(name: str) -> None:
    checked(replace(GOOD, **{"user_id": "", name: "x"}))


# --- texts


@each_row(
    "text, problems",
    [
        (TEXT, []),
        (LocalizedMessage(message="plain, with __ and _a_ and a__b"), []),
        (LocalizedMessage(message="__a__"), ["__a__ is not among its keys"]),
        (LocalizedMessage(message="a", keys={"b": "c"}), ["key 'b' is not in the text"]),
        (
            LocalizedMessage(message="__a__", keys={"a": "1"}, multilang_keys={"a": {"en": "1"}}),
            ["key 'a' is given twice"],
        ),
        (LocalizedMessage(message="__a__", multilang_keys={"a": {}}), ["key 'a' has no text in en"]),
        (
            LocalizedMessage(
                message="__a__ __b__", multilang_keys={"a": {"en": "1", "de": "1"}, "b": {"en": "2", "de": ""}}
            ),
            ["key 'b' has no text in de"],
        ),
    ],
)
def test_every_key_is_given_and_used_in_every_language(text: LocalizedMessage, problems: list[str]) -> None:
    assert text_problems(text) == problems


@each_row(
    "locale, seen",
    [("en", "Load of Monday"), ("de", "Lauf of Monday"), ("de_AT", "Lauf of Monday"), ("fr", "Load of Monday")],
)
def test_a_reader_sees_the_text_in_a_language_that_is_there(locale: str, seen: str) -> None:
    assert render(TEXT, locale) == seen


def test_a_language_that_is_the_only_one_is_shown_to_all() -> None:
    assert render(LocalizedMessage(message="__a__", multilang_keys={"a": {"it": "ciao"}}), "fr") == "ciao"
    assert render(LocalizedMessage(message="__a__", multilang_keys={"a": {}}), "fr") == ""


@each_row(
    "message, seen",
    [
        ("__serverName__ is started", "VPS is started"),
        ("__serverName____serverName__", "VPSVPS"),
        ("__other__", "__other__"),
        ("a__serverName__b", "aVPSb"),
        ("__ serverName__", "__ serverName__"),
    ],
)
def test_a_key_stands_between_two_underscores_each(message: str, seen: str) -> None:
    assert render(LocalizedMessage(message=message, keys={"serverName": "VPS"})) == seen


def test_a_text_that_is_not_there_is_empty() -> None:
    assert render(None) == ""


@pytest.mark.parametrize("value", [TEXT, WRITTEN, "__what__ of __day__"], ids=["value", "dict", "text"])
def test_a_text_is_given_as_a_value_a_dict_or_plain(value: Any) -> None:
    text = localized("message", value)
    assert text is not None
    assert text.message == "__what__ of __day__"
    assert (text == TEXT) is not isinstance(value, str)


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_text_is_none(nothing: Any) -> None:
    assert localized("message", nothing) is None


@each_row(
    "value, problem",
    [
        (7, "details must be a string"),
        ({"text": "x"}, "details has no text; it has message"),
        ({"message": 7}, "details has the message 7, which must be a string"),
        ({"keys": {"a": "b"}}, "details has the message None"),
    ],
)
def test_a_text_of_another_kind_is_refused(value: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        localized("details", value)


def test_a_number_is_a_text() -> None:
    text = read_text({"message": "__n__", "keys": {"n": 7}})
    assert text is not None
    assert write_text(text) == {"message": "__n__", "keys": {"n": "7"}}


def test_only_texts_have_languages() -> None:
    assert {name for name in TEXTS if getattr(read_notification(PAGE), name) is None} == set()


# --- contexts


def test_a_context_is_readable_unique_and_without_asterisks() -> None:
    one = context_for("load", "manual__2026-01-31T06:00:00+00:00", "t", -1)
    other = context_for("load", "manual__2026-01-31T06:00:00-00:00", "t", -1)
    assert one.startswith("airflow.load.manual__2026-01-31T06-00-00-00-00.t.-1.")
    assert one != other
    assert one == context_for("load", "manual__2026-01-31T06:00:00+00:00", "t", -1)
    assert len(context_for("x" * 1000)) < 120


def test_a_task_that_is_not_mapped_has_one_context() -> None:
    assert task_context("d", "r", "t", None) == task_context("d", "r", "t", -1) != task_context("d", "r", "t", 0)
    assert run_context("d", "r") not in (run_context("d", "r2"), task_context("d", "r", "t", None))


def test_a_context_may_belong_to_a_group() -> None:
    assert context_for("d", "r", group="orders").startswith("orders.")


@pytest.mark.parametrize("kind, status, problem", [("news", "", "type 'news'"), ("warning", "ready", "status 'ready'")])
def test_a_type_and_its_status_can_be_checked_by_themselves(kind: str, status: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        check_type(kind, status)
    check_type("warning", "existing")
    check_type("activity")


@pytest.mark.parametrize(
    "text, made",
    [
        ("100 %", LocalizedMessage(message="100 %")),
        ("__init__.py", LocalizedMessage(message="__text__", keys={"text": "__init__.py"})),
    ],
)
def test_a_literal_text_has_no_place_for_keys(text: str, made: LocalizedMessage) -> None:
    assert LocalizedMessage.literal(text) == localized("details", text, literal=True) == made
