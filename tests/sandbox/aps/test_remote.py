from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from oauthlib.oauth1 import Client

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import Call, Query, Reply, pairs, send
from airflow_provider_taskwatch.sandbox.aps.remote import APS_TOKEN, MANAGER_ID, OTHER_ID, OTHER_SECRET, TYPE
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from tests.sandbox.visitor import NOW, Visitor

SERVICE = "/aps/2/services/notification-manager/notifications"
RESOURCE = f"/aps/2/resources/{MANAGER_ID}/notifications"
HOST = {"host": "box.test", "x-forwarded-proto": "https"}
MESSAGE = {
    "type": "activity",
    "status": "inProgress",
    "message": {"message": "Load __what__", "multilangKeys": {"what": {"en": "it", "de": "es"}}},
    "packageId": "p",
    "service": "s",
    "accountId": "account-1",
    "context": "load.1",
}


class Application(Visitor):
    """An application; its calls are signed by oauthlib."""

    def __init__(self, sandbox: Sandbox, key: str = "sandbox-id", secret: str = "sandbox-secret") -> None:
        super().__init__(sandbox, "aps", "", HOST)
        self.key, self.secret = key, secret

    def ask(self, call: Call) -> Reply:
        client = Client(self.key, client_secret=self.secret, timestamp=str(int(self.now)))
        _, signed, _ = client.sign(f"https://box.test/aps{call.target}", call.method)
        headers = {**call.headers, "authorization": signed["Authorization"]}
        return super().ask(Call(method=call.method, path=call.path, query=call.query, headers=headers, body=call.body))

    def send(self, **changes: Any) -> Any:
        reply = self.post(SERVICE, {**MESSAGE, **changes})
        assert reply.status == 200, reply.text()
        return reply.json()

    def listed(self, path: str, query: Query | None = None, headers: Mapping[str, str] | None = None) -> list[Any]:
        reply: Any = self.ask(
            Call(method="GET", path=SERVICE + path, query=pairs(query or {}), headers=headers or {})
        ).json()
        return list(reply)


@pytest.fixture
def ours(sandbox: Sandbox) -> Application:
    return Application(sandbox)


@pytest.fixture
def other(sandbox: Sandbox) -> Application:
    return Application(sandbox, OTHER_ID, OTHER_SECRET)


def ids(notes: list[Any]) -> list[str]:
    return [one["id"] for one in notes]


# --- authentication


def test_a_call_without_a_valid_signature_is_refused_in_the_error_format_of_the_platform(sandbox: Sandbox) -> None:
    for stranger in (Visitor(sandbox, "aps", "", HOST), Application(sandbox, secret="wrong")):
        reply = stranger.get(f"{SERVICE}/channel")
        assert (reply.status, set(reply.json())) == (401, {"error", "message"})


def test_the_check_of_signatures_can_be_switched_off(sandbox: Sandbox) -> None:
    sandbox.change({"aps": {"check_signature": False}}, NOW)
    assert Visitor(sandbox, "aps", "", {}).get(f"{SERVICE}/channel").status == 200


def test_a_token_identifies_a_user(sandbox: Sandbox) -> None:
    assert Visitor(sandbox, "aps", "", {"APS-Token": APS_TOKEN}).read(f"{SERVICE}/channel") == {"id": "channel-user-1"}
    assert Visitor(sandbox, "aps", "", {"APS-Token": "x"}).get(f"{SERVICE}/channel").status == 401
    assert APS_TOKEN in sandbox.secrets()


def test_a_nonce_is_forgotten_by_a_reset(sandbox: Sandbox, ours: Application) -> None:
    ours.get(f"{SERVICE}/channel")
    sandbox.reset()
    assert ours.get(f"{SERVICE}/channel").status == 200


# --- the manager


@pytest.mark.parametrize("kind", [TYPE, TYPE.removesuffix(".0")])
def test_the_manager_is_found_by_its_type(ours: Application, kind: str) -> None:
    [found] = ours.read("/aps/2/resources", {f"implementing({kind})": ""})
    assert found["aps"]["id"] == MANAGER_ID


def test_another_type_has_no_manager(ours: Application) -> None:
    assert ours.read("/aps/2/resources", {"implementing(http://example.com/1)": ""}) == []
    assert ours.read("/aps/2/resources") == []


def test_both_paths_lead_to_the_same_notifications(ours: Application) -> None:
    sent = ours.send()
    assert ids(ours.read(f"{RESOURCE}/activitylog")) == [sent["id"]]
    assert ours.get("/aps/2/resources/other/notifications/activitylog").status == 404


# --- sending, editing, deleting


def test_a_sent_notification_is_returned_with_the_fields_of_the_platform(ours: Application) -> None:
    sent = ours.send(initiatorId="u-9", initiator="me", id="mine", updated=True)
    assert sent == {
        **MESSAGE,
        "id": sent["id"],
        "initiatorId": "u-9",
        "initiator": "User u-9",
        "localizedMessage": "Load it",
        "updated": False,
        "resolved": False,
        "created": "2027-01-15T08:00:00Z",
        "modified": "2027-01-15T08:00:00Z",
    }
    assert sent["id"] != "mine"


@pytest.mark.parametrize("locale, text", [("de", "Load es"), ("de_AT", "Load es"), ("fr", "Load it"), ("", "Load it")])
def test_texts_are_in_the_requested_language(ours: Application, locale: str, text: str) -> None:
    ours.send()
    [note] = ours.listed("/activitylog", headers={"APS-Locale": locale} if locale else {})
    assert note["localizedMessage"] == text


def test_the_only_language_of_a_text_is_shown(ours: Application) -> None:
    text = {"message": "__a__ __n__", "keys": {"n": 7}, "multilangKeys": {"a": {"it": "ciao"}}}
    assert ours.send(message=text)["localizedMessage"] == "ciao 7"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"message": None}, "message is required"),
        ({"packageId": ""}, "packageId is required"),
        ({"service": None}, "service is required"),
        ({"type": "announcement", "status": "notification"}, "applications cannot send an announcement"),
        ({"status": "existing"}, "existing is no status of activity"),
        ({"type": "alarm"}, "is no status of alarm"),
        ({"details": "x"}, "details must be an object"),
    ],
)
def test_a_value_that_the_type_does_not_allow_is_refused(
    ours: Application, changes: dict[str, Any], message: str
) -> None:
    reply = ours.post(SERVICE, {**MESSAGE, **changes})
    assert (reply.status, message in reply.text()) == (400, True)


@pytest.mark.parametrize("body", [[], 7])
def test_a_body_that_is_no_object_is_refused(ours: Application, body: Any) -> None:
    assert ours.post(SERVICE, body).status == 400


def test_a_platform_may_be_less_strict(sandbox: Sandbox, ours: Application) -> None:
    sandbox.change({"aps": {"require_fields": False, "refuse_announcement": False}}, NOW)
    assert ours.send(packageId=None, type="announcement", status="notification")["type"] == "announcement"


def test_the_defaults_are_those_of_the_type(ours: Application) -> None:
    sent = ours.send(type=None, status=None)
    assert (sent["type"], sent["status"]) == ("activity", "inProgress")


def test_an_edit_replaces_and_is_marked(ours: Application) -> None:
    sent = ours.send(link="/v/a")
    ours.now = NOW + 60
    edited: Any = ours.ask(send("PUT", f"{SERVICE}/{sent['id']}", {**MESSAGE, "status": "ready"})).json()
    assert (edited["status"], edited["updated"], edited["modified"]) == ("ready", True, "2027-01-15T08:01:00Z")
    assert (edited["created"], "link" in edited) == (sent["created"], False)


def test_an_edit_may_merge(sandbox: Sandbox, ours: Application) -> None:
    sandbox.change({"aps": {"put": "merge"}}, NOW)
    sent = ours.send(link="/v/a")
    edited: Any = ours.ask(send("PUT", f"{SERVICE}/{sent['id']}", {"status": "error"})).json()
    assert (edited["status"], edited["link"]) == ("error", "/v/a")


def test_an_edit_is_checked_too(ours: Application) -> None:
    sent = ours.send()
    assert ours.ask(send("PUT", f"{SERVICE}/{sent['id']}", {"status": "ready"})).status == 400


@pytest.mark.parametrize("kind", ["object", "string", "empty"])
def test_a_deletion_has_each_documented_answer(sandbox: Sandbox, ours: Application, kind: str) -> None:
    sandbox.change({"aps": {"delete_reply": kind}}, NOW)
    sent = ours.send()
    reply = ours.ask(Call(method="DELETE", path=f"{SERVICE}/{sent['id']}"))
    answer = reply.json() if reply.body else None
    assert (reply.status, answer) == (200, {"object": sent, "string": sent["id"], "empty": None}[kind])
    assert ours.listed("/activitylog") == []


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_deleted_notification_can_neither_be_edited_nor_deleted(ours: Application, method: str) -> None:
    assert ours.ask(send(method, f"{SERVICE}/nothing", MESSAGE)).status == 404


def test_the_oldest_are_forgotten(sandbox: Sandbox, ours: Application) -> None:
    sandbox.change({"aps": {"kept": 2}}, NOW)
    sent = [ours.send() for _ in range(3)]
    assert ids(ours.listed("/activitylog")) == [sent[2]["id"], sent[1]["id"]]


# --- lists


def test_a_context_is_searched_with_asterisks(sandbox: Sandbox, ours: Application) -> None:
    for context in ("load.1", "load.2", "lead", "x*y", None):
        ours.send(context=context)

    def found(pattern: str) -> list[str]:
        return [one["context"] for one in ours.listed("/lastMessagesByContext", {"context": pattern})]

    assert found("load.1") == ["load.1"]
    assert found("l*d*") == ["lead", "load.2", "load.1"]
    assert found("load?1") == []
    sandbox.change({"aps": {"last_messages": 1}}, NOW)
    assert found("*") == ["x*y"]


def test_a_panel_shows_every_active_notification_and_the_ten_latest_others(ours: Application) -> None:
    running = ours.send()
    warning = ours.send(type="warning", status="upcoming")
    done = []
    for second in range(12):
        ours.now = NOW + second
        done.append(ours.send(status="ready"))
    shown: Any = ours.read(f"{SERVICE}/displayMessages")
    assert ids(shown["inProgressActivities"]) == [running["id"]]
    assert ids(shown["warnings"]) == [warning["id"]]
    assert ids(shown["otherActivities"]) == ids(done)[:1:-1]
    assert len(ours.listed("/activitylog")) == 14


def test_the_groups_may_come_in_a_list(sandbox: Sandbox, ours: Application) -> None:
    sandbox.change({"aps": {"display_as_list": True}}, NOW)
    [shown] = ours.read(f"{SERVICE}/displayMessages")
    assert set(shown) == {"warnings", "inProgressActivities", "otherActivities"}


def test_each_user_has_a_channel_with_the_notifications_for_them(ours: Application) -> None:
    mine = ours.send(accountId=None, userId="user-1")
    accounts = ours.send(accountId="account-1")
    others = ours.send(accountId="account-2")
    one, two = {"APS-Resource-ID": "user-1"}, {"APS-Resource-ID": "user-2"}
    assert ids(ours.listed("/activitylog", headers=one)) == [accounts["id"], mine["id"]]
    assert ids(ours.listed("/activitylog", headers=two)) == [accounts["id"]]
    assert ids(ours.listed("", {"channel": "channel-user-2"})) == [accounts["id"]]
    assert ids(ours.listed("", {"channel": "channel-unknown"})) == []
    assert len(ours.listed("", {"channel": ours.read(f"{SERVICE}/channel")["id"]})) == 3
    assert others["id"] not in ids(ours.listed("/activitylog", headers=one))


# --- another application


def test_a_notification_of_another_application_follows_the_rules(
    sandbox: Sandbox, ours: Application, other: Application
) -> None:
    sandbox.add_rule("load.*", system="aps", duration=5, outcome="failure", message="disk full")
    sent = other.send()
    ours.now = NOW + 4
    assert ours.listed("/activitylog")[0]["status"] == "inProgress"
    ours.now = NOW + 5
    [note] = ours.listed("/activitylog")
    assert (note["status"], note["localizedDetails"], note["modified"]) == (
        "error",
        "disk full",
        "2027-01-15T08:00:05Z",
    )
    assert sandbox.task(sent["id"], NOW + 5)["phase"] == "failed"


def test_a_notification_of_our_application_does_not_change(sandbox: Sandbox, ours: Application) -> None:
    sent = ours.send()
    ours.now = NOW + 1e6
    assert ours.listed("/activitylog") == [sent]
    assert sandbox.task(sent["id"], ours.now)["phase"] == "running"
    ours.ask(send("PUT", f"{SERVICE}/{sent['id']}", {**MESSAGE, "status": "ready"}))
    assert sandbox.task(sent["id"], ours.now)["phase"] == "succeeded"


def test_a_warning_is_resolved_and_keeps_its_status(sandbox: Sandbox, ours: Application, other: Application) -> None:
    sandbox.add_rule(system="aps", duration=5)
    other.send(type="warning", status="existing")
    assert [one["resolved"] for one in ours.read(f"{SERVICE}/displayMessages")["warnings"]] == [False]
    ours.now = NOW + 5
    [note] = ours.read(f"{SERVICE}/displayMessages")["otherActivities"]
    assert (note["status"], note["resolved"]) == ("existing", True)


def test_the_control_api_ends_notifications_of_any_application(sandbox: Sandbox, ours: Application) -> None:
    sent = ours.send()
    sandbox.end(sent["id"], "failure", NOW)
    assert ours.listed("/activitylog")[0]["status"] == "error"
    ours.ask(send("PUT", f"{SERVICE}/{sent['id']}", MESSAGE))
    assert ours.listed("/activitylog")[0]["status"] == "inProgress"


def test_a_notification_may_be_hidden_at_first_or_vanish(
    sandbox: Sandbox, ours: Application, other: Application
) -> None:
    sandbox.add_rule(system="aps", duration=5, outcome="gone", hidden_seconds=2)
    sent = other.send()
    assert ours.listed("/activitylog") == []
    ours.now = NOW + 3
    assert ids(ours.listed("/activitylog")) == [sent["id"]]
    ours.now = NOW + 6
    assert ours.ask(Call(method="DELETE", path=f"{SERVICE}/{sent['id']}")).status == 404


# --- faults and counts


def test_faults_strike_as_they_do_elsewhere(sandbox: Sandbox, ours: Application) -> None:
    sandbox.add_fault(
        "server_error", system="aps", method="POST", status=400, headers={"aps-transient-error": "true"}, times=1
    )
    reply = ours.post(SERVICE, MESSAGE)
    assert (reply.status, reply.headers["aps-transient-error"], set(reply.json())) == (
        400,
        "true",
        {"error", "message"},
    )
    assert ours.post(SERVICE, MESSAGE).status == 200


def test_sent_notifications_are_counted_by_their_context(sandbox: Sandbox, ours: Application) -> None:
    sent = ours.send()
    books = sandbox.counts()
    assert (books["started"]["aps"], books["markers"]) == (1, {"load.1": [sent["id"]]})


def test_an_unknown_setting_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigurationError, match="aps has no setting colour"):
        sandbox.change({"aps": {"colour": "red"}}, NOW)
