"""One form of a URL: both drivers send the same bytes, and these are what was signed."""

from __future__ import annotations

import gzip
from collections.abc import Mapping

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.flow import ask
from airflow_provider_taskwatch.core.wire import Call, get, send
from tests.drive.conftest import Connect
from tests.drive.settings import oauth2_settings, settings_for
from tests.drive.station import Station
from tests.drive.test_oauth1 import KEY, SECRET, is_valid

SENT: Mapping[str, tuple[str, str, str]] = {
    "an encoded tilde": ("", "/x/%7Euser", "/x/~user"),
    "encoded slashes": ("/a%2fb", "/c%2Fd", "/a%2Fb/c%2Fd"),
    "letters": ("/größe", "/ü/%c3%bc", "/gr%C3%B6%C3%9Fe/%C3%BC/%C3%BC"),
    "two slashes at the beginning": ("", "//x", "//x"),
    "what looks like a host": ("", "//x:99999999/y", "//x:99999999/y"),
    "what looks like a broken host": ("", "//[x@y:z", "//%5Bx@y:z"),
    "empty segments": ("/a//b", "//c///", "/a//b//c///"),
    "dots in names": ("", "/..a/b../c...d/.e", "/..a/b../c...d/.e"),
    "a blank": ("/a%20b", "/c d", "/a%20b/c%20d"),
    "plus": ("", "/a+b?c+d=e%2Bf", "/a+b?c+d=e%2Bf"),
    "reserved characters": ("", "/a;b=c,d:e@f!$&'()*", "/a;b=c,d:e@f!$&'()*"),
    "forbidden characters": ("", '/a"<>\\^`{|}', "/a%22%3C%3E%5C%5E%60%7B%7C%7D"),
    "an encoded percent": ("", "/100%25", "/100%25"),
    "a query with a blank": ("", "/x?q=a b", "/x?q=a%20b"),
    "a query with letters": ("", "/x?größe=ü&a=%c3%bc", "/x?gr%C3%B6%C3%9Fe=%C3%BC&a=%C3%BC"),
    "a query with its own characters": ("", "/x?a=/?:@&b=[1]&c='", "/x?a=/?:@&b=%5B1%5D&c='"),
    "an empty query": ("", "/x?", "/x"),
    "a query of nothing": ("", "/x?&&a", "/x?&&a"),
    "an emoji": ("", "/\N{PILE OF POO}", "/%F0%9F%92%A9"),
    "a composed letter and its parts": ("", "/\u00e9/e\u0301", "/%C3%A9/e%CC%81"),
}


@pytest.mark.parametrize("base, path, target", SENT.values(), ids=SENT)
def test_a_target_is_sent_in_the_form_that_was_signed(
    remote: Station, connect: Connect, base: str, path: str, target: str
) -> None:
    client = connect(settings_for(remote.url + base, auth="oauth1", login=KEY, password=SECRET))
    call = get(path)
    client.run(ask(call))
    [request] = remote.requests
    assert request.target == target
    assert is_valid(remote.url + request.target, call, request.headers)


@pytest.mark.parametrize("base, path, target", SENT.values(), ids=SENT)
def test_the_same_is_sent_to_a_proxy(remote: Station, connect: Connect, base: str, path: str, target: str) -> None:
    connect(settings_for(f"http://h.example{base}", proxy=remote.url)).run(ask(get(path)))
    assert [request.target for request in remote.requests] == [f"http://h.example{target}"]


REFUSED: Mapping[str, tuple[str, str]] = {
    "/a/../b": ("'/a/../b' must not contain the segment '..'", ""),
    "/x/./y": ("'/x/./y' must not contain the segment '.'", ""),
    "/a/%2e%2E/b": ("must not contain the segment '..'", ""),
    "/..": ("must not contain the segment '..'", ""),
    "/x/.": ("must not contain the segment '.'", ""),
    "/%zz": ("'/%zz' contains '%' without two hexadecimal digits; write %25", ""),
    "/x%": ("contains '%' without two hexadecimal digits", ""),
    "/x?a=%u1234": ("the query 'a=%u1234' contains '%'", ""),
    "/x#y": ("'/x#y' contains '#'", ""),
    "/x?a#y": ("contains '#'", ""),
    "/x\ty": ("contains a control character", ""),
    "/x\r\nHost: y": ("contains a control character", ""),
    "/x\0": ("contains a control character", ""),
    "/\ud800": ("half a surrogate pair", ""),
    "x": ("must begin with '/'", ""),
    "": ("must begin with '/'", ""),
    "/x": ("'/a/../b' must not contain the segment '..'", "/a/../b"),
    "/y": ("must not contain '?' or '#'", "/a?b"),
    "/z": ("contains '%' without two hexadecimal digits", "/%zz"),
}


@pytest.mark.parametrize("path, message, base", [(path, *one) for path, one in REFUSED.items()], ids=map(repr, REFUSED))
def test_a_path_with_two_meanings_is_refused(
    remote: Station, connect: Connect, path: str, message: str, base: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connect(settings_for(remote.url + base)).run(ask(Call(method="GET", path=path)))
    assert message in str(caught.value)
    assert remote.requests == []


HOSTS = {
    "http://müller.example/x": "http://xn--mller-kva.example/x",
    "http://MÜLLER.example": "http://xn--mller-kva.example",
    "http://straße.example:8080": "http://xn--strae-oqa.example:8080",
    "http://faß。example": "http://xn--fa-hia.example",
    "http://παράδειγμα.δοκιμή": "http://xn--hxajbheg2az3al.xn--jxalpdlp",
    "http://xn--mller-kva.example": "http://xn--mller-kva.example",
    "http://mu\u0308ller.example": "http://xn--mller-kva.example",
    "http://日本。example": "http://xn--wgv71a.example",
    "http://ไทย.example": "http://xn--o3cw4h.example",
    "http://my_host.intern": "http://my_host.intern",
    "http://[::1]:8080": "http://[::1]:8080",
}


@pytest.mark.parametrize("url, sent", HOSTS.items())
def test_a_host_name_is_sent_in_ascii(remote: Station, connect: Connect, url: str, sent: str) -> None:
    connect(settings_for(url, proxy=remote.url)).run(ask(get("/y")))
    [request] = remote.requests
    assert (request.target, request.headers["host"]) == (f"{sent}/y", sent.partition("//")[2].partition("/")[0])


@pytest.mark.parametrize(
    "host", ["i❤.example", "-ä.example", "ä" * 64 + ".example", "a" * 64 + ".example", "a..example"]
)
def test_a_host_name_that_does_not_exist_in_ascii_is_named(remote: Station, connect: Connect, host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"the host name '.*' cannot be") as caught:
        connect(settings_for(f"http://{host}", proxy=remote.url)).run(ask(get("/y")))
    assert (host in str(caught.value), remote.requests) == (True, [])


@pytest.mark.parametrize("host", ["1.1", "10.01.2.3", "2130706433", "127.1", "1.2.3.4.5", "256.1.1.1"])
def test_numbers_that_are_not_an_address_are_refused_by_both(remote: Station, connect: Connect, host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"the host '{host}' is not an IPv4 address"):
        connect(settings_for(f"http://{host}", proxy=remote.url)).run(ask(get("/y")))
    assert remote.requests == []


def test_both_drivers_write_a_request_alike(remote: Station, connect: Connect) -> None:
    client = connect(settings_for(remote))
    for call in (get("/a"), send("POST", "/a", {"b": 1}), send("POST", "/a"), Call(method="PUT", path="/a", body=b"x")):
        client.run(ask(call))
    kept = ("accept", "accept-encoding", "authorization", "content-length", "content-type", "host", "transfer-encoding")
    common = {"accept": "*/*", "accept-encoding": "gzip, deflate", "authorization": "Bearer ready-token"}
    common["host"] = remote.url.partition("//")[2]
    assert [{name: one.headers[name] for name in kept if name in one.headers} for one in remote.requests] == [
        common,
        {**common, "content-length": "8", "content-type": "application/json"},
        {**common, "content-length": "0"},
        {**common, "content-length": "1"},
    ]


def test_a_token_is_asked_for_in_what_can_be_unpacked(remote: Station, connect: Connect) -> None:
    packed = gzip.compress(b'{"access_token": "t0ken"}')
    remote.say(200, packed, Content_Encoding="gzip")
    connect(oauth2_settings(remote)).run(ask(get("/")))
    assert [one.headers["accept-encoding"] for one in remote.requests] == ["gzip, deflate"] * 2
    assert remote.authorizations[1] == "Bearer t0ken"


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "ü"},
        {"X": "a\nb"},
        {"X": "\x7f"},
        {"X": " a"},
        {"X": 5},
        {"X": None},
        {"X y": "a"},
        {"Ä": "a"},
        {"": "a"},
        {"X": "a", "x": "b"},
        {"Content-Length": "9"},
        {"transfer-encoding": "chunked"},
        {"Connection": "close"},
        {"Expect": "100-continue"},
    ],
)
def test_a_header_that_the_libraries_would_write_each_in_its_way_is_refused(
    remote: Station, connect: Connect, headers: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match=r"a header is malformed; .*header") as caught:
        connect(settings_for(remote)).run(ask(get("/", headers=headers)))
    assert next(iter(headers)) in str(caught.value)
    assert remote.requests == []


@pytest.mark.parametrize("method", ["GE T", "GET\r\n", "", "GET /x HTTP/1.1\r\nX:", "Ü"])
def test_a_malformed_method_is_refused(remote: Station, connect: Connect, method: str) -> None:
    with pytest.raises(ConfigurationError):
        connect(settings_for(remote)).run(ask(Call(method=method, path="/")))
    assert remote.requests == []
