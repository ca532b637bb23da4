"""Tokens and bearers: who mints them, who knows them again, and until when."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.receiver.token import Keys, expiry, fresh_secret
from tests.receiver.visitor import NOW, OTHER_SECRET, SECRET, TICKET

KEYS = Keys([SECRET])
TOKEN = KEYS.mint(TICKET)


def test_a_token_says_what_its_ticket_said() -> None:
    assert KEYS.read(TOKEN, NOW) == TICKET


def test_a_token_can_stand_in_a_path_and_is_the_same_for_the_same_ticket() -> None:
    assert re.fullmatch(r"[\w.-]+", TOKEN)
    assert Keys([SECRET]).mint(TICKET) == TOKEN
    assert KEYS.mint(replace(TICKET, start_id="ba9876543210")) != TOKEN


def test_a_token_is_good_until_it_expires() -> None:
    assert KEYS.read(TOKEN, TICKET.expires_at - 0.1) == TICKET
    assert KEYS.read(TOKEN, TICKET.expires_at) is None


@pytest.mark.parametrize(
    "spoilt", ["", ".", TOKEN[:-1], TOKEN[:-1] + "!", TOKEN[1:], TOKEN + "A", "\ud800", "\0", TOKEN * 1000]
)
def test_a_token_that_was_changed_is_none(spoilt: str) -> None:
    assert KEYS.read(spoilt, NOW) is None


@given(st.text())
def test_no_text_is_a_token_or_a_bearer(text: str) -> None:
    assert KEYS.read(text, NOW) is None
    assert not KEYS.is_bearer(TOKEN, text)
    assert not KEYS.is_bearer(text, KEYS.bearer(TOKEN))


def test_a_bearer_belongs_to_its_token_alone() -> None:
    other = KEYS.mint(replace(TICKET, start_id="ba9876543210"))
    assert KEYS.is_bearer(TOKEN, KEYS.bearer(TOKEN))
    assert not KEYS.is_bearer(other, KEYS.bearer(TOKEN))
    assert not KEYS.is_bearer(TOKEN, TOKEN.rpartition(".")[2])


def test_another_secret_knows_neither() -> None:
    other = Keys([OTHER_SECRET])
    assert other.read(TOKEN, NOW) is None
    assert not other.is_bearer(TOKEN, KEYS.bearer(TOKEN))


def test_the_newest_secret_signs_and_all_verify() -> None:
    both = Keys([OTHER_SECRET, SECRET])
    assert both.read(TOKEN, NOW) == TICKET
    assert both.is_bearer(TOKEN, KEYS.bearer(TOKEN))
    assert both.mint(TICKET) == Keys([OTHER_SECRET]).mint(TICKET) != TOKEN
    assert both.bearer(TOKEN) == Keys([OTHER_SECRET]).bearer(TOKEN)


def test_a_secret_that_was_taken_away_verifies_no_more() -> None:
    assert Keys([OTHER_SECRET]).read(Keys([SECRET, OTHER_SECRET]).mint(TICKET), NOW) is None


@pytest.mark.parametrize(
    "secrets, words",
    [((), "callback_secrets is not set"), ((SECRET, "hush-hush"), "1 of 2 have fewer than 32 characters")],
)
def test_secrets_that_are_none_are_refused_and_not_shown(secrets: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{words}.*; `airflow taskwatch check --callbacks`") as caught:
        Keys(secrets)
    assert "hush-hush" not in str(caught.value)


def test_no_repr_shows_a_secret() -> None:
    assert repr(Keys([OTHER_SECRET, SECRET])) == "Keys(2 secrets)"


def test_a_fresh_secret_is_strong_and_new() -> None:
    assert fresh_secret() != fresh_secret()
    assert repr(Keys([fresh_secret()])) == "Keys(1 secrets)"


def test_tokens_live_for_a_day_after_the_deadline_or_for_thirty_days() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert expiry(now + timedelta(hours=1), now) == int((now + timedelta(hours=25)).timestamp())
    assert expiry(None, now) == int((now + timedelta(days=30)).timestamp())
