"""What the machine's environment may change about a request, and what not."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, TokenError, TransportError
from airflow_provider_taskwatch.core.flow import ask
from airflow_provider_taskwatch.core.wire import get
from tests.drive.conftest import Connect
from tests.drive.settings import oauth2_settings, settings_for
from tests.drive.station import Request, Station, http

NETRC = "machine 127.0.0.1 login stranger password stranger\ndefault login anybody password anybody\n"
FAR = "http://far.invalid"


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of the user for every host, where the libraries look for them."""
    for name in (".netrc", "netrc"):
        (tmp_path / name).write_text(NETRC)
        (tmp_path / name).chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize("auth, word", [("bearer", "Bearer"), ("basic", "Basic")])
def test_a_netrc_does_not_replace_our_credentials(remote: Station, connect: Connect, auth: str, word: str) -> None:
    client = connect(settings_for(remote, auth=auth, login="me"))
    client.run(ask(get("/")))
    (sent,) = remote.authorizations
    assert sent in ("Bearer ready-token", "Basic bWU6cmVhZHktdG9rZW4=")
    assert (sent or "").startswith(word)


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize("client_auth, sent", [("form", None), ("basic", "Basic b3VyLWlkOnMzY3JldCZtb3Jl")])
def test_a_netrc_does_not_reach_the_token_endpoint(
    remote: Station, connect: Connect, client_auth: str, sent: str | None
) -> None:
    remote.say(200, {"access_token": "t"})
    connect(oauth2_settings(remote, client_auth=client_auth)).run(ask(get("/")))
    assert remote.authorizations == [sent, "Bearer t"]


def test_the_proxy_of_the_environment_is_used_for_everything(
    elsewhere: Station, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", elsewhere.url)
    elsewhere.say(200, {"access_token": "t"})
    connect(oauth2_settings(FAR)).run(ask(get("/x")))
    assert [request.target for request in elsewhere.requests] == [f"{FAR}/token", f"{FAR}/x"]
    assert elsewhere.authorizations == [None, "Bearer t"]


def test_hosts_that_the_environment_excepts_are_asked_directly(
    remote: Station, elsewhere: Station, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", elsewhere.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    connect(settings_for(remote)).run(ask(get("/")))
    assert (len(remote.requests), elsewhere.requests) == (1, [])


def test_the_proxy_of_the_connection_goes_before_that_of_the_environment(
    remote: Station, elsewhere: Station, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", elsewhere.url)
    monkeypatch.setenv("all_proxy", elsewhere.url)
    remote.say(200, {"access_token": "t"})
    connect(oauth2_settings(FAR, proxy=remote.url)).run(ask(get("/x")))
    assert (len(remote.requests), elsewhere.requests) == (2, [])


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_credentials_for_the_proxy_go_to_the_proxy_only(remote: Station, connect: Connect, scheme: str) -> None:
    proxy = f"{scheme}user:pass@{remote.url.removeprefix('http://')}"
    connect(settings_for(FAR, proxy=proxy)).run(ask(get("/x")))
    (seen,) = remote.requests
    assert (seen.target, seen.headers["authorization"]) == (f"{FAR}/x", "Bearer ready-token")
    assert seen.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"


def test_a_proxy_that_cannot_be_reached(connect: Connect) -> None:
    client = connect(settings_for(FAR, proxy="http://user:pass@127.0.0.1:1"))
    with pytest.raises(TransportError, match=f"^the proxy on the way to {FAR} cannot be used: ") as caught:
        client.run(ask(get("/")))
    assert not caught.value.sent
    assert "pass" not in str(caught.value)


def test_a_proxy_that_refuses_to_go_on(remote: Station, connect: Connect) -> None:
    remote.say(403, "not from here")
    client = connect(settings_for("https://far.invalid", proxy=remote.url))
    with pytest.raises(TransportError, match=r"^the proxy on the way to https://far\.invalid .*403") as caught:
        client.run(ask(get("/")))
    assert not caught.value.sent
    assert [(request.method, request.headers.get("authorization")) for request in remote.requests] == [
        ("CONNECT", None)
    ]


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://[nonsense", "gopher://127.0.0.1:1"])
def test_a_proxy_of_an_unknown_kind_is_a_wrong_setting(connect: Connect, proxy: str) -> None:
    with pytest.raises((ConfigurationError, TransportError), match=f"{FAR}|proxy") as caught:
        connect(settings_for(FAR, proxy=proxy)).run(ask(get("/")))
    assert getattr(caught.value, "sent", False) is False


def test_a_token_endpoint_behind_a_dead_proxy(connect: Connect) -> None:
    client = connect(oauth2_settings(FAR, proxy="http://user:pass@127.0.0.1:1"))
    with pytest.raises(TokenError, match=r"^no token: the proxy on the way to far.invalid/token cannot") as caught:
        client.run(ask(get("/")))
    assert "pass" not in str(caught.value)


def test_a_target_in_the_reply_of_the_proxy_is_not_followed(
    remote: Station, elsewhere: Station, connect: Connect
) -> None:
    def answer(request: Request) -> tuple[bytes]:
        return (http(307, Location=elsewhere.url),)

    remote.answer = answer
    with pytest.raises(Exception, match="a redirect, which is not followed"):
        connect(settings_for(FAR, proxy=remote.url)).run(ask(get("/")))
    assert elsewhere.requests == []
