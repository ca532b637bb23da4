"""What README and the docs tell a new user to type, typed in an Airflow home with stock settings only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_provider_taskwatch.config.profile import find_profile
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.server import running
from docs.report_api import Reports

ROOT = Path(__file__).parents[2]
SECONDS = 480.0
"""Each command takes seconds on a quiet machine; the DAG's own retries alone would take 600."""

OURS = {
    "https://api.github.com": "http://127.0.0.1:8900/github-workflow",
    "TOKEN": "sandbox-secret",
    "4711": "821004001",
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
    (home / "dags" / "nightly_build.py").write_text(block("docs/quickstart.md", "python", "DAG("))
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
    sandbox = Sandbox()
    sandbox.play(find_profile("github-workflow").content)
    with running(sandbox) as box:
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
    for part in parts_of(block("docs/quickstart.md", "", "started run")):
        assert part in shown


def test_readme_shows_a_part_of_the_quickstart() -> None:
    [dag] = blocks("README.md", "python")
    assert dag == block("docs/quickstart.md", "python", "DAG(")
    known = "".join(blocks("docs/quickstart.md", "bash"))
    for line in block("README.md", "bash", "pip install").splitlines():
        assert line.partition("  #")[0].strip() in known


@pytest.mark.process
def test_a_dag_is_tested_as_the_page_on_the_sandbox_says(home: Path) -> None:
    (home / "tests").mkdir()
    (home / "tests" / "test_nightly_build.py").write_text(block("docs/sandbox.md", "python", "nightly_build.test()"))
    (home / "tests" / "test_hook.py").write_text(block("docs/sandbox.md", "python", "def test_my_hook_code"))
    assert "2 passed" in run(home, f"{sys.executable} -m pytest -q -p no:cacheprovider tests")


YOUR_API = "docs/your-api.md"


@contextmanager
def report_api() -> Iterator[str]:
    """The API of the page, on a port of its own."""
    with Reports(0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


def parts_of(shown: str) -> list[str]:
    """What must be there of lines in which dots stand for anything."""
    return [part.strip() for line in shown.splitlines() for part in line.split("...") if part.strip()]


@pytest.mark.process
def test_a_new_api_gets_from_curl_to_a_dag(home: Path) -> None:
    """Each command of the page is typed, but for those that serve, and each line that it shows is seen."""
    folder = home / "dags"
    (folder / "report.yaml").write_text(block(YOUR_API, "yaml", "profile: 1"))
    (folder / "daily_report.py").write_text(block(YOUR_API, "python", "DAG("))
    *typed, last = [one for one in blocks(YOUR_API, "bash") if not re.match("python|taskwatch sandbox", one)]
    sandbox = Sandbox()
    sandbox.play(find_profile(str(folder / "report.yaml")).content, str(folder / "report.yaml"))
    with report_api() as url, running(sandbox) as box:
        (folder / "recording.yaml").write_text(block(YOUR_API, "yaml", "interactions:"))
        scripts = ["".join(typed), f"cd dags; exec 2>&1\n{last.rstrip()} || true"]
        for example, ours in (("http://127.0.0.1:8902/v1", url), ("http://127.0.0.1:8900", box.url)):
            assert any(example in one for one in scripts)
            scripts = [one.replace(example, ours) for one in scripts]
        shown, failed = (run(home, one) for one in scripts)

    for text in blocks(YOUR_API, ""):
        for part in parts_of(text.replace("http://127.0.0.1:8902/v1", url)):
            if "percent" not in part:
                assert part in shown
    assert "ok  read        the credentials are accepted" in shown
    assert "report r-1: succeeded (done) 100 %" in shown
    assert "failed (error): no data" in failed
