"""Actions at the emulated Docplanner, and the notifications that follow them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.core.wire import send
from tests.sandbox.visitor import NOW, Visitor

HERE = "/facilities/1/doctors/2/addresses/3"
START = "2027-01-16T09:00:00+01:00"
SLOT = f"{HERE}/slots/2027-01-16T09%3A00%3A00%2B01%3A00/book"
VISIT = {"address_service_id": "5", "patient": {"name": "Ada"}, "duration": 30}


def book(docplanner: Visitor) -> str:
    return str(docplanner.post(SLOT, VISIT).json()["id"])


def notified(docplanner: Visitor) -> list[Any]:
    """The notifications in the queue a second after the actions."""
    docplanner.now = NOW + 1
    content = docplanner.get("/notifications/multiple", {"limit": 100}).json()
    docplanner.now = NOW
    return list(content.get("notifications", []))


def test_a_booking_is_notified_a_moment_later_with_its_author(docplanner: Visitor) -> None:
    reply = docplanner.post(SLOT, VISIT)
    visit: Any = reply.json()
    assert (reply.status, visit["start_at"], visit["duration"], visit["booked_by"]) == (200, START, 30, "integration")
    assert docplanner.get("/notifications").status == 404
    [one] = notified(docplanner)
    assert (one["name"], one["data"]["visit_booking"]) == ("slot-booked", visit)
    assert [one["data"][name]["id"] for name in ("facility", "doctor", "address")] == ["1", "2", "3"]


def test_a_booking_without_its_fields_is_refused(docplanner: Visitor) -> None:
    reply = docplanner.post(SLOT, {"duration": 30})
    assert reply.status == 400
    assert [one.partition(":")[0] for one in reply.json()["errors"]] == ["address_service_id", "patient"]


@pytest.mark.parametrize("start", ["soon", "2027-01-16T09:00:00"])
def test_a_slot_is_a_time_with_an_offset(docplanner: Visitor, start: str) -> None:
    assert docplanner.post(f"{HERE}/slots/{start}/book", VISIT).status == 400


def test_a_slot_is_booked_once(docplanner: Visitor) -> None:
    ref = book(docplanner)
    assert docplanner.post(SLOT, VISIT).status == 409
    docplanner.ask(send("DELETE", f"{HERE}/bookings/{ref}"))
    assert docplanner.post(SLOT, VISIT).status == 200


def test_a_move_changes_the_id(docplanner: Visitor) -> None:
    ref = book(docplanner)
    later = {"address_service_id": "5", "start": "2027-01-16T10:00:00+01:00"}
    reply = docplanner.post(f"{HERE}/bookings/{ref}/move", later)
    new = reply.headers["location"].rpartition("/")[2]
    assert (reply.status, reply.body, new == ref) == (201, b"", False)
    moved = notified(docplanner)[-1]["data"]
    assert (moved["old_visit_booking"]["id"], moved["old_visit_booking"]["status"]) == (ref, "canceled")
    assert (moved["new_visit_booking"]["id"], moved["new_visit_booking"]["patient"]) == (new, VISIT["patient"])
    assert docplanner.read(f"{HERE}/bookings/{new}")["start_at"] == later["start"]


@pytest.mark.parametrize(
    "change, status",
    [({}, 400), ({"address_service_id": "5", "start": START}, 409)],
)
def test_an_impossible_move_is_refused(docplanner: Visitor, change: dict[str, str], status: int) -> None:
    assert docplanner.post(f"{HERE}/bookings/{book(docplanner)}/move", change).status == status


def test_a_cancel_is_notified_and_counted(docplanner: Visitor) -> None:
    ref = book(docplanner)
    assert docplanner.ask(send("DELETE", f"{HERE}/bookings/{ref}")).status == 204
    canceled = notified(docplanner)[-1]
    visit = canceled["data"]["visit_booking"]
    assert (canceled["name"], visit["id"], visit["status"]) == ("booking-canceled", ref, "canceled")
    assert docplanner.sandbox.counts()["cancelled"]["docplanner"] == [ref]
    assert docplanner.ask(send("DELETE", f"{HERE}/bookings/{ref}")).status == 404


@pytest.mark.parametrize(
    "method, path, status, name",
    [
        ("PUT", "", 200, "booking-confirmed"),
        ("POST", "/presence/patient", 204, "presence-marked"),
        ("DELETE", "/presence/patient", 204, "presence-marked"),
    ],
)
def test_each_change_of_a_booking_is_notified(
    docplanner: Visitor, method: str, path: str, status: int, name: str
) -> None:
    ref = book(docplanner)
    assert docplanner.ask(send(method, f"{HERE}/bookings/{ref}{path}")).status == status
    one = notified(docplanner)[-1]
    assert (one["name"], one["data"]["visit_booking"]["id"]) == (name, ref)
    assert one["data"].get("presence") == {"POST": "PRESENT", "DELETE": "ABSENT"}.get(method)


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/bookings/9"),
        ("PUT", "/bookings/9"),
        ("DELETE", "/bookings/9"),
        ("POST", "/bookings/9/move"),
        ("POST", "/bookings/9/presence/patient"),
        ("PATCH", "/breaks/9"),
        ("DELETE", "/breaks/9"),
    ],
)
def test_an_unknown_object_is_not_found(docplanner: Visitor, method: str, path: str) -> None:
    assert docplanner.ask(send(method, f"{HERE}{path}", {})).status == 404
    assert notified(docplanner) == []


def test_a_booking_belongs_to_its_address(docplanner: Visitor) -> None:
    ref = book(docplanner)
    assert docplanner.get(f"/facilities/1/doctors/2/addresses/4/bookings/{ref}").status == 404


def test_bookings_are_listed_by_their_start_and_by_pages(docplanner: Visitor) -> None:
    ref = book(docplanner)
    span = {"start": "2027-01-16T00:00:00+01:00", "end": "2027-01-17T00:00:00+01:00"}
    content = docplanner.read(f"{HERE}/bookings", span)
    assert ([one["id"] for one in content.pop("_items")], content) == (
        [ref],
        {"page": 1, "limit": 100, "pages": 1, "total": 1},
    )
    assert docplanner.read(f"{HERE}/bookings", {**span, "page": "2"})["_items"] == []
    assert docplanner.read(f"{HERE}/bookings", {**span, "end": START})["total"] == 0
    assert docplanner.get(f"{HERE}/bookings", {"start": START}).status == 400


def test_each_change_of_a_break_is_notified(docplanner: Visitor) -> None:
    span = {"since": START, "till": "2027-01-16T10:00:00+01:00"}
    reply = docplanner.post(f"{HERE}/breaks", span)
    made: Any = reply.json()
    assert (reply.status, {**span, "id": made["id"]}) == (201, made)
    assert reply.headers["location"].endswith(f"{HERE}/breaks/{made['id']}")
    assert docplanner.post(f"{HERE}/breaks", span).status == 409
    assert docplanner.post(f"{HERE}/breaks", {}).status == 400

    moved = docplanner.ask(send("PATCH", f"{HERE}/breaks/{made['id']}", {"till": "2027-01-16T11:00:00+01:00"}))
    assert moved.json()["till"] == "2027-01-16T11:00:00+01:00"
    assert docplanner.ask(send("DELETE", f"{HERE}/breaks/{made['id']}")).status == 204
    assert [one["name"] for one in notified(docplanner)] == ["break-created", "break-moved", "break-removed"]


def test_slots_are_replaced_without_a_notification_and_one_request_at_a_time(docplanner: Visitor) -> None:
    statuses = [docplanner.ask(send("PUT", f"{HERE}/slots", {})).status for _ in range(2)]
    docplanner.now += 10
    assert [*statuses, docplanner.ask(send("PUT", f"{HERE}/slots", {})).status] == [201, 429, 201]
    assert notified(docplanner) == []


def test_unlinking_an_address_is_notified(docplanner: Visitor) -> None:
    assert docplanner.ask(send("DELETE", HERE)).status == 202
    assert [one["name"] for one in notified(docplanner)] == ["address-unassigned"]


def test_an_action_may_be_silent(docplanner: Visitor) -> None:
    docplanner.sandbox.change({"docplanner": {"silent": ["slot-booked"]}}, NOW)
    book(docplanner)
    assert notified(docplanner) == []
    assert docplanner.sandbox.counts()["started"]["docplanner"] == 1


def test_a_body_that_is_no_object_is_refused(docplanner: Visitor) -> None:
    assert docplanner.post(f"{HERE}/breaks", ["x"]).status == 400
