"""One real Airflow for all end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.airflow import PrivateAirflow

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder as end-to-end."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def airflow() -> Iterator[PrivateAirflow]:
    """A running Airflow; its DAGs are the files in ``tests/e2e/dags``."""
    with PrivateAirflow(dags=HERE / "dags") as running:
        yield running
