"""The example DAGs: each is imported, serialized, and run against the sandbox."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.config.callback import callback_options
from airflow_provider_taskwatch.config.inbox import open_inbox
from airflow_provider_taskwatch.receiver.app import create_app
from airflow_provider_taskwatch.sandbox.server import Running, running
from demo import database
from demo.configuration import environment
from demo.profile import playing_sandbox
from tests.airflow.example import FILES, FOLDER, load
from tests.any_airflow import dag_serializer
from tests.conftest import HOME
from tests.receiver.served import serving

Result = dict[str, Any]


@pytest.fixture(scope="module")
def played() -> Iterator[Running]:
    """The emulators, and the APIs of the examples' profiles."""
    with running(playing_sandbox()) as server:
        yield server


@pytest.fixture(scope="module")
def results(played: Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """What each DAG came to, by its id; all run in one process, with short tasks at the remotes."""
    database.create(HOME / "airflow.db")
    played.sandbox.add_rule(duration=0.0)
    played.sandbox.add_rule("JOBP.LOAD", duration=0.5)
    played.sandbox.change({"docplanner": {"release_enabled": True}}, time.time())
    output = tmp_path_factory.mktemp("examples") / "results.json"
    settings = callback_options()
    with serving(create_app(open_inbox(), settings.keys())) as url:
        given = environment(home=HOME, url="http://127.0.0.1:0", dag_folders=[FOLDER]) | played.environment()
        done = subprocess.run(
            [sys.executable, "-m", "tests.airflow.run_examples", str(output), *map(str, FILES)],
            env=given | {"AIRFLOW__TASKWATCH__CALLBACK_BASE_URL": url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=540,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return dict(json.loads(output.read_text()))


def test_there_are_examples() -> None:
    assert len(FILES) >= 3


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_is_imported_under_the_name_of_its_file(file: Path) -> None:
    dag = load(file)
    assert (dag.dag_id, bool(dag.doc_md), bool(dag.tags)) == (file.stem, True, True)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_survives_being_serialized(file: Path) -> None:
    dag = load(file)
    serializer = dag_serializer()
    written = json.loads(json.dumps(serializer.to_dict(dag)))
    serializer.validate_schema(written)
    assert set(serializer.from_dict(written).task_dict) == set(dag.task_dict)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_ends_well(results: dict[str, Result], file: Path) -> None:
    result = results[file.stem]
    without_events = {"events": "success", "take_note": "skipped"}  # here nothing schedules it
    assert result["state"] == "success"
    assert set(result["tasks"].values()) == {"success"} or result["tasks"] == without_events


def test_the_results_of_acquia_are_dictionaries(results: dict[str, Result]) -> None:
    xcoms = results["acquia_backup_and_deploy"]["xcoms"]
    for task_id, event in (("back_up", "DatabaseBackupCreated"), ("deploy", "")):
        result = xcoms[task_id]["return_value"]
        assert (result["status"], result["progress"], bool(result["uuid"])) == ("completed", 100, True)
        assert event in result["event"]
        assert not {"author", "user", "personal"} & set(json.dumps(result))


def test_a_sensor_has_the_same_result_whether_it_deferred_or_not(results: dict[str, Result]) -> None:
    xcoms = results["acquia_wait_for_others"]["xcoms"]
    created, cleared = xcoms["created"]["return_value"], xcoms["cleared"]["return_value"]
    assert (set(created), created["status"]) == (set(cleared), cleared["status"])
    assert created["uuid"] == xcoms["create"]["return_value"]
    assert xcoms["report"]["return_value"].startswith(f"{created['label']} in ")


def test_the_results_of_automic_are_those_of_its_executions(results: dict[str, Result]) -> None:
    xcoms = results["automic_workflow"]["xcoms"]
    load_result = xcoms["load"]["return_value"]
    assert xcoms["report"]["return_value"].startswith(f"run {load_result['run_id']} took ")
    published = [xcoms[f"publish[{index}]"]["return_value"]["run_id"] for index in range(3)]
    assert len({load_result["run_id"], *published}) == 4
    assert xcoms["clean_up"]["return_value"]["run_id"] == int(xcoms["start_clean_up"]["return_value"])


def test_a_callback_is_heard_and_kept_apart_from_what_is_confirmed(results: dict[str, Result]) -> None:
    xcoms = results["automic_callback"]["xcoms"]
    assert xcoms["archive"]["return_value"]["callback"] == {"is_confirmed": False, "execution_status": "1900"}
    assert xcoms["report"]["return_value"] == "status 1900, after a callback that said 1900"


def test_a_run_is_followed_in_one_notification_and_a_task_of_it_in_another(results: dict[str, Result]) -> None:
    xcoms = results["aps_long_job"]["xcoms"]
    begin, half = xcoms["begin"]["return_value"], xcoms["half"]["return_value"]
    assert (begin["id"], begin["message"]) == (half["id"], "Your report is being made")
    assert half["details"] == "1,000 rows are there, the report is written."


def test_activities_of_others_are_waited_for_until_all_are_ready(results: dict[str, Result]) -> None:
    xcoms = results["aps_wait_for_others"]["xcoms"]
    first, both = xcoms["first"]["return_value"], xcoms["both"]["return_value"]
    assert (first["id"], first["status"]) == (xcoms["other_application"]["return_value"][0], "ready")
    assert both["status"] == "ready"
    assert xcoms["report"]["return_value"] == "Server 1 is installed: ready; Server 2 is installed: ready"


def test_a_booking_is_heard_of_without_the_patient(results: dict[str, Result]) -> None:
    xcoms = results["docplanner_booking"]["xcoms"]
    booking = xcoms["book"]["return_value"]
    assert xcoms["booked"]["return_value"]["subject"] == booking
    assert xcoms["report"]["return_value"].startswith(f"booking {booking} is booked, from ")
    assert "Invented" not in json.dumps(xcoms)


def test_a_release_has_no_result(results: dict[str, Result]) -> None:
    assert results["docplanner_release"]["xcoms"].get("release", {}) == {}


def test_an_answer_of_202_is_waited_for_by_operator_and_sensor(results: dict[str, Result]) -> None:
    xcoms = results["rest_http_202"]["xcoms"]
    orders, customers = (xcoms[name]["return_value"] for name in ("orders", "customers_exported"))
    assert orders["status_code"] == customers["status_code"] == 303
    assert xcoms["report"]["return_value"] == f"orders: {orders['location']}, customers: {customers['location']}"


def test_a_function_returns_the_inputs_of_each_workflow(results: dict[str, Result]) -> None:
    xcoms = results["rest_github_workflow"]["xcoms"]
    runs = [xcoms[f"build[{index}]"] for index in range(2)]
    assert [one["return_value"]["conclusion"] for one in runs] == ["success", "success"]
    assert [str(one["return_value"]["id"]) for one in runs] == [one["ref"] for one in runs]
    assert runs[0]["ref"] != runs[1]["ref"]


def test_a_profile_beside_the_dag_selects_the_result(results: dict[str, Result]) -> None:
    xcoms = results["rest_own_profile"]["xcoms"]
    made = xcoms["make"]["return_value"]
    assert made == {"report": xcoms["make"]["ref"], "rows": 48210, "file": f"/files/{xcoms['make']['ref']}/report.pdf"}
    assert xcoms["report"]["return_value"] == f"48210 rows in {made['file']}"
