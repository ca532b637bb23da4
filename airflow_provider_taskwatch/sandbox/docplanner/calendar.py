"""The calendar of the emulated Docplanner: visits and breaks, and the notification of each change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .notification import booking, canceled, invented, place, service

FIRST_ID = 1_001
SLOTS_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The result of an action.

    :param content: of the answer; None: it has no body.
    :param name: of the notification; empty where there is none.
    :param data: of the notification, without its place.
    :param location: path of what is new, below the place.
    """

    status: int
    content: Any = None
    name: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an action was refused."""

    status: int
    message: str
    errors: tuple[str, ...] = ()


Done = Change | Refusal
Fields = Mapping[str, Any]
Place = tuple[str, str, str]
"""Ids of facility, doctor and address."""


class Calendar:
    """Bookings, and breaks in which nothing can be booked. All ids are strings."""

    def __init__(self) -> None:
        self._next_id = FIRST_ID
        self._visits: dict[str, tuple[Place, dict[str, Any]]] = {}
        self._breaks: dict[str, tuple[Place, dict[str, Any]]] = {}
        self._slots: dict[Place, float] = {}

    def visit(self, where: Place, ref: str) -> dict[str, Any] | None:
        """A booking of this place; None where there is none of this id."""
        found = self._visits.get(ref)
        return found[1] if found is not None and found[0] == where else None

    def visits(self, where: Place, start: str, end: str) -> list[dict[str, Any]]:
        """Bookings of this place that begin in a span of time."""
        first, last = _read(start), _read(end)
        return [one for at, one in self._visits.values() if at == where and first <= _read(one["start_at"]) < last]

    def book(self, where: Place, start: str, fields: Fields, now: float) -> Done:
        if missing := _missing(fields, "address_service_id", "patient", "duration"):
            return missing
        if self._is_taken(where, start):
            return Refusal(status=409, message="The slot is already booked.")
        visit = self._made(where, start, fields, now)
        visit["patient"] = fields["patient"]
        return Change(status=200, content=visit, name="slot-booked", data={"visit_booking": visit})

    def move(self, where: Place, ref: str, fields: Fields, now: float) -> Done:
        """The booking gets another id."""
        old = self.visit(where, ref)
        if old is None:
            return _unknown("booking")
        if missing := _missing(fields, "address_service_id", "start"):
            return missing
        if self._is_taken(where, fields["start"]):
            return Refusal(status=409, message="The slot is already booked.")
        new = self._made(where, fields["start"], {"duration": old["duration"], **fields}, now)
        new["patient"] = old["patient"]
        gone = self._replace(where, canceled(old, now, "integration"))
        data = {"old_visit_booking": gone, "new_visit_booking": new}
        return Change(status=201, name="booking-moved", data=data, location=f"/bookings/{new['id']}")

    def cancel(self, where: Place, ref: str, now: float) -> Done:
        visit = self.visit(where, ref)
        if visit is None or visit["status"] == "canceled":
            return _unknown("booking")
        gone = self._replace(where, canceled(visit, now, "integration"))
        return Change(status=204, name="booking-canceled", data={"visit_booking": gone})

    def confirm(self, where: Place, ref: str) -> Done:
        visit = self.visit(where, ref)
        if visit is None:
            return _unknown("booking")
        return Change(status=200, content=visit, name="booking-confirmed", data={"visit_booking": visit})

    def mark(self, where: Place, ref: str, presence: str) -> Done:
        """Whether the patient came."""
        visit = self.visit(where, ref)
        if visit is None:
            return _unknown("booking")
        return Change(status=204, name="presence-marked", data={"visit_booking": visit, "presence": presence})

    def add_break(self, where: Place, fields: Fields) -> Done:
        if missing := _missing(fields, "since", "till"):
            return missing
        span = {"since": fields["since"], "till": fields["till"]}
        if any(at == where and span.items() <= one.items() for at, one in self._breaks.values()):
            return Refusal(status=409, message="There is such a break.")
        made = {"id": self._next(), **span}
        self._breaks[made["id"]] = where, made
        return Change(
            status=201, content=made, name="break-created", data={"break": made}, location=f"/breaks/{made['id']}"
        )

    def move_break(self, where: Place, ref: str, fields: Fields) -> Done:
        found = self._break(where, ref)
        if found is None:
            return _unknown("break")
        moved = found | {name: fields[name] for name in ("since", "till") if name in fields}
        self._breaks[ref] = where, moved
        return Change(status=200, content=moved, name="break-moved", data={"break": moved})

    def remove_break(self, where: Place, ref: str) -> Done:
        found = self._break(where, ref)
        if found is None:
            return _unknown("break")
        del self._breaks[ref]
        return Change(status=204, name="break-removed", data={"break": found})

    def replace_slots(self, where: Place, now: float) -> Done:
        """Sends no notification; a second one is refused while the first is in progress."""
        if now < self._slots.get(where, 0.0):
            return Refusal(status=429, message="The previous request is still being processed.")
        self._slots[where] = now + SLOTS_SECONDS
        return Change(status=201)

    def unlink(self, where: Place) -> Done:
        return Change(status=202, name="address-unassigned", data=place(*where))

    def approve(self, name: str, data: Fields, now: float) -> tuple[str, dict[str, Any]]:
        """The name and data of the notification that follows an approved request."""
        data = {**invented(name, 0, now), **data}
        own = {one: value for one, value in data.items() if one in ("facility", "doctor", "address")}
        if name == "booking-moving":
            new = {**data["creating_booking"], "id": self._next()}
            return "booking-moved", {
                **own,
                "old_visit_booking": canceled(data["canceling_booking"], now),
                "new_visit_booking": new,
            }
        asked = data["visit_booking_request"]
        visit = booking(0, now, id=self._next(), patient=asked["patient"], start_at=asked["start_at"])
        return "slot-booked", {**own, "visit_booking": visit}

    def _made(self, where: Place, start: str, fields: Fields, now: float) -> dict[str, Any]:
        ref, begin = self._next(), _read(start)
        end = begin + timedelta(minutes=int(fields["duration"]))
        visit = booking(
            int(ref),
            now,
            id=ref,
            start_at=begin.isoformat(),
            end_at=end.isoformat(),
            duration=int(fields["duration"]),
            booked_by="integration",
            comment="",
            address_service={**service(0), "id": str(fields["address_service_id"])},
        )
        return self._replace(where, visit)

    def _replace(self, where: Place, visit: dict[str, Any]) -> dict[str, Any]:
        self._visits[visit["id"]] = where, visit
        return visit

    def _break(self, where: Place, ref: str) -> dict[str, Any] | None:
        found = self._breaks.get(ref)
        return found[1] if found is not None and found[0] == where else None

    def _is_taken(self, where: Place, start: str) -> bool:
        return any(_read(one["start_at"]) == _read(start) for one in self._booked(where))

    def _booked(self, where: Place) -> Iterator[dict[str, Any]]:
        return (one for at, one in self._visits.values() if at == where and one["status"] == "booked")

    def _next(self) -> str:
        self._next_id += 1
        return str(self._next_id - 1)


def _read(text: str) -> datetime:
    """The time; ``ValueError`` where it has no offset."""
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError(f"{text!r} has no offset")
    return read


def _missing(fields: Fields, *names: str) -> Refusal | None:
    errors = tuple(f"{name}: This value should not be blank." for name in names if not fields.get(name))
    return Refusal(status=400, message="Validation error", errors=errors) if errors else None


def _unknown(noun: str) -> Refusal:
    return Refusal(status=404, message=f"The {noun} was not found")
