"""Docplanner's hook: a domain, a client, a queue that forgets; and nothing that is asked for twice."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
from requests_mock import Mocker

from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    LossError,
    NotFoundError,
    RemoteError,
    ReplyError,
    TransportError,
)
from airflow_provider_taskwatch.hooks.docplanner import DocplannerHook
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.docplanner.feed import feed_of
from airflow_provider_taskwatch.systems.docplanner.system import pull
from tests.hooks.conftest import Connect
from tests.hooks.secret import SECRETS

DOCPLANNER = {"conn_type": "docplanner", "host": "doctoralia.es", "login": "us", "password": SECRETS["password"]}
BASE = "https://www.doctoralia.es/api/v3/integration"
TOKEN = "https://www.doctoralia.es/oauth/v2/token"
ONE = {"name": "slot-booked", "data": {"visit_booking": {"id": "7"}}, "created_at": "2026-01-31T07:00:00+01:00"}
NOBODY = {"errors": [], "message": "No notifications found"}


@pytest.fixture
def remote(requests_mock: Mocker, connect: Connect) -> Mocker:
    """Docplanner, and the default connection to it."""
    answer = {"access_token": SECRETS["token"], "expires_in": 3600, "token_type": "bearer", "scope": None}
    requests_mock.post(TOKEN, json=answer)
    connect("docplanner_default", DOCPLANNER)
    return requests_mock


def test_a_token_is_asked_for_on_the_host_with_the_scope(remote: Mocker) -> None:
    DocplannerHook().get_token()
    [asked] = remote.request_history
    assert asked.url == TOKEN
    assert "scope=integration" in asked.text
    assert asked.headers["User-Agent"]


def test_the_test_lists_the_facilities(remote: Mocker) -> None:
    remote.get(f"{BASE}/facilities", json={"_items": []})
    is_good, message = DocplannerHook().test_connection()
    assert (is_good, message.endswith("accepted and the facilities can be listed")) == (True, True)


def test_the_firewall_on_the_token_url_is_explained(remote: Mocker) -> None:
    remote.post(TOKEN, text="<html>Are you a robot?</html>", status_code=405)
    is_good, message = DocplannerHook().test_connection()
    assert (is_good, "firewalls also answer 405" in message) == (False, True)


def test_one_notification_is_pulled(remote: Mocker) -> None:
    remote.get(f"{BASE}/notifications", [{"json": ONE}, {"json": NOBODY, "status_code": 404}])
    assert [DocplannerHook().pull_notification() for _ in range(2)] == [ONE, None]


def test_many_notifications_are_pulled_with_the_number_that_remains(remote: Mocker) -> None:
    remote.get(f"{BASE}/notifications/multiple?limit=3", json={"notifications": [ONE], "remaining": 4})
    pulled = DocplannerHook().pull_notifications(3)
    assert (pulled.notifications, pulled.remaining) == ((ONE,), 4)


def test_a_rejected_token_is_replaced_and_the_pull_sent_once_more(remote: Mocker) -> None:
    rejected = {"json": {"message": "Authentication credentials could not be found."}, "status_code": 401}
    renewed = {"access_token": "hush-hush-token-2", "expires_in": 3600}
    remote.post(TOKEN, [{"json": {"access_token": SECRETS["token"]}}, {"json": renewed}])
    remote.get(f"{BASE}/notifications", [rejected, {"json": ONE}])
    assert DocplannerHook().pull_notification() == ONE


def test_a_lost_reply_is_a_possible_loss_and_not_asked_for_again(remote: Mocker) -> None:
    remote.get(f"{BASE}/notifications/multiple", exc=requests.exceptions.ReadTimeout)
    with pytest.raises(LossError, match="up to 100 notifications may be gone"):
        DocplannerHook().pull_notifications()
    assert len(remote.request_history) == 2


def test_an_answer_of_another_shape_is_an_error_without_its_content(remote: Mocker) -> None:
    remote.get(f"{BASE}/notifications/multiple", json={"_items": [{"data": "Pat"}]})
    with pytest.raises(ReplyError) as caught:
        DocplannerHook().pull_notifications()
    assert ("_items" in str(caught.value), "Pat" in str(caught.value)) == (True, False)


@pytest.mark.parametrize("path", ["/notifications", "notifications/multiple", "/notifications/"])
def test_a_pull_by_a_plain_request_is_refused(remote: Mocker, path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"use pull_notifications\(\)"):
        DocplannerHook().request("get", path)
    assert remote.request_history == []


def test_other_requests_are_made_as_ever(remote: Mocker) -> None:
    remote.get(f"{BASE}/facilities/1", json={"id": "1"})
    assert DocplannerHook().request("GET", "/facilities/1").json() == {"id": "1"}


def test_a_release_is_sent_once(remote: Mocker) -> None:
    remote.post(f"{BASE}/notifications/release", status_code=204)
    DocplannerHook().release_notifications()
    remote.post(f"{BASE}/notifications/release", status_code=429, headers={"Retry-After": "1800"})
    with pytest.raises(RemoteError) as caught:
        DocplannerHook().release_notifications()
    assert (caught.value.status, caught.value.retry_after) == (429, 1800.0)
    assert len([one for one in remote.request_history if "release" in one.url]) == 2


def test_a_release_that_is_too_early_holds_nothing_but_the_release(remote: Mocker) -> None:
    remote.post(f"{BASE}/notifications/release", status_code=429, headers={"Retry-After": "3599"})
    remote.get(f"{BASE}/notifications", json=ONE)
    remote.get(f"{BASE}/facilities/1", json={"id": "1"})
    remote.post(f"{BASE}/facilities/1/doctors", status_code=201)
    hook = DocplannerHook()
    for _ in range(2):
        with pytest.raises(RemoteError, match="429"):
            hook.release_notifications()
    assert hook.pull_notification() == ONE
    assert hook.request("GET", "/facilities/1").is_ok
    assert hook.request("POST", "/facilities/1/doctors").is_ok
    assert len([one for one in remote.request_history if "release" in one.url]) == 1


def put(box: Running, **event: Any) -> None:
    box.sandbox.emit({"docplanner": [event]}, time.time())


def test_it_works_with_the_sandbox_and_its_firewall(connected: Running) -> None:
    connected.sandbox.change({"docplanner": {"firewall": True}}, time.time())
    assert DocplannerHook().test_connection()[0]
    put(connected, count=3)
    hook = DocplannerHook()
    assert [len(hook.pull_notifications(2).notifications) for _ in range(3)] == [2, 1, 0]
    assert hook.pull_notification() is None


async def test_the_waiting_driver_passes_the_firewall_too(connected: Running) -> None:
    connected.sandbox.change({"docplanner": {"firewall": True}}, time.time())
    put(connected, name="break-created")
    hook = DocplannerHook()
    [one] = feed_of(hook.settings, {}).batch(await hook.arun(pull(100)), "").events
    assert (one.name, one.subject) == ("break-created", "900001")


def test_a_reply_that_the_sandbox_loses_is_a_possible_loss(connected: Running) -> None:
    put(connected)
    connected.sandbox.add_fault("lost_reply", path="notifications", times=1)
    hook = DocplannerHook()
    with pytest.raises(LossError):
        hook.pull_notifications()
    assert hook.pull_notifications().notifications == ()


@pytest.mark.parametrize(
    "fault, kind, message",
    [
        ({"name": "html", "status": 404}, NotFoundError, "check host and path"),
        ({"name": "html", "status": 405}, TransportError, "the web firewall"),
        ({"name": "html", "status": 200}, ReplyError, "a web page"),
        ({"name": "server_error", "status": 500}, RemoteError, "answered 500"),
        ({"name": "server_error", "status": 502}, LossError, "a gateway answered 502"),
        ({"name": "redirect", "status": 301}, RemoteError, "hosts begin with 'www.'"),
    ],
)
def test_errors_are_distinguished(
    connected: Running, fault: dict[str, Any], kind: type[Exception], message: str
) -> None:
    connected.sandbox.add_fault(path="notifications", **fault)
    with pytest.raises(kind, match=message):
        DocplannerHook().pull_notifications()


def test_the_sandbox_reports_a_bare_domain(connected: Running) -> None:
    connected.sandbox.change({"docplanner": {"bare_hosts": ["127.0.0.1"]}}, time.time())
    is_good, message = DocplannerHook().test_connection()
    assert (is_good, "answered 301: a redirect" in message) == (False, True)
