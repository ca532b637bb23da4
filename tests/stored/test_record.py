"""The record of a start, as waiting tasks hold it: a lost field would change the behaviour of a retry."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_taskwatch.core.judge import from_json as memory_from
from airflow_provider_taskwatch.core.record import Record, changed_inputs, fingerprint, from_json, marks
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.task.job import Records
from tests.task import quick
from tests.task.life import Life, Store
from tests.task.quick import Automic

KEY = "taskwatch_start"

WHOLE: dict[str, Any] = {
    "start_id": "0123456789ab",
    "fingerprint": "97cba3b1b27a8e0a",
    "max_tries": 3,
    "started_at": "2026-01-31T06:00:00.123456+00:00",
    "ref": "1000001",
    "marker": "JOBS-T-0123456789ab",
    "is_called_back": True,
    "is_delivered": True,
    "clear_number": 2,
    "carrier": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    "conn_id": "automic_default",
    "id_space": "https://automic.example.com/ae/api/v1 100",
    "inputs": {"request.object_name": "1a2b", "request.inputs.day": "3c4d"},
    "is_adopted": True,
    "options": {"profile": "1a2b3c4d5e6f7a8b", "format": 1, "inputs": {"team": "etl"}},
}
"""No value is a default, so that a dropped field is noticed."""

OLDER: dict[str, Any] = {
    "start_id": "0123456789ab",
    "fingerprint": "97cba3b1b27a8e0a",
    "max_tries": 2,
    "started_at": "2026-01-31T06:00:00+00:00",
    "ref": "1000001",
}
"""A record of an older version with fewer fields."""

DEFAULTS: dict[str, Any] = {
    "marker": "",
    "is_called_back": False,
    "is_delivered": False,
    "clear_number": None,
    "carrier": "",
    "conn_id": "",
    "id_space": "",
    "inputs": {},
    "is_adopted": False,
    "options": {},
}


def stored(record: dict[str, Any]) -> Store:
    store = Store()
    store.kept[KEY] = json.dumps(record)
    return store


def loaded(record: dict[str, Any]) -> Record:
    found = Records(stored(record)).load()
    assert found is not None
    return found


def test_a_record_keeps_every_field_and_is_written_unchanged() -> None:
    record = loaded(WHOLE)
    assert {name: getattr(record, name) for name in WHOLE} == WHOLE
    assert json.dumps(record.to_json()) == json.dumps(WHOLE)

    store = Store()
    Records(store).save(record)
    assert store.kept == {KEY: json.dumps(WHOLE)}


def test_an_older_record_gets_defaults_for_its_missing_fields() -> None:
    assert loaded(OLDER).to_json() == {**OLDER, **DEFAULTS}


def test_a_record_of_a_newer_version_loses_only_unknown_fields() -> None:
    assert loaded({**WHOLE, "unheard_of": 1}).to_json() == WHOLE


def test_a_missing_record_is_none() -> None:
    assert Records(Store()).load() is None
    assert from_json(None) is None


def test_fingerprint_and_marks_of_the_same_inputs_never_change() -> None:
    inputs = {"conn_id": "automic_default", "request": {"object_name": "JOBS.T", "inputs": {"day": "2026-01-31"}}}
    made = marks(inputs, "0123456789ab")
    assert fingerprint(inputs) == "5b2b9cc498175d19"
    assert made == {"conn_id": "2cfc", "request.inputs.day": "f6da", "request.object_name": "fa70"}
    record = loaded({**WHOLE, "inputs": made})
    assert changed_inputs(record, inputs) == []
    assert changed_inputs(record, {**inputs, "request": {"object_name": "JOBS.U"}}) == [
        "request.inputs.day",
        "request.object_name",
    ]


MEMORY: dict[str, Any] = {
    "ref": "1000002",
    "since": 12.5,
    "failures": 2,
    "seen": True,
    "unknown_since": 60.5,
    "blocked_since": 70.5,
    "reached": True,
    "failing_since": 80.5,
}


def test_the_memory_of_a_sensor_keeps_every_field() -> None:
    memory = memory_from(MEMORY)
    assert {name: getattr(memory, name) for name in MEMORY} == MEMORY
    assert json.dumps(memory.to_json()) == json.dumps(MEMORY)


def test_a_start_writes_these_fields_under_this_key(box: Running, connected: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    life = Life(Automic, object_name="JOBS.T")
    life.defer()

    assert list(life.store.kept) == [KEY]
    [intent, named] = life.store.written
    assert set(intent) == set(named) == set(WHOLE)
    assert intent["ref"] is None
    assert named["ref"] == life.xcoms["ref"]
    assert named["marker"] == f"JOBS-T-{named['start_id']}"
    assert len(named["start_id"]) == 12
    assert set(named["start_id"]) <= set("0123456789abcdef")
    assert (named["conn_id"], named["id_space"]) == ("automic_default", f"{box.url}/automic/ae/api/v1 client 100")
    assert set(named["inputs"]) == {
        "automic_conn_id",
        "request.object_name",
        "request.execution_option",
    }


def test_the_memory_of_a_rescheduled_sensor_has_this_key_and_these_fields(box: Running, connected: Running) -> None:
    box.sandbox.add_rule(duration=600.0)
    start = Life(Automic, object_name="JOBS.T", wait_for_completion=False)
    start.execute()
    ref = start.open_record.ref
    life = Life(quick.AutomicSensor, run_id=ref, deferrable=False, mode="reschedule")
    life.make().poke(life.context())

    [(key, value)] = life.store.kept.items()
    assert key == "taskwatch_memory"
    assert json.loads(value) == {
        "of": [ref, 1],
        "memory": {
            "ref": None,
            "since": 0.0,
            "failures": 0,
            "seen": True,
            "unknown_since": None,
            "blocked_since": None,
            "reached": True,
            "failing_since": None,
        },
        "id_space": f"{box.url}/automic/ae/api/v1 client 100",
    }
