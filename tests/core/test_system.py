from __future__ import annotations

import json

import pytest

from airflow_provider_taskwatch.core.callback import Callback
from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    DeadlineError,
    NotFoundError,
    RemoteError,
    ReplyError,
    TokenError,
    TransportError,
)
from airflow_provider_taskwatch.core.phase import absent
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.system import SystemDefaults, address, doubt_unless_uuid, safe_ref
from tests.play import result_of
from tests.rows import each_row


class Plain(SystemDefaults):
    name = "plain"
    noun = "job"


def refused(status):
    return RemoteError(method="POST", path="/x", status=status, message="no")


@each_row("ref", ["1", "0c7b9e0e-3f4e", " a.b:c~d@e+f ", "ünïcode", "a.", "-"])
def test_an_id_is_taken_as_it_is_without_surrounding_blanks(ref):
    assert safe_ref(ref, "job") == Plain().check_ref(ref) == ref.strip()


@each_row(
    "ref",
    [".", "..", "a..b", "a/b", "a?b", "a#b", "a\\b", "%2e", "a b", "a\tb", "a\nb", "a\x00", "a\u200bb", "a\u00a0b"],
)
def test_an_id_that_could_change_the_address_is_refused_before_any_request(ref):
    with pytest.raises(ConfigurationError, match="is not a job id: it must not be"):
        safe_ref(ref, "job")


@each_row("ref", ['"a-1"', "'a-1'", ' " a-1 " ', json.dumps("a-1")])
def test_the_quotation_marks_that_a_template_puts_around_an_id_are_taken_off(ref):
    assert safe_ref(ref, "job") == "a-1"


@each_row("ref", ['a"1', '"a', '["a"]', '""a""', '{"id": "a"}', "\"'a'\"", "'a", "`a`", "“a”", "«a»"])
def test_other_quotation_marks_are_refused(ref):
    with pytest.raises(ConfigurationError, match="is not a job id"):
        safe_ref(ref, "job")


def test_an_id_of_another_form_than_usual_is_doubted():
    assert doubt_unless_uuid("6992a41d-a953-4ded-ae99-41d2f4d32ecb", "job") == Plain().doubt("hello") == ""
    assert doubt_unless_uuid("1111111-7777-4444-aaaa-555555555555", "job") == ""
    assert "hello does not look like a job id" in doubt_unless_uuid("hello", "job")


@each_row("ref", ["", " ", "\n", None])
def test_an_empty_id_is_refused_with_a_remedy(ref):
    with pytest.raises(ConfigurationError, match="the job id is empty; give the id that the start returned"):
        safe_ref(ref, "job")


@each_row("ref", [5, ["a"], {"id": "a"}, True])
def test_an_id_that_is_no_text_is_refused(ref):
    with pytest.raises(ConfigurationError, match="which is no string"):
        safe_ref(ref, "job")


def test_a_long_id_is_shown_shortened():
    with pytest.raises(ConfigurationError) as caught:
        safe_ref("a/" * 5000, "job")
    assert len(str(caught.value)) < 250


def test_most_systems_have_nothing_to_add():
    system = Plain()
    assert (system.selector({"a": 1}), system.understand(absent("1"), {})) == ("", absent("1"))
    assert result_of(system.successor(absent("1"), {})) is None
    assert result_of(system.explain(absent("1"), {})) == ""
    assert system.page("1") == {"ref": "1"}


@pytest.mark.parametrize(
    "ask, message",
    [
        (lambda system: system.observe_many("*", ["1"]), "plain reads one job per request"),
        (lambda system: system.cancel("1"), "plain cannot cancel a job"),
        (lambda system: system.find("m"), "plain keeps no marker of a start"),
    ],
)
def test_what_a_system_cannot_do_is_a_mistake_of_the_caller(ask, message):
    system = Plain()
    assert (system.can_cancel, system.keeps_marker, system.reads_alone) == (False, False, True)
    with pytest.raises(NotImplementedError, match=message):
        ask(system)


@each_row(
    "error",
    [
        refused(400),
        refused(403),
        refused(409),
        refused(429),
        NotFoundError(method="POST", path="/x", status=404, message="no"),
        TransportError("no such host", sent=False),
        TokenError("down", transient=True),
        ConfigurationError("typo"),
    ],
)
def test_a_start_that_surely_did_nothing_may_be_sent_again(error):
    assert Plain().was_refused(error)


@each_row(
    "error",
    [
        *map(refused, (100, 101, 102, 103, 199, 303, 408, 500, 503, 600)),
        TransportError("reset"),
        ReplyError("not JSON"),
        DeadlineError("over"),
    ],
)
def test_a_start_that_may_have_been_done_is_not_taken_for_refused(error):
    assert not Plain().was_refused(error)


@each_row(
    "url",
    [
        "https://api.example.com/v1",
        "https://api.example.com/v1/",
        "https://API.Example.COM/v1",
        "https://api.example.com:443/v1",
        "https://api.example.com./v1",
        "https://api.example.com/%761",
    ],
)
def test_spellings_of_one_address_are_one_id_space(url):
    assert address(url) == "https://api.example.com/v1"


@each_row(
    "url",
    [
        "https://api.example.org/v1",
        "https://api.example.com/v2",
        "https://api.example.com/V1",
        "https://api.example.com:8443/v1",
        "https://api.example.com/v%2F1",
        "http://api.example.com:443/v1",
        "https://[2001:db8::1]/v1",
    ],
)
def test_other_addresses_are_other_id_spaces(url):
    assert address(url) != address("https://api.example.com/v1")


@each_row(
    "one, other",
    [
        ("http://müller.example/größe", "http://XN--mller-kva.example/gr%c3%b6%C3%9Fe/"),
        ("http://[::1]:80", "http://[0:0:0:0:0:0:0:1]/"),
        ("https://a_b.example", "https://A_B.example:443"),
        (f"https://{'a' * 70}.example", f"https://{'A' * 70}.example"),
    ],
)
def test_spellings_of_one_host_are_one_id_space(one, other):
    assert address(one) == address(other)


@pytest.mark.parametrize("one, other", [("straße", "strasse"), ("ma\u03c2", "ma\u03c3"), ("a\u200db", "ab")])
def test_names_that_are_alike_only_to_old_rules_are_two_id_spaces(one, other):
    assert address(f"https://{one}.example") != address(f"https://{other}.example")


def test_an_ipv6_address_stays_one():
    assert address("https://[2001:DB8::1]:8443/v1/") == "https://[2001:db8::1]:8443/v1"


def test_any_reading_may_be_ours_where_a_remote_keeps_no_markers():
    assert Plain().is_own(absent("7"), {"alias": "x"})


def test_a_plain_system_doubts_no_id_and_reads_nothing_from_a_callback():
    assert Plain().doubt("7") == ""
    assert Plain().read_callback({"id": "7"}, {}) == Callback()


def test_the_id_space_of_a_system_is_its_address():
    settings = Settings(
        conn_id="c", connection_type="t", base_url="https://API.example.com:443/v1", auth="basic", login="", password=""
    )
    assert Plain().id_space(settings) == address(settings.base_url)
