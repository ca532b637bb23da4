"""``@task.rest``, as a DAG file uses it: found from Airflow's SDK, mapped, serialized, and refused where it is bare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.any_airflow import dag_bag, dag_serializer

JOB: dict[str, Any] = {
    "profile": 1,
    "start": {"path": "/jobs", "body": {"day": "{inputs.day}"}},
    "ref": {"from": "body.id"},
    "poll": {"path": "/jobs/{ref}", "status": "body.state", "phases": {"succeeded": "done"}},
}
HEAD = f"""from airflow.sdk import DAG, task

JOB = {JOB!r}

with DAG("one", schedule=None):
    @task.rest"""


def loaded(folder: Path, arguments: str, body: str) -> Any:
    """The DAGs of a file with one decorated function."""
    file = folder / "one.py"
    file.write_text(f"{HEAD}{arguments}\n    def load(day):\n        return {{'day': day}}\n\n    {body}\n")
    return dag_bag(file)


def test_it_is_found_and_serialized_single_and_mapped(tmp_path: Path) -> None:
    for body in ('load("2026-11-30")', 'load.expand(day=["2026-11-30", "2026-12-01"])'):
        bag = loaded(tmp_path, '(conn_id="jobs", profile=JOB)', body)
        assert not bag.import_errors, bag.import_errors
        dag = bag.dags["one"]
        assert dag.task_dict["load"].task_type == "RestDecoratedOperator"
        serializer = dag_serializer()
        written = json.loads(json.dumps(serializer.to_dict(dag)))
        serializer.validate_schema(written)
        assert set(serializer.from_dict(written).task_dict) == {"load"}


def test_wrong_uses_are_clear_errors_of_the_file(tmp_path: Path) -> None:
    rows = [
        ("", "@task.rest needs arguments: @task.rest(conn_id=..., profile=...)"),
        ('(conn_id="jobs", profile=JOB, inputs={})', "@task.rest takes no inputs: the function returns them"),
        ('(conn_id="jobs", profile="nobody-has-this")', "there is no profile 'nobody-has-this'"),
    ]
    for arguments, message in rows:
        [problem] = loaded(tmp_path, arguments, 'load("2026-11-30")').import_errors.values()
        assert message in problem, arguments
