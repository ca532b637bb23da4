"""What an XCom holds, and ``output_path``, the way to all of what a remote has said."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_taskwatch.core.error import ConfigurationError, OutputError
from airflow_provider_taskwatch.core.feed import Event
from airflow_provider_taskwatch.core.outcome import Ending
from airflow_provider_taskwatch.core.record import Started
from airflow_provider_taskwatch.operators.acquia import AcquiaTaskOperator
from airflow_provider_taskwatch.operators.automic import AutomicExecutionOperator
from airflow_provider_taskwatch.sandbox.server import Running
from airflow_provider_taskwatch.sensors.automic import AutomicExecutionSensor
from airflow_provider_taskwatch.task.feed_operator import Room
from airflow_provider_taskwatch.task.finish import how_to_finish
from airflow_provider_taskwatch.task.output import Output
from airflow_provider_taskwatch.task.sensor import WatchSensor
from tests.task.life import Life, event_of
from tests.task.test_feed import life, next_run, subjects


def ended(box: Running, kind: Any = AutomicExecutionOperator, loss: str = "", **arguments: Any) -> tuple[Life, Any]:
    """A task whose execution has ended well, and what it returns."""
    life = Life(kind, deferrable=True, **{"object_name": "JOBS.T", **arguments})
    life.defer()
    ref = life.open_record.known_ref
    return life, life.resume(event_of(Ending.SUCCEEDED, ref, status="1900", result={"run_id": ref}, loss=loss))


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_a_result_is_written_and_its_address_is_in_the_xcom(box: Running, tmp_path: Path) -> None:
    path = tmp_path / "new" / "result.json"
    life, result = ended(box, output_path=str(path))
    assert result == {"run_id": life.open_record.ref, "output_path": str(path)}
    assert json.loads(path.read_text()) == {"run_id": life.open_record.ref}
    assert names(path.parent) == ["result.json"]


def test_a_result_that_was_too_long_is_read_once_more(box: Running, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    _, result = ended(box, output_path=f"file://{path}", loss="1 long texts are cut")
    written = json.loads(path.read_text())
    assert written["name"] == "JOBS.T"
    assert (len(written) > len(result), result["output_path"]) == (True, f"file://{path}")


def test_nothing_is_cut_in_silence(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    _, result = ended(box, loss="2 long texts are cut")
    assert "output_path" not in result
    assert (
        "the result is too long for an XCom: 2 long texts are cut; set output_path= to get all of it"
        in capsys.readouterr().out
    )


def test_what_fits_is_not_warned_of(box: Running, capsys: pytest.CaptureFixture[str]) -> None:
    ended(box)
    assert "too long" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "path, message",
    [
        ("nosuch://bucket/key", "is no address that Airflow's object storage knows"),
        ("s3://conn@bucket/key", "is no address that Airflow's object storage knows: ValueError: No filesystem"),
        ("/", "is a folder; name a file in it"),
        ("/tmp/" + "x" * 5000, "cannot be written: OSError"),
        ("/proc/nowhere/", "is a folder; name a file in it"),
        ("/dev/null/result.json", "'/dev/null' is no folder that this worker may write to"),
        (["a"], "output_path must be a non-empty string"),
    ],
)
def test_an_address_that_cannot_be_written_to_is_found_before_the_start(box: Running, path: Any, message: str) -> None:
    life = Life(AutomicExecutionOperator, object_name="JOBS.T", output_path=path)
    with pytest.raises(ConfigurationError, match=message):
        life.execute()
    assert (box.sandbox.log(), life.store.written) == ([], [])


def test_what_cannot_be_written_later_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match=r"taken' cannot be written: (IsADirectory|FileExists)Error"):
        Output(str(tmp_path / "taken")).write(["x"])
    assert names(tmp_path) == ["taken"]


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        Output(str(path)).write(["\ud83d"])
    assert path.read_text() == "old"
    assert Output(str(path)).write(["n", "ew"]) == str(path)
    assert (path.read_text(), names(tmp_path)) == ("new", ["result.json"])


def test_object_storage_is_written_through_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    monkeypatch.setattr(ObjectStoragePath, "fs", property(lambda _: memory))
    path = str(ObjectStoragePath("memory://bucket/result.json"))  # older ones write a third slash
    assert Output("memory://bucket/result.json").write(["{}"]) == path
    assert memory.cat("/bucket/result.json") == b"{}"


def test_a_reply_that_is_the_result_is_written(box: Running, tmp_path: Path) -> None:
    path = tmp_path / "reply.json"
    arguments = {"path": "applications/u/unknown", "on_missing_notification": "succeed", "output_path": str(path)}
    task = AcquiaTaskOperator(task_id="t", **arguments)
    result = task.without_ref(Started(ref=None, reply={"message": "x" * 200_000}))
    assert (len(result["message"]) < 5000, result["output_path"]) == (True, str(path))
    assert len(json.loads(path.read_text())["message"]) == 200_000


def test_a_sensor_that_writes_needs_a_worker(tmp_path: Path) -> None:
    sensor = AutomicExecutionSensor(task_id="t", run_id=7, output_path=str(tmp_path / "x"))
    assert how_to_finish(sensor, WatchSensor.execute_complete) == "resume"


def test_a_sensor_writes_its_result(box: Running, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    life, _ = ended(box)
    ref = life.open_record.ref
    sensor = Life(AutomicExecutionSensor, run_id=ref, deferrable=True, output_path=str(path))
    sensor.defer()
    assert sensor.resume(event_of(Ending.SUCCEEDED, str(ref), result={"a": 1})) == {"a": 1, "output_path": str(path)}
    assert json.loads(path.read_text()) == {"a": 1}


# --- readers


def event(number: int, length: int) -> Event:
    return Event(id=str(number), name="n", subject="", at=0.0, content={"text": "x" * length})


def test_an_xcom_has_room_for_a_number_of_characters() -> None:
    room = Room(1_000_000)
    assert [room.takes(event(number, 300_000)) for number in range(5)] == [True, True, True, False, False]
    assert room.is_full


def test_one_event_always_fits_and_a_file_takes_all() -> None:
    assert Room(1_000).takes(event(1, 3_000))
    room = Room(float("inf"))
    assert all(room.takes(event(number, 2_000_000)) for number in range(3))


def test_what_has_no_room_in_an_xcom_is_for_the_next_run(
    box: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")
    said = [{"type": "a.p.tenant.created", "subject": one, "data": {"text": one * 400_000}} for one in "abcde"]
    box.sandbox.emit({"acronis": said}, time.time())
    first = life(since="2026-01-01T00:00:00Z")
    assert subjects(first.execute()) == ["a", "b"]
    assert "room for these 2 events, the rest is for the next run" in capsys.readouterr().out
    assert subjects(next_run(first).execute()) == ["c", "d"]
    assert next_run(next_run(first)).execute()[0]["content"]["data"]["text"] == "e" * 400_000


def test_an_event_that_is_too_long_is_whole_in_a_file(
    box: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")
    said = {"type": "a.p.tenant.created", "subject": "a", "data": {"text": "x" * 1_500_000}}
    box.sandbox.emit({"acronis": [said]}, time.time())
    [result] = life(since="2026-01-01T00:00:00Z").execute()
    assert len(json.dumps(result)) < 10_000
    assert "is too long for an XCom: 1 long texts are cut; set output_path= to get all of it" in capsys.readouterr().out
    path = tmp_path / "all.jsonl"
    assert life(since="2026-01-01T00:00:00Z", reader="other", output_path=str(path)).execute()["count"] == 1
    assert len(json.loads(path.read_text())["content"]["data"]["text"]) == 1_500_000
