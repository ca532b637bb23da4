"""Polls that are held open, over real sockets."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_taskwatch.sandbox.server import Running
from tests.sandbox.acronis.test_event import BODY, EM, ID, READER


@pytest.fixture
def client(box: Running) -> Iterator[requests.Session]:
    """A client of Acronis with a token and a subscription."""
    connection = box.connections()["acronis_default"]
    with requests.Session() as one:
        answer = one.post(
            f"{connection['host']}/api/2/idp/token",
            data={"grant_type": "client_credentials"},
            auth=(connection["login"], connection["password"]),
            timeout=5,
        )
        one.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        one.post(f"{connection['host']}{EM}/subscriptions", json=BODY, timeout=5)
        yield one


def poll(box: Running, client: requests.Session, timeout: str, patience: float = 10.0) -> requests.Response:
    query: dict[str, Any] = {"subscription_id": ID, "consumer_id": READER, "offset": 0, "timeout": timeout}
    url = f"{box.connections()['acronis_default']['host']}{EM}/events"
    return client.get(url, params=query, timeout=patience)


def statuses(box: Running) -> list[int | None]:
    return [one["status"] for one in box.sandbox.log() if one["path"].endswith("/events")]


def test_a_held_poll_is_answered_when_an_event_arrives(box: Running, client: requests.Session) -> None:
    def emit() -> None:
        box.sandbox.emit({"acronis": [{"type": "a.p.task.created"}]}, time.time())

    later = threading.Timer(0.3, emit)
    later.start()
    began = time.monotonic()
    answer = poll(box, client, "PT9S")
    assert (len(answer.json()["events"]), 0.2 < time.monotonic() - began < 8) == (1, True)
    assert statuses(box) == [200]


def test_a_held_poll_ends_without_events_at_its_timeout(box: Running, client: requests.Session) -> None:
    began = time.monotonic()
    answer = poll(box, client, "PT1S")
    assert (answer.status_code, time.monotonic() - began >= 0.9) == (202, True)
    assert statuses(box) == [202]


def test_a_held_poll_ends_when_its_client_disconnects(box: Running, client: requests.Session) -> None:
    with contextlib.suppress(requests.Timeout):
        poll(box, client, "PT20S", patience=0.3)
    over = time.monotonic() + 5
    while not statuses(box) and time.monotonic() < over:
        threading.Event().wait(0.02)
    assert statuses(box) == [None]


def test_a_held_poll_can_be_cut_by_a_fault(box: Running, client: requests.Session) -> None:
    box.sandbox.add_fault("lost_reply", path="/events", seconds=0.2)
    began = time.monotonic()
    with pytest.raises(requests.ConnectionError):
        poll(box, client, "PT9S")
    assert 0.1 < time.monotonic() - began < 8
