"""Sealing what nobody can fetch a second time."""

from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.inbox.seal import Seal, fresh_key

OLD, NEW = fresh_key(), fresh_key()


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b'{"patient": "Ada"}' * 1000])
def test_what_was_closed_is_opened_with_the_key_and_shows_nothing_without(content: bytes) -> None:
    closed = Seal([NEW]).close(content)

    assert Seal([NEW]).open(closed) == content
    assert b"patient" not in closed


def test_the_newest_key_closes_and_all_open() -> None:
    before, after = Seal([OLD]).close(b"a"), Seal([NEW, OLD]).close(b"b")

    assert Seal([NEW, OLD]).open(before) == b"a"
    assert Seal([NEW]).open(after) == b"b"


def test_a_key_that_was_taken_away_is_missed() -> None:
    with pytest.raises(ConfigurationError, match=r"no longer among \[taskwatch\] inbox_keys; add it again"):
        Seal([NEW]).open(Seal([OLD]).close(b"a"))


@pytest.mark.parametrize("keys, words", [([], "is not set"), (["hush-hush"], "holds something that is no key")])
def test_without_a_good_key_the_remedy_is_told_and_no_key(keys: list[str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as told:
        Seal(keys)

    assert "`airflow taskwatch inbox key` prints a fresh one" in str(told.value)
    assert "hush-hush" not in str(told.value)
