"""Patterns with asterisks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.event_filter import EventFilter
from airflow_provider_taskwatch.core.feed import Event
from airflow_provider_taskwatch.core.glob import matches
from airflow_provider_taskwatch.sandbox.aps.notification import matches as sandbox_matches
from airflow_provider_taskwatch.sandbox.automic.list import _like
from airflow_provider_taskwatch.systems.aps.listing import Listing
from tests.rows import each_row


@given(st.text("ab*\n", max_size=8), st.text("ab\n*.", max_size=8))
def test_a_pattern_matches_like_the_regular_expression(pattern: str, text: str) -> None:
    wanted = ".*".join(map(re.escape, pattern.split("*")))
    assert matches(pattern, text) == (re.fullmatch(wanted, text, re.DOTALL) is not None)


def _of_want(pattern: str, text: str) -> Any:
    return EventFilter(names=[pattern]).accepts(Event(id="1", name=text, subject="", at=1.0, content={}))


def _of_aps(pattern: str, text: str) -> Any:
    listing = Listing("en")
    listing.add([{"id": "1", "context": text}])
    return listing._matching(pattern)


@each_row(
    "ask", [matches, _of_want, _of_aps, lambda pattern, text: sandbox_matches(text, pattern), lambda p, t: _like(p)(t)]
)
@each_row("times", [6, 20_000])
def test_no_pattern_takes_more_than_linear_time(ask: Callable[[str, str], Any], times: int) -> None:
    """A regular expression needs hours for the first of them, and would never end with the second."""
    assert not ask("*a" * times + "*b", "a" * 100_000)
    assert ask("*a" * times + "*b", "a" * 100_000 + "b")
