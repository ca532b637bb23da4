"""An empty, migrated metadata database, made once per virtual environment because migrating takes seconds."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from demo.configuration import environment
from demo.lock import locked

_MIGRATE_WITHIN_SECONDS = 240.0


def create(target: Path) -> None:
    """Put an empty database of the installed Airflow version at the target."""
    template = Path(sys.prefix) / "var" / f"airflow-{version('apache-airflow')}-wal.db"
    with locked(template):
        if not template.exists():
            _make(template)
    shutil.copyfile(template, target)


def migrate(env: Mapping[str, str]) -> None:
    """Give the database of this environment the tables of the installed Airflow version."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_MIGRATE_WITHIN_SECONDS,
    )
    if done.returncode:
        raise RuntimeError(f"the metadata database cannot be migrated:\n{done.stderr[-4000:]}")


def _make(template: Path) -> None:
    with tempfile.TemporaryDirectory(dir=template.parent) as folder:
        home = Path(folder)
        migrate(environment(home=home, url="http://127.0.0.1:0"))
        with sqlite3.connect(home / "airflow.db") as database:
            database.execute("VACUUM INTO ?", [str(home / "template.db")])
        database.close()
        _let_readers_and_writers_be(home / "template.db")
        (home / "template.db").replace(template)


def _let_readers_and_writers_be(path: Path) -> None:
    """Write-ahead logging, which stays with the file: else every long read of one process holds all others up."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.close()
