"""The emulated Docplanner: tokens, the queue, its firewall and limiter."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.sandbox.docplanner.notification import NAMES
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from tests.sandbox.visitor import CLIENT, NOW, Visitor, basic, token_call

HOUR = 3600.0
NOBODY = {"errors": [], "message": "No notifications found"}
MANY = "/notifications/multiple"


def emit(docplanner: Visitor, *events: dict[str, Any]) -> None:
    docplanner.sandbox.emit({"docplanner": events}, docplanner.now)


def change(docplanner: Visitor, **settings: Any) -> None:
    docplanner.sandbox.change({"docplanner": settings}, docplanner.now)


def pulled(docplanner: Visitor, limit: int = 100) -> list[Any]:
    return list(docplanner.read(MANY, {"limit": limit}).get("notifications", []))


# --- tokens


@pytest.fixture
def stranger(sandbox: Sandbox) -> Visitor:
    return Visitor(sandbox, "docplanner", "", {})


def token(stranger: Visitor, **fields: str) -> Reply:
    return stranger.ask(token_call({**CLIENT, **fields}, path="/oauth/v2/token"))


def test_a_token_lasts_an_hour_and_its_reply_names_no_scope(stranger: Visitor) -> None:
    content: Any = token(stranger, scope="integration").json()
    assert (content["expires_in"], content["token_type"], content["scope"]) == (3600, "bearer", None)


def test_a_token_is_for_the_one_scope(stranger: Visitor) -> None:
    reply = token(stranger, scope="everything")
    assert (reply.status, reply.json()["error"]) == (400, "invalid_scope")


def test_the_client_may_come_in_a_basic_header(stranger: Visitor) -> None:
    header = {"Authorization": basic("sandbox-id", "sandbox-secret")}
    assert stranger.ask(token_call({"scope": "integration"}, header, "/oauth/v2/token")).status == 200
    assert token(stranger, client_secret="wrong").status == 401


def test_the_client_may_come_as_multipart(stranger: Visitor) -> None:
    fields = {"grant_type": "client_credentials", "scope": "integration", **CLIENT}
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()]
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    body = "".join([*parts, "--b--\r\n"]).encode()
    assert stranger.ask(Call(method="POST", path="/oauth/v2/token", headers=headers, body=body)).status == 200


def test_without_a_token_there_is_a_401_without_errors(stranger: Visitor) -> None:
    reply = stranger.get("/api/v3/integration/notifications")
    assert (reply.status, reply.json()) == (401, {"message": "Authentication credentials could not be found."})


def test_a_refusal_has_the_media_type_of_errors(docplanner: Visitor) -> None:
    reply = docplanner.get("/nowhere")
    assert (reply.status, reply.headers["content-type"]) == (404, "application/vnd.error+docplanner+json")
    assert reply.json() == {"errors": [], "message": "Not found"}


# --- the queue


def test_a_pull_removes_the_earliest_notification(docplanner: Visitor) -> None:
    emit(docplanner, {"name": "break-created"}, {"name": "break-removed"})
    first, second = docplanner.get("/notifications"), docplanner.get("/notifications")
    assert [first.json()["name"], second.json()["name"]] == ["break-created", "break-removed"]
    assert first.headers["content-type"] == "application/vnd.docplanner+json; charset=UTF-8"
    assert docplanner.get("/notifications").status == 404


def test_many_notifications_are_pulled_in_order_with_the_remaining_number(docplanner: Visitor) -> None:
    emit(docplanner, *({"data": {"number": number}} for number in range(7)))
    content = docplanner.read(MANY, {"limit": 5})
    assert ([one["data"]["number"] for one in content["notifications"]], content["remaining"]) == ([0, 1, 2, 3, 4], 2)
    assert docplanner.read(MANY)["remaining"] == 1  # one is the default


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x"])
def test_a_pull_with_an_invalid_limit_removes_no_notification(docplanner: Visitor, limit: str) -> None:
    emit(docplanner, {})
    reply = docplanner.get(MANY, {"limit": limit})
    assert (reply.status, reply.json()["errors"]) == (400, ["limit: This value should be between 1 and 100."])
    assert len(pulled(docplanner)) == 1


@pytest.mark.parametrize(
    "answer, status, body",
    [
        ("404", 404, NOBODY),
        ("204", 204, None),
        ("200-empty", 200, None),
        ("200-list", 200, {"notifications": [], "remaining": 0}),
    ],
)
@pytest.mark.parametrize("path", ["/notifications", MANY])
def test_the_reply_of_an_empty_queue_can_be_configured(
    docplanner: Visitor, path: str, answer: str, status: int, body: Any
) -> None:
    change(docplanner, empty_answer=answer)
    reply = docplanner.get(path)
    assert (reply.status, reply.json() if reply.body else None) == (status, body)


def test_a_notification_that_is_not_pulled_expires(docplanner: Visitor) -> None:
    emit(docplanner, {"name": "break-created"})
    docplanner.now += 1
    emit(docplanner, {"name": "break-moved"})
    docplanner.now = NOW + 72 * HOUR
    assert docplanner.sandbox.remotes["docplanner"].queue.remaining(docplanner.now) == 1  # type: ignore[attr-defined]
    assert [one["name"] for one in pulled(docplanner)] == ["break-moved"]


def test_an_event_may_be_delayed_and_carry_another_time(docplanner: Visitor) -> None:
    emit(docplanner, {"name": "break-created", "delay": 60, "created_at": "2026-01-31T07:00:00+01:00"}, {})
    assert [one["name"] for one in pulled(docplanner)] == ["slot-booked"]
    docplanner.now += 60
    [one] = pulled(docplanner)
    assert (one["name"], one["created_at"]) == ("break-created", "2026-01-31T07:00:00+01:00")


@pytest.mark.parametrize("name", [*NAMES, "never-heard-of"])
def test_there_are_invented_data_for_every_name(docplanner: Visitor, name: str) -> None:
    emit(docplanner, {"name": name, "count": 2})
    first, second = pulled(docplanner)
    assert {"facility", "doctor", "address"} <= set(first["data"])
    assert (first["data"] == second["data"]) is (name in ("address-assigned", "address-unassigned"))


def test_a_burst_is_pulled_in_pages(docplanner: Visitor) -> None:
    emit(docplanner, {"count": 10_000})
    pages = [pulled(docplanner) for _ in range(100)]
    ids = [one["data"]["visit_booking"]["id"] for page in pages for one in page]
    assert (len(set(ids)), ids == sorted(ids), docplanner.get(MANY).status) == (10_000, True, 404)


def test_the_member_with_the_notifications_can_have_a_wrong_name(docplanner: Visitor) -> None:
    change(docplanner, pull_member="_items")
    emit(docplanner, {})
    assert set(docplanner.read(MANY)) == {"_items", "remaining"}


def test_a_reply_can_be_lost_after_its_notifications_were_taken(docplanner: Visitor) -> None:
    emit(docplanner, {})
    docplanner.sandbox.add_fault("lost_reply", times=1)
    assert docplanner.deliver(Call(method="GET", path=MANY)).reply is None
    assert docplanner.get(MANY).status == 404


@pytest.mark.parametrize("settings", [{"empty_answer": "500"}, {"push_retries": "often"}, {"push_speed": 0}])
def test_an_invalid_setting_is_refused(docplanner: Visitor, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(settings))} must be "):
        change(docplanner, **settings)


# --- what stands before it


def test_the_firewall_blocks_requests_without_a_user_agent(docplanner: Visitor) -> None:
    change(docplanner, firewall=True)
    assert docplanner.get("/facilities").status == 200
    del docplanner.headers["User-Agent"]
    reply = docplanner.get("/facilities")
    assert (reply.status, reply.headers["content-type"]) == (405, "text/html; charset=utf-8")


def test_the_firewall_blocks_too_many_requests_also_for_tokens(docplanner: Visitor, stranger: Visitor) -> None:
    change(docplanner, firewall_requests=2)
    assert [docplanner.get("/facilities").status for _ in range(3)] == [200, 405, 405]  # a token was asked for before
    assert token(stranger).status == 405
    docplanner.now += 301
    assert docplanner.get("/facilities").status == 200


def test_a_bare_domain_redirects(docplanner: Visitor) -> None:
    change(docplanner, bare_hosts=["doctoralia.es"])
    docplanner.headers["host"] = "doctoralia.es:443"
    reply = docplanner.get(MANY, {"limit": 5})
    where = "https://www.doctoralia.es/api/v3/integration/notifications/multiple?limit=5"
    assert (reply.status, reply.headers["location"]) == (301, where)
    assert docplanner.get("/facilities").headers["location"] == where.partition("/notifications")[0] + "/facilities"
    docplanner.headers["host"] = "www.doctoralia.es"
    assert docplanner.get("/facilities").status == 200


def test_requests_are_counted_where_the_limiter_is_on(docplanner: Visitor) -> None:
    assert "x-ratelimit-limit" not in docplanner.get("/facilities").headers
    change(docplanner, rate_limiter=True, rate_limit_reads=2, rate_limit_writes=1)
    replies = [docplanner.get("/facilities") for _ in range(3)]
    assert [one.status for one in replies] == [200, 200, 429]
    limits = [tuple(one.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "used")) for one in replies]
    assert limits == [("2", "1", "1"), ("2", "0", "2"), ("2", "0", "2")]
    assert replies[2].headers["x-ratelimit-reset"] == "2027-01-15T09:00:00+00:00"
    assert "retry-after" not in replies[2].headers


def test_writes_are_counted_by_the_minute_and_their_429_may_carry_retry_after(docplanner: Visitor) -> None:
    change(docplanner, rate_limiter=True, rate_limit_writes=1, rate_limit_told=True)
    release = "/notifications/release"
    first, second = docplanner.post(release), docplanner.post(release)
    assert (first.status, second.status, second.headers["retry-after"]) == (403, 429, "61")
    docplanner.now += 60
    assert docplanner.post(release).status == 403


# --- what is in them


def test_a_payment_is_a_boolean_or_absent_and_a_commercial_type_one_of_three(docplanner: Visitor) -> None:
    emit(docplanner, *[{"name": "slot-booked"}] * 6, *[{"name": "address-commercial-type-changed"}] * 3)
    data = [one["data"] for one in pulled(docplanner)]
    payments = [one["visit_booking"].get("visit_payment", "absent") for one in data if "visit_booking" in one]
    assert set(map(str, payments)) == {"True", "False", "absent"}
    types = {one["address"]["commercial_type"] for one in data if "visit_booking" not in one}
    assert types == {"premium", "saas-only", "basic"}
