"""A notification of Docplanner as an event: its identity, its subject, and the part of it that may be stored.

* https://integrations.docplanner.com/guide/callbacks/push-vs-pull.html

``{"name": "slot-booked", "data": {...}, "created_at": "2026-01-31T07:00:00+01:00"}``. It has no id of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_taskwatch.core.error import ReplyError
from airflow_provider_taskwatch.core.feed import Event
from airflow_provider_taskwatch.core.refusal import summary
from airflow_provider_taskwatch.core.text import line, shortened
from airflow_provider_taskwatch.systems.moment import moment

SUBJECTS: Mapping[str, str] = {
    "slot-booked": "visit_booking",
    "booking-canceled": "visit_booking",
    "booking-confirmed": "visit_booking",
    "booking-payment-status-changed": "visit_booking",
    "presence-marked": "visit_booking",
    "booking-moved": "old_visit_booking",  # the id changes, and waiters know the old one
    "booking-moving": "canceling_booking",
    "slot-booking": "visit_booking_request",  # without an id so far
    "break-created": "break",
    "break-moved": "break",
    "break-removed": "break",
    "address-service-created": "address_service",
    "address-service-deleted": "address_service",
    "address-service-changed": "address_service",
    "address-commercial-type-changed": "address",
    "address-assigned": "address",
    "address-unassigned": "address",
}
"""The known names, each with the member of ``data`` that is its subject. Other names pass through."""

_OBJECTS = frozenset(
    {
        *SUBJECTS.values(),
        "facility",
        "doctor",
        "new_visit_booking",
        "creating_booking",
        "visit_payment_status",
    }
)
_LEAVES = frozenset(
    {
        "id",
        "service_id",
        "status",
        "status_from",
        "status_to",
        "presence",
        "commercial_type",
        "booked_by",
        "canceled_by",
        "start_at",
        "end_at",
        "since",
        "till",
        "duration",
        "booking_at",
        "booked_at",
        "canceled_at",
        "changed_at",
    }
)
"""The members that ``store_payload="ids"`` keeps, directly in ``data`` or in its objects."""
_DEPTH = 4

_DISTINCTIVE = frozenset({"id", "start_at", "since", "till", "status_from", "status_to", "presence", "commercial_type"})
"""Members that tell two notifications of one name and second apart. A status may change between two deliveries."""


def event_of(notification: object, *, store_payload: str, received_at: float) -> Event:
    """A notification as an event. Its content is the part of ``data`` that may be stored.

    :param received_at: seconds since the epoch, the time of a notification whose ``created_at`` cannot be read.
    :raises ReplyError: it has no name, or its data are no object.
    """
    if not isinstance(notification, Mapping):
        raise ReplyError("what stands in the place of a notification is none; it is not shown, for the patients")
    name, data = notification.get("name"), notification.get("data") or {}
    if not isinstance(name, str) or not isinstance(data, Mapping):
        raise ReplyError("a notification has no name, or data that are no object; it is not shown, for the patients")
    created = moment(notification.get("created_at"))
    kept = reduced(data)
    return Event(
        id=_identity(name, created.isoformat() if created else summary(notification.get("created_at")), data, kept),
        name=line(name),
        subject=subject_of(name, kept),
        at=created.timestamp() if created else received_at,
        content=shortened(data if store_payload == "full" else kept),
    )


def subject_of(name: str, data: Mapping[str, Any]) -> str:
    """The id of a notification's booking, break, service or address; empty if it has none."""
    candidates = [SUBJECTS[name]] if name in SUBJECTS else [*dict.fromkeys(SUBJECTS.values())]
    about: Mapping[str, Any] = next((data[one] for one in candidates if one in data), {})
    return line(str(about.get("id") or ""))


def reduced(data: Mapping[str, Any], depth: int = _DEPTH) -> dict[str, Any]:
    """Only ids, times and statuses: members that are not on the list may concern patients."""
    kept: dict[str, Any] = {}
    for name, value in data.items():
        if name in _OBJECTS and isinstance(value, Mapping) and depth:
            kept[name] = reduced(value, depth - 1)
        elif name in _LEAVES and not isinstance(value, (Mapping, list)):
            kept[name] = value
    return kept


def is_reduced(path: str) -> bool:
    """Whether :func:`reduced` keeps the member at a dotted path into ``data``."""
    *objects, leaf = path.split(".")
    return len(objects) <= _DEPTH and _OBJECTS.issuperset(objects) and leaf in _LEAVES


def _identity(name: str, created: str, data: Mapping[str, Any], kept: Mapping[str, Any]) -> str:
    """An id that is equal for a notification that comes again, pulled or pushed."""
    has_ids = name in SUBJECTS and subject_of(name, kept)
    facts: object = sorted(_facts(kept)) if has_ids else shortened(data)
    text = json.dumps([name, created, facts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _facts(data: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _facts(value, f"{path}{name}.")
        elif name in _DISTINCTIVE:
            yield f"{path}{name}", str(value)
