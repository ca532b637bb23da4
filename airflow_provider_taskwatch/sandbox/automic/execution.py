"""One execution of an Automation Engine: what it remembers, its state, and how the API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.sandbox.answer import utc
from airflow_provider_taskwatch.sandbox.task import Task, TaskState, Vocabulary

from .status import phase, text

VOCABULARY = Vocabulary(
    outcomes={
        "success": "1900",
        "failure": "1800",
        "cancelled": "1850",
        "skipped": "1930",
        "lost": "1815",
        "blocked": "1560",
        "unknown": "2999",
    },
    stages=((0.0, "1540"), (0.1, "1550"), (0.95, "1575")),
    phase=phase,
)

TYPES = ("JOBS", "JOBP", "JOBF", "JOBG", "JOBQ", "JOBD", "JSCH", "SCRI", "EVNT", "CALL", "API")
PARENTS = ("JOBP", "JSCH", "JOBG")
CALLBACK = "CBCK"
STEPS = ("JOBS.FIRST", "JOBS.SECOND", "JOBS.THIRD")
"""The tasks of a workflow whose rule names none."""

WAITS_FOR_RELEASE, WAITS_FOR_START, QUEUE_STOPPED = "1693", "1698", "1564"


@dataclass(slots=True, kw_only=True, eq=False)
class Execution(Task):
    """One run of an object.

    :param step: position among the tasks of a workflow, whose state follows from the workflow's; None for
        an execution with a state of its own.
    :param reference: run id of the execution that this one restarts.
    :param is_recursive: whether it was cancelled together with its children.
    :param about: the execution whose end this callback reports.
    """

    kind: str
    user: str
    queue: str
    parent: Execution | None = None
    step: int | None = None
    children: list[Execution] = field(default_factory=list)
    reference: str = ""
    comments: list[dict[str, str]] = field(default_factory=list)
    is_recursive: bool = False
    about: Execution | None = None

    @property
    def run_id(self) -> int:
        return int(self.ref)

    @property
    def inputs(self) -> Mapping[str, Any]:
        return self.request.get("inputs") or {}

    @property
    def variables(self) -> dict[str, Any]:
        return {f"&{name}": item for name, item in self.inputs.items()}

    @property
    def options(self) -> Mapping[str, Any]:
        """The rule's options, which are about the execution that was started and not its children."""
        return self.rule.options if self.parent is None else {}

    @property
    def expected_seconds(self) -> int:
        return int(self.options.get("estimated_runtime", self.rule.duration))


def kind_of(name: str) -> str:
    """The type of an object, from the first part of its name, as most installations name their objects."""
    prefix = name.partition(".")[0]
    return prefix if prefix in TYPES else "JOBS"


def read_step(workflow: Execution, step: int, above: TaskState, now: float) -> TaskState:
    """A workflow's tasks run one after the other; one that ends badly stops at its failing task."""
    failing = _failing(workflow)
    count = len(workflow.children) if failing is None else failing + 1
    share = workflow.rule.duration / max(1, count)
    begins_at = None if workflow.begins_at is None else workflow.begins_at + step * share
    stop = above.ended_at if workflow.ending is not None else None
    if begins_at is None or step >= count or (stop is not None and stop < begins_at):
        return _step(_never_run(above), None, above.ended_at)
    if now < begins_at:
        return _step("1700", None, None)
    if workflow.is_recursive and stop is not None and stop < begins_at + share:
        return _step("1850", begins_at, stop)
    if now < begins_at + share:
        return _step("1550", begins_at, None)
    if step == failing:
        return _step("1800", begins_at, begins_at + share, workflow.rule.message)
    return _step("1900", begins_at, begins_at + share)


def _failing(workflow: Execution) -> int | None:
    """The position of the task that fails, where the workflow is to end badly or to block."""
    status = VOCABULARY.outcome(workflow.rule)
    fails = phase(status) is Phase.FAILED or status == "1560"
    return int(workflow.options.get("failing_child", 0)) if fails else None


def _never_run(above: TaskState) -> str:
    """A task that has not begun: it waits, or went with its workflow."""
    if not above.is_ended:
        return "1700"
    return {Phase.CANCELLED: "1851", Phase.SUCCEEDED: "1900"}.get(above.phase, "1802")


def _step(status: str, began_at: float | None, ended_at: float | None, message: str = "") -> TaskState:
    found = phase(status)
    return TaskState(
        status=status,
        phase=found,
        progress=100 if found.is_final else 0,
        message=message,
        began_at=began_at,
        ended_at=ended_at if found.is_final else None,
    )


def show(task: Execution, reading: TaskState, now: float, language: str) -> dict[str, Any]:
    """An execution object; what is null is left out."""
    options, parent = task.options, task.parent
    activator = parent or task.about
    on_agent = task.kind in ("JOBS", "JOBF")
    began_at, ended_at = reading.began_at, reading.ended_at
    content = {
        "name": task.name,
        "type": task.kind,
        "queue": task.queue,
        "run_id": task.run_id,
        "status": int(reading.status) if reading.status.isdecimal() else reading.status,
        "status_text": text(reading.status, language),
        "runtime": 0 if began_at is None else int((now if ended_at is None else ended_at) - began_at),
        "activation_time": moment(task.created_at),
        "start_time": moment(began_at),
        "end_time": moment(ended_at),
        "agent": options.get("agent", "WIN01") if on_agent else None,
        "platform": options.get("platform", "WINDOWS") if on_agent else None,
        "parent": parent.run_id if parent else None,
        "reference_run_id": int(task.reference or 0),
        "line_number": None if task.step is None else task.step + 1,
        "user": task.user,
        "estimated_runtime": task.expected_seconds,
        "archive_key1": options.get("archive_key1"),
        "archive_key2": options.get("archive_key2"),
        "title": options.get("title"),
        "alias": task.marker or None,
        "activator": activator.run_id if activator else None,
        "activator_object_type": activator.kind if activator else "USER",
        "priority": 200,
    }
    return {name: item for name, item in content.items() if item is not None}


def extras(task: Execution, names: list[str]) -> dict[str, Any]:
    """What the query parameter ``fields`` asks for in addition."""
    known = {
        "comments": task.comments,
        "variables": task.variables,
        "reports": ["ACT", "LOG"],
        "restarts": 1 if task.reference else 0,
        "predecessors": [],
        "recurring": task.request.get("recurring") or {},
    }
    return {name: known[name] for name in names if name in known}


def reports(task: Execution, reading: TaskState, now: float) -> dict[str, list[str]]:
    """The lines of each report that there is so far; REP only where the rule's option ``report`` gives it."""
    activation = f"{moment(task.created_at)} - '{task.name}' with RunID {task.run_id:010} was activated."
    messages = reading.message.splitlines() if reading.is_ended else []
    state = f"{moment(now)} - status {reading.status}: {text(reading.status, 'en')}"
    output = task.options.get("report") if reading.began_at is not None else None
    own = {} if output is None else {"REP": str(output).splitlines()}
    return {"ACT": [activation, *messages], "LOG": [activation, state, *messages], **own}


def moment(seconds: float | None) -> str | None:
    """A time as the API writes it."""
    return None if seconds is None else utc(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")
