"""What a wait costs, inside a real triggerer: ``make bench``.

Airflow's own triggerer job runs over PostgreSQL; the tasks that it waits for are written straight into its database;
one TLS server on the loopback interface answers all of them after a set time. The same work is done by

(a) ``http``: the ``HttpSensorTrigger`` of Airflow's HTTP provider,
(b) ``bare``: the least that a poll can cost, over one ``aiohttp`` session for all,
(c) ``single``: our trigger, reading one task per request (Acquia),
(d) ``many``: our trigger, reading many tasks per request (Automic), among 10,000 executions of others,
(e) ``listed``: our trigger, where one list holds all tasks of a connection (APS),
(f) ``hand``: our trigger, reading one task of Automic per request by the system that is written in Python,
(g) ``profile``, ``github``, ``databricks``: the same by a profile, of Automic and of two others,
(h) ``github-list``: by a profile that reads a page of tasks at once;

and ``idle`` triggers show what Airflow itself costs. CPU comes from the operating system's accounts of the two
processes of the triggerer; polls and their moments are counted by the server.

``python -m benchmarks.watch_cost [--only single,many] [--database sqlite] [--out docs]``
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from benchmarks import chart, start_up
from benchmarks.figure import Figures, Goal, busiest_tenth, gaps, goals, goals_of_starting_up, lateness, percentile
from benchmarks.population import Population
from benchmarks.process import Triggerer
from demo import database
from demo.airflow import sigterm_as_exit
from demo.certificate import write_certificate
from demo.component import Component
from demo.configuration import Environment, environment
from demo.postgres import PrivatePostgres
from demo.wait import until

ROOT = Path(__file__).parent.parent
AIRFLOW = (sys.executable, "-m", "airflow")

LOAD_WITHIN_SECONDS = 900.0
STARTING = "trigger.*.log"
BLOCKED = "was blocked for"
STRETCHED = "so all intervals are stretched"

STOCK = {"AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "5", "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "30"}
"""What the private Airflow of the tests has shortened, as Airflow ships it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One measurement.

    :param kind: see :class:`~.population.Population`.
    :param per_loop: ``max_trigger_to_select_per_loop``; more than Airflow's 50 where loading would take too long, or
        where all shall start at once.
    :param is_restart: kill the triggerer once it has them all, and measure its successor from its beginning.
    """

    name: str
    kind: str
    watches: int = 1_000
    interval: float = 5.0
    delay: float = 0.1
    seconds: float = 40.0
    per_loop: int = 50
    is_restart: bool = False


LARGE: dict[str, Any] = {"watches": 10_000, "interval": 30.0, "seconds": 100.0, "per_loop": 500}

CASES = (
    Case(name="idle", kind="idle"),
    Case(name="http", kind="http"),
    Case(name="bare", kind="bare"),
    Case(name="single", kind="single"),
    Case(name="many", kind="many"),
    Case(name="listed", kind="listed"),
    Case(name="hand", kind="hand"),
    Case(name="profile", kind="profile"),
    Case(name="github", kind="github"),
    Case(name="databricks", kind="databricks"),
    Case(name="github-list", kind="github-list"),
    Case(name="single-slow", kind="single", delay=0.5),
    Case(name="restart", kind="single", per_loop=1_000, is_restart=True),
    Case(name="idle-10k", kind="idle", **LARGE),
    Case(name="bare-10k", kind="bare", **LARGE),
    Case(name="single-10k", kind="single", **LARGE),
)


class Remote:
    """The server of :mod:`.remote`, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.bundle = str(write_certificate(folder / "remote.pem", "127.0.0.1"))
        command = [sys.executable, "-m", "benchmarks.remote", self.bundle]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        port = next(iter(self._process.stdout or ())).strip()
        self.url = f"https://127.0.0.1:{port}"
        self._session = requests.Session()
        self._session.trust_env, self._session.verify = False, self.bundle

    def reset(self, *, delay: float, watched: int) -> None:
        """Forget what was counted, and answer after ``delay`` seconds."""
        self._session.post(f"{self.url}/_mode", json={"delay": delay, "watched": watched}).raise_for_status()

    def end(self, numbers: Sequence[int]) -> None:
        """Let these executions of ours have ended."""
        self._session.post(f"{self.url}/_end", json=list(numbers)).raise_for_status()

    def seen(self) -> dict[str, Any]:
        """See :meth:`.remote.Remote.seen`."""
        content: dict[str, Any] = self._session.get(f"{self.url}/_seen").json()
        return content

    def close(self) -> None:
        self._session.close()
        self._process.kill()
        self._process.wait()


class Stage:
    """One Airflow database with its tasks, and one triggerer."""

    def __init__(
        self,
        case: Case,
        remote: Remote,
        folder: Path,
        postgres: PrivatePostgres | None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._case = case
        self._remote = remote
        self._postgres = postgres
        self._logs = folder / "logs"
        self._env = self._environment(folder) | dict(env or {})
        command = [*AIRFLOW, "triggerer", "--capacity", "100000", "--skip-serve-logs"]
        self._triggerer = Component("triggerer", command, env=self._env, log_folder=folder)
        self._reads_before = self._connection_reads()

    def _environment(self, folder: Path) -> Environment:
        url = self._postgres.url if self._postgres else None
        if url is None:
            database.create(folder / "airflow.db")
        return environment(home=folder, url="http://127.0.0.1:0", database_url=url) | {
            **STOCK,
            "SSL_CERT_FILE": self._remote.bundle,  # the only way to tell the HTTP provider's trigger whom to trust
            "PYTHONPATH": str(ROOT),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self._logs),
            "AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": str(self._case.per_loop),
        }

    def populate(self) -> None:
        """Write the tasks that wait."""
        case = self._case
        population = Population(
            kind=case.kind,
            count=case.watches,
            interval=case.interval,
            url=self._remote.url,
            bundle=self._remote.bundle,
        )
        command = [sys.executable, "-m", "benchmarks.population"]
        subprocess.run(
            command,
            input=population.to_json(),
            text=True,
            env=self._env,
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self._reads_before = self._connection_reads()

    def load(self, say: Any) -> None:
        """Start the triggerer, and wait until every trigger runs."""
        self._triggerer.start()

        def has_all() -> bool:
            self._triggerer.check()
            running = sum(1 for _ in self._logs.rglob(f"*.{STARTING}"))
            say(f"{running:,} of {self._case.watches:,} triggers run")
            return running >= self._case.watches

        until(
            has_all,
            within_seconds=LOAD_WITHIN_SECONDS,
            what="every trigger runs",
            say=self._triggerer.log_tail,
            every_seconds=self._case.watches / 1000,  # it goes through as many files
        )

    def restart(self) -> None:
        """Kill the triggerer and start another one, whose triggers start together."""
        self._triggerer.kill(signal.SIGKILL)
        for log in self._logs.rglob(f"*.{STARTING}"):
            log.unlink()
        self._remote.reset(delay=self._case.delay, watched=self._case.watches)
        self._reads_before = self._connection_reads()

    def measure(self, say: Any) -> Figures:
        """Watch the triggerer for the case's time."""
        log_before = len(self._log())
        before, begin = Triggerer.of(self._triggerer.pid), time.monotonic()
        lists_before = len(self._remote.seen()["lists"])
        while (left := begin + self._case.seconds - time.monotonic()) > 0:
            say(f"measuring, {left:.0f} s left")
            time.sleep(min(5.0, left))
        after, end = Triggerer.of(self._triggerer.pid), time.monotonic()
        seen = self._remote.seen()
        return self._figures(before, after, begin, end, seen, seen["lists"][lists_before:], self._log()[log_before:])

    def _figures(
        self,
        before: Triggerer,
        after: Triggerer,
        begin: float,
        end: float,
        seen: dict[str, Any],
        lists: Sequence[tuple[int, int]],
        log: str,
    ) -> Figures:
        case, polls = self._case, seen["polls"]
        inside = [at for _, at in polls if begin <= at <= end]
        late = lateness(polls, allowed=case.interval + case.delay, begin=begin, end=end)
        between = gaps(polls, begin=begin, end=end)
        return Figures(
            name=case.name,
            watches=case.watches,
            interval=case.interval,
            delay=case.delay,
            seconds=end - begin,
            polls=len(inside),
            single_reads=len(inside) - sum(ours for _, ours in lists),
            runner_cpu=after.runner.cpu - before.runner.cpu,
            supervisor_cpu=after.supervisor.cpu - before.supervisor.cpu,
            runner_memory=after.runner.memory,
            supervisor_memory=after.supervisor.memory,
            late_p99=percentile(late, 0.99),
            gap_p5=percentile(between, 0.05),
            gap_p95=percentile(between, 0.95),
            busiest_tenth=busiest_tenth(inside, case.interval),
            connections=seen["connections"] - 1,  # the last one is ours
            tokens=seen["tokens"],
            connection_reads=self._reads_since(),
            blocked=log.count(BLOCKED),
            stretch_warnings=self._log().count(STRETCHED),
            list_pages=len(lists),
            page_entries=_mean([entries for entries, _ in lists]),
            page_ours=_mean([ours for _, ours in lists]),
        )

    def _log(self) -> str:
        return self._triggerer.log_path.read_text(errors="replace")

    def _reads_since(self) -> int | None:
        now = self._connection_reads()
        return None if now is None or self._reads_before is None else now - self._reads_before

    def _connection_reads(self) -> int | None:
        """How often the table of connections was read, as PostgreSQL counts it."""
        if self._postgres is None:
            return None
        with self._postgres.connect() as connection:
            row = connection.execute(
                "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'connection'"
            ).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        self._triggerer.kill()


def _mean(numbers: Sequence[int]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


def run(case: Case, remote: Remote, on: str, say: Any) -> Figures:
    """Measure one case from an empty database on."""
    remote.reset(delay=case.delay, watched=case.watches)
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
        postgres = held.enter_context(PrivatePostgres()) if on == "postgresql" else None
        stage = Stage(case, remote, folder, postgres)
        held.callback(stage.close)
        say("writing the tasks that wait")
        stage.populate()
        stage.load(say)
        _settle(case, remote, say)
        if case.is_restart:
            stage.restart()
            stage.load(say)
        return stage.measure(say)


def _settle(case: Case, remote: Remote, say: Any) -> None:
    """Let the first polls pass: they come at once, or minutes later where a trigger asks Airflow first."""
    say("settling")
    if case.kind != "idle":
        until(
            lambda: len({number for number, _ in remote.seen()["polls"]}) >= case.watches,
            within_seconds=LOAD_WITHIN_SECONDS,
            what="every task was polled",
            every_seconds=case.interval,
        )
    time.sleep(case.interval + 3.0)


@contextmanager
def served() -> Iterator[Remote]:
    """The remote, for the duration of a block."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        remote = Remote(Path(folder))
        try:
            yield remote
        finally:
            remote.close()


def table(figures: Sequence[Figures]) -> Table:
    """A row per measurement."""
    shown = Table(title="What waiting costs")
    for heading in ("case", "watches", "polls", "of intended", "late p99", "runner", "supervisor", "per poll"):
        shown.add_column(heading, justify="left" if heading == "case" else "right", no_wrap=True)
    for heading in ("memory", "connections", "tokens", "conn. reads", "blocked"):
        shown.add_column(heading, justify="right")
    for one in figures:
        per_poll = f"{1000 * one.cpu_per_poll:.3f} ms" if one.polls else ""
        shown.add_row(
            *(one.name, f"{one.watches:,}", f"{one.polls:,}", f"{one.made:.1%}", f"{one.late_p99:.2f} s"),
            *(f"{one.runner_cpu:.2f} s", f"{one.supervisor_cpu:.2f} s", per_poll, f"{one.memory / 1e6:.0f} MB"),
            *(str(one.connections), str(one.tokens), str(one.connection_reads), str(one.blocked)),
        )
    return shown


def goal_table(found: Sequence[Goal]) -> Table:
    """A row per goal."""
    shown = Table("figure", "measured", "must be", "", title="Goals")
    for goal in found:
        shown.add_row(goal.what, goal.value, goal.limit, "reached" if goal.is_reached else "[red]short")
    return shown


def main() -> None:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description="What a wait costs, inside a real triggerer.")
    parser.add_argument("--only", help=f"some of {', '.join(case.name for case in CASES)}")
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--out", type=Path, help="a folder for watch_cost.json and watch_cost.png")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",") if arguments.only else [case.name for case in CASES]
    console = Console(width=None if sys.stdout.isatty() else 160)
    figures = _measure([case for case in CASES if case.name in wanted], arguments.database, console)
    found = goals({one.name: one for one in figures})
    if not arguments.only:
        console.print("measuring what starting up costs")
        found += goals_of_starting_up(*astuple(start_up.measure()))
    _show(console, figures, found)
    if arguments.out:
        _write(arguments.out, arguments.database, figures, found)


def _show(console: Console, figures: Sequence[Figures], found: Sequence[Goal]) -> None:
    console.print(table(figures))
    console.print(goal_table(found))
    _print_lists(console, figures)


def _measure(cases: Sequence[Case], on: str, console: Console) -> list[Figures]:
    figures = []
    with sigterm_as_exit(), served() as remote:
        for number, case in enumerate(cases, 1):
            with console.status(case.name) as status:

                def say(what: str, title: str = f"{number}/{len(cases)} {case.name}") -> None:
                    status.update(f"{title}: {what}")

                figures.append(run(case, remote, on, say))
            console.print(f"{number}/{len(cases)} {case.name}: {1000 * figures[-1].cpu_per_poll:.3f} ms per poll")
    return figures


def _print_lists(console: Console, figures: Sequence[Figures]) -> None:
    for one in figures:
        if one.list_pages:
            console.print(
                f"{one.name}: {one.list_pages} list pages; one held {one.page_entries:.0f} executions, "
                f"{one.page_ours:.0f} of them ours; {one.single_reads} single reads"
            )


def _write(folder: Path, on: str, figures: Sequence[Figures], found: Sequence[Goal]) -> None:
    content = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "airflow": version("apache-airflow"),
        "python": platform.python_version(),
        "database": on,
        "figures": [one.to_json() for one in figures],
        "goals": [asdict(goal) for goal in found],
    }
    (folder / "watch_cost.json").write_text(json.dumps(content, indent=1) + "\n")
    chart.draw(figures, folder / "watch_cost.png")


if __name__ == "__main__":
    main()
