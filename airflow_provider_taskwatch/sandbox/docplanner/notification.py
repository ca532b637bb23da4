"""A notification of the emulated Docplanner, with invented data for every name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.sandbox.answer import utc
from airflow_provider_taskwatch.sandbox.task import Task, Vocabulary

HOUR = 3600.0
_PHASES = {"sent": Phase.RUNNING}
VOCABULARY = Vocabulary(outcomes={}, stages=((0.0, "sent"),), phase=lambda status: _PHASES.get(status, Phase.UNKNOWN))

BLOCKING = ("slot-booking", "booking-moving")
"""Requests for approval: the HTTP status of the answer decides."""


@dataclass(slots=True, kw_only=True, eq=False)
class Notification(Task):
    """One notification; it is in the queue, or pushed, from ``created_at`` on.

    :param shown_at: the ``created_at`` that it shows.
    """

    data: Mapping[str, Any]
    shown_at: str

    @property
    def content(self) -> dict[str, Any]:
        return {"name": self.name, "data": dict(self.data), "created_at": self.shown_at}

    @property
    def body(self) -> bytes:
        return json.dumps(self.content).encode()


def moment(seconds: float) -> str:
    """A time as Docplanner writes it."""
    return utc(seconds).isoformat(timespec="seconds")


def place(facility: str = "11", doctor: str = "22", address: str = "33") -> dict[str, Any]:
    """The fields that nearly all data have in common."""
    return {
        "facility": {"id": facility, "name": "Sandbox Clinic"},
        "doctor": {"id": doctor, "name": "Dora", "surname": "Sandbox"},
        "address": {"id": address, "name": "Room 1", "street": "Invented Street 1", "post_code": "00-000"},
    }


def patient(number: int) -> dict[str, Any]:
    """An invented person."""
    return {
        "name": _NAMES[number % len(_NAMES)],
        "surname": f"Invented-{number}",
        "email": f"patient-{number}@sandbox.invalid",
        "phone": f"+000000{number:06}",
        "birth_date": "1900-01-01",
        "nin": None,
        "gender": None,
        "is_returning": number % 2 == 0,
        "insurance_number": None,
    }


_NAMES = ("Ada", "Boris", "Chloe", "Dmitri", "Elif", "Farid", "Greta")


def service(number: int) -> dict[str, Any]:
    """A service that an address offers."""
    return {
        "id": str(500 + number % 10),
        "name": "Consultation",
        "price": 50,
        "is_price_from": False,
        "is_default": True,
        "description": "Invented.",
        "service_id": "9",
        "is_visible": True,
    }


def booking(number: int, now: float, **own: Any) -> dict[str, Any]:
    """A visit that a patient has booked, for tomorrow."""
    start, minutes = now + 24 * HOUR, 30
    return {
        "id": str(700_000 + number),
        "status": "booked",
        "start_at": moment(start),
        "end_at": moment(start + minutes * 60),
        "duration": minutes,
        "booked_by": "user",
        "canceled_by": "",
        "booked_at": moment(now),
        "canceled_at": None,
        "address_service": service(number),
        "patient": patient(number),
        "signature": f"invented-{number}",
        "comment": "An invented comment.",
        "insurance": None,
        **({"visit_payment": number % 3 == 1} if number % 3 else {}),
        "videocall_url": f"https://video.sandbox.invalid/{number}",
    } | own


def canceled(visit: Mapping[str, Any], now: float, by: str = "user") -> dict[str, Any]:
    """The same visit, canceled."""
    return {**visit, "status": "canceled", "canceled_by": by, "canceled_at": moment(now)}


def invented(name: str, number: int, now: float) -> dict[str, Any]:
    """Data for a notification of any name, unknown ones included.

    :param number: makes ids and people differ.
    """
    return {**place(), **_OWN.get(name, _novelty)(number, now)}


def _novelty(number: int, now: float) -> dict[str, Any]:
    return {"novelty": {"id": str(number)}}


def _visit(number: int, now: float) -> dict[str, Any]:
    return {"visit_booking": booking(number, now)}


def _request(number: int, now: float) -> dict[str, Any]:
    visit = booking(number, now)
    asked = {"booking_at": moment(now), "booking_by": "user"}
    kept = ("duration", "start_at", "end_at", "address_service", "patient", "comment")
    return {"visit_booking_request": asked | {name: visit[name] for name in kept}}


def _moved(number: int, now: float) -> dict[str, Any]:
    return {
        "old_visit_booking": canceled(booking(number, now), now),
        "new_visit_booking": booking(number, now + HOUR, id=str(800_000 + number)),
    }


def _moving(number: int, now: float) -> dict[str, Any]:
    created = booking(number, now + HOUR)
    del created["id"]
    return {"canceling_booking": booking(number, now), "creating_booking": created}


def _break(number: int, now: float) -> dict[str, Any]:
    return {"break": {"id": str(900_000 + number), "since": moment(now), "till": moment(now + HOUR)}}


_COMMERCIAL_TYPES = ("premium", "saas-only", "basic")


def _commercial_type(number: int, now: float) -> dict[str, Any]:
    return {"address": {**place()["address"], "commercial_type": _COMMERCIAL_TYPES[number % 3]}}


def _paid(number: int, now: float) -> dict[str, Any]:
    change = {"status_from": "not-paid", "status_to": "paid", "changed_at": moment(now)}
    return {**_visit(number, now), "visit_payment_status": change}


Own = Callable[[int, float], dict[str, Any]]

_OWN: Mapping[str, Own] = {
    "slot-booking": _request,
    "slot-booked": _visit,
    "booking-canceled": lambda number, now: {"visit_booking": canceled(booking(number, now), now)},
    "booking-confirmed": _visit,
    "booking-moved": _moved,
    "booking-moving": _moving,
    "presence-marked": lambda number, now: {**_visit(number, now), "presence": ("ABSENT", "PRESENT")[number % 2]},
    "break-created": _break,
    "break-moved": _break,
    "break-removed": _break,
    "address-service-created": lambda number, now: {"address_service": service(number)},
    "address-service-deleted": lambda number, now: {"address_service": service(number)},
    "address-service-changed": lambda number, now: {"address_service": service(number)},
    "address-commercial-type-changed": _commercial_type,
    "booking-payment-status-changed": _paid,
    "address-assigned": lambda number, now: {},
    "address-unassigned": lambda number, now: {},
}
NAMES = tuple(_OWN)
"""All known names; three of them are not in the vendor's enumeration."""
