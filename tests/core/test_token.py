from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.error import TokenError
from airflow_provider_taskwatch.core.token import Token, read_token
from tests.play import reply
from tests.rows import each_row

URL, PLACE = "https://id.example.com/token", "id.example.com/token"


def read(answer, *, asked_at=1000.0, unix_now=1_800_000_000.0):
    return read_token(answer, URL, asked_at=asked_at, unix_now=unix_now)


def token(**lifetime):
    return read(reply(200, {"access_token": "s3cret", **lifetime}))


@each_row(
    "lifetime, fresh_for",
    [
        ({"expires_in": 300}, 240),
        ({"expires_in": 600}, 480),
        ({"expires_in": 3600}, 3480),
        ({"expires_in": 1}, 0.8),
        ({"expires_in": "300"}, 240),
        ({"expires_in": " 3600 "}, 3480),
        ({"expires_in": "3600.5"}, 3480.5),
        ({"expires_in": 3600.5}, 3480.5),
        ({"expires_in": 86400}, 86280),
        ({"expires_in": 2_592_000}, 86280),
        ({"expires_in": 1e300}, 86280),
        ({"expires_in": True, "expires_on": 1_800_003_600}, 3480),
        ({"expires_in": "Infinity", "expires_on": "1800003600"}, 3480),
        ({"expires_on": 1_800_000_300}, 240),
        ({"expires_on": "1800003600"}, 3480),
        ({"expires_in": 300, "expires_on": 1_800_003_600}, 240),
        ({"expires_in": None, "expires_on": 1_800_003_600}, 3480),
        ({"expires_in": "soon", "expires_on": 1_800_003_600}, 3480),
    ],
)
def test_a_token_is_renewed_a_fifth_of_its_lifetime_early_but_at_most_120_seconds(lifetime, fresh_for):
    assert token(**lifetime).renew_at == pytest.approx(1000.0 + fresh_for)


@each_row(
    "lifetime",
    [
        {},
        {"expires_in": 0},
        {"expires_in": -1},
        {"expires_in": []},
        {"expires_in": float("nan")},
        {"expires_in": 10**400},
        {"expires_in": True},
        {"expires_in": False},
        {"expires_in": float("inf")},
        {"expires_in": float("-inf")},
        {"expires_in": "Infinity"},
        {"expires_in": "nan"},
        {"expires_in": "-3600"},
        {"expires_in": "3_600"},
        {"expires_in": "0x10"},
        {"expires_in": "1e3"},
        {"expires_in": "\u0661\u0662"},
        {"expires_in": "9" * 400},
        {"expires_in": [3600]},
        {"expires_in": {"seconds": 3600}},
        {"expires_in": None},
        {"expires_in": ""},
        {"expires_on": 1_700_000_000},
        {"expires_on": "2027-01-15T08:00:00Z"},
    ],
)
def test_a_lifetime_without_meaning_does_not_cost_a_token_per_call(lifetime):
    assert token(**lifetime).renew_at == 1240.0


@pytest.mark.parametrize(
    "date, fresh_for",
    [("Fri, 15 Jan 2027 07:05:00 GMT", 3480), ("Fri, 15 Jan 2027 08:04:00 GMT", 48), ("no date", 240)],
)
def test_the_expiry_of_a_token_is_read_by_the_clock_of_the_endpoint(date, fresh_for):
    got = read(reply(200, {"access_token": "s3cret", "expires_on": 1_800_000_300}, date=date))
    assert got.renew_at == pytest.approx(1000.0 + fresh_for)


def test_a_token_is_fresh_until_it_is_due():
    got = Token(value="a", renew_at=10.0)
    assert (got.is_fresh(9.9, 1e12), got.is_fresh(10.0, 0.0)) == (True, False)
    assert got.authorization == "Bearer a"


def test_a_token_expires_although_the_monotonic_clock_stood_still():
    got = token(expires_in=300)
    assert got.is_fresh(1001.0, 1_800_000_001.0)
    assert not got.is_fresh(1001.0, 1_800_000_241.0), "the machine was suspended: the monotonic clock stood still"
    assert not got.is_fresh(1241.0, 1_700_000_000.0), "the wall clock was set back"


def test_a_token_is_shown_only_in_the_header():
    assert "s3cret" not in repr(token())
    assert token().authorization == "Bearer s3cret"


@each_row(
    "answer, message",
    [
        (reply(401, {"error": "invalid_client", "error_description": "wrong"}), "401: invalid_client: wrong; check cl"),
        (reply(400, {"errorCode": "E1", "errorSummary": "no scope"}), "400: E1: no scope; check client id, secret and"),
        (reply(403, "<html>no</html>"), "403: <html>no</html>; check client id"),
        (reply(404, "nothing here"), "404: nothing here; check the token URL"),
        (reply(405, "<html>robot?</html>"), "405: <html>robot.</html>; check the token URL of the connection, or wait"),
        (reply(300), "300: a redirect, .*; check the token URL"),
        (reply(399), "399: a redirect, .*; check the token URL"),
        (reply(418, ["odd"]), "418: odd$"),
        (reply(200, {"error": "denied", "message": "not today"}), "without a usable access token: denied: not today"),
        (reply(200, {"token": "s3cret"}), "without a usable access token$"),
        (reply(200, {"access_token": ""}), "without a usable access token$"),
        (reply(200, {"access_token": ["s3cret"]}), "without a usable access token$"),
        (reply(200, {"access_token": "s3cret\r\nX-Evil: 1"}), "without a usable access token$"),
        (reply(200, ["s3cret"]), "without a usable access token$"),
        (reply(200, "<html>s3cret</html>"), "without a usable access token$"),
        (reply(204), "without a usable access token$"),
    ],
)
def test_a_refusal_is_one_error_with_the_remotes_message(answer, message):
    with pytest.raises(TokenError, match=f"no token: {PLACE} answered .*{message}") as caught:
        read(answer)
    assert not caught.value.transient
    assert "s3cret" not in str(caught.value)


@each_row("status", [408, 429, 500, 503])
def test_a_failed_endpoint_can_be_asked_again(status):
    with pytest.raises(TokenError, match=f"answered {status}: try later$") as caught:
        read(reply(status, {"message": "try later"}))
    assert caught.value.transient


def test_a_deeply_nested_reply_is_a_refusal_too():
    with pytest.raises(TokenError, match=r"without a usable access token$"):
        read(reply(200, "[" * 100_000))


def test_a_token_in_an_error_reply_is_not_used():
    with pytest.raises(TokenError, match="500"):
        read(reply(500, {"access_token": "a", "message": "broken"}))


def test_the_retry_after_of_an_endpoint_is_in_the_error():
    with pytest.raises(TokenError) as caught:
        read_token(reply(429, {}, retry_after="7"), URL, asked_at=0.0, unix_now=0.0)
    assert caught.value.retry_after == 7.0


@each_row("name", ["access_token", "refresh_token", "id_token", "accessToken"])
def test_an_error_shows_no_token_of_its_reply(name):
    with pytest.raises(TokenError, match="500") as caught:
        read(reply(500, {name: "hush-hush", "reason": "broken hush-hush"}))
    assert "hush" not in str(caught.value)
