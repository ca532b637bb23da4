from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_taskwatch.sandbox.automic.payload import End, default, filled

ENDED = End(
    run_id=1005016,
    name="SCRI.EXAMPLE",
    kind="SCRI",
    status="1900",
    client="100",
    user="CD/OPS",
    archive_key1="Category17",
    message="all went well",
    inputs={"VAR1#": "17842312", "VAR2": "a text value", "BOX#": ["a", "b"]},
)
FAILED = End(
    run_id=7, name="JOBS.LOAD", kind="JOBS", status="1800", client="0100", user="CD", message="disk full on host7"
)
TEMPLATE = """{
   "runid": "&$RUNID#",
   "object_type": "&$OBJECT_TYPE#",
   "execution_status": "&$EXECUTION_STATUS#",
   "execution_status_text": "&$EXECUTION_STATUS_TEXT#",
   "ae_system": "&$SYSTEM#",
   "client_number": "&$CLIENT#",
   "client_description": "&$CLIENT_DESC#",
   "user_department": "&$USER#/&$DEPARTMENT#",
   "archive_key1": "&$ARCHIVE_KEY1#",
   "last_error_message": "&$LAST_ERROR_MESSAGE#",
   "last_error_code": "&$LAST_ERROR_CODE#",
   "last_error_insert": "&$LAST_ERROR_INSERT#",
   "object_variable1": "&VAR1#",
   "object_variable2": "&VAR2#"
}"""


def fill(template: str, end: End = ENDED, language: str = "en") -> str:
    return filled(template, end, language).decode()


@pytest.mark.parametrize(
    "shape, expected",
    [
        ("padded", {"runid": "0001005016", "object_type": "SCRI", "execution_status": "1900"}),
        ("plain", {"run_id": 1005016, "object_type": "SCRI", "execution_status": 1900}),
        ("named", {"run_id": 1005016, "name": "SCRI.EXAMPLE", "status": 1900}),
    ],
)
def test_the_documents_show_three_default_payloads(shape: str, expected: dict[str, Any]) -> None:
    assert json.loads(default(ENDED, shape)) == expected


def test_the_template_of_the_documents_is_filled() -> None:
    assert json.loads(fill(TEMPLATE)) == {
        "runid": "0001005016",
        "object_type": "SCRI",
        "execution_status": "1900",
        "execution_status_text": "ENDED_OK - ended normally",
        "ae_system": "AUTOMIC",
        "client_number": "0100",
        "client_description": "Sandbox client",
        "user_department": "CD/OPS",
        "archive_key1": "Category17",
        "last_error_message": "",
        "last_error_code": "00000000",
        "last_error_insert": "",
        "object_variable1": "17842312",
        "object_variable2": "a text value",
    }


def test_a_failure_names_its_error() -> None:
    template = "&$LAST_ERROR_CODE# &$LAST_ERROR_INSERT#: &$LAST_ERROR_MESSAGE#, &$USER#/&$DEPARTMENT#"
    assert fill(template, FAILED) == "00001800 JOBS.LOAD: disk full on host7, CD/"


def test_a_list_is_joined_and_an_unknown_placeholder_stays() -> None:
    assert fill("&BOX# &OTHER# &$OTHER# &VAR1 A&B#") == "a,b &OTHER# &$OTHER# &VAR1 A&B#"


def test_the_text_of_a_status_is_in_the_language_of_the_engine() -> None:
    assert fill("&$EXECUTION_STATUS_TEXT#", language="de") == "ENDED_OK - normal beendet"


def test_placeholders_in_an_inserted_value_are_not_replaced() -> None:
    end = End(run_id=7, name="X", kind="JOBS", status="1900", client="1", user="A/B", inputs={"A#": 'say "&$RUNID#"'})
    text = fill('{"a": "&A#"}', end)
    assert text == '{"a": "say "&$RUNID#""}'
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(text)
