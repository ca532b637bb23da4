"""Airflow's own commands, as processes of their own, and the sandbox for them to talk to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TASKWATCH = str(Path(sys.executable).with_name("taskwatch"))
NOISE = re.compile(r"^.*(FileType is deprecated.*\[py\.warnings\]|\[alembic\.runtime\.plugins\]).*\n", re.MULTILINE)
"""Written to the output of each command by Airflow (3.3.2) under Python 3.14, and by Alembic below Airflow 3.3."""

Airflow = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs Airflow's commands or the example DAGs."""
    for item in items:
        if HERE in item.path.parents and {"airflow", "taskwatch", "results"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.process)


@pytest.fixture(scope="session")
def airflow() -> Airflow:
    """Runs ``airflow ...`` and returns what came of it."""
    return running(sys.executable, "-m", "airflow")


@pytest.fixture(scope="session")
def taskwatch() -> Airflow:
    """Runs ``taskwatch ...`` and returns what came of it."""
    return running(TASKWATCH)


def running(*program: str) -> Airflow:
    """Runs a program."""

    def run(*args: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*program, *args],
            env={**os.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        done.stdout = NOISE.sub("", done.stdout)
        return done

    return run
