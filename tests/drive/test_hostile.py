"""Remotes that mean ill: they get no token, no memory and no time, and the error says what they did."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import quote

import pytest

from airflow_provider_taskwatch.core.error import RemoteError, ReplyError, TaskWatchError, TokenError, TransportError
from airflow_provider_taskwatch.core.flow import ask, ask_json
from airflow_provider_taskwatch.core.wire import get
from airflow_provider_taskwatch.drive.oauth2 import OAuth2Credential
from tests.drive.conftest import Connect
from tests.drive.hostile import ENDLESS, HUGE, MALFORMED, TOKEN, Hostile, attack, little_memory, once, prepare, shown_by
from tests.drive.settings import oauth2_settings, settings_for
from tests.drive.station import Request, Station, http

HASTY = {"connect_timeout": 0.2, "read_timeout": 0.02}
HASTY_SECONDS = 0.3
LOST = r"was lost: the reply (is not HTTP, or its header is too long|was cut off|does not unpack)$"
GIVEN_UP = f"did not answer in time$|{LOST}"

# Lines of traces at DEBUG show what is sent; Airflow's users do not see them.
logging.getLogger("urllib3").setLevel(logging.INFO)


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever is logged by whomever in these tests shows no token."""
    caplog.set_level(logging.DEBUG)
    yield
    assert TOKEN not in caplog.text


@pytest.fixture(scope="module", autouse=True)
def prepared() -> None:
    """The bombs are built before any memory is measured."""
    prepare()


# --- too much, too long, no HTTP


@pytest.mark.parametrize("hostile", HUGE.values(), ids=HUGE)
def test_more_than_8_mb_is_refused_in_little_memory(remote: Station, connect: Connect, hostile: Hostile) -> None:
    attack(remote, hostile)
    client = connect(settings_for(remote))
    with little_memory(), pytest.raises(ReplyError, match=r"longer than 8 MB; it is not read further$") as caught:
        client.run(ask(get("/x")))
    assert caught.value.transient


@pytest.mark.parametrize("hostile", ENDLESS.values(), ids=ENDLESS)
def test_a_reply_that_never_ends_is_given_up_in_time(remote: Station, connect: Connect, hostile: Hostile) -> None:
    attack(remote, hostile)
    client, began = connect(settings_for(remote, **HASTY)), time.monotonic()
    with little_memory(), pytest.raises(TransportError, match=GIVEN_UP) as caught:
        client.run(ask(get("/x")))
    assert (caught.value.transient, caught.value.sent) == (True, True)
    assert time.monotonic() - began < HASTY_SECONDS + 2


@pytest.mark.parametrize("hostile", MALFORMED.values(), ids=MALFORMED)
def test_bytes_that_are_not_http_are_an_error_without_any_of_them(
    remote: Station, connect: Connect, hostile: Hostile
) -> None:
    attack(remote, hostile)
    client = connect(settings_for(remote))
    with little_memory(), pytest.raises(TransportError, match=LOST) as caught:
        client.run(ask(get("/x")))
    assert (caught.value.transient, caught.value.sent) == (True, True)
    assert TOKEN not in shown_by(caught.value)


@pytest.mark.parametrize(
    "hostile", [*HUGE.values(), *MALFORMED.values(), ENDLESS["100"]], ids=[*HUGE, *MALFORMED, "100"]
)
def test_a_token_endpoint_may_do_no_more_harm_than_a_remote(remote: Station, hostile: Hostile) -> None:
    attack(remote, hostile)
    with little_memory(), pytest.raises(TokenError, match=r"^no token: .*(longer than 8 MB|was lost)") as caught:
        OAuth2Credential(oauth2_settings(remote, password=TOKEN)).token()
    assert caught.value.transient
    assert TOKEN not in shown_by(caught.value)


@pytest.mark.parametrize("name", ["a header, byte by byte", "a body, byte by byte", "a trailer"])
def test_a_token_endpoint_may_take_no_more_time_than_a_remote(remote: Station, name: str) -> None:
    attack(remote, ENDLESS[name])
    began = time.monotonic()
    with pytest.raises(TokenError, match=r"^no token: .* did not answer in time$"):
        OAuth2Credential(oauth2_settings(remote, **HASTY)).token()
    assert time.monotonic() - began < HASTY_SECONDS + 2


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("body", [b"{},", b'{"a":[', b"1,"], ids=["empty", "deep", "numbers"])
def test_8_mb_of_json_need_little_memory(remote: Station, connect: Connect, status: int, body: bytes) -> None:
    content = http(status, b"[" + body * ((8 << 20) // len(body) - 2))
    remote.answer = lambda request: (content,)
    client = connect(settings_for(remote))
    with little_memory(), pytest.raises((ReplyError, RemoteError), match=r"is not JSON|answered 500"):
        client.run(ask_json(get("/x")))


# --- somewhere else

LOCATIONS = (
    "{other}/x",
    "//{host}/x",
    "http://user:ready-token@{host}/x",
    "/\\{host}/x",
    "http://[",
    "http://{host}:99999/",
    "nowhere:",
    "\xff\xfe",
)


@pytest.mark.parametrize("location", LOCATIONS)
def test_no_location_moves_a_token_or_is_repeated(
    remote: Station, elsewhere: Station, connect: Connect, location: str
) -> None:
    host = elsewhere.url.removeprefix("http://")
    client = connect(settings_for(remote))
    for status in (301, 302, 303, 307, 308):
        sent = f"HTTP/1.1 {status} X\r\nLocation: {location.format(other=elsewhere.url, host=host)}\r\n\r\n"
        attack(remote, once(sent.encode("latin-1")))
        with pytest.raises(RemoteError, match=f"answered {status}: a redirect, which is not followed") as caught:
            client.run(ask(get("/x")))
        assert not any(word in shown_by(caught.value) for word in (host, TOKEN))
    assert (elsewhere.connections, len(remote.requests)) == (0, 5)


@pytest.mark.parametrize("location", LOCATIONS)
def test_no_location_moves_a_client_secret(remote: Station, elsewhere: Station, location: str) -> None:
    host = elsewhere.url.removeprefix("http://")
    sent = f"HTTP/1.1 307 X\r\nLocation: {location.format(other=elsewhere.url, host=host)}\r\n\r\n"
    attack(remote, once(sent.encode("latin-1")))
    with pytest.raises(TokenError, match=r"/token answered 307: a redirect, .*check the token URL") as caught:
        OAuth2Credential(oauth2_settings(remote)).token()
    assert (elsewhere.connections, len(remote.requests), caught.value.transient) == (0, 1, False)
    assert host not in shown_by(caught.value)


@pytest.mark.parametrize(
    "status, name, value",
    [
        (200, "Refresh", "0; url={other}"),
        (200, "Link", '<{other}>; rel="next", <{other}>; rel="preconnect"'),
        (200, "Content-Location", "{other}"),
        (200, "Alt-Svc", 'http/1.1="{host}"; ma=9'),
        (200, "Set-Cookie", "a=b; Domain=127.0.0.1; Path=/"),
        (401, "WWW-Authenticate", 'Bearer realm="{other}", authorization_uri="{other}"'),
        (407, "Proxy-Authenticate", 'Basic realm="{other}"'),
        (421, "Alt-Svc", 'h2="{host}"'),
    ],
)
def test_no_other_header_leads_elsewhere_either(
    remote: Station, elsewhere: Station, connect: Connect, status: int, name: str, value: str
) -> None:
    host = elsewhere.url.removeprefix("http://")
    remote.say(status, {}, **{name: value.format(other=elsewhere.url, host=host)})
    client = connect(settings_for(remote))
    for _ in range(2):
        with suppress(RemoteError):
            client.run(ask(get("/x")))
    assert (elsewhere.connections, len(remote.requests)) == (0, 2)
    assert not any("cookie" in request.headers for request in remote.requests)


# --- our own credentials, sent back

BASIC = base64.b64encode(b"me:pa&ss w\xc3\xb6rd").decode()


@pytest.mark.parametrize("spell", [str, quote, lambda text: f'"{text}"'], ids=["plain", "url", "json"])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_token_that_comes_back_is_not_shown(remote: Station, connect: Connect, status: int, spell: object) -> None:
    token = "to+ken/of=ours"
    remote.say(status, f"<p>you sent {spell(f'Bearer {token}')}</p>", X_Echo=token)  # type: ignore[operator]
    with pytest.raises(TaskWatchError, match="you sent") as caught:
        connect(settings_for(remote, password=token)).run(ask_json(get("/x")))
    message = shown_by(caught.value) if status != 200 else str(caught.value)
    assert not any(one in message for one in (token, quote(token, safe=""), quote(token)))


@pytest.mark.parametrize("sent", [BASIC, quote(BASIC, safe=""), "pa&ss wörd", "pa&amp;ss wörd", "pa%26ss+w%C3%B6rd"])
def test_a_password_that_comes_back_is_not_shown(remote: Station, connect: Connect, sent: str) -> None:
    remote.say(403, f"you sent {sent}")
    with pytest.raises(RemoteError, match=r"you sent \*\*\*") as caught:
        connect(settings_for(remote, auth="basic", login="me", password="pa&ss wörd")).run(ask(get("/x")))
    assert sent not in shown_by(caught.value)


def test_a_client_secret_that_comes_back_is_not_shown(remote: Station, connect: Connect) -> None:
    settings = oauth2_settings(remote, client_auth="basic")

    def answer(request: Request) -> tuple[bytes]:
        return (http(200, {"error": "no", "message": f"{settings.password} {request.headers['authorization']}"}),)

    remote.answer = answer
    with pytest.raises(TokenError, match=r"no: \*\*\* Basic \*\*\*") as caught:
        connect(settings).run(ask(get("/x")))
    assert settings.password not in shown_by(caught.value)


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_json_of_any_kind_shows_no_token(remote: Station, connect: Connect, status: int, encoding: str) -> None:
    token = "to+ken/of=ours-and-longer"
    php = json.dumps([f"you sent Bearer {token}"]).replace("/", "\\/")
    remote.say(status, php.encode(encoding))
    with pytest.raises(TaskWatchError, match=r"you sent Bearer \*\*\*|\ufffd") as caught:
        connect(settings_for(remote, password=token)).run(ask_json(get("/x")))
    assert token not in shown_by(caught.value).replace("\ufffd", "")


@pytest.mark.parametrize("spell", [str, str.lower], ids=["upper", "lower"])
def test_a_form_of_any_kind_shows_no_token(remote: Station, connect: Connect, spell: Callable[[str], str]) -> None:
    remote.say(400, "you sent " + re.sub("%..", lambda hit: spell(hit[0]), quote(TOKEN + "/=", safe="")))
    with pytest.raises(RemoteError, match=r"you sent \*\*\*$"):
        connect(settings_for(remote, password=TOKEN + "/=")).run(ask(get("/x")))


def test_other_secrets_of_a_token_request_are_not_shown(remote: Station, connect: Connect) -> None:
    params = {"grant_type": "password", "username": "somebody", "password": "hunter2-hunter2"}
    remote.say(400, {"error": "invalid_grant", "error_description": "password hunter2-hunter2"})
    with pytest.raises(TokenError, match=r"invalid_grant: password \*\*\*"):
        connect(oauth2_settings(remote, token_params=params)).run(ask(get("/x")))


def test_a_proxys_password_that_comes_back_is_not_shown(remote: Station, connect: Connect) -> None:
    packed = base64.b64encode(b"me:by-proxy").decode()
    remote.say(407, f"you sent Basic {packed} (by-proxy)")
    proxy = remote.url.replace("://", "://me:by-proxy@")
    with pytest.raises(TaskWatchError, match=r"you sent Basic \*\*\* \(\*\*\*\)"):
        connect(settings_for(remote, proxy=proxy)).run(ask(get("/x")))


@pytest.mark.parametrize("word", ["status", "ended-long-enough", "acme-production"])
def test_a_reply_is_unchanged_with_any_password(remote: Station, connect: Connect, word: str) -> None:
    data = {word: f"{word}-7", "list": [word]}
    remote.say(200, data)
    assert connect(settings_for(remote, password=word)).run(ask_json(get("/x"))) == data


@pytest.mark.parametrize("status", [404, 500, None])
def test_a_secret_in_an_address_is_masked_and_the_rest_is_shown(
    remote: Station, connect: Connect, status: int | None
) -> None:
    base = f"{remote.url}/keys/{TOKEN}"
    remote.say(status, {}) if status else remote.hang_up()
    with pytest.raises(TaskWatchError, match=r"127\.0\.0\.1:[0-9]+/keys/\*\*\*") as caught:
        connect(settings_for(remote, base_url=base)).run(ask(get(f"/{TOKEN}/x")))
    assert TOKEN not in shown_by(caught.value)


def test_a_secret_in_the_address_of_a_missing_host_is_masked(connect: Connect) -> None:
    with pytest.raises(TransportError, match=r"^http://127.0.0.1:1/keys/\*\*\* refuses connections$") as caught:
        connect(settings_for(f"http://127.0.0.1:1/keys/{TOKEN}")).run(ask(get("/x")))
    assert TOKEN not in shown_by(caught.value)
