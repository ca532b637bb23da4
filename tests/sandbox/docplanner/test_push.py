"""Pushes of the emulated Docplanner: attempts, buried notifications, releases, and approval by the answer."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from airflow_provider_taskwatch.sandbox.caller import calling
from airflow_provider_taskwatch.sandbox.post import Post
from tests.drive.station import station
from tests.sandbox.visitor import NOW, Visitor
from tests.until import until

URL = "https://receiver.test/push/x"


@pytest.fixture
def pushing(docplanner: Visitor) -> Visitor:
    """Docplanner with pushes switched on."""
    change(docplanner, push_url=URL, push_headers={"X-Api-Key": "k"})
    return docplanner


def change(docplanner: Visitor, **settings: Any) -> None:
    docplanner.sandbox.change({"docplanner": settings}, docplanner.now)


def emit(pushing: Visitor, *names: str) -> None:
    pushing.sandbox.emit({"docplanner": [{"name": name} for name in names]}, pushing.now)


def due(pushing: Visitor, after: float = 0.0) -> list[Post]:
    pushing.now += after
    return pushing.sandbox.due(pushing.now)


def answer(pushing: Visitor, status: int | None, *posts: Post) -> None:
    for post in posts or due(pushing):
        pushing.sandbox.answered(post, status, pushing.now)


def release(pushing: Visitor) -> Any:
    return pushing.post("/notifications/release")


def test_a_notification_is_pushed_at_once_with_the_configured_key(pushing: Visitor) -> None:
    emit(pushing, "break-created")
    [post] = due(pushing)
    assert (post.url, post.headers, post.attempt) == (URL, {"X-Api-Key": "k"}, 1)
    assert json.loads(post.body)["name"] == "break-created"
    assert pushing.get("/notifications").status == 404
    assert due(pushing) == []


def test_an_action_is_pushed_after_its_delay(pushing: Visitor) -> None:
    pushing.post("/facilities/1/doctors/2/addresses/3/breaks", {"since": "a", "till": "b"})
    assert (due(pushing), pushing.sandbox.next_due()) == ([], NOW + 1)
    assert len(due(pushing, 1)) == 1


@pytest.mark.parametrize("retries, pauses", [("none", []), ("guide", [300, 600]), ("realtime", [60, 300, 900])])
@pytest.mark.parametrize("status", [None, 302, 500])
def test_a_failed_attempt_is_repeated_as_the_vendor_documents(
    pushing: Visitor, retries: str, pauses: list[int], status: int | None
) -> None:
    change(pushing, push_retries=retries)
    emit(pushing, "break-created")
    answer(pushing, status)
    for attempt, pause in enumerate(pauses, 2):
        assert due(pushing, pause - 1) == []
        [post] = due(pushing, 1)
        assert post.attempt == attempt
        answer(pushing, status, post)
    assert due(pushing, 86400) == []


def test_the_pauses_can_be_sped_up(pushing: Visitor) -> None:
    change(pushing, push_retries="guide", push_speed=300)
    emit(pushing, "break-created")
    answer(pushing, 500)
    assert pushing.sandbox.next_due() == NOW + 1


def test_an_accepted_push_is_not_repeated(pushing: Visitor) -> None:
    change(pushing, push_retries="guide")
    emit(pushing, "break-created")
    answer(pushing, 204)
    assert (pushing.sandbox.next_due(), release(pushing).status, due(pushing)) == (None, 204, [])


def test_a_release_repeats_the_buried_pushes(pushing: Visitor) -> None:
    emit(pushing, "break-created", "break-moved")
    first, second = due(pushing)
    answer(pushing, 500, first)
    answer(pushing, 200, second)
    assert (release(pushing).status, [post.body for post in due(pushing)]) == (204, [first.body])


def test_a_release_is_allowed_once_an_hour(pushing: Visitor) -> None:
    assert release(pushing).status == 204
    pushing.now += 600.5
    refused = release(pushing)
    assert (refused.status, refused.headers["retry-after"]) == (429, "3000")
    pushing.now += 3000
    assert release(pushing).status == 204


def test_a_release_is_allowed_with_pushes_unless_configured_otherwise(docplanner: Visitor) -> None:
    refused = release(docplanner)
    assert (refused.status, refused.json()["message"]) == (403, "You are not allowed to use this method")
    change(docplanner, push_url=URL, release_enabled=False)
    assert release(docplanner).status == 403
    change(docplanner, push_url="", release_enabled=True)
    assert release(docplanner).status == 204


def test_buried_notifications_are_deleted_after_two_weeks(pushing: Visitor) -> None:
    emit(pushing, "break-created")
    answer(pushing, 500)
    remote: Any = pushing.sandbox.remotes["docplanner"]
    assert [one.name for one in remote.pushes.buried(NOW + 13 * 86400)] == ["break-created"]
    assert remote.pushes.buried(NOW + 14 * 86400) == []


@pytest.mark.parametrize(
    "asked, outcome, about",
    [("slot-booking", "slot-booked", "visit_booking"), ("booking-moving", "booking-moved", "new_visit_booking")],
)
def test_an_approved_request_is_carried_out(pushing: Visitor, asked: str, outcome: str, about: str) -> None:
    emit(pushing, asked)
    answer(pushing, 200)
    [post] = due(pushing)
    content = json.loads(post.body)
    assert (content["name"], bool(content["data"][about]["id"])) == (outcome, True)


@pytest.mark.parametrize("status", [None, 400, 500])
def test_a_denied_request_is_pushed_once(pushing: Visitor, status: int | None) -> None:
    change(pushing, push_retries="realtime")
    emit(pushing, "slot-booking")
    answer(pushing, status)
    assert (pushing.sandbox.next_due(), release(pushing).status, due(pushing)) == (None, 204, [])


def test_a_request_with_custom_data_can_be_approved(pushing: Visitor) -> None:
    pushing.sandbox.emit({"docplanner": [{"name": "slot-booking", "data": {"address": {"id": "7"}}}]}, NOW)
    answer(pushing, 200)
    [post] = due(pushing)
    assert json.loads(post.body)["data"]["address"] == {"id": "7"}


def test_a_burst_is_pushed_a_few_at_a_time_in_its_order(pushing: Visitor) -> None:
    pushing.sandbox.emit({"docplanner": [{"data": {"number": number}} for number in range(20)]}, NOW)
    posts = due(pushing)
    assert (len(posts), due(pushing), pushing.sandbox.next_due()) == (16, [], None)
    answer(pushing, 200, *posts)
    assert [json.loads(one.body)["data"]["number"] for one in due(pushing)] == [16, 17, 18, 19]


async def test_a_push_arrives_with_its_key(pushing: Visitor) -> None:
    pushing.now = time.time()
    with station() as receiver:
        change(pushing, push_url=f"{receiver.url}/push/x")
        async with calling(pushing.sandbox, time.time):
            emit(pushing, "break-created")
            await until(lambda: pushing.sandbox.log()[-1]["endpoint"] == "callback")
    [request] = receiver.requests
    assert (request.method, request.target, request.headers["x-api-key"]) == ("POST", "/push/x", "k")
    assert (request.headers["content-type"], json.loads(request.body)["name"]) == ("application/json", "break-created")


@pytest.mark.parametrize("fault, bodies", [("callback_duplicate", 2), ("callback_lost", 0), ("callback_garbage", 1)])
def test_the_faults_of_callbacks_strike_pushes_too(pushing: Visitor, fault: str, bodies: int) -> None:
    pushing.sandbox.add_fault(fault, times=1)
    emit(pushing, "break-created")
    posts = due(pushing)
    assert len(posts) == bodies
    answer(pushing, 200, *posts) if posts else None
    assert due(pushing, 86400) == []


def test_the_key_is_a_secret(pushing: Visitor) -> None:
    assert "k" in pushing.sandbox.secrets()
