"""Run example DAGs with ``dag.test()``: ``python -m tests.airflow.run_examples OUTPUT FILE...``.

A process of its own, as a run leaves Airflow's state behind. OUTPUT becomes JSON: what each DAG ended with, and the
XComs that it left, as a task that pulls them would get them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from tests.airflow.example import load


def main(output: str, *files: str) -> None:
    results = {dag.dag_id: run(dag) for dag in (load(Path(file)) for file in files)}
    Path(output).write_text(json.dumps(results))


def run(dag: DAG) -> dict[str, Any]:
    """The state of a run, its tasks' states, and its XComs by task and map index."""
    done = dag.test()
    instances = done.get_task_instances()
    return {
        "state": str(done.state),
        "tasks": {_name(one.task_id, one.map_index): str(one.state) for one in instances},
        "xcoms": xcoms(done.run_id),
    }


def xcoms(run_id: str) -> dict[str, dict[str, Any]]:
    """The XComs of a run, by task and key."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from tests.any_airflow import read_xcom

    with create_session() as session:
        rows = session.scalars(select(XComModel).where(XComModel.run_id == run_id)).all()
        found: dict[str, dict[str, Any]] = {}
        for row in rows:
            found.setdefault(_name(row.task_id, row.map_index), {})[row.key] = read_xcom(row.value)
    return found


def _name(task_id: str, map_index: int) -> str:
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"


if __name__ == "__main__":
    main(*sys.argv[1:])
