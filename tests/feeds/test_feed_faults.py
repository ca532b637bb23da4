"""Events flow while processes are killed, the database stops and the remote refuses: each is delivered once."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from airflow_provider_taskwatch.feed.pump import LEASE_SECONDS
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.server import running
from demo import postgres
from demo.airflow import PrivateAirflow
from demo.wait import until

HERE = Path(__file__).parent
TRIGGERERS = ("triggerer", "triggerer-2")
EVENTS, BURST = 10_000, 250
SENSORS = 20
SESSION_SECONDS = 30.0
REFUSING_SECONDS = 12.0

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A real Airflow with two triggerers, whose inbox is a database of its own."""

    airflow: PrivateAirflow
    sandbox: Sandbox
    server: postgres.PrivatePostgres
    subjects: Sequence[str]

    def ask(self, database: str, query: str) -> list[tuple[object, ...]]:
        """The rows of a query; what has ended on its own is started again meanwhile, as a service manager would."""
        self.airflow.check()
        url = self.server.url.replace("postgresql+psycopg", "postgresql").rpartition("/")[0]
        with psycopg.connect(f"{url}/{database}", connect_timeout=5) as connection:
            return connection.execute(query.encode()).fetchall()

    def metadata(self, query: str) -> list[tuple[object, ...]]:
        return self.ask(self.server.url.rpartition("/")[2], query)

    def holder(self) -> str:
        """Which triggerer reads the feed; empty where none does."""
        rows = self.ask("inbox", "SELECT holder FROM taskwatch_lease WHERE name LIKE 'pump %'")
        reader = str(rows[0][0]).split()[1] if rows else ""
        return next((one for one in TRIGGERERS if reader in _children(self.airflow.main_process(one))), "")

    def stored(self) -> int:
        return int(str(self.ask("inbox", "SELECT count(*) FROM taskwatch_message")[0][0]))

    def logs(self) -> str:
        return "\n".join(self.airflow.component_log(one)[-20000:] for one in TRIGGERERS)

    def last_stored_at(self) -> float:
        return float(str(self.ask("inbox", "SELECT coalesce(max(received_at), 0) FROM taskwatch_message")[0][0]))


def _children(process: int | None) -> set[str]:
    """The process ids of a triggerer and of its runner, as texts."""
    if process is None:
        return set()
    listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    return {str(process), *listed.split()}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    if not postgres.is_installed():
        (pytest.fail if os.environ.get("REQUIRE_POSTGRESQL") else pytest.skip)("PostgreSQL is not installed here")
    subjects = [f"awaited-{number}" for number in range(SENSORS)]
    with ExitStack() as held:
        served = held.enter_context(running())
        server = held.enter_context(postgres.PrivatePostgres())
        with server.connect() as connection:
            connection.execute("CREATE DATABASE inbox")
        inbox_url = server.url.replace("postgresql+psycopg", "postgresql").rpartition("/")[0] + "/inbox"
        env = {"AIRFLOW__TASKWATCH__INBOX_URL": inbox_url, "FEED_SUBJECTS": " ".join(subjects)}
        airflow = held.enter_context(
            PrivateAirflow(dags=HERE / "dags", env=served.environment() | env, database_url=server.url, restarts=True)
        )
        held.enter_context(airflow.another("triggerer"))
        yield Stage(airflow=airflow, sandbox=served.sandbox, server=server, subjects=subjects)


class Tap:
    """Lets events flow at a rate, however often it is asked."""

    def __init__(self, stage: Stage) -> None:
        self.emitted = 0
        self._stage = stage
        every = EVENTS // SENSORS
        self._names = [
            stage.subjects[n // every] if n % every == 0 and n // every < SENSORS else f"other-{n}"
            for n in range(EVENTS)
        ]

    def run(self, seconds: float) -> None:
        """Emit bursts for a number of seconds."""
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            self.burst()
            time.sleep(1.0)

    def burst(self) -> None:
        names = self._names[self.emitted : self.emitted + BURST]
        self._stage.sandbox.emit(
            {"acronis": [{"type": "a.p.tenant.created", "subject": n} for n in names]}, time.time()
        )
        self.emitted += len(names)


def test_every_event_arrives_whatever_happens_meanwhile(stage: Stage) -> None:
    airflow, sandbox = stage.airflow, stage.sandbox
    until(lambda: _has_begun(stage), within_seconds=60, what="three watchers and a reader have begun")
    run = airflow.trigger("waiting")
    until(lambda: _deferred(stage) == SENSORS, within_seconds=120, what="all sensors wait")
    tap = Tap(stage)
    gaps = []

    for _ in range(2):
        tap.run(4.0)
        gaps.append(_kill_the_reader(stage, tap))

    stage.server.stop()
    time.sleep(3.0)
    stage.server.start()
    tap.run(3.0)

    for fault in ("too_many", "server_error"):
        sandbox.add_fault(fault, system="acronis")
        tap.run(REFUSING_SECONDS / 10)
        time.sleep(REFUSING_SECONDS)
        sandbox.clear_faults(fault)
    while tap.emitted < EVENTS:
        tap.burst()

    until(lambda: stage.stored() >= EVENTS, within_seconds=120, what="all events are in the inbox", every_seconds=1.0)
    assert run.wait(within_seconds=240) == "success"
    seen = [_seen(stage, number) for number in range(3)]
    until(
        lambda: all(len(_seen(stage, n)) >= EVENTS for n in range(3)),
        within_seconds=120,
        what="every DAG has seen every event",
        every_seconds=2.0,
        say=lambda: f"{[len(_seen(stage, n)) for n in range(3)]} {stage.logs()}",
    )
    seen = [_seen(stage, number) for number in range(3)]

    distinct = stage.ask("inbox", "SELECT count(DISTINCT (channel, delivery)), count(*) FROM taskwatch_message")[0]
    tries = stage.metadata("SELECT max(try_number), count(*) FROM task_instance WHERE dag_id = 'waiting'")[0]
    print(
        f"{EVENTS} events, {distinct} in the inbox, {SENSORS} sensors with {tries} tries, seen by three DAGs: "
        f"{[len(one) for one in seen]}; first event after a kill: {[f'{gap:.1f} s' for gap in gaps]}"
    )
    assert distinct == (EVENTS, EVENTS)
    assert all(gap <= LEASE_SECONDS + SESSION_SECONDS + 10.0 for gap in gaps)
    subjects = [one.xcom()["subject"] for one in run.tasks()]
    assert sorted(subjects) == sorted(stage.subjects)


def _has_begun(stage: Stage) -> bool:
    rows = stage.ask("inbox", "SELECT feed FROM taskwatch_position")
    kinds = [str(feed).partition(" ")[0] for (feed,) in rows]
    return kinds.count("feed") == 3 and kinds.count("acronis") == 2


def _deferred(stage: Stage) -> int:
    rows = stage.metadata("SELECT count(*) FROM task_instance WHERE dag_id = 'waiting' AND state = 'deferred'")
    return int(str(rows[0][0]))


def _kill_the_reader(stage: Stage, tap: Tap) -> float:
    """Kill -9 of the triggerer that reads the feed; the seconds until another one has stored an event."""
    name = until(stage.holder, within_seconds=60, what="a triggerer reads the feed")
    stage.airflow.kill(name)
    killed_at, before = time.time(), stage.stored()
    tap.burst()
    until(
        lambda: stage.stored() > before, within_seconds=90, what="another triggerer reads the feed", every_seconds=0.5
    )
    stage.airflow.start(name, waits=False)
    return stage.last_stored_at() - killed_at


def _seen(stage: Stage, number: int) -> set[str]:
    """The ids of all events that a run of the DAG was scheduled by."""
    rows = stage.metadata(
        "SELECT e.extra FROM asset_event e JOIN dagrun_asset_event d ON d.event_id = e.id "
        f"JOIN asset a ON a.id = e.asset_id WHERE a.name = 'feed_{number}'"
    )
    extras = [extra if isinstance(extra, dict) else json.loads(str(extra)) for (extra,) in rows]
    return {event["id"] for extra in extras for event in extra["payload"]["events"]}
