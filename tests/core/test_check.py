"""Checks of arguments: what passes, and what is named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_taskwatch.core.check import (
    choice,
    connection_id,
    duration,
    flag,
    flag_or_none,
    json_object,
    listed,
    moment_of,
    seconds,
    seconds_or_none,
    text,
    text_or_empty,
)
from airflow_provider_taskwatch.core.error import ConfigurationError
from tests.rows import each_row

NAN, INFINITE = float("nan"), float("inf")


@each_row(
    "name, value",
    [
        *(("poll_interval", value) for value in (0, -1, 1e308, 10**400, True, NAN, INFINITE, timedelta.max, "30")),
        *(("timeout", value) for value in (0, -1, True, NAN, INFINITE, "1h", timedelta(0))),
        *(("not_found_grace", value) for value in (-1, None, 1e308, True, "5 min")),
        *(("unknown_status_grace", value) for value in (NAN, INFINITE, None)),
        *(("blocked_timeout", value) for value in (timedelta(seconds=-1), timedelta.max)),
        ("callback_poll_interval", 0),
        ("callback_poll_interval", None),
    ],
)
def test_a_wrong_duration_is_named(name: str, value: Any) -> None:
    least = "greater than 0" if name in ("poll_interval", "timeout", "callback_poll_interval") else "not negative"
    with pytest.raises(ConfigurationError) as caught:
        duration(name, value)
    assert str(caught.value).startswith(f"{name}={value!r:.80} must be a number of seconds or a timedelta, {least}")


@each_row(
    "name, value",
    [
        ("poll_interval", None),
        ("poll_interval", 0.1),
        ("poll_interval", timedelta(minutes=1)),
        ("timeout", None),
        ("timeout", 1e308),
        ("not_found_grace", 0),
        ("blocked_timeout", None),
        ("blocked_timeout", 100 * 365 * 86400),
    ],
)
def test_a_duration_passes(name: str, value: Any) -> None:
    duration(name, value)


def test_a_duration_is_read_in_seconds() -> None:
    assert (seconds(1.5), seconds(timedelta(minutes=2))) == (1.5, 120)
    assert (seconds_or_none(None), seconds_or_none(3)) == (None, 3)


@each_row("value", ["false", 1, 0, [], "x"])
def test_a_value_that_is_neither_true_nor_false_is_named(value: Any) -> None:
    for check in (flag, flag_or_none):
        with pytest.raises(ConfigurationError, match="durable must be True or False, not"):
            check("durable", value)


def test_only_an_optional_flag_may_be_none() -> None:
    flag_or_none("deferrable", None)
    with pytest.raises(ConfigurationError):
        flag("deferrable", None)
    flag("deferrable", False)


@each_row("value", ["c", "A", None, 1, ["a"]])
def test_a_wrong_choice_is_named_with_the_right_ones(value: Any) -> None:
    choice("a", "b")("on_x", "b")
    with pytest.raises(ConfigurationError, match="is not one of 'a', 'b'"):
        choice("a", "b")("on_x", value)


@each_row("value", [None, "", "  ", True, {"a": 1}, 1.5, ["a"], 10**5000])
def test_a_value_that_is_no_string_is_named(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="path must be a non-empty string, not"):
        text("path", value)


def test_a_string_may_be_given_as_a_whole_number() -> None:
    assert (text("id", 7), text("id", "a b")) == ("7", "a b")
    assert (text_or_empty("id", None), text_or_empty("id", "")) == ("", "")
    assert text_or_empty("id", 7) == "7"


@each_row("value", ["a\0", "\ud83d"])
def test_a_string_that_no_database_stores_is_named(value: str) -> None:
    with pytest.raises(ConfigurationError, match="holds NUL or half of a surrogate pair"):
        text_or_empty("alias", value)


@each_row("value", [None, "", " ", 7, ["a"]])
def test_a_wrong_connection_id_is_named(value: Any) -> None:
    connection_id("conn_id", "mine")
    with pytest.raises(ConfigurationError, match="conn_id must be the id of an Airflow connection"):
        connection_id("conn_id", value)


@each_row("value", ["{'DAY': 1}", ["DAY"], 7])
def test_a_value_that_is_no_dict_is_named_with_the_remedy(value: Any) -> None:
    assert (json_object("inputs", None), json_object("inputs", {"a": (1,)})) == ({}, {"a": [1]})
    with pytest.raises(ConfigurationError, match=r"inputs must be a dict, not .* render_template_as_native_obj"):
        json_object("inputs", value)


def test_one_value_or_many_are_a_list() -> None:
    assert (listed("names", None), listed("names", "a"), listed("names", ("a", "b"))) == (None, ["a"], ["a", "b"])


@each_row(
    "value",
    ["2026-01-31T00:00:00Z", "2026-01-31", "2026-01-31T02:00:00+02:00", datetime(2026, 1, 31, tzinfo=UTC)],
)
def test_a_time_without_a_zone_is_utc(value: Any) -> None:
    assert moment_of("since", value) == datetime(2026, 1, 31, tzinfo=UTC).timestamp()


@each_row("value", ["yesterday", 7])
def test_a_value_that_is_no_time_is_named(value: Any) -> None:
    assert moment_of("since", None) is moment_of("since", "") is None
    with pytest.raises(ConfigurationError, match="is not a time; write it as 2026"):
        moment_of("since", value)
