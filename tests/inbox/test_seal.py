"""Sealing replies that cannot be fetched a second time."""

from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.inbox.seal import Seal, fresh_key

OLD, NEW = fresh_key(), fresh_key()


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b'{"patient": "Ada"}' * 1000])
def test_sealed_content_opens_with_its_key_and_is_unreadable_without_it(content: bytes) -> None:
    closed = Seal([NEW]).close(content)

    assert Seal([NEW]).open(closed) == content
    assert b"patient" not in closed


def test_the_newest_key_seals_and_every_key_opens() -> None:
    before, after = Seal([OLD]).close(b"a"), Seal([NEW, OLD]).close(b"b")

    assert Seal([NEW, OLD]).open(before) == b"a"
    assert Seal([NEW]).open(after) == b"b"


def test_a_removed_key_is_named_in_the_error() -> None:
    with pytest.raises(ConfigurationError, match=r"no longer among \[taskwatch\] inbox_keys; add it again"):
        Seal([NEW]).open(Seal([OLD]).close(b"a"))


@pytest.mark.parametrize("keys, message", [([], "is not set"), (["hush-hush"], "holds something that is no key")])
def test_the_error_for_an_invalid_key_names_the_remedy_and_shows_no_key(keys: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        Seal(keys)

    assert "`taskwatch inbox key` prints a fresh one" in str(caught.value)
    assert "hush-hush" not in str(caught.value)
