from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Call
from airflow_provider_taskwatch.systems.rest.reader import read_profile
from airflow_provider_taskwatch.systems.rest.system import RestRemote
from tests.play import play, reply

PROFILE = {
    "profile": 1,
    "start": {"path": "/runs", "multipart": {'a"b': "{inputs.text}", "n": 5, "left": "{inputs.none?}"}},
    "ref": {"from": "body.id"},
    "poll": {"path": "/runs/{ref}", "status": "body.state", "phases": {"succeeded": "done", "lost": "gone"}},
}


def start(text: str) -> Call:
    settings = Settings(conn_id="c", connection_type="rest", base_url="https://r.test", auth="", login="", password="")
    system = RestRemote(settings).tasks(read_profile(PROFILE, "p"), {"text": text})
    [call], _ = play(system.start("0123456789ab", "m"), reply(200, {"id": "1"}))
    assert isinstance(call, Call)
    return call


def test_fields_are_parts_of_their_names() -> None:
    call = start("ü\r\n--x")
    boundary = call.headers["Content-Type"].removeprefix("multipart/form-data; boundary=")
    head = 'Content-Disposition: form-data; name="'
    assert (call.body or b"").decode() == (
        f'--{boundary}\r\n{head}a%22b"\r\n\r\nü\r\n--x\r\n--{boundary}\r\n{head}n"\r\n\r\n5\r\n--{boundary}--\r\n'
    )


def test_equal_fields_are_equal_bytes_and_others_have_another_boundary() -> None:
    assert start("a") == start("a")
    assert start("a").headers != start("b").headers


@pytest.mark.parametrize("other", ["body", "form"])
def test_a_start_has_one_body(other: str) -> None:
    changed: dict[str, Any] = {**PROFILE, "start": {**PROFILE["start"], other: {"a": 1}}}  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match="give one of body, form and multipart"):
        read_profile(changed, "p")
