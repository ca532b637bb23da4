"""Tokens and bearers: minting, verification and expiry."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.receiver.token import Keys, expiry, fresh_secret
from tests.receiver.visitor import NOW, OTHER_SECRET, PUSH_TICKET, SECRET, TICKET
from tests.rows import each_row

KEYS = Keys([SECRET])
TOKEN = KEYS.mint(TICKET)
PUSH_TOKEN = KEYS.mint_push(PUSH_TICKET)


def test_a_token_yields_its_ticket() -> None:
    assert KEYS.read(TOKEN, NOW) == TICKET


def test_a_token_is_safe_in_a_path_and_equal_for_equal_tickets() -> None:
    assert re.fullmatch(r"[\w.-]+", TOKEN)
    assert Keys([SECRET]).mint(TICKET) == TOKEN
    assert KEYS.mint(replace(TICKET, start_id="ba9876543210")) != TOKEN


def test_a_push_token_yields_its_ticket_and_does_not_expire() -> None:
    assert KEYS.read_push(PUSH_TOKEN) == PUSH_TICKET
    assert re.fullmatch(r"[\w.-]+", PUSH_TOKEN)
    assert Keys([SECRET]).mint_push(PUSH_TICKET) == PUSH_TOKEN
    assert KEYS.mint_push(replace(PUSH_TICKET, needs_key=False)) != PUSH_TOKEN


def test_a_callback_token_is_no_push_token_and_vice_versa() -> None:
    same = [TICKET.channel, TICKET.start_id, True, {}]
    assert KEYS.read(PUSH_TOKEN, NOW) is None
    assert KEYS.read_push(TOKEN) is None
    assert KEYS._callbacks.mint(same) != KEYS._pushes.mint(same)
    assert not KEYS.is_push_key(TOKEN, KEYS.bearer(TOKEN))
    assert not KEYS.is_bearer(PUSH_TOKEN, KEYS.push_key(PUSH_TOKEN))


def test_a_key_is_valid_only_for_its_push_token() -> None:
    other = KEYS.mint_push(replace(PUSH_TICKET, channel="another"))
    assert KEYS.is_push_key(PUSH_TOKEN, KEYS.push_key(PUSH_TOKEN))
    assert not KEYS.is_push_key(other, KEYS.push_key(PUSH_TOKEN))


def test_a_token_is_valid_until_it_expires() -> None:
    assert KEYS.read(TOKEN, TICKET.expires_at - 0.1) == TICKET
    assert KEYS.read(TOKEN, TICKET.expires_at) is None


@each_row("spoilt", ["", ".", TOKEN[:-1], TOKEN[:-1] + "!", TOKEN[1:], TOKEN + "A", "\ud800", "\0", TOKEN * 1000])
def test_a_modified_token_is_invalid(spoilt: str) -> None:
    assert KEYS.read(spoilt, NOW) is None
    assert KEYS.read_push(spoilt.replace(TOKEN, PUSH_TOKEN)) is None


@given(st.text())
def test_arbitrary_text_is_no_token_and_no_bearer(text: str) -> None:
    assert KEYS.read(text, NOW) is None
    assert KEYS.read_push(text) is None
    assert not KEYS.is_push_key(PUSH_TOKEN, text)
    assert not KEYS.is_bearer(TOKEN, text)
    assert not KEYS.is_bearer(text, KEYS.bearer(TOKEN))


def test_a_bearer_is_valid_only_for_its_token() -> None:
    other = KEYS.mint(replace(TICKET, start_id="ba9876543210"))
    assert KEYS.is_bearer(TOKEN, KEYS.bearer(TOKEN))
    assert not KEYS.is_bearer(other, KEYS.bearer(TOKEN))
    assert not KEYS.is_bearer(TOKEN, TOKEN.rpartition(".")[2])


def test_another_secret_verifies_neither_token_nor_bearer() -> None:
    other = Keys([OTHER_SECRET])
    assert other.read(TOKEN, NOW) is None
    assert not other.is_bearer(TOKEN, KEYS.bearer(TOKEN))


def test_the_newest_secret_signs_and_every_secret_verifies() -> None:
    both = Keys([OTHER_SECRET, SECRET])
    assert both.read(TOKEN, NOW) == TICKET
    assert both.read_push(PUSH_TOKEN) == PUSH_TICKET
    assert both.is_push_key(PUSH_TOKEN, KEYS.push_key(PUSH_TOKEN))
    assert both.mint_push(PUSH_TICKET) == Keys([OTHER_SECRET]).mint_push(PUSH_TICKET) != PUSH_TOKEN
    assert both.is_bearer(TOKEN, KEYS.bearer(TOKEN))
    assert both.mint(TICKET) == Keys([OTHER_SECRET]).mint(TICKET) != TOKEN
    assert both.bearer(TOKEN) == Keys([OTHER_SECRET]).bearer(TOKEN)


def test_a_removed_secret_no_longer_verifies() -> None:
    assert Keys([OTHER_SECRET]).read(Keys([SECRET, OTHER_SECRET]).mint(TICKET), NOW) is None
    assert Keys([OTHER_SECRET]).read_push(PUSH_TOKEN) is None


@pytest.mark.parametrize(
    "secrets, message",
    [((), "callback_secrets is not set"), ((SECRET, "hush-hush"), "1 of 2 have fewer than 32 characters")],
)
def test_invalid_secrets_are_refused_and_not_shown(secrets: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{message}.*; `taskwatch check --callbacks`") as caught:
        Keys(secrets)
    assert "hush-hush" not in str(caught.value)


def test_no_repr_shows_a_secret() -> None:
    assert repr(Keys([OTHER_SECRET, SECRET])) == "Keys(2 secrets)"


def test_a_fresh_secret_is_strong_and_new() -> None:
    assert fresh_secret() != fresh_secret()
    assert repr(Keys([fresh_secret()])) == "Keys(1 secrets)"


def test_a_token_expires_a_day_after_the_deadline_or_after_thirty_days() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert expiry(now + timedelta(hours=1), now) == int((now + timedelta(hours=25)).timestamp())
    assert expiry(None, now) == int((now + timedelta(days=30)).timestamp())
