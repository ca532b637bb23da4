"""What ``airflow taskwatch ...`` does."""

from __future__ import annotations

import json
import secrets
import sys
import time
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow._shared.state import TaskScope
from airflow.state import get_state_backend
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from .core.error import ConfigurationError, TaskWatchError
from .core.phase import Observation
from .core.start import Record, from_json
from .core.system import safe_ref
from .operators.record import KEY

if TYPE_CHECKING:
    from .hooks.taskwatch import SystemHook, TaskWatchHook

out = Console()


def sandbox(args: Namespace) -> None:
    """Serve the emulators until interrupted."""
    from .sandbox.sandbox import Sandbox
    from .sandbox.server import serve

    emulators = Sandbox()
    emulators.change({"acquia": {"token_lifetime": args.token_lifetime}}, time.time())
    serve(args.host, args.port, sandbox=emulators)


def check(args: Namespace) -> None:
    """Test a connection step by step; exit 1 at the first that fails."""
    try:
        for step, text in _hook(args.conn_id).check():
            _say("green", f"ok  {step:<11}", text)
    except TaskWatchError as error:
        _say("red", "no ", str(error))
        sys.exit(1)


def watch(args: Namespace) -> None:
    """Show a remote task's progress until it ends; exit 0 only on success."""
    from .core.watch import Plan
    from .drive.blocking import wait

    try:
        hook = _system_hook(args.conn_id)
        ref = hook.system.check_ref(args.ref)
        with _bar() as bar:
            row = bar.add_task(f"{hook.system.noun} {ref}", total=100, phase="")
            outcome = wait(
                hook.driver,
                hook.system,
                Plan(ref=ref, ends_at=args.timeout),
                tell=lambda told: _show(bar, row, told),
            )
    except TaskWatchError as error:
        _say("red", str(error))
        sys.exit(2)
    _say("", outcome.message)
    sys.exit(0 if outcome.ending.is_ok else 1)


def adopt(args: Namespace) -> None:
    """Store a ref that a person has found, so that the task's next attempt waits for it instead of starting anew."""
    from airflow.utils.session import create_session

    scope = TaskScope(dag_id=args.dag_id, run_id=args.run_id, task_id=args.task_id, map_index=args.map_index)
    store = get_state_backend()
    try:
        with create_session() as session:
            _must_exist(scope, session)
            record = _adopted(store.get(scope, KEY, session=session), args.ref)
            store.set(scope, KEY, json.dumps(record.to_json()), session=session)
    except TaskWatchError as error:
        _say("red", str(error))
        sys.exit(1)
    _say("", f"{args.task_id} has adopted {args.ref}; clear the task to wait for it")


def _adopted(stored: str | None, ref: str) -> Record:
    """The record of the start with the ref in it; without ``max_tries`` the next attempt rejoins it in any case."""
    record = from_json(json.loads(stored or "null"))
    if record is None:
        record = Record(
            start_id=secrets.token_hex(6),
            fingerprint="",
            max_tries=None,
            started_at=datetime.now(UTC).isoformat(),
        )
    return replace(record, ref=safe_ref(ref, "task"), max_tries=None, is_delivered=False)


def _must_exist(scope: TaskScope, session: Any) -> None:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    row = select(TaskInstance.id).filter_by(
        dag_id=scope.dag_id, run_id=scope.run_id, task_id=scope.task_id, map_index=scope.map_index
    )
    if session.scalar(row) is None:
        raise ConfigurationError(f"there is no task instance {scope}; the ids are shown in the UI's address")


def _hook(conn_id: str) -> TaskWatchHook:
    """The hook for a connection, by its type."""
    from airflow.sdk import BaseHook

    from .hooks.taskwatch import TaskWatchHook

    try:
        hook = BaseHook.get_hook(conn_id)
    except Exception as cause:
        raise ConfigurationError(f"connection {conn_id!r} cannot be used: {cause}") from cause
    if not isinstance(hook, TaskWatchHook):
        raise ConfigurationError(f"connection {conn_id!r} is not one of this provider's types")
    return hook


def _system_hook(conn_id: str) -> SystemHook:
    from .hooks.taskwatch import SystemHook

    hook = _hook(conn_id)
    if not isinstance(hook, SystemHook):
        raise ConfigurationError(f"connection {conn_id!r} has no tasks to watch")
    return hook


def _say(style: str, head: str, rest: str = "") -> None:
    """Print one line as it is: what a remote says may look like rich's markup."""
    out.print(Text.assemble((head, style), f" {rest}" if rest else ""), soft_wrap=True)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[phase]}", markup=False),
        TimeElapsedColumn(),
        console=out,
    )


def _show(bar: Progress, row: TaskID, told: Observation | TaskWatchError) -> None:
    if isinstance(told, Observation):
        bar.update(row, completed=told.progress or 0, phase=str(told.phase))
    else:
        bar.update(row, phase=str(told))
