"""``taskwatch adopt``: writes a ref into the record of a task, so that its next attempt waits for it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_taskwatch.compat.state_backend import stored_task_state
from airflow_provider_taskwatch.config.airflow_id import stored_airflow_id
from airflow_provider_taskwatch.config.inbox import open_shared_inbox
from airflow_provider_taskwatch.core.error import ConfigurationError, MovedError, TaskWatchError, described
from airflow_provider_taskwatch.core.record import Record, from_json
from airflow_provider_taskwatch.core.start import objection
from airflow_provider_taskwatch.core.system import has_moved, safe_ref
from airflow_provider_taskwatch.inbox.task_state import TaskKey
from airflow_provider_taskwatch.task.inbox_state import InboxTaskState, RunMark, next_mark
from airflow_provider_taskwatch.task.job import KEY
from airflow_provider_taskwatch.task.task_state import NOT_SHARED, SHARE_IT

from .console import exit_on_error, say
from .hook import system_hook_for

if TYPE_CHECKING:
    from airflow_provider_taskwatch.hooks.taskwatch import SystemHook


class RecordStore(Protocol):
    """Where the record of one task instance is kept."""

    def get(self, key: str) -> Any:
        """The value of a key; None where there is none."""

    def amend(self, key: str, value: Any) -> bool:
        """Replace a value that was read; False where another one was written meanwhile."""


def adopt(args: Namespace) -> None:
    """Store a ref that a person has found. The task's next attempt waits for it and starts nothing."""
    names = {"dag_id": args.dag_id, "run_id": args.run_id, "task_id": args.task_id, "map_index": args.map_index}
    with exit_on_error():
        state, mark = _task_instance(names)
        if (place := find_record(_states(names, mark))) is None:
            raise ConfigurationError(_no_record(args, is_known=mark is not None))
        store, stored = place
        record, found = adoption(stored, args.ref, state, force=args.force)
        if not store.amend(KEY, record.to_json()):
            raise ConfigurationError("the task has written another record meanwhile; check it and try again")
    say("", f"{args.task_id} has adopted {record.ref} ({found}); clear the task to wait for it")


def _task_instance(names: Mapping[str, Any]) -> tuple[str | None, RunMark | None]:
    """The state of a task instance, and the mark of its next attempt; None where the task instance does not exist.

    :raises ConfigurationError: where Airflow's database does not answer.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    try:
        with create_session() as session:
            task = TaskInstance.get_task_instance(**names, session=session)
            return (None, None) if task is None else (task.state and str(task.state), next_mark(task))
    except Exception as cause:
        raise ConfigurationError(
            f"Airflow's database cannot be asked for the task: {described(cause):.200}; run this where Airflow's own "
            "commands work, with the same AIRFLOW_HOME and configuration"
        ) from cause


def find_record(states: Iterable[RecordStore]) -> tuple[RecordStore, Any] | None:
    """Where the record is kept, and the record; None where there is none."""
    found = ((state, state.get(KEY)) for state in states)
    return next((one for one in found if one[1] is not None), None)


def _states(names: Mapping[str, Any], mark: RunMark | None) -> Iterator[RecordStore]:
    """Where a record may be kept: in Airflow's store, and in the inbox, which an Airflow below 3.3 uses for it.

    :raises ConfigurationError: where neither can keep one.
    """
    if has_store := (store := stored_task_state(**names)) is not None:
        yield store
    airflow = stored_airflow_id()
    if mark is None or (has_store and airflow is None):
        return
    if (inbox := open_shared_inbox()) is not None:
        if airflow is not None:
            yield InboxTaskState(inbox, TaskKey(airflow=airflow, **names), mark)
    elif not has_store:
        raise ConfigurationError(f"no task keeps a record of its start: {NOT_SHARED}; {SHARE_IT}")


def _no_record(args: Namespace, *, is_known: bool) -> str:
    """Explains why a task cannot adopt anything."""
    mapped = f" with map index {args.map_index}" if args.map_index >= 0 else ""
    task = f"task {args.task_id!r} of DAG {args.dag_id!r} in run {args.run_id!r}{mapped}"
    if is_known:
        return f"{task} has not tried to start anything, so there is nothing that it could have lost"
    return f"there is no {task}; its DAG, run and task id (and map index) are in the address of its page"


def adoption(stored: Any, ref: str, state: str | None, *, force: bool) -> tuple[Record, str]:
    """The record with the ref in it, and what the remote says of the ref.

    :param stored: the record in its stored form.
    :param state: of the Airflow task.
    :param force: whether to adopt the ref although the remote or the state speaks against it.
    """
    before = from_json(stored)
    if before is None:
        raise ConfigurationError(
            "that task has not tried to start anything; only a task of this provider that has can adopt something, "
            "and its DAG, run and task id (and map index) are shown in the address of its page"
        )
    checked, found = _checked(before, ref, force=force)
    if not force and (problem := objection(before, checked, state)):
        raise ConfigurationError(f"{problem}; --force adopts {checked} all the same")
    return adopted(before, checked), found


def adopted(record: Record, ref: str) -> Record:
    """The record of a start with the ref in it.

    Without ``max_tries`` and ``id_space`` the next attempt rejoins the ref in any case, wherever the connection leads.
    """
    checked = ref if record.options else safe_ref(ref, "task")
    return replace(record, ref=checked, max_tries=None, is_delivered=False, id_space="", is_adopted=True)


def _checked(record: Record, ref: str, *, force: bool) -> tuple[str, str]:
    """The ref as its remote writes it, and what the remote says of it."""
    if not record.conn_id:
        return safe_ref(ref, "task"), "not checked: the record of an earlier version does not name the connection"
    try:
        hook = system_hook_for(record.conn_id)
    except TaskWatchError as error:
        checked = safe_ref(ref, "task")
        return checked, _forced(checked, error, force=force)
    checked = hook.system.check_ref(ref)
    if record.options:
        return checked, "not checked: its profile is in the DAG"
    try:
        return checked, _found(hook, record, checked)
    except TaskWatchError as error:
        return checked, _forced(checked, error, force=force)


def _found(hook: SystemHook, record: Record, ref: str) -> str:
    """What the remote says of a ref.

    :raises ConfigurationError: the remote does not know it.
    :raises MovedError: the start was sent to another id space.
    """
    if has_moved(record.id_space, here := hook.system.id_space(hook.settings)):
        raise MovedError(record.conn_id, record.id_space, here)
    seen = hook.run(hook.system.observe(ref))
    if seen.phase.is_final and not seen.status:
        raise ConfigurationError(f"the remote knows no {hook.system.noun} {ref}")
    return seen.describe()


def _forced(ref: str, error: TaskWatchError, *, force: bool) -> str:
    """The reason against a ref that is adopted with ``--force``.

    :raises ConfigurationError: without ``--force``.
    """
    if not force:
        raise ConfigurationError(f"{error}; --force adopts {ref} all the same") from error
    return f"forced: {error}"
