"""A real Airflow in a folder of its own: API server, scheduler, DAG processor and triggerer on free ports."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Self

import requests

from demo import database
from demo.api import AirflowApi, DagRun
from demo.component import Component
from demo.configuration import connection_variables, environment
from demo.port import free_port
from demo.wait import ROOM_SECONDS, until

COMMANDS = {
    "api-server": ("api-server",),
    "dag-processor": ("dag-processor",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
"""The components, the slowest to start first. All share one folder for logs, so no server for logs is needed."""

_AIRFLOW = (sys.executable, "-m", "airflow")
TASKWATCH = (str(Path(sys.executable).with_name("taskwatch")),)
"""The commands of the provider. ``airflow taskwatch`` has them since Airflow 3.2."""


class BrokenDagError(RuntimeError):
    """A DAG file could not be imported; the message holds its stack trace."""


class PrivateAirflow:
    """
    A context manager that starts Airflow, waits until it is healthy, and leaves nothing behind.

    :param dags: the folder, or folders, of DAG files. Each file that does not start with ``_`` holds a DAG.
    :param connections: connection URIs, or their JSON, by connection id.
    :param env: further environment variables for every component, ``AIRFLOW__SECTION__KEY`` included.
    :param database_url: of a migrated metadata database; None for an SQLite file of its own.
    :param env_of: still further variables for single components, by their names.
    :param restarts: start a component again that has ended on its own, as a service manager would; else that is an
        error.
    :param start_within_seconds: the deadline for everything to be up.
    """

    def __init__(
        self,
        *,
        dags: Path | Sequence[Path],
        connections: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        database_url: str | None = None,
        env_of: Mapping[str, Mapping[str, str]] | None = None,
        restarts: bool = False,
        start_within_seconds: float = ROOM_SECONDS,
    ) -> None:
        self._dag_folders = [folder.resolve() for folder in ([dags] if isinstance(dags, Path) else dags)]
        self._further_env = connection_variables(connections or {}) | dict(env or {})
        self._database_url = database_url
        self._env_of = dict(env_of or {})
        self._restarts = restarts
        self.restarted: list[str] = []
        self._start_within_seconds = start_within_seconds
        self._components: dict[str, Component] = {}
        self._held = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as held:
            held.enter_context(sigterm_as_exit())
            folder = tempfile.TemporaryDirectory(prefix="airflow-", ignore_cleanup_errors=True)
            self.home = Path(held.enter_context(folder))
            self.url = f"http://127.0.0.1:{free_port()}"
            self.env = self._environment()
            self.api = AirflowApi(self.url, check=self.check)
            held.callback(self.api.close)
            held.callback(self._kill_all)
            self._start_all()
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> DagRun:
        """Start a run of a DAG; ``conf`` is what the DAG finds as ``dag_run.conf``."""
        return self.api.trigger(dag_id, conf)

    def kill(self, component: str, signal_number: int = signal.SIGKILL) -> None:
        """End one of :data:`COMMANDS` and wait until it is gone; SIGKILL takes all its processes at once."""
        self._components[component].kill(signal_number)

    def start(self, component: str, *, waits: bool = True, within_seconds: float = ROOM_SECONDS) -> None:
        """Start one of :data:`COMMANDS` again and wait until it is healthy, unless it is not to be waited for."""
        began = datetime.now(UTC)
        self._components[component].start()
        if not waits:
            return
        until(
            lambda: component in self._healthy_since(began),
            within_seconds=within_seconds,
            what=f"{component} is healthy again",
            say=self._components[component].log_tail,
        )

    def main_process(self, component: str) -> int | None:
        """The process id of a component's main process, None while it is down."""
        return self._components[component].pid

    def pause(self, component: str) -> None:
        """Let one of :data:`COMMANDS` stand still, as a frozen host would."""
        self._components[component].signal_all(signal.SIGSTOP)

    def go_on(self, component: str) -> None:
        """End a pause."""
        self._components[component].signal_all(signal.SIGCONT)

    @contextmanager
    def another(self, component: str) -> Iterator[None]:
        """A second one of :data:`COMMANDS`, for the duration of a block."""
        name = f"{component}-2"
        second = self._new(name, COMMANDS[component])
        second.start()
        try:
            yield
        finally:
            second.kill()
            del self._components[name]

    def component_log(self, component: str) -> str:
        """Everything that a component wrote to its standard output and error."""
        return self._components[component].log_path.read_text(errors="replace")

    def command(
        self, *arguments: str, program: Sequence[str] = _AIRFLOW, within_seconds: float = ROOM_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run ``airflow``, or another program, with these arguments in the environment of the components."""
        return subprocess.run(
            [*program, *arguments],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=within_seconds,
        )

    def check(self) -> None:
        """Raise if a component has ended on its own, or start it again."""
        for component in self._components.values():
            if self._restarts and component.has_ended:
                component.start_again()
                self.restarted.append(component.name)
            component.check()

    def _environment(self) -> dict[str, str]:
        given = environment(
            home=self.home, url=self.url, dag_folders=self._dag_folders, database_url=self._database_url
        )
        return given | self._further_env

    def _start_all(self) -> None:
        began = datetime.now(UTC)
        logs = self.home / "logs"
        logs.mkdir()
        if self._database_url is None:
            database.create(self.home / "airflow.db")
        for name, arguments in COMMANDS.items():
            self._new(name, arguments).start()
        self._until(self._answers, "the API server answers")
        self._warm_up()
        self._until(lambda: self._healthy_since(began) >= COMMANDS.keys(), "every component is healthy")
        self._until(self._knows_all_dags, "every DAG file is known")

    def _new(self, name: str, arguments: Sequence[str]) -> Component:
        env = {**self.env, **self._env_of.get(name, {})}
        component = Component(name, [*_AIRFLOW, *arguments], env=env, log_folder=self.home / "logs")
        self._components[name] = component
        return component

    def _until(self, condition: Any, what: str) -> None:
        until(condition, within_seconds=self._start_within_seconds, what=what, say=self._log_tails)

    def _answers(self) -> bool:
        self.check()
        try:
            self.api.request("GET", "/api/v2/version")
        except requests.ConnectionError:
            return False
        return True

    def _warm_up(self) -> None:
        """Log in, and have the server build its API for tasks: the first request to it takes seconds."""
        self.api.log_in()
        self.api.request("GET", "/execution/health")

    def _healthy_since(self, began: datetime) -> set[str]:
        if not self._answers():
            return set()
        health = self.api.health()
        return {name for name in COMMANDS if name == "api-server" or _has_beaten(health, name, began)}

    def _knows_all_dags(self) -> bool:
        self.check()
        for broken in self.api.import_errors():
            raise BrokenDagError(f"{broken['filename']} cannot be imported:\n{broken['stack_trace']}")
        known = {Path(dag["fileloc"]) for dag in self.api.dags()}
        return known.issuperset(path for folder in self._dag_folders for path in _dag_files(folder))

    def _kill_all(self) -> None:
        for component in self._components.values():
            component.kill()

    def _log_tails(self) -> str:
        return "\n".join(f"--- {name}\n{one.log_tail()}" for name, one in self._components.items())


def _has_beaten(health: dict[str, Any], component: str, began: datetime) -> bool:
    key = component.replace("-", "_")
    heartbeat = health[key][f"latest_{key}_heartbeat"]
    is_new = heartbeat is not None and datetime.fromisoformat(heartbeat) >= began
    return is_new and health[key]["status"] == "healthy"


def _dag_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*.py") if not path.name.startswith("_"))


@contextmanager
def sigterm_as_exit() -> Iterator[None]:
    """Turn SIGTERM into SystemExit, so that leaving the block cleans up then, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
