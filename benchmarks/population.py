"""Deferred task instances, written straight into Airflow's database: running a worker for each would measure workers.

``python -m benchmarks.population`` reads a :class:`Population` as JSON from its standard input. Airflow reads its
settings when it is imported, so this is a process of its own.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_taskwatch.core.callback import Expectation
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.schedule import Rhythm
from benchmarks.profile import PROFILES, profile_options
from benchmarks.remote import alias_of, run_id_of

DAG_ID = "waits"
CONN_ID = "remote"
CHUNK = 500
WATCH, NOTED = "airflow_provider_taskwatch.triggers.watch.WatchTrigger", "benchmarks.triggers.NotedTrigger"
KINDS = ("idle", "http", "bare", "single", "many", "listed", "called", "timed", "hand", *PROFILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """What waits, and how.

    :param kind: one of :data:`KINDS`.
    :param interval: seconds between two polls of one wait; of ``timed``, between two events of all.
    :param url: the remote.
    :param bundle: path of the certificate that it is trusted by.
    """

    kind: str
    count: int
    interval: float
    url: str
    bundle: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def trigger(self, number: int) -> tuple[str, dict[str, Any]]:
        """Class path and arguments of one trigger."""
        if self.kind == "idle":
            return "benchmarks.triggers.IdleTrigger", {"number": number}
        if self.kind == "timed":
            return "benchmarks.triggers.TimedTrigger", {
                "number": number,
                "seconds": number * self.interval,
                "conn_id": CONN_ID,
            }
        if self.kind == "bare":
            url = f"{self.url}/bare/notifications/{number}"
            return "benchmarks.triggers.BareTrigger", {"url": url, "bundle": self.bundle, "seconds": self.interval}
        if self.kind == "http":
            arguments = {"endpoint": f"absent/{number}", "http_conn_id": CONN_ID, "poke_interval": self.interval}
            return "airflow.providers.http.triggers.http.HttpSensorTrigger", arguments
        return NOTED if self.kind == "called" else WATCH, {
            "conn_id": CONN_ID,
            "started_at": (datetime.now(UTC) - timedelta(hours=1)).isoformat(),
            "plan": self._plan(number).to_json(),
            "start_id": start_id_of(number),
        }

    def _plan(self, number: int) -> Plan:
        return Plan(
            ref=str(number if self.kind in ("single", "listed", *PROFILES) else run_id_of(number)),
            rhythm=Rhythm(limit_seconds=self.interval, adaptive=False),
            options=self._options(number),
            callback=Expectation(poll_seconds=self.interval) if self.kind == "called" else None,
        )

    def _options(self, number: int) -> dict[str, Any]:
        if self.kind == "many":
            return {"alias": alias_of(number)}
        return profile_options(self.kind) if self.kind in PROFILES else {}

    def connection(self) -> dict[str, Any]:
        """The stored connection that the triggers read."""
        extra = {"ca_bundle": self.bundle, "concurrency": 64}
        if self.kind == "single":
            extra |= {"token_url": f"{self.url}/token"}
            return {
                "conn_type": "acquia",
                "host": f"{self.url}/api",
                "login": "key",
                "password": "secret",
                "extra": extra,
            }
        if self.kind == "listed":
            return {"conn_type": "aps", "host": self.url, "login": "key", "password": "secret", "extra": extra}
        if self.kind in PROFILES:
            extra |= {"auth": "basic"}
            return {"conn_type": "taskwatch", "host": self.url, "login": "user", "password": "secret", "extra": extra}
        if self.kind in ("many", "called", "hand"):
            extra |= {"client": "100"}
            return {"conn_type": "automic", "host": self.url, "login": "100/A/B", "password": "secret", "extra": extra}
        return {"conn_type": "http", "host": self.url, "extra": {"verify": self.bundle}}


def start_id_of(number: int) -> str:
    """What a callback for this task is known by."""
    return f"{number:012x}"


def main() -> None:
    """Write the rows."""
    population = Population(**json.loads(sys.stdin.read()))
    from airflow.utils.session import create_session

    with create_session() as session:
        _write_connection(session, population.connection())
        task, version = _write_dag(session)
        for first in range(0, population.count, CHUNK):
            _write_waits(session, population, task, version, range(first, min(first + CHUNK, population.count)))
            session.commit()


def _write_connection(session: Any, content: dict[str, Any]) -> None:
    from airflow.models import Connection

    session.add(Connection(conn_id=CONN_ID, **{**content, "extra": json.dumps(content["extra"])}))


def _write_dag(session: Any) -> tuple[Any, Any]:
    """A DAG of one task, as the DAG processor would store it; the task and the id of the DAG's version."""
    from airflow.models.dag import DagModel
    from airflow.models.dag_version import DagVersion
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.sdk import DAG, BaseOperator
    from airflow.serialization.serialized_objects import LazyDeserializedDAG

    with DAG(DAG_ID, schedule=None) as dag:
        BaseOperator(task_id="wait")
    session.add(DagBundleModel(name="waits"))
    session.flush()
    session.add(DagModel(dag_id=DAG_ID, bundle_name="waits", fileloc=__file__, is_stale=False))
    session.flush()
    lazy = LazyDeserializedDAG.from_dag(dag)
    SerializedDagModel.write_dag(lazy, bundle_name="waits", session=session)
    session.flush()
    stored, dag_version = (
        SerializedDagModel.get(DAG_ID, session=session),
        DagVersion.get_latest_version(DAG_ID, session=session),
    )
    if stored is None or dag_version is None:
        raise RuntimeError(f"Airflow has not stored the DAG {DAG_ID}")
    return stored.dag.get_task("wait"), dag_version.id


def _write_waits(session: Any, population: Population, task: Any, version: Any, numbers: range) -> None:
    """One run, task instance and trigger for each number."""
    from airflow.models import DagRun, TaskInstance, Trigger
    from airflow.utils.state import DagRunState, TaskInstanceState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    now = datetime.now(UTC)
    for number in numbers:
        run = DagRun(
            dag_id=DAG_ID,
            run_id=f"run-{number}",
            run_after=now,
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.RUNNING,
        )
        run.created_dag_version_id = version
        ti = TaskInstance(task, version, run_id=run.run_id, state=TaskInstanceState.DEFERRED)
        ti.try_number = 1
        ti.start_date = now
        ti.trigger = Trigger(*population.trigger(number))
        session.add_all([run, ti])


if __name__ == "__main__":
    main()
