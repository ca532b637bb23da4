"""The eight operations of the vendor's page, one contract for each, and what is made of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    NotFoundError,
    RemoteError,
    ReplyError,
    TaskWatchError,
    TransportError,
)
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Call, Pause, Reply
from airflow_provider_taskwatch.systems.aps import system as aps
from airflow_provider_taskwatch.systems.aps.form import FORM
from airflow_provider_taskwatch.systems.aps.manager import OPERATIONS, RESOURCES_PATH, SERVICE_PATH, TYPE
from airflow_provider_taskwatch.systems.aps.notification import ApsNotification, DisplayMessages
from airflow_provider_taskwatch.systems.aps.system import Aps
from airflow_provider_taskwatch.systems.aps.text import LocalizedMessage
from tests.play import play, reply, result_of, targets
from tests.rows import each_row

MANAGER = "11111111-2222-3333-4444-555555555555"
ID = "9cc2a4f4-0f9e-4f5c-8a1c-1c8d7d3b5a10"
SENT = {
    "type": "activity",
    "status": "inProgress",
    "message": {"message": "Load __day__", "keys": {"day": "Monday"}},
    "packageId": "p-1",
    "service": "airflow",
    "accountId": "a-1",
    "context": "load.monday",
}
ANSWERED = {
    **SENT,
    "id": ID,
    "localizedMessage": "Load Monday",
    "updated": False,
    "resolved": False,
    "created": "2026-01-31T06:00:00Z",
    "modified": "2026-01-31T06:00:00Z",
}
MESSAGE = ApsNotification(
    message=LocalizedMessage(message="Load __day__", keys={"day": "Monday"}),
    package_id="p-1",
    service="airflow",
    account_id="a-1",
    context="load.monday",
)
RETURNED = ApsNotification(
    id=ID,
    message=MESSAGE.message,
    localized_message="Load Monday",
    package_id="p-1",
    service="airflow",
    account_id="a-1",
    context="load.monday",
    created="2026-01-31T06:00:00Z",
    modified="2026-01-31T06:00:00Z",
)
GROUPS = {"warnings": [], "inProgressActivities": [ANSWERED], "otherActivities": []}


@dataclass(frozen=True, kw_only=True)
class Contract:
    """One operation: what is asked, and what its documented answers come to."""

    ask: Callable[[Aps], Flow[Any]]
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    answers: Mapping[str, tuple[Any, Any]]


CONTRACTS: Mapping[str, Contract] = {
    "sendNotification": Contract(
        ask=lambda one: one.send(MESSAGE),
        method="POST",
        path="/notifications",
        body=SENT,
        answers={"message": (ANSWERED, RETURNED)},
    ),
    "editNotification": Contract(
        ask=lambda one: one.edit(ID, RETURNED),
        method="PUT",
        path=f"/notifications/{ID}",
        body=SENT,
        answers={"message": (ANSWERED, RETURNED)},
    ),
    "deleteNotification": Contract(
        ask=lambda one: one.delete(ID),
        method="DELETE",
        path=f"/notifications/{ID}",
        answers={"string": (ID, ID), "object": (ANSWERED, RETURNED), "empty": (None, None), "other": ([7], None)},
    ),
    "getNotifications": Contract(
        ask=lambda one: one.of_channel("c 1&2"),
        method="GET",
        path="/notifications",
        query={"channel": "c 1&2"},
        answers={"list": ([ANSWERED], [RETURNED]), "empty list": ([], [])},
    ),
    "getLastNotificationMessagesByContext": Contract(
        ask=lambda one: one.by_context("load.*"),
        method="GET",
        path="/notifications/lastMessagesByContext",
        query={"context": "load.*"},
        answers={"list": ([ANSWERED, "?"], [RETURNED]), "empty list": ([], [])},
    ),
    "activityLog": Contract(
        ask=lambda one: one.activity_log(),
        method="GET",
        path="/notifications/activitylog",
        answers={"list": ([ANSWERED], [RETURNED])},
    ),
    "getDisplayMessages": Contract(
        ask=lambda one: one.display_messages(),
        method="GET",
        path="/notifications/displayMessages",
        answers={
            "object": (GROUPS, DisplayMessages(in_progress_activities=(RETURNED,))),
            "list": (
                [{"warnings": [ANSWERED]}, GROUPS],
                DisplayMessages(warnings=(RETURNED,), in_progress_activities=(RETURNED,)),
            ),
            "no group": ({}, DisplayMessages()),
            "empty list": ([], DisplayMessages()),
        },
    ),
    "getNotificationChannel": Contract(
        ask=lambda one: one.channel(),
        method="GET",
        path="/notifications/channel",
        answers={"object": ({"id": "c-1"}, "c-1")},
    ),
}
PREFIXES = {
    "service": (SERVICE_PATH, {}),
    "resource": (f"{RESOURCES_PATH}/{MANAGER}", {"path": "resource", "manager_id": MANAGER}),
}


def test_every_operation_of_the_vendors_page_has_its_contract() -> None:
    assert set(CONTRACTS) == set(OPERATIONS)


@each_row("name, answer", [(name, answer) for name, one in CONTRACTS.items() for answer in one.answers])
@each_row("prefix, arguments", PREFIXES.values(), ids=PREFIXES)
def test_an_operation_is_called_and_read_as_documented(
    prefix: str, arguments: dict[str, str], name: str, answer: str
) -> None:
    contract = CONTRACTS[name]
    said, expected = contract.answers[answer]
    [call], result = play(contract.ask(Aps(**arguments)), reply(200, json.dumps(said) if said is not None else None))
    assert isinstance(call, Call)
    assert (call.method, call.path, dict(call.query)) == (contract.method, prefix + contract.path, contract.query)
    assert (json.loads(call.body) if call.body else None) == contract.body
    assert result == expected


@each_row("name", sorted(set(CONTRACTS) - {"deleteNotification"}))
@each_row("body", ["", "<html>", "7", '"ok"', "[" * 100_000])
def test_an_unreadable_reply_is_an_error(name: str, body: str) -> None:
    with pytest.raises(ReplyError, match="the reply to"):
        play(CONTRACTS[name].ask(Aps()), *_often(name, reply(200, body)))


@pytest.mark.parametrize("name", ["sendNotification", "editNotification", "getNotificationChannel"])
def test_a_reply_without_an_id_is_an_error(name: str) -> None:
    with pytest.raises(ReplyError, match=r"names no notification|holds no channel id"):
        play(CONTRACTS[name].ask(Aps()), *_often(name, reply(200, {"type": "activity"})))


def _often(name: str, one: Reply) -> list[Reply]:
    """A send is not repeated, all else is."""
    return [one] if name == "sendNotification" else [one] * 5


@each_row("name", CONTRACTS)
def test_a_refusal_has_the_platforms_message(name: str) -> None:
    refused = reply(403, {"error": "APS::Util::Exception", "message": "Access denied"})
    with pytest.raises(RemoteError, match=r"answered 403: APS::Util::Exception: Access denied"):
        play(CONTRACTS[name].ask(Aps()), refused)


@each_row("name", sorted(set(CONTRACTS) - {"sendNotification"}))
@each_row(
    "failure",
    [
        TransportError("the reply was lost"),
        reply(503),
        reply(429, retry_after="1"),
        reply(400, {"error": "e", "message": "try again"}, aps_transient_error="true"),
    ],
    ids=["lost", "503", "429", "marked 400"],
)
def test_repeatable_operations_are_repeated_after_transient_errors(name: str, failure: Reply | Exception) -> None:
    contract = CONTRACTS[name]
    said, expected = next(iter(contract.answers.values()))
    steps, result = play(contract.ask(Aps()), failure, reply(200, json.dumps(said)))
    assert [type(step) for step in steps] == [Call, Pause, Call]
    assert result == expected


@pytest.mark.parametrize(
    "failure",
    [TransportError("the reply was lost"), reply(503), reply(400, {"message": "x"}, aps_transient_error="true")],
    ids=["lost", "503", "marked 400"],
)
def test_a_send_that_may_have_been_done_is_not_repeated(failure: Reply | Exception) -> None:
    with pytest.raises((TransportError, RemoteError)) as caught:
        play(Aps().send(MESSAGE), failure)
    assert caught.value.transient


@pytest.mark.parametrize("failure", [TransportError("refused", sent=False), reply(429)], ids=["not sent", "429"])
def test_a_send_that_did_nothing_for_certain_is_repeated(failure: Reply | Exception) -> None:
    assert result_of(Aps().send(MESSAGE), failure, reply(200, ANSWERED)) == RETURNED


def test_patience_ends() -> None:
    with pytest.raises(RemoteError, match="503"):
        play(Aps().activity_log(), *[reply(503)] * 5)


def test_a_delete_with_a_lost_reply_has_succeeded_if_the_notification_is_gone() -> None:
    play(Aps().delete(ID), TransportError("the reply was lost"), reply(404))
    with pytest.raises(NotFoundError):
        play(Aps().delete(ID), reply(404))


# --- headers and paths


def test_headers_are_sent_where_they_are_given() -> None:
    system = Aps(locale="de_DE", resource_id="r-1", transaction_id="t-1")
    [call], _ = play(system.channel(), reply(200, {"id": "c"}))
    assert call.headers == {"APS-Locale": "de_DE", "APS-Resource-ID": "r-1", "APS-Transaction-ID": "t-1"}
    [call], _ = play(Aps().channel(), reply(200, {"id": "c"}))
    assert call.headers == {}


def test_a_header_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="APS-Locale: 'de DE' cannot be sent"):
        Aps(locale="de DE")


FOUND = reply(200, [{"aps": {"id": MANAGER, "type": TYPE}}])
DISCOVERY = f"GET {RESOURCES_PATH}?implementing({quote(TYPE, safe='')})"


def test_the_manager_is_looked_up_once_by_its_type() -> None:
    system = Aps(path="resource")
    steps, _ = play(system.channel(), FOUND, reply(200, {"id": "c"}))
    assert targets(steps) == [DISCOVERY, f"GET {RESOURCES_PATH}/{MANAGER}/notifications/channel"]
    steps, _ = play(system.channel(), reply(200, {"id": "c"}))
    assert len(steps) == 1


@pytest.mark.parametrize("nothing", [[], {}, [{}], [{"aps": {"id": 7}}], [{"aps": "x"}], [7]], ids=str)
def test_the_manager_is_looked_up_by_the_other_spelling_of_its_version_too(nothing: Any) -> None:
    steps, _ = play(Aps(path="resource").channel(), reply(200, nothing), FOUND, reply(200, {"id": "c"}))
    assert targets(steps)[1].endswith("notification-manager%2F1)")


def test_a_platform_without_a_manager_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="names no resource of the type"):
        play(Aps(path="resource").channel(), reply(200, []), reply(200, []))


def test_a_manager_that_has_moved_is_looked_up_again() -> None:
    system = Aps(path="resource")
    play(system.channel(), FOUND, reply(200, {"id": "c"}))
    moved = reply(200, [{"aps": {"id": "m-2"}}])
    steps, channel = play(system.channel(), reply(404), moved, reply(200, {"id": "d"}))
    assert (targets(steps)[2], channel) == (f"GET {RESOURCES_PATH}/m-2/notifications/channel", "d")


def test_a_notification_that_is_not_there_does_not_move_the_manager() -> None:
    system = Aps(path="resource")
    with pytest.raises(NotFoundError):
        play(system.delete(ID), FOUND, reply(404), FOUND)
    with pytest.raises(NotFoundError):
        play(Aps(path="resource", manager_id=MANAGER).delete(ID), reply(404))


@each_row("trick", ["..", "a/b", "a?b", "", "a b"])
def test_an_id_that_changes_the_path_is_refused_before_any_request(trick: str) -> None:
    for ask in (Aps().delete, lambda ref: Aps().edit(ref, MESSAGE)):
        with pytest.raises(ConfigurationError, match="notification id"):
            play(ask(trick))


# --- connections


def connection(**extra: Any) -> Settings:
    raw = RawConnection(
        conn_id="c", conn_type="aps", host="oa.test", port=6308, login="k", password="s", extra=json.dumps(extra)
    )
    return read_connection(FORM, raw)


def test_a_connection_becomes_the_system() -> None:
    settings = connection(package_id="p-1", service="airflow", path="resource", manager_id=MANAGER, locale="de")
    assert (settings.auth, settings.base_url) == ("oauth1", "https://oa.test:6308")
    system = aps.from_settings(settings)
    assert isinstance(system, Aps)
    bare = ApsNotification(message=LocalizedMessage(message="x"), user_id="u-1")
    [call], _ = play(system.send(bare), reply(200, ANSWERED))
    assert call.path == f"{RESOURCES_PATH}/{MANAGER}/notifications"
    assert call.headers["APS-Locale"] == "de"
    assert (json.loads(call.body)["packageId"], json.loads(call.body)["service"]) == ("p-1", "airflow")


def test_arguments_override_the_connection() -> None:
    system = aps.from_settings(connection(locale="de", resource_id="r-1"), locale="fr", transaction_id="t-1")
    [call], _ = play(system.channel(), reply(200, {"id": "c"}))
    assert call.headers == {"APS-Locale": "fr", "APS-Resource-ID": "r-1", "APS-Transaction-ID": "t-1"}


def test_the_token_has_a_header_of_its_own() -> None:
    assert connection(auth="aps_token").token_header == "APS-Token"


@pytest.mark.parametrize("said", [reply(404), reply(400, {"error": "no user"})])
def test_the_connection_test_reads_the_channel_or_the_panel(said: Reply) -> None:
    assert "accepted" in result_of(Aps().probe(), reply(200, {"id": "c"}))
    assert "accepted" in result_of(Aps().probe(), said, reply(200, GROUPS))


@pytest.mark.parametrize("status", [401, 403])
def test_the_connection_test_fails_where_the_credentials_are_rejected(status: int) -> None:
    with pytest.raises(RemoteError, match=str(status)):
        play(Aps().probe(), reply(status))


# --- one notification per context


def test_announcing_sends_where_the_context_is_new() -> None:
    steps, returned = play(Aps().announce(MESSAGE), reply(200, []), reply(200, ANSWERED))
    assert targets(steps) == [
        f"GET {SERVICE_PATH}/notifications/lastMessagesByContext?context=load.monday",
        f"POST {SERVICE_PATH}/notifications",
    ]
    assert returned == RETURNED


def test_announcing_edits_the_one_that_has_the_very_context() -> None:
    others = [{**ANSWERED, "id": "x", "context": "load.monday.2"}, ANSWERED, {**ANSWERED, "id": "y", "context": None}]
    steps, _ = play(Aps().announce(MESSAGE), reply(200, others), reply(200, ANSWERED))
    assert targets(steps)[1] == f"PUT {SERVICE_PATH}/notifications/{ID}"


@pytest.mark.parametrize("failure", [TransportError("the reply was lost"), reply(503), reply(429)])
def test_announcing_after_a_lost_reply_reads_before_it_sends_again(failure: Reply | Exception) -> None:
    replies = [reply(200, []), failure, reply(200, [ANSWERED]), reply(200, ANSWERED)]
    steps, _ = play(Aps().announce(MESSAGE), *replies)
    assert [step.method for step in steps if isinstance(step, Call)] == ["GET", "POST", "GET", "PUT"]


def test_announcing_needs_a_context() -> None:
    with pytest.raises(ConfigurationError, match="context is missing"):
        play(
            Aps(package_id="p", service="s").announce(
                ApsNotification(message=LocalizedMessage(message="x"), user_id="u")
            )
        )


def test_a_child_is_announced_under_its_parent_if_there_is_one() -> None:
    parent = {**ANSWERED, "id": "parent", "context": "load"}
    replies = [reply(200, [parent]), reply(200, []), reply(200, ANSWERED)]
    steps, _ = play(Aps().announce(MESSAGE, under="load"), *replies)
    assert json.loads(steps[2].body)["parentId"] == "parent"
    steps, _ = play(Aps().announce(MESSAGE, under="load"), reply(200, []), reply(200, []), reply(200, ANSWERED))
    assert "parentId" not in json.loads(steps[2].body)


# --- changes


def test_a_change_sends_all_that_a_client_may_set_and_nothing_else() -> None:
    known = {**ANSWERED, "initiator": "Somebody", "localizedDetails": "x"}
    steps, _ = play(
        Aps().change(ID, {"status": "ready"}), reply(200, {"inProgressActivities": [known]}), reply(200, ANSWERED)
    )
    assert targets(steps)[1] == f"PUT {SERVICE_PATH}/notifications/{ID}"
    assert json.loads(steps[1].body) == {**SENT, "status": "ready"}


def test_a_change_by_context_edits_the_last_one() -> None:
    replies = [reply(200, {"inProgressActivities": [ANSWERED]}), reply(200, ANSWERED)]
    steps, _ = play(Aps().change("context=load.monday", {"status": "ready"}), *replies)
    assert targets(steps)[-1] == f"PUT {SERVICE_PATH}/notifications/{ID}"


def test_a_whole_change_needs_no_list_that_shows_the_old_one() -> None:
    changes = {"message": MESSAGE.message, "user_id": "u", "package_id": "p", "service": "s"}
    steps, _ = play(Aps().change(ID, changes), reply(200, {}), reply(200, []), reply(200, ANSWERED))
    assert targets(steps)[-1] == f"PUT {SERVICE_PATH}/notifications/{ID}"


@pytest.mark.parametrize(
    "ref, replies, problem",
    [
        (ID, [reply(200, {}), reply(200, [])], "message is missing"),
        ("context=a", [reply(200, {}), reply(200, []), reply(200, [])], "no notification of the context a"),
    ],
)
def test_a_change_without_an_effect_is_an_error(ref: str, replies: list[Reply], problem: str) -> None:
    with pytest.raises(TaskWatchError, match=problem):
        play(Aps().change(ref, {"status": "ready"}), *replies)


def test_notifications_belong_to_an_address_and_to_the_resource_on_whose_behalf_they_are_asked_for() -> None:
    settings = Settings(conn_id="c", connection_type="aps", base_url="https://oa", auth="oauth1", login="", password="")
    assert Aps().id_space(settings) == "https://oa"
    assert Aps(resource_id="r-1", locale="de").id_space(settings) == "https://oa as resource r-1"
