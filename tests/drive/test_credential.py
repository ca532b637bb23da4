"""Tokens: one request for all askers, renewed early, and one clear error whatever the endpoint says."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import ConfigurationError, TaskWatchError, TokenError
from airflow_provider_taskwatch.core.flow import ask
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Call, Reply, get
from airflow_provider_taskwatch.drive.credential import FixedCredential, credential_for
from airflow_provider_taskwatch.drive.oauth2 import FAILURE_SECONDS, OAuth2Credential, fetch_token
from airflow_provider_taskwatch.drive.waiting import WaitingDriver
from airflow_provider_taskwatch.sandbox.server import Running
from tests.drive.conftest import Connect
from tests.drive.settings import acquia_settings, oauth2_settings, settings_for
from tests.drive.station import Request, Station, http
from tests.rows import each_row

SETTINGS = oauth2_settings("https://remote.example")
ASKERS = 50


class Clock:
    """A clock that moves only when a test moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Endpoint:
    """A token endpoint that numbers its tokens, or gives a prepared reply."""

    def __init__(self, *replies: Reply | Exception, **fields: Any) -> None:
        self.asked = 0
        self.replies = list(replies)
        self.fields = {"expires_in": 300} | fields

    def __call__(self, settings: Settings) -> Reply:
        self.asked += 1
        if not self.replies:
            return token_reply(f"token-{self.asked}", **self.fields)
        answer = self.replies.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def token_reply(value: object, **fields: Any) -> Reply:
    return Reply(status=200, body=json.dumps({"access_token": value, **fields}).encode())


def sent(call: Call) -> str:
    return call.headers["Authorization"]


# --- one request for however many askers


def test_fifty_threads_share_one_token_request() -> None:
    endpoint, gate = Endpoint(), threading.Barrier(ASKERS)

    def slow(settings: Settings) -> Reply:
        threading.Event().wait(0.1)
        return endpoint(settings)

    credential = OAuth2Credential(SETTINGS, fetch=slow)

    def ask_at_once(_: int) -> str:
        gate.wait(10)
        return sent(credential.sign(get("/")))

    with ThreadPoolExecutor(ASKERS) as pool:
        assert set(pool.map(ask_at_once, range(ASKERS))) == {"Bearer token-1"}
    assert endpoint.asked == 1


def test_fifty_threads_share_one_failure() -> None:
    endpoint, gate = Endpoint(*[TokenError("it is down", transient=True)] * ASKERS), threading.Barrier(ASKERS)
    credential = OAuth2Credential(SETTINGS, fetch=endpoint, clock=Clock())

    def ask_at_once(_: int) -> str:
        gate.wait(10)
        with pytest.raises(TokenError, match="it is down") as caught:
            credential.sign(get("/"))
        return str(caught.value.transient)

    with ThreadPoolExecutor(ASKERS) as pool:
        assert set(pool.map(ask_at_once, range(ASKERS))) == {"True"}
    assert endpoint.asked == 1


def test_after_a_moment_a_failed_endpoint_is_asked_again() -> None:
    endpoint, clock = Endpoint(TokenError("it is down", transient=True)), Clock()
    credential = OAuth2Credential(SETTINGS, fetch=endpoint, clock=clock)
    for _ in range(3):
        with pytest.raises(TokenError):
            credential.token()
    clock.now += FAILURE_SECONDS
    assert (credential.token().value, endpoint.asked) == ("token-2", 2)


async def test_fifty_tasks_of_an_event_loop_share_one_token_request(box: Running) -> None:
    box.sandbox.add_fault("latency", endpoint="token", seconds=0.1)
    driver = WaitingDriver(acquia_settings(box))
    await asyncio.gather(*(driver.run(ask(get("/account"))) for _ in range(ASKERS)))
    await driver.close()
    assert box.sandbox.counts()["requests"] == {"acquia token": 1, "acquia api": ASKERS}


async def test_fifty_tasks_replace_a_rejected_token_once(box: Running) -> None:
    driver = WaitingDriver(acquia_settings(box))
    await driver.run(ask(get("/account")))
    box.sandbox.revoke_tokens()
    await asyncio.gather(*(driver.run(ask(get("/account"))) for _ in range(ASKERS)))
    await driver.close()
    assert box.sandbox.counts()["requests"]["acquia token"] == 2


async def test_tasks_that_wait_for_a_token_hold_one_thread_only(remote: Station) -> None:
    asked, leave = threading.Event(), threading.Event()

    def fetch(settings: Settings) -> Reply:
        asked.set()
        leave.wait(10)
        return token_reply("t")

    settings = oauth2_settings(remote)
    driver = WaitingDriver(settings, credential=OAuth2Credential(settings, fetch=fetch))
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    askers = [asyncio.ensure_future(driver.run(ask(get("/")))) for _ in range(ASKERS)]
    async with asyncio.timeout(10):
        await asyncio.to_thread(asked.wait)
        await asyncio.to_thread(leave.set)
        await asyncio.gather(*askers)
    await driver.close()
    assert len(remote.requests) == ASKERS


async def test_a_cancelled_task_does_not_take_the_token_from_others(remote: Station) -> None:
    asked, leave = threading.Event(), threading.Event()

    def fetch(settings: Settings) -> Reply:
        asked.set()
        leave.wait(10)
        return token_reply("t")

    settings = oauth2_settings(remote)
    driver = WaitingDriver(settings, credential=OAuth2Credential(settings, fetch=fetch))
    first, second = (asyncio.ensure_future(driver.run(ask(get("/")))) for _ in range(2))
    await asyncio.to_thread(asked.wait)
    first.cancel()
    leave.set()
    assert (await second).is_ok
    await driver.close()
    assert first.cancelled()


# --- when a token is replaced


@each_row(
    "fields, lifetime",
    [
        ({"expires_in": 300}, 240),
        ({"expires_in": "300"}, 240),
        ({"expires_in": 3600}, 3480),
        ({"expires_in": 10}, 8),
        ({"expires_in": None}, 240),
    ],
)
def test_a_token_is_renewed_before_it_expires(fields: dict[str, Any], lifetime: float) -> None:
    endpoint, clock = Endpoint(**fields), Clock()
    credential = OAuth2Credential(SETTINGS, fetch=endpoint, clock=clock)
    credential.token()
    clock.now += lifetime - 0.001
    assert (credential.is_ready, credential.token().value) == (True, "token-1")
    clock.now += 0.001
    assert (credential.is_ready, credential.token().value) == (False, "token-2")


def test_an_absolute_expiry_counts_from_now(box: Running) -> None:
    box.sandbox.change({"acquia": {"token_expiry": "expires_on", "token_lifetime": 1000}}, 0)
    clock = Clock()
    token = OAuth2Credential(acquia_settings(box), clock=clock).token()
    assert token.renew_at == pytest.approx(clock.now + 1000 - 120, abs=3)


def test_the_lifetime_counts_from_before_the_request() -> None:
    clock = Clock()

    def slow(settings: Settings) -> Reply:
        clock.now += 100
        return token_reply("t", expires_in=300)

    assert OAuth2Credential(SETTINGS, fetch=slow, clock=clock).token().renew_at == 1000 + 300 - 60


def test_a_rejected_token_is_dropped_only_if_it_is_still_in_use() -> None:
    endpoint = Endpoint()
    credential = OAuth2Credential(SETTINGS, fetch=endpoint, clock=Clock())
    old = credential.sign(get("/"))
    new = credential.sign(get("/"), refused=old)
    again = credential.sign(get("/"), refused=old)
    assert (sent(old), sent(new), sent(again)) == ("Bearer token-1", "Bearer token-2", "Bearer token-2")
    assert endpoint.asked == 2


# --- what is asked


def test_the_token_request_names_all_that_the_connection_names(remote: Station) -> None:
    params = {"resource": "r&1", "empty": "", "audience": "mine"}
    fetch_token(oauth2_settings(remote, scope="a b", audience="other", token_params=params))
    (seen,) = remote.requests
    assert seen.form == {
        "grant_type": "client_credentials",
        "scope": "a b",
        "audience": "mine",
        "resource": "r&1",
        "empty": "",
        "client_id": "our-id",
        "client_secret": "s3cret&more",
    }


@pytest.mark.parametrize(
    "name", ["grant_type", "timeout", "verify", "headers", "auth", "method", "url", "body", "json"]
)
def test_extra_token_parameters_with_any_name_are_form_fields(remote: Station, name: str) -> None:
    fetch_token(oauth2_settings(remote, token_params={name: "x"}))
    (seen,) = remote.requests
    assert (seen.method, seen.target, seen.form[name]) == ("POST", "/token", "x")


def test_a_client_may_authenticate_in_a_header(remote: Station) -> None:
    fetch_token(oauth2_settings(remote, client_auth="basic", password="pä"))
    (seen,) = remote.requests
    assert (seen.headers["authorization"], seen.form) == (
        "Basic b3VyLWlkOnDk",
        {"grant_type": "client_credentials"},
    )


def test_a_secret_that_no_header_can_carry_is_a_wrong_setting(remote: Station) -> None:
    with pytest.raises(ConfigurationError, match="set 'client_auth' to 'form'") as caught:
        fetch_token(oauth2_settings(remote, client_auth="basic", password="100 €"))
    assert (remote.requests, "100" in str(caught.value)) == ([], False)


# --- what the endpoint says

OAUTH = {"error": "invalid_client", "error_description": "Client authentication failed"}
OKTA = {"errorCode": "E0000001", "errorSummary": "Api validation failed", "errorLink": "x", "errorCauses": []}
HTML = "<html><body><h1>Gateway</h1>out of order</body></html>"
CHECK = "; check client id, secret and scope of the connection"
CHECK_URL = "; check the token URL of the connection"
FIREWALL = CHECK_URL + ", or wait: firewalls also answer 405 after many requests"

ANSWERS = {
    "oauth": (http(401, OAUTH), "401: invalid_client: Client authentication failed" + CHECK, False),
    "scope": (http(400, {"error": "invalid_scope"}), "400: invalid_scope" + CHECK, False),
    "okta": (http(400, OKTA), "400: E0000001: Api validation failed" + CHECK, False),
    "oauth 200": (
        http(200, OAUTH),
        "a reply without a usable access token: invalid_client: Client authentication failed",
        False,
    ),
    "html 403": (http(403, HTML), f"403: {HTML}" + CHECK, False),
    "html 200": (http(200, HTML), "a reply without a usable access token", False),
    "404": (http(404, HTML), f"404: {HTML}" + CHECK_URL, False),
    "405": (http(405), "405: (no message)" + FIREWALL, False),
    "500": (http(500, HTML), f"500: {HTML}", True),
    "503 oauth": (http(503, {"error": "temporarily_unavailable"}), "503: temporarily_unavailable", True),
    "429": (http(429, "slow down"), "429: slow down", True),
    "list": (http(200, ["a"]), "a reply without a usable access token", False),
    "list 400": (http(400, [{"message": "no"}]), "400: no" + CHECK, False),
    "null": (http(200, "null"), "a reply without a usable access token", False),
    "number": (http(200, "7"), "a reply without a usable access token", False),
    "text 400": (http(400, '"just no"'), "400: just no" + CHECK, False),
    "empty": (http(200), "a reply without a usable access token", False),
    "empty token": (http(200, {"access_token": ""}), "a reply without a usable access token", False),
    "number token": (http(200, {"access_token": 7}), "a reply without a usable access token", False),
    "not json": (http(200, "{"), "a reply without a usable access token", False),
    "not text": (http(400, b"\xff\xfe"), "400: \ufffd\ufffd" + CHECK, False),
    "deep": (http(200, "[" * 100_000), "a reply without a usable access token", False),
    "blanks": (http(200, {"access_token": "a\r\nb"}), "a reply without a usable access token", False),
}


@pytest.mark.parametrize("reply, message, transient", ANSWERS.values(), ids=ANSWERS)
def test_any_refusal_of_the_endpoint_becomes_one_clear_error(
    remote: Station, reply: bytes, message: str, transient: bool
) -> None:
    remote.answer = lambda request: (reply,)
    with pytest.raises(TokenError) as caught:
        OAuth2Credential(oauth2_settings(remote)).token()
    place = remote.url.removeprefix("http://")
    assert str(caught.value) == f"no token: {place}/token answered {message}"
    assert caught.value.transient is transient


def test_strange_lifetimes_do_not_matter(remote: Station) -> None:
    for lifetime in ("1e999", "[]", '"soon"', "{}", "NaN"):
        remote.say(200, f'{{"access_token": "t", "expires_in": {lifetime}}}')
        assert OAuth2Credential(oauth2_settings(remote)).token().value == "t"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_the_endpoint_is_not_followed(
    remote: Station, elsewhere: Station, connect: Connect, status: int
) -> None:
    remote.say(status, Location=f"{elsewhere.url}/token")
    with pytest.raises(TokenError, match=f"/token answered {status}: a redirect, .*check the token URL"):
        connect(oauth2_settings(remote)).run(ask(get("/")))
    assert elsewhere.requests == []


@pytest.mark.parametrize("kind", ["hangs up", "hangs", "trickles", "is not there", "is too long", "is nowhere"])
def test_an_endpoint_that_cannot_be_asked_is_down(
    remote: Station, connect: Connect, kind: str, unreachable: Callable[[str], str]
) -> None:
    settings = oauth2_settings(remote, connect_timeout=0.1, read_timeout=0.05, token_url=unreachable(kind))
    with pytest.raises(TokenError, match=r"^no token: ") as caught:
        connect(settings).run(ask(get("/")))
    assert caught.value.transient
    assert all(request.target == "/token" for request in remote.requests)
    assert no_secret_in(caught.value, settings.password)


@pytest.fixture
def unreachable(remote: Station) -> Callable[[str], str]:
    """Spoils the endpoint in one of several ways, and gives its address."""

    def hang(request: Request) -> Iterator[bytes]:
        remote.stopping.wait(10)
        yield b""

    def flood(request: Request) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        yield from (bytes(65536) for _ in range(200))

    answers = {"hangs up": lambda request: (), "hangs": hang, "is too long": flood}
    places = {"is not there": "http://127.0.0.1:1/token", "is nowhere": "http://no.such.invalid/token"}

    def spoil(kind: str) -> str:
        if kind == "trickles":
            remote.trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
        remote.answer = answers.get(kind, remote.answer)
        return places.get(kind, f"{remote.url}/token")

    return spoil


@pytest.mark.parametrize("url", ["http://", "http://[::1/token", "http://a b/token"])
def test_a_malformed_token_url_is_a_wrong_setting(connect: Connect, url: str) -> None:
    with pytest.raises(TaskWatchError, match="no token: ") as caught:
        connect(oauth2_settings("http://127.0.0.1:1", token_url=url)).run(ask(get("/")))
    assert not caught.value.transient


# --- secrets


def test_an_endpoint_that_repeats_our_secret_does_not_bring_it_into_the_error(remote: Station) -> None:
    settings = oauth2_settings(remote)
    remote.answer = lambda request: (http(400, b"you sent " + request.body + settings.password.encode()),)
    with pytest.raises(TokenError, match="you sent ") as caught:
        OAuth2Credential(settings).token()
    assert no_secret_in(caught.value, settings.password)


def test_no_representation_shows_a_secret() -> None:
    credential = OAuth2Credential(SETTINGS, fetch=Endpoint())
    shown = [repr(credential), repr(credential.token()), repr(SETTINGS)]
    shown += [repr(credential_for(settings_for("http://x", auth=auth, login="me"))) for auth in ("bearer", "basic")]
    assert shown[-1] == "FixedCredential(...)"
    assert not any(secret in text for text in shown for secret in ("token-1", "s3cret", "ready-token"))


def test_errors_carry_no_request_with_credentials(connect: Connect) -> None:
    with pytest.raises(TaskWatchError) as caught:
        connect(settings_for("http://127.0.0.1:1")).run(ask(get("/")))
    assert no_secret_in(caught.value, "ready-token")


def test_a_ready_token_needs_no_thread() -> None:
    credential = OAuth2Credential(SETTINGS, fetch=Endpoint())
    assert not credential.is_ready
    credential.token()
    assert credential.is_ready
    assert FixedCredential("Basic x").is_ready


def test_two_connections_do_not_share_a_token() -> None:
    endpoint = Endpoint()
    first = OAuth2Credential(SETTINGS, fetch=endpoint)
    second = OAuth2Credential(replace(SETTINGS, conn_id="other"), fetch=endpoint)
    assert (first.token().value, second.token().value) == ("token-1", "token-2")


def no_secret_in(error: BaseException | None, secret: str) -> bool:
    """Whether neither the error nor its causes contain the secret, in messages or attributes."""
    while error is not None:
        held = [str(error), repr(error), *map(repr, vars(error).values())]
        request = getattr(error, "request", None)
        if request is not None or any(secret in text for text in held):
            return False
        error = error.__cause__
    return True


def test_an_endpoint_is_not_asked_before_its_retry_after() -> None:
    endpoint, clock = Endpoint(TokenError("slow down", transient=True, retry_after=30.0)), Clock()
    credential = OAuth2Credential(SETTINGS, fetch=endpoint, clock=clock)
    for waited in (0.0, 10.0, 19.0):
        clock.now += waited
        with pytest.raises(TokenError) as caught:
            credential.token()
    assert (caught.value.retry_after, endpoint.asked) == (1.0, 1)
    clock.now += 1.0
    assert (credential.token().value, endpoint.asked) == ("token-2", 2)


# --- what is used is never masked


@given(data=st.data())
def test_the_token_that_is_sent_is_the_token_that_came(data: st.DataObject) -> None:
    secret = data.draw(st.sampled_from(["acme-production", "access_token", "Bearer", "expires_in", "s3cret&more", "a"]))
    value = data.draw(st.text("abcXYZ019-._~", min_size=1, max_size=20).map(lambda end: f"{secret}.{end}"))
    params = {"tenant": secret, "subject_token_type": secret, "subject_token": secret, "password": secret}
    settings = replace(SETTINGS, password=secret, token_params=params)
    credential = OAuth2Credential(settings, fetch=Endpoint(token_reply(value, expires_in=300)))
    assert sent(credential.sign(get("/"))) == f"Bearer {value}"


def test_a_parameter_that_is_not_secret_is_shown(remote: Station) -> None:
    remote.say(400, {"error": "invalid_request", "error_description": "no tenant acme-production, no hunter2-hunter2"})
    params = {"tenant": "acme-production", "subject_token_type": "access_token", "subject_token": "hunter2-hunter2"}
    with pytest.raises(TokenError, match=r"no tenant acme-production, no \*\*\*"):
        OAuth2Credential(oauth2_settings(remote, token_params=params)).token()


# --- how it is asked for


@pytest.mark.parametrize(
    "login, password, header",
    [
        ("urn:me", "a b&c=%/+é", "urn%3Ame:a+b%26c%3D%25%2F%2B%C3%A9"),
        ("plain-id_1.0", "plain~secret", "plain-id_1.0:plain~secret"),
        ("our-id", "100 €", "our-id:100+%E2%82%AC"),
    ],
)
def test_id_and_secret_may_be_form_encoded_in_the_header(
    remote: Station, login: str, password: str, header: str
) -> None:
    fetch_token(oauth2_settings(remote, client_auth="basic_encoded", login=login, password=password))
    packed = remote.requests[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(packed).decode() == header


def test_a_list_repeats_its_field(remote: Station) -> None:
    fetch_token(oauth2_settings(remote, token_params={"resource": ("https://a/?x=1", "https://b"), "n": "1"}))
    fields = parse_qsl(remote.requests[0].body.decode())
    assert [value for name, value in fields if name == "resource"] == ["https://a/?x=1", "https://b"]
    assert ("n", "1") in fields


@pytest.mark.parametrize("way", ["form", "basic", "basic_encoded"])
def test_no_error_shows_the_header_of_a_token_request(remote: Station, way: str) -> None:
    def answer(request: Request) -> tuple[bytes]:
        return (http(400, f"you sent {request.headers.get('authorization')} {request.body.decode()}"),)

    remote.answer = answer
    settings = oauth2_settings(remote, client_auth=way, login="our id", password="se cret&more/of+ours")
    with pytest.raises(TokenError, match=r"you sent ") as caught:
        OAuth2Credential(settings).token()
    packed = remote.requests[0].headers.get("authorization", "Basic -----").removeprefix("Basic ")
    assert not any(one in str(caught.value) for one in (packed, packed.rstrip("="), "cret&more", "cret%26more"))


# --- two clocks


def test_a_machine_that_was_suspended_asks_for_a_new_token() -> None:
    endpoint, clock, wall = Endpoint(), Clock(), Clock()
    credential = OAuth2Credential(SETTINGS, fetch=endpoint, clock=clock, wall=wall)
    assert credential.token().value == "token-1"
    wall.now += 3600.0
    assert not credential.is_ready
    assert (credential.token().value, credential.token().value) == ("token-2", "token-2")


def test_a_wall_clock_that_jumps_costs_one_token_a_jump() -> None:
    endpoint, clock, wall = Endpoint(), Clock(), Clock()
    credential = OAuth2Credential(SETTINGS, fetch=endpoint, clock=clock, wall=wall)
    for jump in (0.0, 1e6, -2e6, 3e6, -1e9):
        wall.now += jump
        for _ in range(5):
            credential.token()
            clock.now += 1.0
    assert endpoint.asked <= 5
    clock.now += 300.0
    credential.token()
    assert credential.is_ready
