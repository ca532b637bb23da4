"""One real Airflow and one sandbox for all end-to-end tests."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_taskwatch.command.sandbox import play
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.server import Running, running
from demo import postgres
from demo.airflow import PrivateAirflow
from demo.port import free_port
from tests.conftest import is_below
from tests.scripted import Scripted, scripted

HERE = Path(__file__).parent
PLAYED = ("job", "job-replay", "job-chosen", "job-marker", "build")
"""The profiles in the folder of the DAGs that the sandbox plays."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder as end-to-end."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def served() -> Iterator[Running]:
    """The emulators, served by this process, and APIs that play the profiles of the DAGs."""
    box = Sandbox()
    for name in PLAYED:
        play(box, str(HERE / "dags" / f"{name}.yaml"))
    with running(box) as server:
        yield server


@pytest.fixture(scope="session")
def remote() -> Iterator[Scripted]:
    """A remote whose replies the tests write down."""
    with scripted() as made:
        yield made


@pytest.fixture(scope="session")
def database_url() -> Iterator[str | None]:
    """A metadata database: PostgreSQL if it is installed, because its writers do not block each other; else SQLite."""
    if not postgres.is_installed():
        yield None
        return
    with postgres.PrivatePostgres() as server:
        yield server.url


@pytest.fixture(scope="session")
def dmz_url() -> str:
    """The address of the separate receiver; a DAG needs it before the receiver runs."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="session")
def airflow(served: Running, remote: Scripted, database_url: str | None, dmz_url: str) -> Iterator[PrivateAirflow]:
    """A running Airflow. Its connections lead to the sandbox; the DAGs in ``dags_3_2`` need Airflow 3.2."""
    env = served.environment() | {
        "DMZ_RECEIVER_URL": dmz_url,
        "AIRFLOW_CONN_DOCPLANNER_PUSH": _pushing(served),
        "AIRFLOW_CONN_SCRIPTED": json.dumps(
            {"conn_type": "taskwatch", "host": remote.url, "password": "a-token", "extra": {"auth": "bearer"}}
        ),
    }
    dags = [HERE / "dags", *([] if is_below("3.2") else [HERE / "dags_3_2"])]
    with PrivateAirflow(dags=dags, env=env, database_url=database_url) as airflow:
        yield airflow


def _pushing(served: Running) -> str:
    """The connection to the sandbox's Docplanner with pushed notifications."""
    given = served.connections()["docplanner_default"]
    return json.dumps({**given, "extra": {**given["extra"], "delivery": "push"}})


@pytest.fixture
def sandbox(served: Running) -> Iterator[Sandbox]:
    """The emulators; faults and the lifetime of tokens are reset after each test."""
    yield served.sandbox
    served.sandbox.clear_faults()
    served.sandbox.change({"acquia": {"token_lifetime": 300}}, time.time())
