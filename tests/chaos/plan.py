"""The tasks of a run: what each starts, how its remote work ends, where its worker is killed. Values only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from itertools import cycle
from pathlib import Path

DEADLINE_SECONDS = 20.0
"""The ``timeout`` of jobs that have one."""


class Kind(StrEnum):
    """The kind of task that runs a job."""

    AUTOMIC = "automic"
    """Starts an execution, which keeps a marker, and defers."""
    ON_WORKER = "on_worker"
    """The same, waiting on the worker."""
    DEADLINE = "deadline"
    """The same with a ``timeout`` and ``on_timeout="cancel"``."""
    ACQUIA = "acquia"
    """Starts a task where the remote keeps no marker, and defers."""
    REST = "job"
    """Starts a task at a REST API that keeps nothing of a start, and defers. The value is the name of the profile."""
    REST_REPLAY = "job-replay"
    """The same at one that knows a repeated start by its key."""
    REST_CHOSEN = "job-chosen"
    """The same at one that takes an id of ours."""
    REST_MARKER = "job-marker"
    """The same at one that keeps a marker."""
    SENSOR = "sensor"
    """Waits for an execution that the harness has started."""
    PLAIN = "plain"
    """Airflow alone: an operator that starts an execution with a plain request and defers for a while."""
    PYTHON = "python"
    """Airflow alone: a function on a worker."""


CONTROLS = (Kind.PLAIN, Kind.PYTHON)
"""The control group, which is counted apart."""

RESTS = (Kind.REST, Kind.REST_REPLAY, Kind.REST_CHOSEN, Kind.REST_MARKER)
"""The kinds of REST tasks."""

BY_PATH = (Kind.ACQUIA, *RESTS)
"""The kinds whose jobs are named after the path of their start."""

UNMARKED = (Kind.ACQUIA, Kind.REST)
"""The kinds whose remotes keep nothing by which a start could be found or repeated."""

STARTERS = (Kind.AUTOMIC, Kind.ON_WORKER, Kind.DEADLINE, *BY_PATH)
"""The kinds that start work with this package."""


class Point(StrEnum):
    """The point at which a worker is killed, on the first attempt that reaches it."""

    INTENDED = "intended"
    """The intent is written down, the request is not sent."""
    SENT = "sent"
    """The remote has the request and does the work, the reply is held back."""
    REPLIED = "replied"
    """The reply is here, the ref is not stored."""
    STORED = "stored"
    """The ref is stored, the task is not deferred."""
    RESUMED = "resumed"
    """``execute_complete`` begins."""
    FINISHED = "finished"
    """``execute_complete`` has returned, and Airflow does not know it yet."""


class Victim(StrEnum):
    """Which process of a worker is killed."""

    TASK = "task"
    SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One Airflow task of a run.

    :param name: the object that it starts, or the path.
    :param ends: how its executions end, one after the other; the last one holds for all that follow.
    :param seconds: how long each of them runs.
    :param point: where its worker is killed once; empty for nowhere.
    :param user: what a user does to it while it is deferred: ``fail``, ``clear`` or nothing.
    :param ref: of a sensor: what it waits for.
    """

    name: str
    kind: Kind
    ends: tuple[str, ...] = ("success",)
    seconds: float = 4.0
    point: str = ""
    victim: str = ""
    user: str = ""
    ref: str = ""

    @property
    def is_control(self) -> bool:
        return self.kind in CONTROLS


_MIX = (
    *(Kind.AUTOMIC,) * 7,
    *(Kind.ACQUIA,) * 4,
    *(Kind.ON_WORKER,) * 3,
    *(Kind.SENSOR,) * 2,
    *(Kind.PLAIN,) * 2,
    Kind.DEADLINE,
    Kind.PYTHON,
    *RESTS,
)
"""Of twenty-four jobs."""

_ENDS = {
    Kind.AUTOMIC: (
        ("success",),
        ("failure", "success"),
        ("success",),
        ("skipped",),
        ("success",),
        ("stuck", "success"),
        ("failure", "failure", "success"),
    ),
    Kind.ACQUIA: (("success",), ("failure", "success"), ("success",), ("success",)),
    Kind.ON_WORKER: (("success",), ("success",), ("failure", "success")),
    **dict.fromkeys(RESTS, (("success",), ("success",), ("failure", "success"))),
    Kind.SENSOR: (("success",),),
    Kind.DEADLINE: (("stuck", "success"),),
    Kind.PLAIN: (("success",),),
    Kind.PYTHON: (("success",),),
}
"""How the remote work of one job after the other ends."""

SHARES = (0.1, 0.6, 0.3, 1.0, 0.2, 0.8, 0.45)
"""How long it runs, one job after the other: shares of the longest."""

SHORT_SECONDS = 4.0
"""The shortest remote work, in seconds; jobs of the control group and those that fail or get stuck have it."""


def make_jobs(count: int, longest_seconds: float) -> list[Job]:
    """That number of jobs of all kinds, the same ones in every run.

    :param longest_seconds: of the remote work that is waited for in a triggerer, which costs next to nothing.
    """
    kinds = [_MIX[index * 7 % len(_MIX)] for index in range(count)]
    return [_job(index, kind, kinds[:index].count(kind), longest_seconds) for index, kind in enumerate(kinds)]


def _job(index: int, kind: Kind, nth: int, longest_seconds: float) -> Job:
    ends = _ENDS[kind][nth % len(_ENDS[kind])]
    user = ("fail", "clear")[nth // 7 % 2] if kind is Kind.AUTOMIC and ends[0] == "stuck" else ""
    seconds = _seconds(kind, ends, longest_seconds * SHARES[nth % len(SHARES)])
    return Job(name=_name(kind, index), kind=kind, ends=ends, user=user, seconds=seconds)


def _seconds(kind: Kind, ends: tuple[str, ...], usual: float) -> float:
    if kind in (Kind.PLAIN, Kind.PYTHON) or ends[0] in ("failure", "stuck"):
        return SHORT_SECONDS
    return 2 * SHORT_SECONDS if kind is Kind.ON_WORKER else max(SHORT_SECONDS, usual)


def _name(kind: Kind, index: int) -> str:
    if kind in RESTS:
        return f"teams/c{index:03}/jobs"
    return f"environments/c{index:03}/databases/db/backups" if kind is Kind.ACQUIA else f"JOBS.C{index:03}"


def conn_id_of(kind: Kind) -> str:
    """The connection to a REST API."""
    return f"{kind.replace('-', '_')}_default"


_POINTS = {
    Kind.AUTOMIC: tuple(Point),
    Kind.ACQUIA: tuple(Point),
    Kind.ON_WORKER: (Point.INTENDED, Point.SENT, Point.REPLIED, Point.STORED, Point.FINISHED),
    Kind.PLAIN: (Point.INTENDED, Point.SENT, Point.REPLIED, Point.RESUMED),
    **dict.fromkeys(RESTS, (Point.SENT, Point.REPLIED, Point.INTENDED, Point.RESUMED, Point.STORED, Point.FINISHED)),
}
"""The points at which the worker of each kind can be killed; a short run reaches only the first ones of a rare kind."""


def with_kills(jobs: Iterable[Job], *, of_ten: int) -> list[Job]:
    """The jobs, ``of_ten`` in ten with a point at which their worker is killed: every point, both victims in turn.

    A job whose remote work fails, or to which a user does something, keeps its worker.
    """
    turns = {kind: cycle(_turns(points)) for kind, points in _POINTS.items()}
    killed = []
    for index, job in enumerate(jobs):
        is_due = job.kind in turns and job.ends == ("success",) and index % 10 < of_ten
        point, victim = next(turns[job.kind]) if is_due else ("", "")
        killed.append(replace(job, point=str(point), victim=str(victim)))
    return killed


def _turns(points: Sequence[Point]) -> list[tuple[Point, Victim]]:
    """Every point once, the victims in turn; then once more, the other way round."""
    victims = [*Victim] * (len(points) + 1)
    return [*zip(points, victims, strict=False), *zip(points, victims[1:], strict=False)]


def write(jobs: Sequence[Job], path: Path) -> None:
    """Put the jobs where the DAG reads them."""
    path.write_text(json.dumps([asdict(job) for job in jobs]))


def read(path: Path) -> list[Job]:
    """The jobs in a file of :func:`write`."""
    return [_from_json(one) for one in json.loads(path.read_text())]


def _from_json(one: dict[str, object]) -> Job:
    values = {**one, "kind": Kind(str(one["kind"])), "ends": tuple(one["ends"])}  # type: ignore[arg-type]
    return Job(**values)  # type: ignore[arg-type]
