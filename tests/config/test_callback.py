"""The options of callbacks in Airflow's configuration."""

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


def test_no_option_is_set_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CALLBACK_SECRETS", "CALLBACK_BASE_URL"):
        monkeypatch.delenv(f"AIRFLOW__TASKWATCH__{name}", raising=False)
    options = callback_options()
    assert (options.base_url, options.secrets, options.require_https) == ("", (), True)


def test_the_defaults_are_those_that_airflow_shows() -> None:
    options = get_provider_info()["config"]["taskwatch"]["options"]
    assert float(options["inbox_retention_days"]["default"]) == RETENTION_DAYS
    assert {name for name, option in options.items() if option.get("sensitive")} == {
        "callback_secrets",
        "inbox_keys",
        "inbox_url",
    }


def test_the_newest_secret_comes_first(configure: Configure) -> None:
    configure(callback_secrets=f" {OTHER_SECRET}, {SECRET}\n")
    assert callback_options().secrets == (OTHER_SECRET, SECRET)


def test_a_trailing_slash_is_dropped(configure: Configure) -> None:
    configure(callback_base_url="https://calls.test/taskwatch/ ", require_https="false")
    options = callback_options()
    assert (options.base_url, options.require_https) == ("https://calls.test/taskwatch", False)


def test_an_option_that_cannot_be_read_is_named(configure: Configure) -> None:
    configure(require_https="maybe")
    with pytest.raises(ConfigurationError, match=r"\[taskwatch\] require_https must be True or False, not 'maybe'"):
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
def test_a_base_url_must_be_complete_and_secure(url: str, require_https: bool, problem: str) -> None:
    found = base_url_problem(url, require_https)
    assert problem in found
    assert bool(found) == bool(problem)
    assert "hush-hush" not in found


@each_row(
    "host, expected", [("localhost", True), ("a.localhost", True), ("::1", True), ("10.0.0.1", False), ("", False)]
)
def test_loopback_hosts_are_recognised(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


GOOD = CallbackOptions(
    base_url="https://calls.test/taskwatch",
    secrets=(SECRET,),
    require_https=True,
)


def test_the_receiver_accepts_the_url_and_the_secret_of_a_callback() -> None:
    callback = GOOD.callback_address(TICKET)
    start, _, token = callback.url.rpartition("/")
    assert start == "https://calls.test/taskwatch/callbacks"
    assert GOOD.keys().read(token, NOW) == TICKET
    assert callback.authorization == f"Bearer {GOOD.keys().bearer(token)}"


def test_the_receiver_accepts_the_url_and_the_key_of_a_push() -> None:
    address = GOOD.push_address(PUSH_TICKET)
    start, _, token = address.url.rpartition("/")
    assert start == "https://calls.test/taskwatch/push"
    assert GOOD.keys().read_push(token) == PUSH_TICKET
    assert address.key == GOOD.keys().push_key(token)


def test_one_error_lists_all_missing_options() -> None:
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
