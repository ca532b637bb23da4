"""Events, as people see them."""

from __future__ import annotations

import json

from airflow_provider_taskwatch.core.feed import Event, shown

EVENT = Event(id="1", name="made", subject="42", at=1_769_839_200.5, content={"patient": "Ada"})


def test_an_event_is_shown_with_its_time_in_utc() -> None:
    assert shown(EVENT) == {
        "id": "1",
        "name": "made",
        "subject": "42",
        "at": "2026-01-31T06:00:00.500000+00:00",
        "content": {"patient": "Ada"},
    }
    json.dumps(shown(EVENT))


def test_what_is_shown_is_a_copy() -> None:
    shown(EVENT)["content"]["patient"] = "Eve"
    assert EVENT.content == {"patient": "Ada"}


def test_no_repr_shows_whom_an_event_concerns() -> None:
    assert "Ada" not in repr(EVENT)
