"""An Airflow home of its own for every run: neither the user's settings nor the user's database have a say."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

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
