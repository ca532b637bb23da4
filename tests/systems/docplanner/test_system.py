from __future__ import annotations

import json

import pytest

from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    LossError,
    NotFoundError,
    RemoteError,
    ReplyError,
    TransportError,
)
from airflow_provider_taskwatch.core.wire import Reply
from airflow_provider_taskwatch.systems.docplanner.system import (
    Pulled,
    patience,
    probe,
    pull,
    quota,
    read_pulled,
    release,
)
from tests.play import play, reply, result_of, targets
from tests.rows import each_row
from tests.systems.docplanner.case import EMPTY, NOBODY, ONE, TWO, settings_of

PAGE = "<!DOCTYPE html><title>Are you a robot?</title>"


def test_a_connection_needs_a_domain_and_a_client():
    settings = settings_of()
    assert settings.base_url == "https://www.doctoralia.es/api/v3/integration"
    assert settings.token_url == "https://www.doctoralia.es/oauth/v2/token"
    assert (settings.auth, settings.scope, settings.client_auth) == ("oauth2", "integration", "form")
    assert settings.own == {"delivery": "pull", "store_payload": "ids", "denial_code": None}


def test_the_client_may_be_sent_in_a_basic_header_and_all_may_be_stored():
    settings = settings_of(client_auth="basic", store_payload="full")
    assert (settings.client_auth, settings.own["store_payload"]) == ("basic", "full")


def test_other_values_of_store_payload_and_delivery_are_refused():
    with pytest.raises(
        ConfigurationError, match="'delivery' must be one of pull, push; extra 'store_payload' must be one of ids, full"
    ):
        settings_of(store_payload="most", delivery="fetch")


@pytest.mark.parametrize(
    "limit, target",
    [
        (None, "GET /notifications"),
        (1, "GET /notifications/multiple?limit=1"),
        (100, "GET /notifications/multiple?limit=100"),
    ],
)
def test_a_pull_is_the_vendors_request(limit, target):
    steps, answer = play(pull(limit), reply(200, ONE))
    [call] = steps
    assert (targets(steps), call.body, answer) == ([target], None, reply(200, ONE))
    assert call.headers == {
        "Accept": "application/vnd.docplanner+json; charset=UTF-8, application/vnd.error+docplanner+json",
        "User-Agent": "airflow-provider-taskwatch",
    }
    assert not call.is_repeatable


@each_row("limit", [0, 101, -1, 2.0, True, "5"])
def test_a_limit_out_of_range_is_refused_before_any_request(limit):
    with pytest.raises(ConfigurationError, match="limit must be a whole number from 1 to 100"):
        play(pull(limit))


@pytest.mark.parametrize("answer", EMPTY, ids=str)
@pytest.mark.parametrize("limit", [None, 100])
def test_an_empty_queue_may_say_so_in_many_ways(limit, answer):
    assert read_pulled(result_of(pull(limit), answer)) == Pulled(remaining=0)


def test_a_single_notification_does_not_say_how_many_are_left():
    assert read_pulled(reply(200, ONE)) == Pulled(notifications=(ONE,))


@each_row("remaining, read", [(3, 3), ("12", 12), (0, 0), (None, None), ("some", None), (-1, None)])
def test_many_notifications_keep_their_order(remaining, read):
    pulled = read_pulled(reply(200, {"notifications": [ONE, TWO], "remaining": remaining}))
    assert pulled == Pulled(notifications=(ONE, TWO), remaining=read)


@each_row(
    "body, message",
    [
        ({"_items": [ONE], "page": 1}, "an object with the members _items, page"),
        ({"resource": ONE}, "an object with the members resource"),
        ({}, r"an object with the members \(none\)"),
        ({"notifications": ONE}, "an object with the members notifications"),
        ([ONE], "a JSON list"),
        (PAGE, "a web page, from a firewall or another host"),
        ("{", "no JSON"),
        ("[" * 1_000_000, "no JSON"),
    ],
)
def test_a_reply_of_another_shape_is_an_error_that_shows_no_patient(body, message):
    with pytest.raises(ReplyError, match=rf"the reply to a pull \(200\) holds no notifications: it is {message}$"):
        read_pulled(result_of(pull(100), reply(200, body)))


@pytest.mark.parametrize("limit, number", [(None, 1), (100, 100)])
def test_a_lost_reply_is_a_possible_loss_and_not_requested_again(limit, number):
    with pytest.raises(LossError, match=rf"was lost: timed out. .* up to {number} notifications may be gone") as caught:
        play(pull(limit), TransportError("timed out"))
    assert (caught.value.transient, caught.value.sent) == (True, True)


@pytest.mark.parametrize("status", [502, 504])
def test_a_reply_lost_by_a_gateway_is_a_possible_loss(status):
    with pytest.raises(LossError, match=f"was lost: a gateway answered {status}"):
        play(pull(100), reply(status, PAGE))


def test_a_pull_that_never_left_has_lost_nothing():
    refused = TransportError("connection refused", sent=False)
    with pytest.raises(TransportError) as caught:
        play(pull(100), refused)
    assert caught.value is refused


@pytest.mark.parametrize("status", [500, 503])
def test_a_failing_remote_is_not_asked_again_at_once(status):
    with pytest.raises(RemoteError) as caught:
        play(pull(100), reply(status, retry_after="9"))
    assert (caught.value.status, caught.value.transient, caught.value.retry_after) == (status, True, 9.0)


@pytest.mark.parametrize(
    "answer", [reply(404, PAGE), reply(404, {"message": "Not found"}), reply(404, [NOBODY]), reply(404)], ids=str
)
def test_a_404_of_another_kind_is_a_wrong_address(answer):
    with pytest.raises(NotFoundError, match=r"an empty queue says 'No notifications found'; check host and path"):
        play(pull(100), answer)


@pytest.mark.parametrize("status", [301, 302, 308])
def test_a_bare_domain_is_explained(status):
    with pytest.raises(RemoteError, match=r"Docplanner's hosts begin with 'www\.'") as caught:
        play(pull(100), reply(status, location="https://www.doctoralia.es/api"))
    assert not caught.value.transient


@each_row("answer", [reply(405, PAGE), reply(405, "", content_type="text/html; charset=utf-8")], ids=["page", "header"])
@each_row("flow", [pull, release, probe])
def test_the_firewall_is_distinguished_from_the_remote_and_is_transient(flow, answer):
    with pytest.raises(TransportError, match="did not reach Docplanner: the web firewall") as caught:
        play(flow(), answer)
    assert (caught.value.transient, caught.value.sent) == (True, False)


def test_a_405_of_the_remote_itself_is_a_refusal():
    with pytest.raises(RemoteError, match=r"answered 405: Method Not Allowed$"):
        play(pull(100), reply(405, {"message": "Method Not Allowed"}))


def test_a_release_has_no_body_and_accepts_errors_only():
    steps, _ = play(release(), reply(204))
    [call] = steps
    assert (targets(steps), call.body) == (["POST /notifications/release"], None)
    assert call.headers == {
        "Accept": "application/vnd.error+docplanner+json",
        "User-Agent": "airflow-provider-taskwatch",
    }


def test_a_release_that_is_not_allowed_is_explained():
    answer = reply(403, {"errors": [], "message": "You are not allowed to use this method"})
    with pytest.raises(RemoteError, match=r"to use this method; a release is only for clients to which .* pushes"):
        play(release(), answer)


@pytest.mark.parametrize(
    "headers, seconds", [({"retry_after": "1800"}, 1800.0), ({"retry_after": "0"}, 0.0), ({}, 3600.0)]
)
def test_a_release_that_comes_too_early_says_when_it_may_come_again(headers, seconds):
    with pytest.raises(RemoteError) as caught:
        play(release(), reply(429, **headers))
    assert patience(caught.value) == seconds


def test_the_probe_takes_nothing_out_of_the_queue():
    steps, message = play(probe(), reply(200, {"_items": []}))
    assert (targets(steps), message) == (["GET /facilities"], "the token is accepted and the facilities can be listed")


def test_no_repr_shows_a_notification():
    assert "slot-booked" not in repr(read_pulled(Reply(status=200, body=json.dumps(ONE).encode())))


@each_row(
    "method, path, name",
    [
        ("POST", "/notifications/release", "release"),
        ("GET", "/notifications/multiple", "reads"),
        ("GET", "/facilities/1/slots", "reads"),
        ("PUT", "/addresses/3/slots", "slots /addresses/3/slots"),
        ("PATCH", "/addresses/3", "writes"),
        ("DELETE", "/addresses/3/slots/2026-01-01", "writes"),
    ],
)
def test_a_request_counts_against_one_of_the_vendors_limits(method, path, name):
    assert quota(method, path) == name


@pytest.mark.parametrize("flow, name", [(pull, "reads"), (lambda: pull(5), "reads"), (release, "release")])
def test_our_own_requests_say_against_which(flow, name):
    assert next(flow()).quota == name
