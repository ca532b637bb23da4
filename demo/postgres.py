"""A private PostgreSQL server that holds an empty Airflow database, on a free port of the loopback interface."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import psycopg

from demo import database
from demo.configuration import environment
from demo.lock import locked
from demo.port import free_port
from demo.wait import until

_DEBIAN_FOLDERS = "/usr/lib/postgresql"
_SERVICE_ACCOUNT = "postgres"
_START_WITHIN_SECONDS = 120.0

_SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "fsync=off",  # it lives as long as a test; what is measured here is not the disk
    "full_page_writes=off",
    # The LocalExecutor's workers outlive a killed scheduler, and keep its connections with all their locks (3.3.2).
    "idle_in_transaction_session_timeout=30s",
)

_as_service: dict[str, Any] = (
    {"user": _SERVICE_ACCOUNT, "group": _SERVICE_ACCOUNT, "extra_groups": []} if os.geteuid() == 0 else {}
)
"""PostgreSQL refuses to run as root; Debian's package brings the account."""


class PrivatePostgres:
    """
    A context manager that starts the server and leaves nothing behind.

    Its cluster is copied from one that is made once per virtual environment, because migrating takes seconds.
    """

    def __init__(self) -> None:
        if (found := _binaries()) is None:
            raise RuntimeError("PostgreSQL is not installed here; on Debian: apt-get install postgresql")
        self._bin = found
        self._held = ExitStack()
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as held:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp")))
            folder.chmod(0o755)
            self._data, self._log = folder / "data", folder / "log"
            shutil.copytree(_template(self._bin), self._data)
            _hand_over(self._data)
            self._port = free_port()
            held.callback(self.stop, signal.SIGQUIT)
            self.start()
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the Airflow database; every user of this machine may connect."""
        return f"postgresql+psycopg://airflow@127.0.0.1:{self._port}/airflow"

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection to the Airflow database, in autocommit mode."""
        return psycopg.connect(host="127.0.0.1", port=self._port, user="airflow", dbname="airflow", autocommit=True)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self._server = _serve(self._bin, self._data, self._port, self._log)
        until(self._answers, within_seconds=_START_WITHIN_SECONDS, what="PostgreSQL answers", say=self._log_tail)

    def stop(self, signal_number: int = signal.SIGINT) -> None:
        """End the server: SIGINT closes every connection and shuts down in order, SIGQUIT does not tidy up."""
        if self._server is not None:
            self._server.send_signal(signal_number)
            self._server.wait(_START_WITHIN_SECONDS)
            self._server = None

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])


def is_installed() -> bool:
    """Whether this machine has a PostgreSQL to start."""
    return _binaries() is not None


def _binaries() -> Path | None:
    """The newest PostgreSQL on this machine."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = sorted(Path(_DEBIAN_FOLDERS).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return folders[-1].parent if folders else None


def _template(binaries: Path) -> Path:
    """A cluster with a migrated database of the installed Airflow version."""
    release = binaries.parent.name
    template = Path(sys.prefix) / "var" / f"airflow-{version('apache-airflow')}-postgresql-{release}"
    with locked(template):  # the workers of a parallel test run need it at the same moment
        if not template.exists():
            _make(template, binaries)
    return template


def _make(template: Path, binaries: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp") as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        data = folder / "data"
        data.mkdir()
        _hand_over(data)
        run: Callable[..., Any] = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, **_as_service)
        run([binaries / "initdb", "-D", data, "-U", "airflow", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"])
        server = _serve(binaries, data, port, folder / "log")
        try:
            _create_database(port)
            url = f"postgresql+psycopg://airflow@127.0.0.1:{port}/airflow"
            database.migrate(environment(home=folder, url="http://127.0.0.1:0", database_url=url))
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(_START_WITHIN_SECONDS)
        unfinished = template.with_name(f"{template.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(data, unfinished)
        unfinished.replace(template)


def _create_database(port: int) -> None:
    def create() -> bool:
        try:
            with psycopg.connect(
                host="127.0.0.1", port=port, user="airflow", dbname="postgres", autocommit=True
            ) as connection:
                connection.execute("CREATE DATABASE airflow")
        except psycopg.OperationalError:
            return False
        return True

    until(create, within_seconds=_START_WITHIN_SECONDS, what="PostgreSQL answers")


def _serve(binaries: Path, data: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    with log.open("ab") as output:
        return subprocess.Popen(
            [binaries / "postgres", "-D", data, "-p", str(port), *settings],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **_as_service,
        )


def _hand_over(folder: Path) -> None:
    """Give a folder to the account that the server runs under."""
    folder.chmod(0o700)
    if _as_service:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, _SERVICE_ACCOUNT, _SERVICE_ACCOUNT)
