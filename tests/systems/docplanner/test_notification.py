from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ReplyError
from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.systems.docplanner.notification import SUBJECTS, event_of, is_reduced
from airflow_provider_taskwatch.systems.docplanner.system import read_pulled
from tests.rows import each_row
from tests.systems.contract import HOSTILE

PATIENT = {"name": "Pat", "surname": "Probe", "email": "pat@example.com", "nin": "123", "id": "p-1"}
COMMON = {
    "facility": {"id": "1", "name": "Clinic"},
    "doctor": {"id": "2", "name": "Dora", "surname": "Demo"},
    "address": {"id": "3", "name": "Home", "street": "Street 1", "commercial_type": "private"},
}
BOOKING = {
    "id": "7",
    "status": "booked",
    "start_at": "2026-02-01T09:00:00+01:00",
    "end_at": "2026-02-01T09:30:00+01:00",
    "duration": 30,
    "booked_by": "integration",
    "canceled_by": "",
    "booked_at": "2026-01-31T07:00:00+01:00",
    "canceled_at": "20-xx malformed",
    "address_service": {"id": "5", "name": "Consultation", "price": 50, "service_id": "9"},
    "patient": PATIENT,
    "signature": "c2ln",
    "comment": "It hurts.",
    "insurance": {"id": "i-1", "name": "Insured"},
    "visit_payment": {"id": "v-1", "status": "paid"},
    "videocall_url": "https://video.example.com/secret",
}
PEOPLE = ("Pat", "Probe", "pat@", "123", "p-1", "Dora", "It hurts", "i-1", "v-1", "video", "c2ln", "Street", "Clinic")


def notification(
    name: str = "slot-booked", created_at: Any = "2026-01-31T07:00:00+01:00", **data: Any
) -> dict[str, Any]:
    own = data or {"visit_booking": BOOKING}
    return {"name": name, "data": {**COMMON, **own}, "created_at": created_at}


def event(content: Any, store_payload: str = "ids") -> Any:
    return event_of(content, store_payload=store_payload, received_at=5.0)


def test_a_booking_becomes_an_event():
    one = event(notification())
    assert (one.name, one.subject, one.at) == ("slot-booked", "7", 1_769_839_200.0)
    assert one.content == {
        "facility": {"id": "1"},
        "doctor": {"id": "2"},
        "address": {"id": "3", "commercial_type": "private"},
        "visit_booking": {
            "id": "7",
            "status": "booked",
            "start_at": "2026-02-01T09:00:00+01:00",
            "end_at": "2026-02-01T09:30:00+01:00",
            "duration": 30,
            "booked_by": "integration",
            "canceled_by": "",
            "booked_at": "2026-01-31T07:00:00+01:00",
            "canceled_at": "20-xx malformed",
            "address_service": {"id": "5", "service_id": "9"},
        },
    }


def test_data_of_people_is_kept_only_on_request():
    one = event(notification(visit_booking=BOOKING, patient=PATIENT, comment="It hurts."))
    assert [word for word in PEOPLE if word in json.dumps(one.content)] == []
    assert event(notification(), "full").content == notification()["data"]
    assert "Pat" not in repr(event(notification(), "full"))


def test_an_object_in_place_of_a_plain_value_is_not_kept():
    odd = {"id": {"name": "Pat"}, "status": ["Pat"], "start_at": None}
    assert event(notification(visit_booking=odd)).content["visit_booking"] == {"start_at": None}


def test_endless_nesting_is_cut():
    odd: dict[str, Any] = {"id": "1"}
    for _ in range(50):
        odd = {"id": "1", "doctor": odd}
    assert json.dumps(event(notification(doctor=odd)).content).count("doctor") == 4


@each_row("name", SUBJECTS)
def test_every_known_name_has_a_subject(name):
    members = {one: {"id": f"id of {one}"} for one in SUBJECTS.values() if one != "visit_booking_request"}
    expected = "" if name == "slot-booking" else f"id of {SUBJECTS[name]}"
    assert event(notification(name, visit_booking_request={"start_at": "x"}, **members)).subject == expected


def test_a_move_is_about_the_booking_that_was_known():
    moved = event(notification("booking-moved", old_visit_booking={"id": "7"}, new_visit_booking={"id": "8"}))
    assert (moved.subject, moved.content["new_visit_booking"]) == ("7", {"id": "8"})


@pytest.mark.parametrize(
    "data, subject",
    [({"visit_booking": {"id": "7"}}, "7"), ({"break": {"id": 4}}, "4"), ({"slot": {"id": "1"}}, "3")],
)
def test_an_unknown_name_passes_through(data, subject):
    one = event(notification("slot-changed", **data))
    assert (one.name, one.subject) == ("slot-changed", subject)


def test_one_that_comes_again_is_the_same():
    first, again = event(notification()), event(notification(created_at="2026-01-31T06:00:00Z"), "full")
    assert (first.id, len(first.id)) == (again.id, 32)
    changed = event(notification(visit_booking={**BOOKING, "status": "canceled", "comment": "None."}))
    assert changed.id == first.id


@pytest.mark.parametrize(
    "other",
    [
        notification("booking-confirmed"),
        notification(created_at="2026-01-31T07:00:01+01:00"),
        notification(created_at="yesterday"),
        notification(visit_booking={**BOOKING, "id": "8"}),
        notification(visit_booking={**BOOKING, "start_at": "2026-02-01T10:00:00+01:00"}),
    ],
    ids=lambda one: str(one["name"]),
)
def test_another_name_time_booking_or_slot_is_another_event(other):
    assert event(other).id != event(notification()).id


def test_several_states_of_a_payment_in_one_second_are_several_events():
    states = ["not-paid", "paid", "refunded"]
    paid = [
        notification("booking-payment-status-changed", visit_booking=BOOKING, visit_payment_status={"status_to": one})
        for one in states
    ]
    assert len({event(one).id for one in paid}) == 3


@pytest.mark.parametrize("name", ["slot-booking", "slot-changed"])
def test_a_notification_without_ids_is_identified_by_its_whole_content(name):
    asked = [notification(name, visit_booking_request={"comment": one}) for one in ("a", "b", "a")]
    first, second, third = (event(one).id for one in asked)
    assert (first == third, first == second) == (True, False)


@each_row("created_at", [None, "", "soon", "2026-01-31T07:00:00", 17, {"a": 1}])
def test_a_notification_without_a_time_gets_the_time_of_its_receipt(created_at):
    assert event(notification(created_at=created_at)).at == 5.0


@pytest.mark.parametrize("data", [None, [], {}])
def test_data_may_be_missing(data):
    one = event({"name": "x", "data": data, "created_at": None})
    assert (one.subject, one.content) == ("", {})


@each_row("content", [{}, {"name": 5}, {"name": "x", "data": ["Pat"]}, {"name": "x", "data": "Pat"}])
def test_the_error_of_a_malformed_notification_shows_no_content(content):
    with pytest.raises(ReplyError, match="no name, or data that are no object") as caught:
        event(content)
    assert "Pat" not in str(caught.value)


def test_a_long_notification_is_cut_and_keeps_its_subject():
    long = dict.fromkeys(("status", "since", "till", "start_at", "end_at", "booked_at"), "x" * 4000)
    names = ("facility", "doctor", "address", "visit_booking", "old_visit_booking", "break")
    one = event({**notification("break-created"), "data": {name: {**long, "id": "4"} for name in names}})
    assert (one.subject, "break" in one.content, len(json.dumps(one.content)) < 120_000) == ("4", False, True)


def test_characters_that_a_database_cannot_store_are_replaced():
    one = event(notification("slot-\0booked\n", visit_booking={"id": "7\0"}))
    assert (one.name, one.content["visit_booking"]["id"]) == ("slot-\ufffdbooked", "7\ufffd")


@each_row(
    "path, is_kept",
    [
        ("visit_booking.id", True),
        ("visit_booking.address_service.id", True),
        ("new_visit_booking.start_at", True),
        ("presence", True),
        ("visit_booking.patient.email", False),
        ("visit_booking.patient.id", False),
        ("visit_booking.comment", False),
        ("visit_booking", False),
        ("doctor.name", False),
        ("doctor.doctor.doctor.doctor.doctor.id", False),
        ("", False),
    ],
)
def test_a_path_says_whether_it_is_kept(path, is_kept):
    assert is_reduced(path) is is_kept


@each_row("text", HOSTILE.values(), ids=HOSTILE)
@each_row("place", ["@", "@@", "@@@", "@@@@"])
@each_row("store_payload", ["ids", "full"])
def test_an_event_of_hostile_values_can_be_stored(store_payload: str, place: str, text: str) -> None:
    content = notification("@", "@@", visit_booking={"id": "@@@", "start_at": "@@@@"})
    body = json.dumps(content).replace(f'"{place}"', text).encode()
    try:
        one = event(read_pulled(Reply(status=200, body=body)).notifications[0], store_payload)
    except ReplyError:
        return
    stored = json.dumps([one.id, one.name, one.subject, one.at, one.content], allow_nan=False)
    assert len(stored) < 300_000
    assert not any(odd in stored for odd in ("\\u0000", "\\ud800"))
