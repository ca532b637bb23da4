"""A remote's words made harmless."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.text import (
    TEXT_CHARACTERS,
    VALUE_CHARACTERS,
    VALUE_DEPTH,
    line,
    printable,
    shortened,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner),
)


@pytest.mark.parametrize(
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
def test_a_line_is_one_and_obeys_nobody(text, shown):
    assert line(text) == shown


def test_a_line_is_short_however_much_there_is_of_it():
    assert line("\n" * 10**6 + "x") == ""
    assert line("x\x1b" * 10**6, 5) == "x\ufffdx\ufffdx"


def test_paragraphs_stay_paragraphs():
    assert printable("a\n\tb\r\n\x0bc\x1b") == "a\n\tb \n c\ufffd"


@given(ANYTHING)
def test_whatever_is_kept_can_be_stored_and_sent(value):
    kept = shortened(value)
    assert json.loads(json.dumps(kept, allow_nan=False).encode()) == kept
    assert "\\u0000" not in json.dumps(kept)
    assert json.dumps(kept, ensure_ascii=False).encode()


@pytest.mark.parametrize("value", [None, True, 5, -1.5, "text", {"a": [1, {"b": "c"}]}, [], {}, 2**63 - 1])
def test_what_is_small_and_plain_is_kept_as_it_is(value):
    assert shortened(value) == value


@pytest.mark.parametrize(
    "value, kept",
    [
        (float("nan"), None),
        (float("-inf"), None),
        (2**63, str(2**63)),
        ("a\0b\ud800", "a\ufffdb?"),
        ({"\0": 1}, {"\ufffd": 1}),
    ],
)
def test_what_no_database_takes_is_replaced(value, kept):
    assert shortened(value) == kept


@pytest.mark.parametrize(
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
def test_what_is_too_much_together_is_left_out_and_it_says_so(value):
    kept = shortened(value)
    assert len(json.dumps(kept)) < 2 * VALUE_CHARACTERS
    assert "left out" in json.dumps(kept)
    assert shortened(kept) == kept


@pytest.mark.parametrize("opening, closing", [('{"a":', "}"), ("[", "]")])
def test_what_is_nested_too_deep_is_left_out(opening, closing):
    kept = shortened(json.loads(opening * 500 + "1" + closing * 500))
    assert json.dumps(kept).count(opening[0]) == VALUE_DEPTH
    assert "(left out)" in json.dumps(kept)


def test_a_long_name_is_cut_like_any_text():
    [name] = shortened({"x" * 10**6: 1})
    assert len(name) <= TEXT_CHARACTERS
