"""The environment of a run: PostgreSQL, the sandbox, Airflow with two triggerers, and the actions on them."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import requests

from airflow_provider_taskwatch.command.sandbox import play
from airflow_provider_taskwatch.sandbox.automic.remote import PASSWORD
from airflow_provider_taskwatch.sandbox.rule import Rule
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.server import Running, running
from demo.airflow import PrivateAirflow
from demo.api import ApiError
from demo.postgres import PrivatePostgres
from tests.chaos import plan
from tests.chaos.clock import Clock
from tests.chaos.ledger import Ledger, is_airflow
from tests.chaos.plan import BY_PATH, RESTS, Job, Kind, conn_id_of

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PROFILES = HERE.parent / "e2e" / "dags"

TRIGGERERS = ("triggerer", "triggerer-2")
SKEWED = "triggerer-2"
"""The one that runs under libfaketime."""

CALM_SECONDS = 6.0

SETTINGS = {
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": "tests.chaos.seam.host_name",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
    "AIRFLOW__SCHEDULER__MAX_TIS_PER_QUERY": "32",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "12",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
}
"""On top of the demo's quick ones: a dead worker, scheduler or triggerer is noticed in seconds, not in minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """The state of a task in Airflow's database.

    :param is_held: whether a triggerer that lives has its trigger.
    """

    state: str | None
    try_number: int
    pid: int | None = None
    is_held: bool = False

    def is_running_as(self, process: int) -> bool:
        """Whether Airflow has it running in that process."""
        return self.state == "running" and self.pid == process


@dataclass(slots=True)
class Stage:
    """The environment of a run and the actions on it.

    :param jobs: in the order of the plan.
    """

    jobs: Sequence[Job]
    folder: Path
    box: Running
    postgres: PrivatePostgres
    clock: Clock
    airflow: PrivateAirflow = field(init=False)
    done: dict[str, int] = field(default_factory=dict)
    disturbed_at: float = 0.0
    run_id: str = ""
    _is_out: bool = False

    # --- observations

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folder / "ledger")

    def instances(self) -> dict[str, Instance]:
        """By the names of the jobs; what is not scheduled yet is left out."""
        rows = self._rows(
            "SELECT ti.task_id, ti.map_index, ti.state, ti.try_number, ti.pid, "
            "coalesce(abs(extract(epoch FROM now() - job.latest_heartbeat)) < 3, false) FROM task_instance ti "
            "LEFT JOIN trigger ON trigger.id = ti.trigger_id LEFT JOIN job ON job.id = trigger.triggerer_id "
            "WHERE ti.map_index >= 0"
        )
        names = {kind: [job.name for job in self.jobs if job.kind is kind] for kind in Kind}
        return {
            names[Kind(task_id)][index]: Instance(state=state, try_number=number, pid=pid, is_held=is_held)
            for task_id, index, state, number, pid, is_held in rows
        }

    def tasks(self) -> list[dict[str, Any]]:
        """The tasks that the remotes have started."""
        return self.box.sandbox.tasks(time.time())

    def holder(self) -> str:
        """The triggerer that holds the most triggers."""
        rows = self._rows(
            "SELECT job.hostname, count(*) FROM trigger JOIN job ON job.id = trigger.triggerer_id "
            "GROUP BY job.hostname ORDER BY 2 DESC"
        )
        held = [name for name, _ in rows if name in TRIGGERERS]
        return str(held[0]) if held else TRIGGERERS[0]

    def task_log(self, job: Job) -> str:
        """The log of the job's last try."""
        index = [one.name for one in self.jobs if one.kind is job.kind].index(job.name)
        folder = self.airflow.home / "logs" / "dag_id=chaos" / f"run_id={self.run_id}" / f"task_id={job.kind}"
        files = sorted((folder / f"map_index={index}").glob("attempt=*.log"), key=lambda path: path.stat().st_mtime)
        return "\n".join(path.read_text(errors="replace") for path in files)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        """Nothing while the database is away."""
        try:
            with self.postgres.connect() as connection:
                return connection.execute(query).fetchall()
        except psycopg.OperationalError:
            return []

    # --- actions

    def count(self, what: str, times: int = 1) -> None:
        """Count a kind of action."""
        if times:
            self.done[what] = self.done.get(what, 0) + times

    def kill(self, component: str) -> None:
        """Kill all processes of a component at once, as the end of its pod does."""
        self.airflow.kill(component)
        self.count(f"kill -9 {component}")
        self.disturb()

    def kill_main(self, component: str) -> None:
        """Kill the main process alone; the harness starts another one, and the children go on."""
        if pid := self.airflow.main_process(component):
            os.kill(pid, signal.SIGKILL)
            self.count(f"kill -9 main process of {component}")
            self.disturb()

    def start(self, component: str) -> None:
        self.disturb()
        self.airflow.start(component, waits=False)

    @property
    def has_api(self) -> bool:
        """Whether the API server answers."""
        try:
            self.airflow.api.health()
        except (ApiError, requests.RequestException):
            return False
        return True

    def pause(self, component: str) -> None:
        self.airflow.pause(component)
        self.count(f"SIGSTOP {component}")
        self.disturb()

    def go_on(self, component: str) -> None:
        self.airflow.go_on(component)
        self.disturb()

    def declare_dead(self, triggerer: str) -> None:
        """Have Airflow take over what a triggerer held whose heartbeat lies in the future."""
        with self.postgres.connect() as connection:
            connection.execute("UPDATE job SET end_date = now() WHERE hostname = %s", [triggerer])

    def signal(self, process: int, number: signal.Signals, what: str) -> None:
        """Send a signal to one process of Airflow's, which may be gone."""
        if not is_airflow(process):
            return
        with suppress(ProcessLookupError):
            os.kill(process, number)
            self.count(f"{number.name} {what}")

    @property
    def is_calm(self) -> bool:
        """Whether nothing was done to Airflow or to the remote for a while."""
        return not self._is_out and time.monotonic() - self.disturbed_at > CALM_SECONDS

    def disturb(self) -> None:
        """Something is done."""
        self.disturbed_at = time.monotonic()

    @contextmanager
    def outage(self, what: str) -> Iterator[None]:
        """The remote, or the way to it, is away for the duration of a block."""
        self.count(f"outages ({what})")
        self._is_out = True
        try:
            yield
        finally:
            self._is_out = False
            self.disturb()


@contextmanager
def staged(jobs: Sequence[Job], *, is_skewed: bool = False, retry_seconds: float = 1.0) -> Iterator[Stage]:
    """Everything up, and the DAG run not begun.

    :param is_skewed: whether one triggerer lives by a clock of its own.
    :param retry_seconds: Airflow's pause before a retry.
    """
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True)))
        box = held.enter_context(running(_sandbox()))
        _open_accounts(box)
        jobs = _with_refs(jobs, box)
        plan.write(jobs, folder / "jobs.json")
        postgres = held.enter_context(PrivatePostgres())
        clock = Clock(folder / "clock")
        stage = Stage(jobs, folder, box, postgres, clock)
        airflow = PrivateAirflow(
            dags=HERE / "dags",
            env={**_environment(folder, box), "CHAOS_RETRY_SECONDS": str(retry_seconds), **SETTINGS},
            env_of={name: _environment_of(name, box, clock if is_skewed else None) for name in TRIGGERERS},
            database_url=postgres.url,
            restarts=True,
        )
        stage.airflow = held.enter_context(airflow)
        held.enter_context(airflow.another("triggerer"))
        yield stage


def _sandbox() -> Sandbox:
    sandbox = Sandbox()
    for kind in RESTS:
        play(sandbox, str(PROFILES / f"{kind}.yaml"))
    return sandbox


def _environment(folder: Path, box: Running) -> dict[str, str]:
    return {
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE / "preload"))),
        "CHAOS_FOLDER": str(folder),
        "CHAOS_AUTOMIC": f"{box.url}/automic/ae/api/v1/100/executions",
        "CHAOS_PASSWORD": PASSWORD,
        **_connections(box, "WORKER"),
    }


def _environment_of(triggerer: str, box: Running, clock: Clock | None) -> dict[str, str]:
    skewed = clock.environment() if clock and triggerer == SKEWED else {}
    return {"CHAOS_COMPONENT": triggerer, **_connections(box, triggerer.upper()), **skewed}


def _connections(box: Running, component: str) -> Mapping[str, str]:
    """Connections whose logins name the component that uses them."""
    made = box.connections()
    automic, acquia = made["automic_default"], made["acquia_default"]
    automic["login"] = f"100/{component}/CHAOS"
    acquia["login"] = component
    return {
        "AIRFLOW_CONN_AUTOMIC_DEFAULT": json.dumps(automic),
        "AIRFLOW_CONN_ACQUIA_DEFAULT": json.dumps(acquia),
        **{f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(made[conn_id]) for conn_id in map(conn_id_of, RESTS)},
    }


def _open_accounts(box: Running) -> None:
    names = ["WORKER", *(name.upper() for name in TRIGGERERS), "OTHERS"]
    accounts = [{"user": name, "department": "CHAOS"} for name in names]
    clients = {name: box.connections()["acquia_default"]["password"] for name in names}
    box.sandbox.change({"automic": {"accounts": accounts}, "acquia": {"clients": clients}}, time.time())


def _with_refs(jobs: Sequence[Job], box: Running) -> list[Job]:
    """The jobs, with refs for those that wait for other executions; the remote gets a rule for each end."""
    for job in jobs:
        box.sandbox.rules.add(*_rules(job))
    return [replace(job, ref=_start_other(job, box)) if job.kind is Kind.SENSOR else job for job in jobs]


def _rules(job: Job) -> list[Rule]:
    pattern = f"POST /{job.name}" if job.kind in BY_PATH else job.name
    seconds = 1e9 if job.kind is Kind.SENSOR else job.seconds
    limits = [1] * (len(job.ends) - 1) + [None]
    return [
        Rule(match=pattern, outcome=end, times=times, duration=seconds, message=f"{job.name} ends with {end}")
        for end, times in zip(job.ends, limits, strict=True)
    ]


def _start_other(job: Job, box: Running) -> str:
    """An execution of no task in the run; the harness ends it once a task waits for it."""
    reply = requests.post(
        f"{box.url}/automic/ae/api/v1/100/executions",
        json={"object_name": job.name},
        auth=("100/OTHERS/CHAOS", PASSWORD),
        timeout=10,
    )
    reply.raise_for_status()
    return str(reply.json()["run_id"])
