"""For every run an Airflow home of its own, so that the user's settings have no say; a sandbox; and PostgreSQL."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_taskwatch.sandbox.server import Running, running
from demo import postgres
from demo.configuration import environment

HOME = Path(tempfile.mkdtemp(prefix="taskwatch-tests-"))

# Airflow reads its settings when it is first imported, which the modules with the tests do.
_given = environment(home=HOME, url="http://127.0.0.1:0")
for _name in set(os.environ) - set(_given):
    del os.environ[_name]
os.environ.update(_given)


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def served() -> Iterator[Running]:
    """The emulators, served by this process."""
    with running() as server:
        yield server


@pytest.fixture
def box(served: Running) -> Iterator[Running]:
    """The emulators as new."""
    served.sandbox.reset()
    yield served
    served.sandbox.reset()


@pytest.fixture
def connected(box: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The emulators as new, and Airflow connections that lead to them."""
    for name, value in box.environment().items():
        monkeypatch.setenv(name, value)
    return box


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.PrivatePostgres]:
    if not postgres.is_installed():
        (pytest.fail if os.environ.get("REQUIRE_POSTGRESQL") else pytest.skip)("PostgreSQL is not installed here")
    with postgres.PrivatePostgres() as server:
        yield server


@pytest.fixture
def postgres_url(server: postgres.PrivatePostgres) -> str:
    """A database of its own."""
    name = f"inbox_{uuid.uuid4().hex}"
    with server.connect() as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return server.url.rpartition("/")[0].replace("postgresql+psycopg", "postgresql") + f"/{name}"
