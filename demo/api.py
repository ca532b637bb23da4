"""Airflow's public REST API, as far as the demonstration and the end-to-end tests need it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests

from demo.wait import ROOM_SECONDS, until

Json = dict[str, Any]

ENDED = ("success", "failed")
"""The final states of a DAG run."""

_GROUP_MARKS = ("::group::", "::endgroup::")
_REQUEST_TIMEOUT_SECONDS = 120.0
_TRIGGER_ATTEMPTS = 5
_TRIGGER_PAUSE_SECONDS = 1.0


class ApiError(RuntimeError):
    """Airflow refused a request; the message holds the text of its reply."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class AirflowApi:
    """
    A client that logs in by itself where every user is an admin.

    :param url: where the API server answers, without a path.
    :param check: called in every round of every wait; it raises when waiting has become pointless.
    """

    def __init__(self, url: str, *, check: Callable[[], None] = lambda: None) -> None:
        self.url = url
        self.check = check
        self._session = requests.Session()
        self._session.trust_env = False

    def log_in(self) -> None:
        """Get a token and use it from now on."""
        token = self.request("GET", "/auth/token")["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        """Close the connections to the API server."""
        self._session.close()

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Send one request and return its decoded JSON; a refusal is an :class:`ApiError`."""
        reply = self._session.request(
            method, self.url + path, timeout=_REQUEST_TIMEOUT_SECONDS, allow_redirects=False, **options
        )
        if not reply.ok:
            raise ApiError(
                f"{method} {path} was answered with {reply.status_code}: {reply.text[:500]}",
                status=reply.status_code,
            )
        return reply.json() if reply.content else None

    def health(self) -> Json:
        """What Airflow says of its components' health."""
        answer: Json = self.request("GET", "/api/v2/monitor/health")
        return answer

    def dags(self) -> list[Json]:
        """Every DAG that Airflow knows."""
        return self._listed("/api/v2/dags", "dags")

    def import_errors(self) -> list[Json]:
        """Every DAG file that could not be imported."""
        return self._listed("/api/v2/importErrors", "import_errors")

    def trigger(self, dag_id: str, conf: Json | None = None) -> DagRun:
        """Start a run of a DAG and return it.

        Retries with the same run id: the API server answers 500 while its SQLite database is locked (3.3.2).
        """
        run_id = f"manual__{uuid.uuid4()}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        for attempt in range(1, _TRIGGER_ATTEMPTS + 1):
            try:
                self.request("POST", f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns", json=body)
                break
            except ApiError as error:
                if error.status == 409 and attempt > 1:
                    break  # an earlier attempt has started it
                if error.status < 500 or attempt == _TRIGGER_ATTEMPTS:
                    raise
                time.sleep(_TRIGGER_PAUSE_SECONDS)
        return DagRun(api=self, dag_id=dag_id, run_id=run_id)

    def runs(self, dag_id: str) -> list[DagRun]:
        """The runs of a DAG, whatever has begun them."""
        listed = self._listed(f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns", "dag_runs")
        return [DagRun(api=self, dag_id=dag_id, run_id=run["dag_run_id"]) for run in listed]

    def _listed(self, path: str, key: str) -> list[Json]:
        answer: list[Json] = self.request("GET", path, params={"limit": 100})[key]
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRun:
    """One run of a DAG."""

    api: AirflowApi = field(repr=False)
    dag_id: str
    run_id: str

    @property
    def path(self) -> str:
        """The run's path in the API."""
        return f"/api/v2/dags/{quote(self.dag_id, safe='')}/dagRuns/{quote(self.run_id, safe='')}"

    @property
    def state(self) -> str:
        """queued, running, success or failed."""
        return str(self.api.request("GET", self.path)["state"])

    def task(self, task_id: str, map_index: int = -1) -> TaskInstance:
        """One task of this run; ``map_index`` for one of a mapped task."""
        return TaskInstance(run=self, task_id=task_id, map_index=map_index)

    def tasks(self) -> list[TaskInstance]:
        """Every task of this run, expanded ones once per map index."""
        found = self._task_instances()
        return [self.task(one["task_id"], one["map_index"]) for one in found]

    def task_states(self) -> dict[str, str | None]:
        """The state of each task, expanded ones as ``task_id[map_index]``."""
        return {_label(one["task_id"], one["map_index"]): one["state"] for one in self._task_instances()}

    def mark(self, state: str) -> None:
        """Set the state by hand to success or failed, as a user does to end a run."""
        self.api.request("PATCH", self.path, json={"state": state})

    def wait_for(self, *states: str, within_seconds: float = ROOM_SECONDS) -> str:
        """Wait until the run is in one of the states, and return it."""
        return until(
            lambda: _one_of(self._checked_state(), states),
            within_seconds=within_seconds,
            what=f"the run {self.dag_id} {self.run_id} is {' or '.join(states)}",
            say=lambda: f"It is {self.state}; its tasks: {self.task_states()}",
        )

    def wait(self, within_seconds: float = ROOM_SECONDS) -> str:
        """Wait until the run has ended, and return how."""
        return self.wait_for(*ENDED, within_seconds=within_seconds)

    def _checked_state(self) -> str:
        self.api.check()
        return self.state

    def _task_instances(self) -> list[Json]:
        answer: list[Json] = self.api.request("GET", f"{self.path}/taskInstances", params={"limit": 100})[
            "task_instances"
        ]
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInstance:
    """One task of a DAG run."""

    run: DagRun
    task_id: str
    map_index: int = -1

    @property
    def label(self) -> str:
        """``task_id``, or ``task_id[map_index]``."""
        return _label(self.task_id, self.map_index)

    @property
    def state(self) -> str | None:
        """The state, None before the task was scheduled."""
        state: str | None = self.read()["state"]
        return state

    @property
    def try_number(self) -> int:
        """The number of the current try, from 1."""
        return int(self.read()["try_number"])

    def read(self) -> Json:
        """Everything that Airflow says of this task instance."""
        answer: Json = self._request("GET", self._instance_path)
        return answer

    def wait_for(self, *states: str, try_number: int | None = None, within_seconds: float = ROOM_SECONDS) -> Json:
        """
        Wait until the task is in one of the states, and return what Airflow says of it.

        :param try_number: count the states of this try only; a clear or a retry makes the next one.
        """
        return until(
            lambda: self._read_if(states, try_number),
            within_seconds=within_seconds,
            what=f"{self.run.dag_id}.{self.label} is {' or '.join(states)}",
            say=self._say,
        )

    def log(self, try_number: int | None = None) -> str:
        """The log of one try, the current one if none is named; errors come with type and message."""
        number = self.try_number if try_number is None else try_number
        content = self._request(
            "GET",
            f"{self._path}/logs/{number}",
            params={"map_index": self.map_index, "full_content": True},
            headers={"Accept": "application/json"},
        )["content"]
        return "\n".join(_log_lines(content))

    def xcom(self, key: str = "return_value") -> Any:
        """The value of one XCom, as it is stored."""
        return self._request(
            "GET", f"{self._path}/xcomEntries/{quote(key, safe='')}", params={"map_index": self.map_index}
        )["value"]

    def xcom_keys(self) -> set[str]:
        """The keys of this task's XComs."""
        listed = self._request("GET", f"{self._path}/xcomEntries", params={"map_index": self.map_index, "limit": 100})
        return {entry["key"] for entry in listed["xcom_entries"]}

    def links(self) -> dict[str, str | None]:
        """The extra links of this task, as the UI shows them."""
        listed = self._request("GET", f"{self._path}/links", params={"map_index": self.map_index})
        return dict(listed["extra_links"])

    def mark(self, state: str) -> None:
        """Set the state by hand to success, failed or skipped, as a user does to end a task."""
        self._request("PATCH", self._instance_path, json={"new_state": state})

    def clear(self) -> None:
        """
        Clear the task, so that it runs anew.

        After a task's end, wait for the end of its run first: Airflow can lose a clear that meets the
        scheduler just as that ends the run.
        """
        name = self.task_id if self.map_index < 0 else [self.task_id, self.map_index]
        body = {
            "dry_run": False,
            "only_failed": False,
            "dag_run_id": self.run.run_id,
            "task_ids": [name],
        }
        self._request("POST", f"/api/v2/dags/{quote(self.run.dag_id, safe='')}/clearTaskInstances", json=body)

    @property
    def _path(self) -> str:
        return f"{self.run.path}/taskInstances/{quote(self.task_id, safe='')}"

    @property
    def _instance_path(self) -> str:
        return self._path if self.map_index < 0 else f"{self._path}/{self.map_index}"

    def _request(self, method: str, path: str, **options: Any) -> Any:
        return self.run.api.request(method, path, **options)

    def _read_if(self, states: Iterable[str], try_number: int | None) -> Json | None:
        self.run.api.check()
        seen = self.read()
        is_wanted = seen["state"] in states and try_number in (None, seen["try_number"])
        return seen if is_wanted else None

    def _say(self) -> str:
        seen = self.read()
        number = seen["try_number"]
        logs = "\n".join(f"--- try {one}\n{self.log(one)}" for one in range(1, number + 1))
        return f"It is {seen['state']} in try {number} of a {self.run.state} run; its log:\n{logs}"


def _label(task_id: str, map_index: int) -> str:
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"


def _one_of(state: str, states: Iterable[str]) -> str | None:
    return state if state in states else None


def _log_lines(content: list[Json | str]) -> Iterable[str]:
    for entry in content:
        if isinstance(entry, str):
            yield entry
            continue
        if not entry["event"].startswith(_GROUP_MARKS):
            yield " ".join(str(entry[key]) for key in ("timestamp", "level", "event") if entry.get(key))
        for error in entry.get("error_detail") or ():
            yield f"{error['exc_type']}: {error['exc_value']}"
