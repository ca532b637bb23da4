"""Values of a remote are made safe."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.text import (
    TEXT_CHARACTERS,
    VALUE_CHARACTERS,
    VALUE_DEPTH,
    Bounded,
    bounded,
    distinct,
    line,
    place,
    printable,
    read_json,
    safe,
    shortened,
    stored,
)
from tests.rows import each_row

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner),
)


@each_row(
    "text, shown",
    [
        ("one\r\ntwo\tthree", "one two three"),
        ("2026-01-31 INFO all is well\n2026-01-31 INFO forged", "2026-01-31 INFO all is well 2026-01-31 INFO forged"),
        ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
        ("a\0b\ud800c\u202ed\x9b", "a\ufffdb\ufffdc\ufffdd\ufffd"),
        ("Fertig \u2013 in\xa0Ordnung \U0001f600", "Fertig \u2013 in Ordnung \U0001f600"),
        (" ", ""),
    ],
)
def test_a_line_contains_no_control_characters(text, shown):
    assert line(text) == shown


def test_a_line_is_short_for_any_text():
    assert line("\n" * 10**6 + "x") == ""
    assert line("x\x1b" * 10**6, 5) == "x\ufffdx\ufffdx"


def test_paragraphs_stay_paragraphs():
    assert printable("a\n\tb\r\n\x0bc\x1b") == "a\n\tb \n c\ufffd"


@given(ANYTHING)
def test_any_value_can_be_stored_and_sent(value):
    kept = shortened(value)
    assert json.loads(json.dumps(kept, allow_nan=False).encode()) == kept
    assert "\\u0000" not in json.dumps(kept)
    assert json.dumps(kept, ensure_ascii=False).encode()


@each_row("value", [None, True, 5, -1.5, "text", {"a": [1, {"b": "c"}]}, [], {}, 2**63 - 1])
def test_a_small_plain_value_is_unchanged(value):
    assert shortened(value) == value


@pytest.mark.parametrize(
    "value, kept",
    [
        (float("nan"), None),
        (float("-inf"), None),
        (2**63, str(2**63)),
        ("a\0b\ud800", "a\ufffdb?"),
        ({"\0": 1}, {"\ufffd": 1}),
        ({"\0": 1, "\ufffd": 2, "\ufffd (2)": 3}, {"\ufffd": 1, "\ufffd (2)": 2, "\ufffd (2) (2)": 3}),
        (
            {"__classname__": "os.system", "__var": {"__id__": 1}},
            {"remote__classname__": "os.system", "remote__var": {"remote__id__": 1}},
        ),
        ({"__type": "dict", "__data__": 1}, {"__type": "dict", "__data__": 1}),
        (1e300, "1e+300"),
        (2.0**63, "9.223372036854776e+18"),
        pytest.param([10**5000], ["(a number of about 5000 digits left out)"], id="huge"),
        (b"caf\xe9", "caf\ufffd"),
        ((1, {2}), [1, [2]]),
        ({1: "a", None: "b", "1": "c"}, {"1": "a", "None": "b", "1 (2)": "c"}),
    ],
)
def test_characters_that_no_database_accepts_are_replaced(value, kept):
    assert shortened(value) == kept


@each_row(
    "value",
    [
        {f"key {number}": number for number in range(100_000)},
        [str(number) for number in range(100_000)],
        ["x" * 5000] * 1000,
        {"x" * 5000 + str(number): {"y": ["z" * 5000] * 100} for number in range(100)},
        [[[["x" * 100] * 50] * 50] * 50] * 50,
        [10**4000] * 1000,
    ],
    ids=["wide mapping", "wide list", "long texts", "long names", "a tree", "huge numbers"],
)
def test_members_beyond_the_limit_are_left_out_and_counted(value):
    kept = shortened(value)
    assert len(json.dumps(kept)) < 2 * VALUE_CHARACTERS
    assert "left out" in json.dumps(kept)
    assert shortened(kept) == kept


def test_a_value_that_fits_is_not_cut() -> None:
    value = {"report": "x" * 90_000, "log": ["y" * 5_000]}
    assert bounded(value) == Bounded(value=value)


def test_a_loss_is_described() -> None:
    assert bounded({"a": "x" * 200_000, "b": 1}).loss == "1 long texts are cut"
    assert bounded(["x" * 9_000] * 20 + [1] * 100_000).loss.startswith("20 long texts are cut and 9")
    assert bounded("x" * 200_000, 300_000).loss == ""


def test_names_that_become_equal_are_fast() -> None:
    names = {chr(0xD800 + number // 2048) + chr(0xD800 + number % 2048): 1 for number in range(20_000)}
    assert len(safe(names)) == len(stored(names)) == 20_000


def test_an_inbox_keeps_the_names_by_which_users_match() -> None:
    assert stored({"__id__": "a\0"}) == {"__id__": "a\ufffd"}


@pytest.mark.parametrize("one, other", [("a  b", "a b"), ("a\ud83d", "a\ud83e"), ("x" * 600 + "a", "x" * 600 + "b")])
def test_ids_stay_different_as_lines(one: str, other: str) -> None:
    assert distinct(one) != distinct(other)
    assert distinct(one) == distinct(one) == line(distinct(one))
    assert distinct("plain 1") == "plain 1"


@pytest.mark.parametrize("body", ['{"a": %s}', "[%s, 1.5]", "%s"])
def test_a_number_of_thousands_of_digits_is_a_text(body: str) -> None:
    digits = "9" * 5000
    assert digits in json.dumps(read_json(body % digits))
    assert read_json(body % "7") == json.loads(body % "7")


@each_row("body", [b"", b"\xff\xff", b"{", "[" + "9" * 5000])
def test_a_text_that_is_not_json_stays_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_json(body)


@pytest.mark.parametrize("opening, closing", [('{"a":', "}"), ("[", "]")])
def test_deep_members_are_left_out(opening, closing):
    kept = shortened(json.loads(opening * 500 + "1" + closing * 500))
    assert json.dumps(kept).count(opening[0]) == VALUE_DEPTH
    assert "(left out)" in json.dumps(kept)


def test_a_long_name_is_cut_like_any_text():
    [name] = shortened({"x" * 10**6: 1})
    assert len(name) <= TEXT_CHARACTERS


def test_a_place_is_shown_without_scheme_credentials_and_query() -> None:
    assert place("https://me:secret@api.example.com:8443/v1/?token=x") == "api.example.com:8443/v1"
    assert place("https://[broken") == "https://[broken"
