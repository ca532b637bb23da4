"""The checks before a commit are those of `make check`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.rows import each_row

ROOT = Path(__file__).parents[2]
CONFIG = (ROOT / ".pre-commit-config.yaml").read_text()


def test_the_hooks_of_a_commit_are_the_checks_of_make() -> None:
    ready = ".venv/.ready"
    show = ["make", "--just-print", "--silent", f"--old-file={ready}", "AIRFLOW=3.3", "check"]
    commands = subprocess.run(show, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert re.findall(r"entry: (\.venv/.*)", CONFIG) == commands.splitlines()


@each_row(
    "message, is_good",
    [
        ("hub: poll once", True),
        ("hub, wire: poll once\n\nThe reason.\n", True),
        (f"hub: {'x' * 67}\n", True),
        (f"hub: {'x' * 68}\n", False),
        ("Poll once", False),
        ("Hub: poll once", False),
        ("poll once\n\nhub: the reason", False),
    ],
)
def test_a_commit_s_subject_has_its_area_first_and_fits(message: str, is_good: bool) -> None:
    (pattern,) = re.findall(r"entry: '(.*)'", CONFIG)
    assert bool(re.search(pattern, message, re.MULTILINE | re.DOTALL)) is is_good
