"""Arguments as plain JSON. A ``UserList`` is no list, like the sequence that Airflow makes of mapped output."""

from __future__ import annotations

import json
from collections import OrderedDict, UserList, UserString, deque
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.plain import ARGUMENT_DEPTH, members, plain
from tests.rows import each_row

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Color(Enum):
    RED = "red"
    BOTH = ("red", "blue")


class Size(IntEnum):
    BIG = 3


class Name(StrEnum):
    ANN = "ann"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_json_is_unchanged(value: Any) -> None:
    assert plain("inputs", value) == value


@each_row(
    "value, expected",
    [
        (UserList(["a", "b"]), ["a", "b"]),
        ({"FILES#": UserList(["a", UserList(["b", {"c": UserList()}])])}, {"FILES#": ["a", ["b", {"c": []}]]}),
        ((1, (2, [3])), [1, [2, [3]]]),
        ({"b", "a", "c"}, ["a", "b", "c"]),
        (frozenset({2, 1}), [1, 2]),
        (deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        ({"b": 1, "a": 2}.keys(), ["b", "a"]),
        ({"b": 1, "a": 2}.values(), [1, 2]),
        (MappingProxyType({"a": OrderedDict(b=1)}), {"a": {"b": 1}}),
        (Color.RED, "red"),
        (Color.BOTH, ["red", "blue"]),
        ({Name.ANN: Size.BIG}, {"ann": 3}),
        (numpy.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ([numpy.int64(1), numpy.float32(0.5), numpy.bool_(True), numpy.str_("x")], [1, 0.5, True, "x"]),
        (2**200, 2**200),
    ],
)
def test_any_sequence_except_a_string_is_a_list(value: Any, expected: Any) -> None:
    made = plain("inputs", value)
    assert json.dumps(made) == json.dumps(expected)


@pytest.mark.parametrize(
    "value, message",
    [
        ({"a": [1, {"b": NOON}]}, r"inputs\['a'\]\[1\]\['b'\] is of the type datetime; convert it with .isoformat\(\)"),
        (NOON.date(), "inputs is of the type date; convert it with .isoformat"),
        ([Decimal(1)], r"inputs\[0\] is of the type Decimal; give a string, a number"),
        ({"a": object()}, r"inputs cannot be sent as JSON: inputs\['a'\] is of the type object"),
        (b"x", "of the type bytes"),
        (bytearray(b"x"), "of the type bytearray"),
        (memoryview(b"x"), "of the type memoryview"),
        ((one for one in "ab"), "is of the type generator, which can be read only once; give a list"),
        (map(str, [1]), "of the type map, which can be read only once"),
        ({"a": {1: "x"}}, r"inputs may only have strings as names: inputs\['a'\] has one of the type int"),
        ({"a": float("nan")}, r"inputs\['a'\] is a number that JSON does not have"),
        (numpy.float64("inf"), "a number that JSON does not have"),
        ("caf\ud83d", r"inputs is not a valid string, 'caf\\ud83d' contains half"),
        ({"\ud83d": 1}, "inputs is not a valid string"),
        pytest.param([10**5000], r"inputs\[0\] is a number that JSON does not have .Exceeds", id="huge"),
        pytest.param({10**5000: 1}, "may only have strings as names", id="huge name"),
        pytest.param([Fraction(10**400)], r"inputs\[0\] is a number that JSON does not have", id="huge fraction"),
        (UserString("text"), "inputs is of the type UserString; give a string"),
        (int, "of the type type"),
        (numpy.ndarray, "of the type type"),
    ],
)
def test_a_value_that_json_does_not_have_is_refused_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        plain("inputs", value)


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ConfigurationError, match=f"deeper than {ARGUMENT_DEPTH} levels"):
        plain("inputs", endless)


@each_row("value", ["text", b"bytes", 5, None, {"a": 1}, numpy.int64(1)])
def test_a_single_value_has_no_members(value: Any) -> None:
    assert members(value) is None
