"""Docplanner in the contract of feeds."""

from __future__ import annotations

import json
from collections.abc import Sequence

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.systems.docplanner.feed import DocplannerFeed, feed_of
from airflow_provider_taskwatch.systems.docplanner.form import FORM
from tests.play import reply
from tests.systems.contract import FeedCase

ONE = {"name": "slot-booked", "data": {"visit_booking": {"id": "7"}}, "created_at": "2026-01-31T07:00:00+01:00"}
TWO = {**ONE, "data": {"visit_booking": {"id": "8"}}}
NOBODY = {"errors": [], "message": "No notifications found"}
EMPTY = [
    reply(404, NOBODY),
    reply(404, {"message": "No notifications found."}),
    reply(204),
    reply(200),
    reply(200, " \n"),
    reply(200, []),
    reply(200, {"notifications": [], "remaining": 0}),
]


def settings_of(host: str = "doctoralia.es", **extra: object) -> Settings:
    raw = RawConnection(
        conn_id="c", conn_type="docplanner", host=host, login="us", password="s3cret", extra=json.dumps(extra)
    )
    return read_connection(FORM, raw)


def feed(**extra: object) -> DocplannerFeed:
    return feed_of(settings_of(**extra), {})  # type: ignore[arg-type]


def answer(events: Sequence[object]) -> Reply:
    return reply(200, {"notifications": [*events], "remaining": 0})


FEED = FeedCase(
    feed=feed,
    others=[feed_of(settings_of("doctoralia.com.br"), {})],
    event=ONE,
    other=TWO,
    name="slot-booked",
    subjects=("7", "8"),
    answer=answer,
    position="",
    empty=EMPTY,
)
