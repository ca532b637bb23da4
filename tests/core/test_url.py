"""Paths and queries of any kind have one form, or none."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import canonical_path, canonical_query, canonical_target
from tests.rows import each_row

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
def test_what_is_made_is_ascii_and_stays_as_it_is(text, pairs):
    target = made(f"/{text}", pairs)
    if target is not None:
        assert target.isascii()
        assert target.isprintable()
        assert " " not in target
        assert canonical_target(target) == target
        assert not {".", ".."} & set(unquote(target.partition("?")[0].replace("%2F", "x")).split("/"))


@given(TEXTS)
def test_a_path_means_what_it_meant(text):
    path = f"/{text}".partition("?")[0]
    target = made(path)
    if target is not None:
        assert unquote(target) == unquote(path)


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=4))
def test_pairs_arrive_as_they_were_given(pairs):
    query = canonical_query("", pairs)
    assert parse_qsl(query, keep_blank_values=True, max_num_fields=9) == [pair for pair in pairs if query]


@each_row("path", ["/", "/a", "/a/b-c_d.e~f", "/..a/b..", "/a!$&'()*+,;=:@", ""])
def test_what_is_in_order_stays_as_it_is(path):
    assert canonical_path(path) == path
