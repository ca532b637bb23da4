"""The example DAGs, as a DAG processor finds them."""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG

from tests.any_airflow import dag_bag

FOLDER = Path(__file__).parents[2] / "example_dags"
FILES = sorted(FOLDER.glob("*.py"))


def load(file: Path) -> DAG:
    """The one DAG of a file."""
    bag = dag_bag(file)
    assert not bag.import_errors, bag.import_errors
    (dag,) = bag.dags.values()
    return dag
