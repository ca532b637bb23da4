from __future__ import annotations

import json

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, ReplyError
from airflow_provider_taskwatch.systems.docplanner.feed import push_event
from airflow_provider_taskwatch.systems.docplanner.notification import SUBJECTS
from airflow_provider_taskwatch.systems.docplanner.push import BLOCKING, PUSH
from tests.rows import each_row
from tests.systems.docplanner.case import ONE, settings_of

DENYING = {"store_payload": "ids", "denial_code": 7}
APPROVING = {"store_payload": "ids", "denial_code": None}


def body_of(name: str) -> bytes:
    return json.dumps({**ONE, "name": name}).encode()


@pytest.mark.parametrize(
    "extra, options",
    [
        ({}, APPROVING),
        ({"store_payload": "full", "denial_code": "7"}, {"store_payload": "full", "denial_code": 7}),
        ({"denial_code": 0}, {"store_payload": "ids", "denial_code": 0}),
    ],
)
def test_the_options_of_a_push_say_how_much_to_store_and_whether_to_deny(extra, options):
    assert PUSH.options(settings_of(delivery="push", **extra)) == options
    assert json.loads(json.dumps(options)) == options


def test_a_connection_that_pulls_takes_no_pushes():
    with pytest.raises(ConfigurationError, match="'c' says that notifications are pulled; set its 'delivery' to"):
        PUSH.options(settings_of())


@pytest.mark.parametrize("code", ["soon", 1.5, True])
def test_a_code_is_a_whole_number(code):
    with pytest.raises(ConfigurationError, match="extra 'denial_code' must be a whole number"):
        settings_of(denial_code=code)


@each_row("name", [*SUBJECTS, "slot-overbooked"])
def test_only_requests_of_patients_are_denied(name):
    pushed = PUSH.read(body_of(name), DENYING, 9.0)
    assert pushed.event == push_event(body_of(name), "ids")
    assert pushed.reply.status == (409 if name in BLOCKING else 204)


def test_a_denial_has_the_vendors_form():
    reply = PUSH.read(body_of("slot-booking"), {**DENYING, "denial_code": 0}, 9.0).reply
    assert (reply.headers["content-type"], reply.json()) == ("application/json", {"error_code": 0})


@pytest.mark.parametrize("name", sorted(BLOCKING))
def test_without_a_code_requests_of_patients_are_approved(name):
    reply = PUSH.read(body_of(name), APPROVING, 9.0).reply
    assert (reply.status, reply.body) == (204, b"")


def test_a_body_that_is_no_notification_is_an_error():
    with pytest.raises(ReplyError):
        PUSH.read(b"[]", DENYING, 9.0)
