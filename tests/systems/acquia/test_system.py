from __future__ import annotations

import json

import pytest

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError
from airflow_provider_taskwatch.core.flow import PATIENT
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.wire import Pause, get
from airflow_provider_taskwatch.systems.acquia import operation
from airflow_provider_taskwatch.systems.acquia import system as acquia
from airflow_provider_taskwatch.systems.acquia.form import FORM
from airflow_provider_taskwatch.systems.acquia.reference import find_reference, reference_of
from airflow_provider_taskwatch.systems.acquia.system import Acquia
from tests.play import play, reply, result_of, targets
from tests.rows import each_row
from tests.systems.acquia.case import LINK, NOTIFICATION, START_REPLY, UUID

OPERATION = f"https://cloud.acquia.com/api/operations/{UUID}"
BUSY = {"error": "system", "message": "This action is currently unavailable. Please try again later."}


def test_start_sends_what_the_vendor_asks_for_and_finds_the_notification():
    steps, started = play(Acquia().start("post", "environments/1-a/x", {"a": 1}), reply(202, START_REPLY))
    [call] = steps
    assert (call.method, call.path, call.json()) == ("POST", "/environments/1-a/x", {"a": 1})
    assert call.headers == {
        "Content-Type": "application/json",
        "Accept": "application/hal+json, version=2",
    }
    assert (started.ref, started.reply) == (UUID, START_REPLY)


@each_row("method, body", [("POST", b"{}"), ("PUT", None), ("DELETE", None), ("PATCH", None)])
def test_only_a_post_without_fields_has_a_body(method, body):
    [call], _ = play(Acquia().start(method, "/x"), reply(202))
    assert call.body == body


@each_row("path", ["a/b", "/a/b", "api/a/b", "/api/a/b/", " /a/b "])
def test_a_path_may_be_written_with_or_without_its_base(path):
    steps, _ = play(Acquia().start("POST", path), reply())
    assert targets(steps) == ["POST /a/b"]


def test_blanks_in_a_path_are_encoded_and_encoded_parts_stay():
    steps, _ = play(Acquia().start("POST", "/a b/c%2Fd"), reply())
    assert targets(steps) == ["POST /a%20b/c%2Fd"]


@pytest.mark.parametrize("path", ["/a\ud83d", "/a/%zz", "/a/./b"])
def test_a_path_that_cannot_be_sent_is_refused_by_name(path):
    with pytest.raises(ConfigurationError, match=r"surrogate pair|hexadecimal digits|must not contain the segment"):
        play(Acquia().start("POST", path))


@each_row(
    "path",
    ["", "/", "https://evil.example/x", "/a/../b", "/a/%2e%2e/b", "/a?b=1", "/a#b", "/a\\b", "/a//b"],
)
def test_a_path_that_leads_elsewhere_is_refused_before_any_request(path):
    with pytest.raises(ConfigurationError, match="below the connection's host"):
        play(Acquia().start("POST", path))


def test_a_method_that_only_reads_starts_nothing():
    with pytest.raises(ConfigurationError, match="use one of POST, PUT, PATCH, DELETE"):
        play(Acquia().start("GET", "/account"))


@each_row("body", [None, "<html>ok</html>", "[1]", "[" * 100_000])
def test_an_accepted_start_whose_reply_cannot_be_read_names_nothing(body):
    started = result_of(Acquia().start("POST", "/x"), reply(200, body))
    assert (started.ref, started.reply) == (None, {})


def test_unavailable_and_too_many_requests_are_repeated():
    replies = [reply(503, BUSY), reply(429, retry_after="7"), reply(202, START_REPLY)]
    steps, started = play(Acquia().start("POST", "/x"), *replies)
    assert started.ref == UUID
    assert [step.seconds for step in steps if isinstance(step, Pause)] == [2.0, 7.0]


def test_a_refused_start_says_why():
    with pytest.raises(RemoteError, match="conflict: something is already running"):
        play(
            Acquia().start("POST", "/x"),
            reply(409, {"error": "conflict", "message": "something is already running"}),
        )


def test_unavailable_to_the_end_did_nothing():
    with pytest.raises(RemoteError) as caught:
        play(Acquia().start("POST", "/x"), *[reply(503, BUSY)] * PATIENT.attempts)
    assert Acquia().was_refused(caught.value)


def test_an_error_body_under_200_is_a_refusal():
    with pytest.raises(RemoteError, match="no; really not") as caught:
        play(Acquia().start("POST", "/x"), reply(200, {"error": "bad", "message": ["no", "really not"]}))
    assert Acquia().was_refused(caught.value)


@each_row(
    "content",
    [
        {"_links": {"notification": {"href": LINK}}},
        {"_links": {"notification": {"href": f"/api/notifications/{UUID}/"}}},
        {"links": {"notification": {"href": f"{LINK}?a=b#c"}}},
        {"notification": UUID},
        {"notification": {"href": LINK}},
        {"notification_id": UUID},
        {"notificationUuid": f" {UUID} "},
        {"_links": {"notification": {"href": ""}}, "notification": UUID},
        {"_links": {"notification": {"href": OPERATION}}, "notification": UUID},
    ],
)
def test_a_notification_is_found_in_all_shapes(content):
    assert find_reference(content) == UUID
    assert reference_of(content) == reference_of(json.dumps(content)) == UUID


@each_row(
    "content",
    [
        {},
        {"uuid": UUID, "_links": {"self": {"href": OPERATION}}},
        {"_links": {"self": {"href": LINK}}},
        {"_links": {"notification": {"href": ""}}},
        {"_links": {"notification": {"href": "https://cloud.acquia.com/api/notifications/"}}},
        {"_links": {"notification": {"href": OPERATION}}},
        {"_links": {"notification": {"href": "https://[broken/notifications/a"}}},
        {"_links": {"notification": {"href": "/notifications/%2e%2e"}}},
        {"_links": {"notification": None}},
        {"_links": "none"},
        {"notification": 5},
        {"notification": "a?b"},
    ],
)
def test_nothing_else_is_mistaken_for_a_notification(content):
    assert find_reference(content) is None
    with pytest.raises(ConfigurationError, match="no notification id in"):
        reference_of(content)


@each_row("value", [UUID, f" {UUID} ", LINK, f"/notifications/{UUID}", f'"{UUID}"', f" '{UUID}' ", json.dumps(LINK)])
def test_a_reference_may_be_an_id_or_an_address(value):
    assert reference_of(value) == UUID


@each_row("value", ["", "..", "a/b", OPERATION, None, 5, "{'notification': 'x'}", "{"])
def test_a_malformed_reference_is_an_error_with_a_remedy(value):
    with pytest.raises(ConfigurationError, match="tojson"):
        reference_of(value)


def test_an_id_that_can_hardly_be_one_is_doubted():
    assert Acquia().doubt(UUID) == ""
    assert "hello does not look like a notification id" in Acquia().doubt("hello")


def test_a_notification_becomes_an_observation():
    steps, seen = play(Acquia().observe(UUID), reply(200, NOTIFICATION))
    assert steps == [get(f"/notifications/{UUID}", headers={"Accept": "application/hal+json, version=2"})]
    assert (seen.ref, seen.phase, seen.status, seen.progress) == (UUID, Phase.SUCCEEDED, "completed", 100)
    assert seen.message == "A backup was created."
    assert (seen.elapsed_seconds, seen.expected_seconds) == (None, None)


def test_the_result_holds_ids_and_times_and_no_person():
    seen = result_of(Acquia().observe(UUID), reply(200, NOTIFICATION))
    names = ("uuid", "event", "label", "description", "status", "progress", "created_at", "completed_at")
    assert {name: seen.result[name] for name in names} == {name: NOTIFICATION[name] for name in names}
    assert seen.result["started_at"] is None
    assert seen.result["duration"] == pytest.approx(90.123456)
    assert seen.result["context"] == {
        "application": ["app-1"],
        "environment": ["1-a"],
        "database": ["one"],
        "organization": ["org-1"],
    }
    assert seen.personal == {
        "author": {"uuid": "a-1", "actual_uuid": "a-1"},
        "user": {"uuids": ["u-1"]},
        "embedded_author": {"mail": "someone@example.com"},
    }


def test_a_body_that_holds_only_a_status_works():
    seen = result_of(Acquia().observe(UUID), reply(200, {"status": "completed"}))
    assert (seen.phase, seen.progress, seen.message, seen.personal) == (Phase.SUCCEEDED, None, "", {})
    assert (seen.result["uuid"], seen.result["duration"], seen.result["context"]) == (UUID, None, {})


def test_only_the_status_says_that_it_is_over():
    content = {**NOTIFICATION, "status": "in-progress", "progress": 100}
    seen = result_of(Acquia().observe(UUID), reply(200, content))
    assert (seen.phase, seen.result["duration"]) == (Phase.RUNNING, None)


def test_a_failure_is_explained_by_its_message_where_there_is_one():
    failed = {"status": "failed", "progress": 0, "description": "Backup", "message": ["disk", "full"]}
    seen = result_of(Acquia().observe(UUID), reply(200, failed))
    assert (seen.phase, seen.progress, seen.message) == (Phase.FAILED, 0, '["disk", "full"]')


@each_row("progress", [-1, 101, "50", True, None, float("nan")])
def test_a_progress_that_makes_no_sense_is_not_shown(progress):
    seen = result_of(Acquia().observe(UUID), reply(200, {"status": "started", "progress": progress}))
    assert seen.progress is None


@each_row(
    "answer, kind",
    [
        (reply(200, {"error": "forbidden", "message": "No access."}), RemoteError),
        (reply(503, BUSY), RemoteError),
    ],
)
def test_a_reading_that_is_refused_under_200_is_an_error(answer, kind):
    with pytest.raises(kind, match=f"/notifications/{UUID}"):
        play(Acquia().observe(UUID), answer)


def test_the_named_operations_follow_the_vendors_paths():
    assert operation.create_database("app-1", "db") == (
        "POST",
        "/applications/app-1/databases",
        {"name": "db"},
    )
    assert operation.create_database_backup("1-a", "d/b") == (
        "POST",
        "/environments/1-a/databases/d%2Fb/backups",
        {},
    )
    assert operation.deploy_artifact("1-a", "art-1") == (
        "POST",
        "/environments/1-a/artifacts/actions/switch",
        {"artifact_id": "art-1"},
    )
    assert operation.switch_code("1-a", "tags/1") == (
        "POST",
        "/environments/1-a/code/actions/switch",
        {"branch": "tags/1"},
    )


def test_an_operation_without_an_id_is_refused_before_any_request():
    with pytest.raises(ConfigurationError, match="no part may be empty"):
        play(Acquia().start(*operation.create_database("", "db")))


def test_the_probe_reads_the_account():
    steps, message = play(Acquia().probe(), reply(200, {"uuid": "me"}))
    assert targets(steps) == ["GET /account"]
    assert "can be read" in message


def test_a_connection_needs_only_its_key_and_secret():
    raw = RawConnection(conn_id="c", conn_type="acquia", login="key", password="secret")
    settings = read_connection(FORM, raw)
    assert settings.base_url == "https://cloud.acquia.com/api"
    assert settings.token_url == "https://accounts.acquia.com/api/auth/oauth/token"
    assert settings.scope == ""
    assert isinstance(acquia.from_settings(settings), Acquia)


def test_an_organization_becomes_the_scope():
    raw = RawConnection(
        conn_id="c", conn_type="acquia", login="key", password="secret", extra='{"organization": "org-1"}'
    )
    assert read_connection(FORM, raw).scope == "organization:org-1"


@pytest.mark.parametrize(
    "flow", [Acquia().start("POST", "a/b"), Acquia().observe(UUID), Acquia().probe()], ids=["start", "observe", "probe"]
)
def test_a_missing_organization_is_named_with_its_remedy(flow):
    slug = {"error": "additional_authentication_required", "message": "Sign in through your organization."}
    with pytest.raises(RemoteError, match="set 'organization' in the connection"):
        play(flow, reply(403, slug))
