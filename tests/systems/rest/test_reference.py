from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import ConfigurationError, ReplyError, TaskWatchError
from airflow_provider_taskwatch.core.system import address
from airflow_provider_taskwatch.drive.exchange import canonical_base
from airflow_provider_taskwatch.systems.rest.profile import Ref
from airflow_provider_taskwatch.systems.rest.reference import (
    checked_ref,
    link_below,
    linked,
    plausible_ref,
    ref_in,
    split_stage,
    with_stage,
)
from tests.rows import each_row

LINK = Ref.model_validate({"from": "body.link", "kind": "link"})
OF_OTHERS = Ref.model_validate({"from": "body.link", "kind": "link", "link_host": "ignore"})
NAME = Ref.model_validate({"from": "body.name", "kind": "name"})
ID = Ref.model_validate({"from": "body.id"})
BASES = ("https://api.example.com", "https://api.example.com/v1", "http://10.0.0.1:8080/a/b")
SIGNATURE = "s1gnature-in-a-query"


@each_row(
    "base, link, path",
    [
        ("https://h", "https://h/jobs/1", "/jobs/1"),
        ("https://h", "https://H:443/jobs/1?a=b", "/jobs/1?a=b"),
        ("https://h", "//h/jobs/1", "/jobs/1"),
        ("https://h", "/jobs/1", "/jobs/1"),
        ("https://h", "jobs/1", "/queue/jobs/1"),
        ("https://h", "?page=2", "/queue/7?page=2"),
        ("https://h/v1", "https://h/v1/jobs/1", "/jobs/1"),
        ("https://h/v1", "/v1/jobs/1", "/jobs/1"),
        ("https://h/v1", "jobs/1", "/queue/jobs/1"),
        ("https://h/v1", "https://h/v1", "/"),
        ("https://h", "https://h", "/"),
    ],
)
def test_a_link_is_reduced_to_path_and_query(base: str, link: str, path: str) -> None:
    assert link_below(link, LINK, base, "/queue/7") == path
    assert checked_ref(path, LINK, "job", base) == path, "a ref that was kept is accepted again"


@each_row(
    "link",
    [
        "https://evil.example/jobs/1",
        "http://h/v1/jobs/1",
        "https://h:8443/v1/jobs/1",
        "https://h.evil.example/v1/1",
        "https://h@evil.example/v1/1",
        "https://me:pa55word@h/v1/1",
        "//evil.example/v1/1",
        "///evil.example/v1/1",
        "\\\\evil.example/v1/1",
        "/\\evil.example/v1/1",
        "https:\\\\evil.example/v1/1",
        "https://h\u3002evil.example/v1/1",
        "https://h\t.evil.example/v1/1",
        " https://h/v1/1",
        "/v1/1\r\nX-A: b",
        "https://h/v2/jobs/1",
        "https://h/v1evil/1",
        "https://h/v1/../admin",
        "https://h/v1/%2e%2e/admin",
        "https://h/v1/%2E./admin",
        "https://h/v1%2f..%2fadmin",
        "https://h/v1//evil.example/1",
        "https://h/v1/1#frag",
        "https://[::1/v1/1",
        "https://h:99999/v1/1",
        "mailto:me@h",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "https://h/v1/%zz",
        "https://h/v1/" + "a" * 4000,
        "https://h/v1/" + "\u00fc" * 1000,
        "https://h/v1/\ud800",
        "https://h/v1/\u202e",
    ],
)
def test_a_link_that_leads_elsewhere_is_refused(link: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        link_below(f"{link}?sig={SIGNATURE}", LINK, "https://h/v1")
    assert SIGNATURE not in str(caught.value)
    assert "pa55word" not in str(caught.value)


def test_the_host_of_a_link_is_ignored_where_the_profile_says_so() -> None:
    assert link_below("http://internal:8080/v1/jobs/1", OF_OTHERS, "https://h/v1") == "/jobs/1"
    for link in ("https://me@internal/v1/1", "mailto:me", "https://internal/v2/1", "https://internal/v1//x"):
        with pytest.raises(ConfigurationError):
            link_below(link, OF_OTHERS, "https://h/v1")


PIECES = st.sampled_from(
    ("https:", "http:", "HTTPS:", "javascript:", "//", "/", "\\", "api.example.com", "evil.example", "v1", "a", "b",
     "..", ".", "%2e", "%2E%2e", "%2f", "%5c", "@", "user:pw@", ":", ":443", ":8080", "?", "#", ";", "x=1", "&", "\t",
     "\n", " ", "\u3002", "\uff0f", "xn--", "b\u00fccher", "[::1]", "10.0.0.1", "%00", "%", "\u00fc" * 800),
)  # fmt: skip
LINKS = st.lists(PIECES, max_size=9).map("".join) | st.text(max_size=30)


@settings(max_examples=400)
@given(
    link=LINKS,
    kind=st.sampled_from((LINK, OF_OTHERS)),
    base=st.sampled_from(BASES),
    asked=st.sampled_from(("/", "/a/b")),
)
@example(link="https:v1", kind=OF_OTHERS, base=BASES[0], asked="/")
def test_no_link_leaves_host_and_base(link: str, kind: Ref, base: str, asked: str) -> None:
    try:
        path = link_below(link, kind, base, asked)
    except ConfigurationError:
        return
    assert path.startswith("/")
    assert not path.startswith("//")
    sent = urlsplit(canonical_base(base) + path)
    assert address(f"{sent.scheme}://{sent.netloc}") == address(base.removesuffix(urlsplit(base).path))
    assert sent.path.startswith(urlsplit(base).path)
    assert not {".", ".."} & {unquote(one) for one in sent.path.split("/")}
    assert checked_ref(path, kind, "job", base) is not None
    assert plausible_ref(with_stage(path, "build"))


@given(link=LINKS, base=st.sampled_from(BASES), hosts=st.sampled_from((["*.example.org", "files.test"], [])))
@example(link="https://evil.example\\.example.org/x", base=BASES[0], hosts=["*.example.org"])
def test_a_result_is_read_where_the_profile_allows_it(link: str, base: str, hosts: list[str]) -> None:
    try:
        origin, path = linked(link, hosts, base)
    except ReplyError:
        return
    assert path.startswith("/")
    if origin:
        host = urlsplit(canonical_base(origin) + path).hostname or ""
        assert host == "files.test" or host.endswith(".example.org")


@each_row(
    "link, found",
    [
        ("https://a.example.org/x?sig=a%2Bb", ("https://a.example.org", "/x?sig=a%2Bb")),
        ("https://A.EXAMPLE.ORG:8443", ("https://a.example.org:8443", "/")),
        ("//a.example.org/x", None),
        ("https://files.test/x#frag", ("https://files.test", "/x")),
        ("https://files.test/%zz", None),
        ("https://h/v1/result?x=1", ("", "/result?x=1")),
        ("/v1/result", ("", "/result")),
        ("http://files.test/x", None),
        ("ftp://files.test/x", None),
        ("https://me@files.test/x", None),
        ("https://example.org/x", None),
        ("https://evil.example/.example.org", None),
        ("https://evil.example?.example.org", None),
        ("https://evil.example\\.example.org/", None),
        ("https://evil.example%2f.example.org/", None),
        ("https://evil.example%00.example.org/", None),
        ("https://evil.example;.example.org/", None),
        ("https://evil.example\t.example.org/", None),
        ("https://a.example.org./", None),
        ("https://a.example.org:99999/", None),
        ("https://[::1/", None),
        ("https://169.254.169.254/latest", None),
        ("https://a.example.org/" + "a" * 16_000, None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_other_hosts_of_a_result(link: object, found: tuple[str, str] | None) -> None:
    hosts = ["*.example.org", "files.test"]
    if found is None:
        with pytest.raises(ReplyError):
            linked(link, hosts, "https://h/v1")
    else:
        assert linked(link, hosts, "https://h/v1") == found


def test_a_link_to_our_own_host_keeps_the_credentials() -> None:
    assert linked("https://h.example.org/x", ["*.example.org"], "https://h.example.org") == ("", "/x")


def test_plain_http_is_for_remotes_that_are_reached_by_it() -> None:
    assert linked("http://files.test/x", ["files.test"], "http://h") == ("http://files.test", "/x")


@each_row(
    "kind, value, ref",
    [
        (ID, 7, "7"),
        (ID, "a-b", "a-b"),
        (ID, True, None),
        (ID, 1.0, None),
        (ID, None, None),
        (ID, ["a"], None),
        (ID, {"a": 1}, None),
        (ID, "", None),
        (ID, "a/b", None),
        (ID, "..", None),
        (ID, "a" * 4000, None),
        (ID, "\ud800", None),
        (ID, 10**4200, None),
        (NAME, "operations/a/b", "operations/a/b"),
        (NAME, "/operations/a/", "operations/a"),
        (NAME, "a//b", None),
        (NAME, "a/../b", None),
        (NAME, "a?b", None),
        (NAME, "a" * 4001, None),
        (LINK, " https://h/v1/x ", "/x"),
        (LINK, "https://h/v2/x", None),
        (LINK, 7, "/7"),
    ],
)
def test_the_ref_in_a_reply(kind: Ref, value: object, ref: str | None) -> None:
    if ref is None:
        with pytest.raises(ReplyError, match="names no job"):
            ref_in(value, kind, "job", "https://h/v1", "/")
    else:
        assert ref_in(value, kind, "job", "https://h/v1", "/") == ref


@given(st.text(max_size=20) | st.integers() | st.floats() | st.lists(st.none()), st.sampled_from((ID, NAME, LINK)))
def test_any_value_is_a_ref_or_an_error(value: object, kind: Ref) -> None:
    try:
        ref = ref_in(value, kind, "job", "https://h", "/")
    except TaskWatchError:
        return
    assert checked_ref(ref, kind, "job", "https://h") == ref
    assert plausible_ref(ref) == ref


@each_row("ref", ["", None, 5, "a b", "a\\b", "/a/../b", "a" * 4001, "a\ud800"])
def test_a_text_that_is_no_ref_of_any_kind(ref: object) -> None:
    with pytest.raises(ConfigurationError):
        plausible_ref(ref)


def test_a_ref_names_its_stage() -> None:
    assert with_stage("a", "build") == "a#build"
    assert with_stage("a", "") == "a"
    assert split_stage("/a?b#build") == ("/a?b", "build")
    assert split_stage("a") == ("a", "")
