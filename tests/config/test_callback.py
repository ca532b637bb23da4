"""The settings of callbacks, as Airflow's configuration gives them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from airflow_provider_taskwatch.config.callback import (
    CallbackOptions,
    base_url_problem,
    callback_options,
    is_loopback,
)
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.get_provider_info import get_provider_info
from airflow_provider_taskwatch.inbox.message import RETENTION_DAYS
from tests.receiver.visitor import NOW, OTHER_SECRET, PUSH_TICKET, SECRET, TICKET
from tests.rows import each_row

Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Sets options of ``[taskwatch]``."""

    def put(**options: str) -> None:
        for name, value in options.items():
            monkeypatch.setenv(f"AIRFLOW__TASKWATCH__{name.upper()}", value)

    return put


def test_without_settings_there_are_no_callbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CALLBACK_SECRETS", "CALLBACK_BASE_URL"):
        monkeypatch.delenv(f"AIRFLOW__TASKWATCH__{name}", raising=False)
    settings = callback_options()
    assert (settings.base_url, settings.secrets, settings.require_https) == ("", (), True)


def test_the_defaults_are_those_that_airflow_shows() -> None:
    options = get_provider_info()["config"]["taskwatch"]["options"]
    assert float(options["inbox_retention_days"]["default"]) == RETENTION_DAYS
    assert {name for name, option in options.items() if option.get("sensitive")} == {
        "callback_secrets",
        "inbox_keys",
        "inbox_url",
    }


def test_secrets_are_separated_by_blanks_or_commas_the_newest_first(configure: Configure) -> None:
    configure(callback_secrets=f" {OTHER_SECRET}, {SECRET}\n")
    assert callback_options().secrets == (OTHER_SECRET, SECRET)


def test_a_trailing_slash_is_nothing(configure: Configure) -> None:
    configure(callback_base_url="https://calls.test/taskwatch/ ", require_https="false")
    settings = callback_options()
    assert (settings.base_url, settings.require_https) == ("https://calls.test/taskwatch", False)


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("require_https", "maybe", "True or False, not 'maybe'"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(configure: Configure, name: str, value: str, words: str) -> None:
    configure(**{name: value})
    with pytest.raises(ConfigurationError, match=rf"\[taskwatch\] {name} must be {words}"):
        callback_options()


@each_row(
    "url, require_https, problem",
    [
        ("https://calls.test/taskwatch", True, ""),
        ("http://calls.test", False, ""),
        ("http://localhost:8080/taskwatch", True, ""),
        ("http://127.0.0.9", True, ""),
        ("http://[::1]:8080", True, ""),
        ("http://calls.test", True, "anybody can read the secrets"),
        ("http://localhost.evil.test", True, "anybody can read the secrets"),
        ("", True, "is not set"),
        ("calls.test", True, "is no http(s) URL"),
        ("ftp://calls.test", True, "is no http(s) URL"),
        ("https://me:hush-hush@calls.test", True, "is no http(s) URL without credentials"),
        ("https://calls.test/?a=b", True, "is no http(s) URL"),
    ],
)
def test_remotes_are_only_told_to_call_where_it_is_safe(url: str, require_https: bool, problem: str) -> None:
    found = base_url_problem(url, require_https)
    assert problem in found
    assert bool(found) == bool(problem)
    assert "hush-hush" not in found


@each_row(
    "host, expected", [("localhost", True), ("a.localhost", True), ("::1", True), ("10.0.0.1", False), ("", False)]
)
def test_loopback_is_this_host(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


GOOD = CallbackOptions(
    base_url="https://calls.test/taskwatch",
    secrets=(SECRET,),
    require_https=True,
)


def test_a_callback_is_a_url_and_a_secret_that_the_receiver_knows() -> None:
    callback = GOOD.callback_address(TICKET)
    start, _, token = callback.url.rpartition("/")
    assert start == "https://calls.test/taskwatch/callbacks"
    assert GOOD.keys().read(token, NOW) == TICKET
    assert callback.authorization == f"Bearer {GOOD.keys().bearer(token)}"


def test_a_push_goes_to_an_address_of_the_receiver_and_its_key_goes_with_it() -> None:
    address = GOOD.push_address(PUSH_TICKET)
    start, _, token = address.url.rpartition("/")
    assert start == "https://calls.test/taskwatch/push"
    assert GOOD.keys().read_push(token) == PUSH_TICKET
    assert address.key == GOOD.keys().push_key(token)


def test_all_that_keeps_remotes_from_calling_is_said_at_once() -> None:
    nothing = replace(GOOD, base_url="", secrets=())
    with pytest.raises(ConfigurationError, match=r"callback_secrets is not set; .*; .*callback_base_url is not set; "):
        nothing.callback_address(TICKET)
    with pytest.raises(ConfigurationError, match=r"callback_secrets is not set; .*; .*callback_base_url is not set; "):
        nothing.push_address(PUSH_TICKET)


def test_no_repr_shows_a_secret() -> None:
    shown = repr((GOOD, GOOD.callback_address(TICKET), GOOD.push_address(PUSH_TICKET)))
    assert SECRET not in shown
    assert GOOD.keys().mint(TICKET) not in shown
    assert GOOD.keys().mint_push(PUSH_TICKET) not in shown
