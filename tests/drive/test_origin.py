"""A call to another host, which a profile allows, carries nothing of ours; and API keys, wherever they are sent."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import RemoteError, TaskWatchError, TransportError
from airflow_provider_taskwatch.core.flow import ask
from airflow_provider_taskwatch.core.wire import Call, get
from airflow_provider_taskwatch.drive.credential import FixedCredential, QueryCredential, credential_for
from tests.drive.conftest import Connect
from tests.drive.settings import oauth2_settings, settings_for
from tests.drive.station import Station, station

Auth = dict[str, Any]
KEY = "k3y-of-this-connection"
OURS = "s3cret-of-a-profile"


def api_key(place: str = "header", name: str = "X-Api-Key", prefix: str | None = None) -> dict[str, Any]:
    own = {"api_key_in": place, "api_key_name": name, "api_key_prefix": prefix, "secrets": {"key": OURS}}
    return {"auth": "api_key", "password": KEY, "own": own}


AUTHS: dict[str, dict[str, Any]] = {
    "basic": {"auth": "basic", "login": "me", "password": KEY},
    "bearer": {"auth": "bearer", "password": KEY},
    "a key in a header": api_key(),
    "a key in Authorization": api_key(name="Authorization", prefix="Token"),
    "a key in the query": api_key("query", "key"),
    "a key in a cookie": api_key("cookie", "session"),
}
SPELLINGS = {KEY, base64.b64encode(f"me:{KEY}".encode()).decode(), "ready-token"}
ELSEWHERE = "/b?X-Amz-Signature=a%2Bb%2F&x=%20~"


@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
def test_another_host_gets_no_credentials(remote: Station, connect: Connect, auth: Auth) -> None:
    remote.say(200, {}, Set_Cookie="ours=1; Domain=127.0.0.1; Path=/")
    with station() as other:
        other.say(200, {"rows": 1}, Set_Cookie="theirs=1; Path=/")
        client = connect(settings_for(remote, **auth))
        client.run(ask(get("/jobs")))
        reply = client.run(ask(Call(method="GET", path=ELSEWHERE, origin=other.url)))
        client.run(ask(Call(method="GET", path=ELSEWHERE, origin=other.url)))
        client.run(ask(get("/jobs")))
    assert reply.json() == {"rows": 1}
    for request in other.requests:
        assert request.target == ELSEWHERE
        assert not {"authorization", "cookie", "x-api-key", "proxy-authorization"} & set(request.headers)
        assert not any(one in f"{request.target} {request.headers}" for one in SPELLINGS)
    for request in remote.requests:
        assert any(one in f"{request.target} {request.headers}" for one in SPELLINGS)
        assert "ours=1" not in request.headers.get("cookie", "")


@pytest.mark.parametrize("status", [401, 403, 302, 429, 503])
def test_what_another_host_says_is_not_of_the_connection(remote: Station, connect: Connect, status: int) -> None:
    with station() as other:
        other.say(status, {}, Retry_After="3000", Location=f"{remote.url}/elsewhere", WWW_Authenticate="Basic")
        client = connect(settings_for(remote))
        with pytest.raises(RemoteError, match=str(status)) as caught:
            client.run(ask(Call(method="GET", path=ELSEWHERE, origin=other.url)))
        client.run(ask(get("/jobs")))
    assert caught.value.args[0].startswith(other.url.removeprefix("http://"))
    assert [request.target for request in other.requests] == [ELSEWHERE]
    assert [request.target for request in remote.requests] == ["/jobs"]


def test_another_host_needs_no_token(remote: Station, connect: Connect) -> None:
    remote.say(500, {})
    with station() as other:
        connect(oauth2_settings(remote)).run(ask(Call(method="GET", path=ELSEWHERE, origin=other.url)))
    assert (remote.requests, len(other.requests)) == ([], 1)


def test_a_signed_query_is_in_no_error(remote: Station, connect: Connect) -> None:
    client = connect(settings_for(remote))
    with pytest.raises(TransportError) as caught:
        client.run(ask(Call(method="GET", path=ELSEWHERE, origin="http://127.0.0.1:9")))
    assert "127.0.0.1:9" in str(caught.value), "the error names the host that was not reached"
    assert "Signature" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "auth, found",
    [
        (api_key(), ("x-api-key", KEY)),
        (api_key(prefix="Token"), ("x-api-key", f"Token {KEY}")),
        (api_key(name="Authorization", prefix="Token"), ("authorization", f"Token {KEY}")),
        (api_key("cookie", "session"), ("cookie", f"session={KEY}")),
    ],
)
def test_an_api_key_is_sent_in_its_header(remote: Station, connect: Connect, auth: Auth, found: Any) -> None:
    connect(settings_for(remote, **auth)).run(ask(get("/jobs")))
    [request] = remote.requests
    assert request.headers[found[0]] == found[1]


def test_an_api_key_is_sent_in_the_query(remote: Station, connect: Connect) -> None:
    connect(settings_for(remote, **{**api_key("query", "key"), "password": "a&b+c/d e"})).run(ask(get("/jobs?a=1")))
    [request] = remote.requests
    assert request.target == "/jobs?a=1&key=a%26b%2Bc%2Fd%20e"


@pytest.mark.parametrize("auth", [api_key(), api_key("query", "key"), api_key("cookie", "session")])
def test_keys_and_secrets_that_a_reply_echoes_are_masked(remote: Station, connect: Connect, auth: Auth) -> None:
    remote.say(400, {"message": f"bad key {KEY} or {OURS}"})
    settings = settings_for(remote, **auth)
    with pytest.raises(TaskWatchError) as caught:
        connect(settings).run(ask(get("/jobs")))
    remote.hang_up()
    with pytest.raises(TaskWatchError) as lost:
        connect(settings).run(ask(get("/jobs")))
    shown = f"{caught.value!r} {vars(caught.value)} {lost.value!r} {lost.value.__cause__!r} {settings!r}"
    assert KEY not in shown
    assert OURS not in shown


def test_no_credential_shows_its_key() -> None:
    for auth in AUTHS.values():
        credential = credential_for(settings_for("https://r.test", **auth))
        assert isinstance(credential, (FixedCredential, QueryCredential))
        assert credential.is_ready
        signed = credential.sign(get("/jobs"))
        assert KEY not in repr(credential) + repr(signed)
