"""The options of ``[taskwatch]``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_taskwatch.config import option
from airflow_provider_taskwatch.core.error import ConfigurationError
from tests.rows import each_row

Configure = Callable[[str], None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Sets the option ``thing``."""
    return lambda value: monkeypatch.setenv("AIRFLOW__TASKWATCH__THING", value)


def test_an_option_that_is_not_set_is_empty_or_the_default() -> None:
    assert (option.text("thing"), option.items("thing")) == ("", ())
    assert option.boolean("thing", default=True) is True
    assert option.days("thing", default=14.0) == 14.0


@each_row("given", [" a, b ", "a b", "a,b", "a\n,b,"])
def test_whitespace_or_commas_separate_the_items_of_a_list(configure: Configure, given: str) -> None:
    configure(given)
    assert option.items("thing") == ("a", "b")


@each_row("given, expected", [("True", True), (" t ", True), ("1", True), ("FALSE", False), ("0", False)])
def test_a_boolean_has_several_spellings(configure: Configure, given: str, expected: bool) -> None:
    configure(given)
    assert option.boolean("thing", default=not expected) is expected


def test_a_wrong_boolean_is_named(configure: Configure) -> None:
    configure("maybe")
    with pytest.raises(ConfigurationError, match=r"\[taskwatch\] thing must be True or False, not 'maybe'"):
        option.boolean("thing", default=True)


def test_days_may_be_fractions(configure: Configure) -> None:
    configure("0.5")
    assert option.days("thing", default=14.0) == 0.5


@each_row("given", ["0", "-1", "nan", "inf", "two"])
def test_a_wrong_number_of_days_is_named(configure: Configure, given: str) -> None:
    configure(given)
    with pytest.raises(ConfigurationError, match=rf"\[taskwatch\] thing must be a number of days .*, not '{given}'"):
        option.days("thing", default=14.0)
