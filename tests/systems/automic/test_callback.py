"""Payloads as the vendor's page shows them, and as users make them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.core.callback import Callback
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.systems.automic.callback import callback_section, check_names, read_callback
from tests.rows import each_row

TEMPLATE = {
    "runid": "0001005016",
    "object_type": "SCRI",
    "execution_status": "1800",
    "execution_status_text": "ENDED_NOT_OK - aborted",
    "archive_key1": "Category17",
    "last_error_message": "U00000001 disk full",
    "last_error_code": "00000001",
    "last_error_insert": "",
}


@each_row(
    "content",
    [
        {"runid": "0001005016", "object_type": "SCRI", "execution_status": "1900"},
        {"run_id": 1005016, "name": "JOBP.MY_MITIGATION_WORKFLOW", "status": 1900},
        {"run_id": 1005016, "object_type": "SCRI", "execution_status": 1900},
        {"run_id": " 1005016 ", "status": "1900"},
    ],
)
def test_the_default_payloads_name_run_and_status(content: dict[str, Any]) -> None:
    assert read_callback(content, {}) == Callback(ref="1005016", status="1900")


def test_a_template_brings_the_last_error() -> None:
    assert read_callback(TEMPLATE, {}).errors == {
        "last_error_message": "U00000001 disk full",
        "last_error_code": "00000001",
    }


def test_an_error_code_of_zeros_is_no_error() -> None:
    assert read_callback({**TEMPLATE, "last_error_code": "00000000", "last_error_message": ""}, {}).errors == {}


def test_a_users_own_names_are_read() -> None:
    names = {"runid": "execution_id", "execution_status": "how"}

    assert read_callback({"execution_id": "7", "how": "1851", "runid": "9"}, names) == Callback(ref="7", status="1851")


@each_row("content", [None, [], "text", 7, {}, {"runid": None, "status": []}, {"runid": "-1"}, {"runid": {"deep": 1}}])
def test_other_payloads_name_no_run(content: object) -> None:
    assert read_callback(content, {}).ref is None


def test_a_name_that_is_not_read_is_refused() -> None:
    check_names({"runid": "execution_id"})
    with pytest.raises(ConfigurationError, match=r"execution_id.*what is read from a callback is runid"):
        check_names({"execution_id": "runid"})


def test_a_start_asks_for_a_callback_as_the_vendor_shows_it() -> None:
    assert callback_section("https://airflow.example.com/c/t", {"Authorization": "Bearer b"}) == {
        "type": "http",
        "http": {"url": "https://airflow.example.com/c/t", "headers": {"Authorization": "Bearer b"}},
    }
