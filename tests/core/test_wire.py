from __future__ import annotations

from dataclasses import fields
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import (
    Call,
    LengthError,
    Reply,
    canonical_path,
    canonical_query,
    canonical_target,
    get,
    is_sendable,
    pairs,
    segment,
    send,
)
from tests.play import reply
from tests.rows import each_row


@each_row("method, repeatable", [("GET", True), ("HEAD", True), ("POST", False), ("DELETE", False)])
def test_only_calls_that_read_are_repeatable(method, repeatable):
    assert Call(method=method, path="/").is_repeatable is repeatable


def test_a_read_that_deletes_is_not_repeatable():
    assert not Call(method="GET", path="/", is_consuming=True).is_repeatable


def test_a_query_keeps_its_order_and_repeats_names():
    call = get("/x", {"alias": "a b#*", "status": ["1800", "1850"], "deep": True, "max": 5})
    assert call.target == "/x?alias=a%20b%23%2A&status=1800&status=1850&deep=true&max=5"


def test_a_call_without_a_query_has_no_question_mark():
    assert get("/x").target == "/x"
    assert pairs({"none": []}) == ()


def test_content_is_sent_as_json_and_headers_are_added():
    call = send("POST", "/x", {"a": "ü"}, {"Accept": "text/html"}, {"q": 1})
    assert (call.method, call.json(), call.target) == ("POST", {"a": "ü"}, "/x?q=1")
    assert call.headers == {"Content-Type": "application/json", "Accept": "text/html"}


def test_a_call_without_content_has_no_body_and_no_content_type():
    call = send("DELETE", "/x")
    assert (call.body, call.headers, call.form()) == (None, {}, {})
    with pytest.raises(ValueError, match="Expecting value"):
        call.json()


def test_content_that_is_empty_is_still_content():
    assert [send("POST", "/x", content).body for content in ({}, [], False)] == [b"{}", b"[]", b"false"]


def test_empty_form_fields_are_read_too():
    assert Call(method="POST", path="/", body=b"a=1+2&b=").form() == {"a": "1 2", "b": ""}


@each_row("status, is_ok", [(199, False), (200, True), (299, True), (300, False), (404, False)])
def test_only_2xx_is_ok(status, is_ok):
    assert reply(status).is_ok is is_ok


def test_a_reply_is_shown_on_one_line_and_shortened():
    assert reply(content=" <p>\n\tno </p>\r\n").text() == "<p> no </p>"
    assert reply(content="\N{SNOWMAN}" * 1000).text() == "\N{SNOWMAN}" * 200
    assert reply(content=b"\xff\xfe no").text() == "\ufffd\ufffd no"


@each_row("body", [b"", b"<html>", b"\xff\xff", b"9" * 5000])
def test_a_body_that_is_not_json_is_a_value_error(body):
    with pytest.raises(ValueError, match=r".+"):
        Reply(status=200, body=body).json()


@each_row("value, part", [("a/b", "a%2Fb"), ("A#1?x", "A%231%3Fx"), ("ü", "%C3%BC"), ("..a", "..a")])
def test_a_segment_stays_one_segment(value, part):
    assert segment(value) == part


@pytest.mark.parametrize("value", [".", ".."])
def test_a_segment_of_dots_is_refused(value):
    with pytest.raises(ConfigurationError, match="cannot be a part of a path"):
        segment(value)


def test_a_segment_with_half_a_character_is_refused():
    with pytest.raises(ConfigurationError, match="half a surrogate pair"):
        segment("a\ud83d")


def test_no_repr_shows_a_header_or_a_reply():
    call = get("/x", headers={"Authorization": "Bearer s3cret"})
    assert "s3cret" not in repr(call) + repr(reply(200, {"access_token": "s3cret"}, set_cookie="s3cret"))


@each_row("secret, fits", [("!aZ09-._~+/=", True), ("", False), ("a b", False), ("a\n", False), ("ä", False)])
def test_a_token_must_fit_into_a_header(secret, fits):
    assert is_sendable(secret) is fits


def typed(body, kind):
    return Reply(status=200, headers={"content-type": kind}, body=body)


@each_row(
    "kind, encoding",
    [
        ("application/json; charset=ISO-8859-1", "latin-1"),
        ("application/json;charset=iso-8859-15", "iso-8859-15"),
        ('application/json; charset="ISO-8859-1"; profile=x', "latin-1"),
        ("application/json; charset='latin1'", "latin-1"),
        ("application/json; CHARSET=Windows-1252", "cp1252"),
        ("application/json; charset=Shift_JIS", "shift_jis"),
        ("application/json; charset=utf-16", "utf-16"),
        ("application/json; charset=UTF-16LE", "utf-16-le"),
        ("application/json; charset=utf-8", "utf-8"),
        ("application/json; charset=utf-8", "utf-8-sig"),
        ("application/json", "utf-8-sig"),
        ("application/json", "utf-16"),
        ("application/json; charset=ISO-8859-1", "utf-8"),
        ("application/json; charset=nonsense", "utf-8"),
        ("application/json; charset=", "utf-8"),
        ("", "utf-8"),
        ("\r\n;;;=charset", "utf-8"),
    ],
)
def test_json_is_read_in_its_encoding(kind, encoding):
    text = "\N{KATAKANA LETTER A}" if encoding == "shift_jis" else "größe"
    assert typed(f'{{"a": "{text}"}}'.encode(encoding), kind).json() == {"a": text}


@each_row("charset", ["nonsense", "hex", "base64", "unicode_escape", "idna", "punycode", "utf-7", "\0"])
def test_an_unknown_encoding_is_not_used_for_json(charset):
    with pytest.raises(ValueError, match=r"."):
        typed(b'{"a": "gr\xf6\xdfe"}', f"application/json; charset={charset}").json()


def test_a_text_is_shown_in_its_encoding():
    assert typed("größe".encode("latin-1"), "text/plain; charset=ISO-8859-1").text() == "größe"
    assert typed("größe".encode("latin-1"), "text/plain").text() == "gr\ufffd\ufffde"


def test_a_utf_8_text_is_shown_as_utf_8_under_any_charset():
    assert typed("größe".encode(), "text/plain; charset=ISO-8859-1").text() == "größe"


@each_row("value", [["a", ["b"]], {"a": 1}, [{"a": 1}], b"a", [b"a"], float("nan"), object()])
def test_a_query_value_that_cannot_be_sent_is_named(value):
    with pytest.raises(ConfigurationError, match="when"):
        pairs({"when": value})


def test_the_query_of_a_path_and_the_pairs_become_one_query():
    assert get("/x?a=1", {"b": 2}).target == "/x?a=1&b=2"


def test_a_call_with_one_more_header_keeps_everything_else():
    whole: dict[str, Any] = {one.name: object() for one in fields(Call)} | {"headers": {"X-One": "1"}}
    added = Call(**whole).with_header("X-Two", "2")
    assert {name: getattr(added, name) for name in whole} == {**whole, "headers": {"X-One": "1", "X-Two": "2"}}


PIECES = st.sampled_from(
    ["/", ".", "..", "%", "%2f", "%2E", "%7e", "%C3%BC", "a", "ü", " ", "+", ";", "?", "&", "=", ":"]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=30)


def made(path, pairs=()):
    """The target of a path, None where it is refused."""
    try:
        return canonical_target(path, pairs)
    except ConfigurationError:
        return None


@given(TEXTS, st.lists(st.tuples(TEXTS, TEXTS), max_size=3))
def test_a_target_is_ascii_and_in_normal_form(text, pairs):
    target = made(f"/{text}", pairs)
    if target is not None:
        assert target.isascii()
        assert target.isprintable()
        assert " " not in target
        assert canonical_target(target) == target
        assert not {".", ".."} & set(unquote(target.partition("?")[0].replace("%2F", "x")).split("/"))


@given(TEXTS)
def test_a_path_keeps_its_meaning(text):
    path = f"/{text}".partition("?")[0]
    target = made(path)
    if target is not None:
        assert unquote(target) == unquote(path)


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=4))
def test_query_pairs_are_decoded_to_the_same_pairs(pairs):
    query = canonical_query("", pairs)
    assert parse_qsl(query, keep_blank_values=True, max_num_fields=9) == [pair for pair in pairs if query]


@each_row("path", ["/", "/a", "/a/b-c_d.e~f", "/..a/b..", "/a!$&'()*+,;=:@", ""])
def test_a_path_in_normal_form_is_unchanged(path):
    assert canonical_path(path) == path


def test_a_page_is_recognized_by_its_type_or_its_beginning():
    assert reply(200, " <html>").is_page
    assert reply(200, "hello", content_type="text/HTML; charset=utf-8").is_page
    assert not reply(200, {"a": "<b>"}).is_page


def test_a_length_error_carries_the_beginning_of_the_reply():
    beginning = reply(200, "[1, 2")
    assert LengthError("too long", beginning).beginning is beginning


def test_a_fragment_in_a_path_is_refused():
    with pytest.raises(ConfigurationError, match="contains '#'"):
        canonical_target("/a#b")
