"""What README and the docs tell a new user to type, typed in an Airflow home with stock settings only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_taskwatch.sandbox.server import running

ROOT = Path(__file__).parents[2]
SECONDS = 480.0
"""Each command takes seconds on a quiet machine; the DAG's own retries alone would take 600."""

OURS = {
    "https://ae.example.com:8088": "http://127.0.0.1:8900/automic/ae/api/v1",
    "100/USER/DEPARTMENT": "100/AIRFLOW/AIRFLOW",
    "PASSWORD": "sandbox-secret",
    "4711": "1000001",
}
"""What a reader puts in the place of an example."""


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return [text for kind, text in found if kind == language]


def block(page: str, language: str, sign: str) -> str:
    """The one block of code of a page that holds a sign."""
    [found] = [one for one in blocks(page, language) if sign in one]
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Airflow's home, with the DAG of the quickstart."""
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    (home / "dags" / "nightly_load.py").write_text(block("docs/quickstart.md", "python", "DAG("))
    run(home, "airflow db migrate")
    return home


def run(home: Path, script: str) -> str:
    """What a script prints, which must end well and in time."""
    done = subprocess.run(
        ["bash", "-ec", script],
        env={
            "AIRFLOW_HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
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


@pytest.fixture
def at_sandbox(home: Path) -> Iterator[dict[str, str]]:
    """What to put in the place of examples, while a sandbox runs on a port of its own."""
    with running() as box:
        yield {"http://127.0.0.1:8900": box.url}


@pytest.mark.process
def test_the_quickstart_leads_to_a_green_task(home: Path, at_sandbox: dict[str, str]) -> None:
    typed = "".join(blocks("docs/quickstart.md", "bash"))
    typed = re.sub(r"^(pip install|airflow db migrate|taskwatch sandbox).*\n", "", typed, flags=re.MULTILINE)
    for example, ours in (OURS | at_sandbox).items():
        assert example in typed
        typed = typed.replace(example, ours)

    shown = run(home, typed)

    assert len(re.findall(r"^ok +read", shown, re.MULTILINE)) == 2
    assert "Dag run in success state" in shown
    for line in block("docs/quickstart.md", "", "started execution").splitlines():
        assert line.removesuffix("...") in shown


def test_readme_shows_a_part_of_the_quickstart() -> None:
    [dag] = blocks("README.md", "python")
    assert dag == block("docs/quickstart.md", "python", "DAG(")
    known = "".join(blocks("docs/quickstart.md", "bash"))
    for line in block("README.md", "bash", "pip install").splitlines():
        assert line.partition("  #")[0].strip() in known


@pytest.mark.process
def test_a_dag_is_tested_as_the_page_on_the_sandbox_says(home: Path) -> None:
    (home / "tests").mkdir()
    (home / "tests" / "test_nightly_load.py").write_text(block("docs/sandbox.md", "python", "nightly_load.test()"))
    (home / "tests" / "test_hook.py").write_text(block("docs/sandbox.md", "python", "def test_my_hook_code"))
    assert "2 passed" in run(home, f"{sys.executable} -m pytest -q -p no:cacheprovider tests")
