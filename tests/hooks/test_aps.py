"""The hook of the notification manager: signed calls, and each of its operations against the emulator."""

from __future__ import annotations

from typing import Any

import pytest
from requests_mock import Mocker

from airflow_provider_taskwatch.core.error import ConfigurationError, NotFoundError
from airflow_provider_taskwatch.hooks.aps import ApsHook
from airflow_provider_taskwatch.sandbox.aps.remote import APS_TOKEN
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.aps.notification import ApsNotification, DisplayMessages
from airflow_provider_taskwatch.systems.aps.text import LocalizedMessage
from tests.hooks.conftest import Connect
from tests.hooks.secret import SECRETS

APS = {
    "conn_type": "aps",
    "host": "oa.test",
    "port": 6308,
    "login": "our-key",
    "password": SECRETS["password"],
    "extra": {"package_id": "p-1", "service": "airflow"},
}
CHANNEL = "https://oa.test:6308/aps/2/services/notification-manager/notifications/channel"
MESSAGE = ApsNotification(message=LocalizedMessage(message="Load"), account_id="account-1", context="load.1")


def test_a_call_is_signed_and_carries_the_headers_that_were_given(connect: Connect, requests_mock: Mocker) -> None:
    requests_mock.get(CHANNEL, json={"id": "c-1"})
    connect("x", APS)
    hook = ApsHook("x", transaction_id="t-1", locale="de_DE", resource_id="r-1")
    assert hook.get_notification_channel() == "c-1"
    sent = requests_mock.last_request.headers
    assert sent["Authorization"].startswith("OAuth oauth_nonce=")
    assert (sent["APS-Transaction-ID"], sent["APS-Locale"], sent["APS-Resource-ID"]) == ("t-1", "de_DE", "r-1")


def test_a_token_may_be_used_instead(connect: Connect, requests_mock: Mocker) -> None:
    requests_mock.get(CHANNEL, json={"id": "c-1"})
    connect("x", APS, login=None, extra={"auth": "aps_token"})
    hook = ApsHook("x")
    hook.get_notification_channel()
    sent = requests_mock.last_request.headers
    assert (sent["APS-Token"], "Authorization" in sent) == (SECRETS["password"], False)
    assert hook.get_token() == SECRETS["password"]


def test_missing_fields_are_named_before_any_request(connect: Connect, requests_mock: Mocker) -> None:
    connect("x", APS, extra={})
    with pytest.raises(ConfigurationError, match=r"package_id is missing; service is missing"):
        ApsHook("x").send_notification(MESSAGE)
    assert requests_mock.call_count == 0


@pytest.mark.parametrize("extra", [{}, {"path": "resource"}], ids=["service", "resource"])
def test_every_operation_works_with_the_emulator(connected: Running, connect: Connect, extra: dict[str, str]) -> None:
    content = connected.connections()["aps_default"]
    connect("x", content, extra={**content["extra"], **extra})
    hook = ApsHook("x")
    sent = hook.send_notification(MESSAGE)
    assert (sent.localized_message, sent.package_id, sent.updated) == ("Load", content["extra"]["package_id"], False)
    done = hook.edit_notification(
        sent.id, ApsNotification(message=MESSAGE.message, status="ready", user_id="user-1", context="load.1")
    )
    assert (done.id, done.status, done.updated) == (sent.id, "ready", True)
    assert hook.get_last_notification_messages_by_context("load.*") == [done]
    assert hook.activity_log() == [done]
    assert hook.get_display_messages() == DisplayMessages(other_activities=(done,))
    assert hook.get_notification_channel() == "channel-application"
    assert hook.get_notifications() == [done]
    assert hook.get_notifications("channel-user-2") == []
    assert hook.announce(MESSAGE).id == sent.id
    hook.delete_notification(sent.id)
    with pytest.raises(NotFoundError):
        hook.delete_notification(sent.id)


async def test_a_flow_may_be_run_without_blocking(connected: Running) -> None:
    hook = ApsHook()
    sent = await hook.arun(hook.system.announce(MESSAGE))
    assert hook.activity_log() == [sent]


@pytest.mark.parametrize("auth", [{}, {"auth": "aps_token"}], ids=["signature", "token"])
def test_the_connection_test_reads_with_either_credential(
    connected: Running, connect: Connect, auth: dict[str, Any]
) -> None:
    content = connected.connections()["aps_default"]
    password = APS_TOKEN if auth else content["password"]
    connect("x", content, password=password, extra={**content["extra"], **auth})
    is_good, message = ApsHook("x").test_connection()
    assert (is_good, message.startswith(f"{connected.url}/aps by ")) == (True, True), message


def test_a_wrong_secret_is_reported_and_not_shown(connected: Running, connect: Connect) -> None:
    connect("x", connected.connections()["aps_default"], password=SECRETS["password"])
    is_good, message = ApsHook("x").test_connection()
    assert (is_good, "the signature is wrong" in message) == (False, True)


def test_the_page_of_a_notification_is_that_of_the_connection(connected: Running) -> None:
    assert ApsHook().page("n-1") == f"{connected.url}/_control/tasks/n-1"
