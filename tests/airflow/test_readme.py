"""What README says about testing a DAG, done by a new user in an Airflow home with stock settings only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
SECONDS = 180.0
"""It takes 15 on a quiet machine; the DAG's own retries alone would take 600."""


def blocks(language: str, *signs: str) -> str:
    """The one block of code in README that holds all of these."""
    found = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    (block,) = [one for one in found if all(sign in one for sign in signs)]
    return str(block)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "nightly_load.py").write_text(blocks("python", 'DAG("nightly_load"'))
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_nightly_load.py").write_text(blocks("python", "def test_my_dag"))
    return tmp_path


def do(home: Path, *args: str) -> str:
    """What a command prints, which must end well and in time."""
    done = subprocess.run(
        [sys.executable, "-m", *args],
        env={
            "AIRFLOW_HOME": str(home),
            "PATH": os.environ["PATH"],
            "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": str(home / "dags"),
        },
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


@pytest.mark.process
def test_the_dag_of_readme_is_tested_as_readme_says_and_within_seconds(home: Path) -> None:
    assert "`airflow db migrate`" in README.read_text()
    do(home, "airflow", "db", "migrate")
    began = time.monotonic()
    shown = do(home, "pytest", "-q", "-p", "no:cacheprovider", "tests")

    assert "1 passed" in shown
    assert time.monotonic() - began < SECONDS
