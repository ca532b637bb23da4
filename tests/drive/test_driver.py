"""What both drivers do alike: each case runs once over ``requests`` and once over ``aiohttp``."""

from __future__ import annotations

import gzip
import socket
import traceback
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError, ReplyError, TransportError
from airflow_provider_taskwatch.core.flow import Flow, Retry, ask, ask_json, one_step
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.wire import MAX_REPLY_BYTES, Call, Pause, Reply, get, send
from airflow_provider_taskwatch.drive import waiting
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.systems.acquia import system as acquia
from tests.drive.conftest import Connect
from tests.drive.settings import acquia_settings, oauth2_settings, settings_for
from tests.drive.station import Request, Station, http

MEGABYTE = 1 << 20


def test_a_conversation_returns_its_result(box: Running, connect: Connect) -> None:
    box.sandbox.add_rule(duration=0)
    client = connect(acquia_settings(box))
    started = client.run(acquia.Acquia().start("POST", "/applications/a/databases", {"name": "d"}))
    seen = client.run(acquia.Acquia().observe(started.ref or ""))
    assert (seen.phase, seen.result["event"]) == (Phase.SUCCEEDED, "DatabaseCreated")


def test_method_path_query_headers_and_body_arrive_as_they_were_given(remote: Station, connect: Connect) -> None:
    call = send("PUT", "/a%2Fb/%C3%BC", {"x": 1}, {"X-Our": "y"}, {"q": "a b&c", "on": True, "id": ["1", "2"]})
    reply = connect(settings_for(f"{remote.url}/api/v1")).run(ask(call))
    (seen,) = remote.requests
    assert (reply.status, reply.json()) == (200, {})
    assert (seen.method, seen.target) == ("PUT", "/api/v1/a%2Fb/%C3%BC?q=a%20b%26c&on=true&id=1&id=2")
    assert (seen.headers["x-our"], seen.headers["content-type"]) == ("y", "application/json")
    assert (seen.headers["authorization"], seen.body) == ("Bearer ready-token", b'{"x": 1}')


def test_names_of_reply_headers_are_in_lower_case(remote: Station, connect: Connect) -> None:
    remote.say(200, {}, X_Request_ID="Abc")
    reply = connect(settings_for(remote)).run(ask(get("/")))
    assert dict(reply.headers)["x-request-id"] == "Abc"


def test_connections_are_kept_alive(box: Running, connect: Connect) -> None:
    client = connect(acquia_settings(box))
    for _ in range(3):
        client.run(acquia.Acquia().probe())
    clients = {entry["client"] for entry in box.sandbox.log() if entry["endpoint"] == "api"}
    assert len(clients) == 1


def test_pauses_pass_and_a_read_is_repeated(remote: Station, connect: Connect) -> None:
    replies = iter([http(503), http(200, {"is": "back"})])
    remote.answer = lambda request: (next(replies),)
    retry = Retry(first_seconds=0.01)
    assert connect(settings_for(remote)).run(ask_json(get("/"), retry=retry)) == {"is": "back"}


def test_the_error_of_a_flow_is_raised(box: Running, connect: Connect) -> None:
    box.sandbox.add_fault("server_error", endpoint="api", message="out of order")
    with pytest.raises(RemoteError, match=r"GET /account answered 5.*: out of order"):
        connect(acquia_settings(box)).run(acquia.Acquia().probe())


# --- rejected tokens


def test_a_token_that_expires_in_mid_conversation_is_replaced_and_the_call_replayed_once(
    box: Running, connect: Connect
) -> None:
    def conversation() -> Flow[str]:
        yield from acquia.Acquia().probe()
        box.sandbox.revoke_tokens()
        return (yield from acquia.Acquia().probe())

    connect(acquia_settings(box)).run(conversation())
    asked = [(entry["endpoint"], entry["status"]) for entry in box.sandbox.log()]
    assert asked == [("token", 200), ("api", 200), ("api", 401), ("token", 200), ("api", 200)]


def test_a_second_rejection_is_the_answer(box: Running, connect: Connect) -> None:
    box.sandbox.add_fault("unauthorized", endpoint="api")
    with pytest.raises(RemoteError, match="answered 401"):
        connect(acquia_settings(box)).run(acquia.Acquia().probe())
    assert [entry["endpoint"] for entry in box.sandbox.log()] == ["token", "api", "token", "api"]


@pytest.mark.parametrize("reject_403, requests", [(False, 1), (True, 2)])
def test_403_rejects_a_token_only_if_the_connection_says_so(
    remote: Station, connect: Connect, reject_403: bool, requests: int
) -> None:
    tokens = iter("ab")

    def answer(request: Request) -> Iterator[bytes]:
        is_token = request.target == "/token"
        yield http(200, {"access_token": next(tokens)}) if is_token else http(403, {"error": "forbidden"})

    remote.answer = answer
    with pytest.raises(RemoteError, match="answered 403: forbidden"):
        connect(oauth2_settings(remote, reject_403=reject_403)).run(ask(get("/x")))
    used = [request.headers["authorization"] for request in remote.requests if request.target == "/x"]
    assert used == ["Bearer a", "Bearer b"][:requests]


def test_a_fixed_credential_that_is_rejected_is_not_sent_again(remote: Station, connect: Connect) -> None:
    remote.say(401, {"error": "expired"})
    with pytest.raises(RemoteError, match="answered 401: expired"):
        connect(settings_for(remote)).run(ask(get("/")))
    assert len(remote.requests) == 1


# --- hosts


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(remote: Station, elsewhere: Station, connect: Connect, status: int) -> None:
    remote.say(status, Location=elsewhere.url)
    with pytest.raises(RemoteError, match=f"answered {status}: a redirect, which is not followed with credentials"):
        connect(settings_for(remote)).run(ask(get("/")))
    assert elsewhere.requests == []


@pytest.mark.parametrize("path", ["@{other}/x", ".{other}/x", ":80@{other}/", "x", ""])
def test_a_path_that_could_change_the_host_is_an_error_before_any_request(
    remote: Station, elsewhere: Station, connect: Connect, path: str
) -> None:
    path = path.format(other=elsewhere.url.removeprefix("http://"))
    with pytest.raises(ConfigurationError, match="must begin with '/'"):
        connect(settings_for(remote)).run(ask(get(path)))
    assert remote.requests == elsewhere.requests == []


def test_a_path_with_a_foreign_address_in_it_stays_with_our_host(
    remote: Station, elsewhere: Station, connect: Connect
) -> None:
    client = connect(settings_for(remote))
    for path in (f"/{elsewhere.url}/x", f"//{elsewhere.url.removeprefix('http://')}/x"):
        client.run(ask(get(path)))
    assert (len(remote.requests), elsewhere.requests) == (2, [])


# --- replies that are too much


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A reply of 200 kB that unpacks to 200 MB."""
    packed = gzip.compress(bytes(200 * MEGABYTE), compresslevel=9)
    return http(200, packed, Content_Encoding="gzip", Content_Type="application/json")


def test_a_reply_of_50_mb_is_refused_in_bounded_memory(remote: Station, connect: Connect) -> None:
    def answer(request: Request) -> Iterator[bytes]:
        yield f"HTTP/1.1 200 OK\r\nContent-Length: {50 * MEGABYTE}\r\n\r\n".encode()
        yield from (bytes(65536) for _ in range(800))

    remote.answer = answer
    client = connect(settings_for(remote))
    with little_memory(), pytest.raises(ReplyError, match="longer than 8 MB; it is not read further"):
        client.run(ask(get("/big")))


def test_a_gzip_bomb_is_refused_in_bounded_memory(remote: Station, connect: Connect, bomb: bytes) -> None:
    remote.answer = lambda request: (bomb,)
    client = connect(settings_for(remote))
    with little_memory(), pytest.raises(ReplyError, match="longer than 8 MB"):
        client.run(ask(get("/bomb")))


def test_a_reply_of_just_8_mb_is_read(remote: Station, connect: Connect) -> None:
    remote.say(200, bytes(MAX_REPLY_BYTES))
    assert len(connect(settings_for(remote)).run(ask(get("/"))).body) == MAX_REPLY_BYTES


@contextmanager
def little_memory() -> Iterator[None]:
    """Holds where no more than 40 MB were in use at any moment."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 40 * MEGABYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "first",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"],
    ids=["announced", "open"],
)
def test_a_reply_that_never_ends_is_given_up(remote: Station, connect: Connect, first: bytes) -> None:
    remote.trickle(first)
    with pytest.raises(TransportError, match="did not answer in time") as caught:
        connect(settings_for(remote, connect_timeout=0.1, read_timeout=0.05)).run(ask(get("/")))
    assert caught.value.sent


def test_gzip_and_chunks_are_understood(remote: Station, connect: Connect) -> None:
    packed = gzip.compress(b'{"a": 1}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (packed[:9], packed[9:])]
    remote.answer = lambda request: [head, *chunks, b"0\r\n\r\n"]
    assert connect(settings_for(remote)).run(ask_json(get("/"))) == {"a": 1}


# --- no reply


def test_a_host_that_does_not_answer_in_time(remote: Station, connect: Connect) -> None:
    def answer(request: Request) -> Iterator[bytes]:
        remote.stopping.wait(5)
        yield b""

    remote.answer = answer
    with pytest.raises(TransportError, match=f"^{remote.url} did not answer in time$") as caught:
        connect(settings_for(remote, read_timeout=0.1)).run(ask(get("/")))
    remote.stopping.set()
    assert caught.value.sent


def test_a_host_that_accepts_no_connection(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address), pytest.raises(TransportError) as caught:
            connect(settings_for(f"http://127.0.0.1:{address[1]}", connect_timeout=0.1)).run(ask(get("/")))
    assert not caught.value.sent
    assert str(caught.value).endswith(" did not accept a connection in time")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no.such.invalid", "https://{plain}"])
def test_a_remote_that_cannot_be_asked_is_one_error_without_the_libraries_own(
    connect: Connect, remote: Station, url: str
) -> None:
    where = url.format(plain=remote.url.removeprefix("http://"))
    with pytest.raises(TransportError) as caught:
        connect(settings_for(where)).run(ask(get("/")))
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("Traceback") == 1
    assert "During handling" not in shown


@pytest.mark.parametrize(
    "given, what",
    [
        ({"auth": "basic", "login": "u"}, "login and password of"),
        ({"auth": "oauth1", "login": "u"}, "login and password of"),
        ({"auth": "bearer"}, r"the token \(its password\) of"),
        ({"auth": "", "token_header": "X-Token"}, r"the token \(its password\) of"),
    ],
)
def test_refused_credentials_name_the_connection_and_keep_the_remotes_message(
    remote: Station, connect: Connect, given: dict[str, str], what: str
) -> None:
    remote.say(401, {"error": "45254: Invalid credentials"})
    with pytest.raises(RemoteError, match=f"401: 45254: Invalid credentials; check {what} the connection 'remote'"):
        connect(settings_for(remote, **given)).run(ask(get("/")))


def test_a_host_that_refuses_connections(connect: Connect) -> None:
    url = f"http://127.0.0.1:{_closed_port()}"
    with pytest.raises(TransportError, match=f"^{url} refuses connections$") as caught:
        connect(settings_for(url)).run(ask(get("/")))
    assert not caught.value.sent


def test_a_host_name_that_does_not_exist(connect: Connect) -> None:
    with pytest.raises(
        TransportError, match=r"^the host name of http://no\.such\.invalid cannot be resolved$"
    ) as caught:
        connect(settings_for("http://no.such.invalid")).run(ask(get("/")))
    assert not caught.value.sent


def test_a_reply_that_is_lost_after_the_work_may_have_been_sent(box: Running, connect: Connect) -> None:
    box.sandbox.add_fault("lost_reply", method="POST", endpoint="api")
    with pytest.raises(TransportError, match=r"the connection to http://.* was lost: ") as caught:
        connect(acquia_settings(box)).run(acquia.Acquia().start("POST", "/applications/a/databases", {"name": "d"}))
    assert (caught.value.sent, box.sandbox.counts()["started"]["acquia"]) == (True, 1)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("is_kept_alive", [False, True], ids=["new", "kept-alive"])
def test_a_call_that_changes_something_is_sent_once_if_its_reply_is_lost(
    box: Running, connect: Connect, method: str, is_kept_alive: bool
) -> None:
    client = connect(acquia_settings(box))
    if is_kept_alive:
        client.run(acquia.Acquia().probe())
    box.sandbox.add_fault("lost_reply", method=method, endpoint="api")
    with pytest.raises(TransportError) as caught:
        client.run(acquia.Acquia().start(method, "/environments/e/x"))
    sent = [entry for entry in box.sandbox.log() if entry["method"] == method and entry["endpoint"] == "api"]
    assert (caught.value.sent, len(sent)) == (True, 1)


def test_a_reply_that_is_cut_off_was_sent(remote: Station, connect: Connect) -> None:
    remote.answer = lambda request: (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",)
    with pytest.raises(TransportError, match="was lost") as caught:
        connect(settings_for(remote)).run(ask(get("/")))
    assert caught.value.sent


@pytest.mark.parametrize("reply", [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 99_999])
def test_a_reply_that_is_not_http_is_a_lost_connection(remote: Station, connect: Connect, reply: bytes) -> None:
    remote.answer = lambda request: (reply,)
    with pytest.raises(TransportError, match="was lost") as caught:
        connect(settings_for(remote)).run(ask(get("/")))
    assert caught.value.sent


def test_a_body_that_does_not_unpack_is_a_lost_connection(remote: Station, connect: Connect) -> None:
    remote.say(200, b"not gzip at all", Content_Encoding="gzip")
    with pytest.raises(TransportError, match="was lost"):
        connect(settings_for(remote)).run(ask(get("/")))


# --- credentials


def test_basic_credentials_are_sent_in_the_charset_of_the_connection(remote: Station, connect: Connect) -> None:
    settings = settings_for(remote, auth="basic", login="100/ÜSER/DEP", password="pä:ß", charset="latin-1")
    connect(settings).run(ask(get("/")))
    assert remote.authorizations == ["Basic MTAwL9xTRVIvREVQOnDkOt8="]


def test_a_malformed_header_is_an_error_that_shows_no_credential(remote: Station, connect: Connect) -> None:
    with pytest.raises(ConfigurationError, match="the address, the proxy or a header is malformed") as caught:
        connect(settings_for(remote)).run(ask(get("/", headers={"X-Our": "a\r\nX-Evil: b"})))
    assert (remote.requests, "ready-token" in str(caught.value)) == ([], False)


def test_cookies_are_not_kept(remote: Station, connect: Connect) -> None:
    remote.say(200, {}, Set_Cookie="session=1")
    client = connect(settings_for(remote))
    client.run(ask(get("/")))
    client.run(ask(get("/")))
    assert ["cookie" in request.headers for request in remote.requests] == [False, False]


def test_a_flow_may_go_on_after_an_error(remote: Station, connect: Connect) -> None:
    def patient() -> Flow[Reply]:
        try:
            yield from one_step(Call(method="GET", path="/"))
        except TransportError:
            yield Pause(seconds=0.0)
            remote.say(200, {})
        return (yield from ask(get("/")))

    remote.hang_up()
    assert connect(settings_for(remote)).run(patient()).is_ok


async def test_a_flow_on_a_closed_driver_may_be_repeated(remote: Station) -> None:
    driver = waiting.WaitingDriver(settings_for(remote))
    await driver.close()
    with pytest.raises(TransportError, match="its settings have changed") as caught:
        await driver.run(ask(get("/")))
    assert (caught.value.transient, caught.value.sent) == (True, False)


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
