"""For every run an Airflow home of its own, so that the user's settings have no say; a sandbox; and PostgreSQL."""

from __future__ import annotations

import gc
import os
import re
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from xdist.scheduler import LoadScopeScheduling

from airflow_provider_taskwatch.sandbox.server import Running, running
from demo import postgres
from demo.configuration import environment

# A busy machine is slow now and then: what must be quick has a limit in its own test.
patient = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("patient", patient)
hypothesis.settings.register_profile("quick", patient, max_examples=5)
hypothesis.settings.load_profile("patient")

SHARED_AIRFLOW = "tests/e2e/"
MEMORY = "/dev/shm"
"""On a disk, each commit of SQLite waits for the disk."""
ENOUGH_BYTES = 2**30
OLD_WARNINGS = [
    ("3.3", "SelectableGroups dict interface is deprecated"),  # OpenTelemetry, which Airflow imports
    ("3.2", "Using Connection.from_json from `airflow.models` is deprecated"),  # its backend of environment variables
]
"""DeprecationWarnings of an Airflow below a version, and of what is installed with it."""
HOME = Path(tempfile.mkdtemp(prefix="taskwatch-tests-"))

# Airflow reads its settings when it is first imported, which the modules with the tests do.
_given = environment(home=HOME, url="http://127.0.0.1:0")
for _name in set(os.environ) - set(_given):
    del os.environ[_name]
os.environ.update(_given)


def is_below(airflow: str) -> bool:
    """Whether the Airflow here is older than a minor version, such as 3.3."""
    return _minor(version("apache-airflow-core")) < _minor(airflow)


def _minor(release: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", release)[:2]))


_expected_warnings = [message for airflow, message in OLD_WARNINGS if is_below(airflow)]
for _message in _expected_warnings:
    warnings.filterwarnings("ignore", _message, DeprecationWarning)  # while pytest imports the other conftest files

gc.disable()  # until all is imported, as nothing of it is garbage


def pytest_configure(config: pytest.Config) -> None:
    """Put the folders of tests that start no Airflow into memory."""
    is_roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES
    if "not e2e" in config.option.markexpr and is_roomy:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = MEMORY
    for message in _expected_warnings:
        config.addinivalue_line("filterwarnings", f"ignore:{message}:DeprecationWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this Airflow cannot do."""
    for item in items:
        for airflow, reason in [since(mark) for mark in item.iter_markers("since")]:
            if is_below(airflow):
                item.add_marker(pytest.mark.skip(reason=f"Airflow {airflow}: {reason}"))


def since(mark: pytest.Mark) -> tuple[str, str]:
    """The Airflow that a test needs, and why. The mark has both, or the run fails."""
    return mark.args[0], mark.kwargs["reason"]


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(HOME, ignore_errors=True)


def pytest_collection_finish() -> None:
    """Keep Airflow's modules out of the garbage collector's way: a full collection takes a second with them."""
    gc.freeze()
    gc.enable()


class FilesAndAirflows(LoadScopeScheduling):
    """Gives a worker whole files, and one of them all files that share a running Airflow."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return SHARED_AIRFLOW if file.startswith(SHARED_AIRFLOW) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    return FilesAndAirflows(config, log) if config.getvalue("dist") == "loadfile" else None


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


@pytest.fixture(scope="session")
def inbox_database(server: postgres.PrivatePostgres) -> str:
    with server.connect() as connection:
        connection.execute("CREATE DATABASE inbox")
        connection.execute("ALTER DATABASE inbox SET idle_in_transaction_session_timeout = 0")
    return server.url.rpartition("/")[0].replace("postgresql+psycopg", "postgresql") + "/inbox"


@pytest.fixture
def postgres_url(inbox_database: str) -> str:
    """A database without tables and connections. The address is new each time, as inboxes are kept by theirs."""
    with psycopg.connect(inbox_database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return f"{inbox_database}?application_name={uuid.uuid4().hex}"
