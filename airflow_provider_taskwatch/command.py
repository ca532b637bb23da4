"""What ``airflow taskwatch ...`` does."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow._shared.state import TaskScope
from airflow.state import get_state_backend
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from airflow_provider_taskwatch.core.error import ConfigurationError, MovedError, TaskWatchError, at_step, described
from airflow_provider_taskwatch.core.listen import cannot_listen
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.start import Record, from_json, has_moved, objection
from airflow_provider_taskwatch.core.system import safe_ref
from airflow_provider_taskwatch.task.job import KEY

if TYPE_CHECKING:
    from airflow_provider_taskwatch.core.outcome import Outcome
    from airflow_provider_taskwatch.core.plan import Plan
    from airflow_provider_taskwatch.core.watch import Poll
    from airflow_provider_taskwatch.hooks.taskwatch import SystemHook, TaskWatchHook
    from airflow_provider_taskwatch.inbox.protocol import Inbox

out = Console()


def sandbox(args: Namespace) -> None:
    """Serve the emulators until interrupted."""
    from airflow_provider_taskwatch.sandbox.server import serve
    from airflow_provider_taskwatch.sandbox.state import opened

    state = Path(args.state) if args.state else None
    try:
        with opened(state) as emulators:
            emulators.change({"acquia": {"token_lifetime": args.token_lifetime}}, time.time())
            serve(args.host, args.port, sandbox=emulators, state=state)
    except ConfigurationError as error:
        _say("red", str(error))
        sys.exit(2)
    except OSError as error:
        _say("red", cannot_listen("the sandbox", args.host, args.port, error))
        sys.exit(1)


def check(args: Namespace) -> None:
    """Test a connection, the way of callbacks, or both, step by step; exit 1 at the first step that fails."""
    if not (args.conn_id or args.callbacks):
        _say("red", "nothing to check; name a connection, or --callbacks")
        sys.exit(1)
    try:
        for step, text in _steps(args):
            is_fine = step != "warning"
            _say("green" if is_fine else "yellow", f"{'ok' if is_fine else '!!'}  {step:<11}", text)
    except TaskWatchError as error:
        _say("red", f"FAILED  {error.step or 'settings':<11}", str(error))
        sys.exit(1)


def _steps(args: Namespace) -> Iterator[tuple[str, str]]:
    if args.conn_id:
        yield from _hook(args.conn_id).check()
    if args.callbacks:
        yield from _callback_steps()


def _callback_steps() -> Iterator[tuple[str, str]]:
    from airflow_provider_taskwatch.config.callback import callback_options
    from airflow_provider_taskwatch.config.inbox import open_inbox
    from airflow_provider_taskwatch.probe import prove
    from airflow_provider_taskwatch.receiver.token import fresh_secret, secrets_problem

    settings = callback_options()
    if problem := secrets_problem(settings.secrets):
        _say("", f"a fresh secret: AIRFLOW__TASKWATCH__CALLBACK_SECRETS={fresh_secret()}")
        what = problem.rpartition(";")[0]
        raise ConfigurationError(f"{what}; set the fresh secret above wherever tasks and receivers run")
    with at_step("inbox"):
        store = open_inbox()
    with closing(store):
        yield from prove(settings, store)


def receiver(args: Namespace) -> None:
    """Serve the receiver of callbacks until interrupted; of Airflow it needs the configuration and nothing else."""
    from airflow_provider_taskwatch.config.callback import callback_options
    from airflow_provider_taskwatch.config.inbox import find_seal, open_inbox
    from airflow_provider_taskwatch.receiver.app import create_app
    from airflow_provider_taskwatch.receiver.server import serve

    try:
        settings = callback_options()
        seal, count = find_seal(), _counter()
        app = create_app(open_inbox(), settings.keys(), url=settings.base_url, seal=seal, count=count)
        serve(app, args.host, args.port, show=lambda url: _say("", f"the receiver listens on {url}"))
    except TaskWatchError as error:
        _say("red", str(error))
        sys.exit(1)
    except OSError as error:
        _say("red", cannot_listen("the receiver", args.host, args.port, error))
        sys.exit(1)


def push_url(args: Namespace) -> None:
    """Print the address at which a remote is to push its events, and the header that it must send if one is wanted."""
    from airflow_provider_taskwatch.config.callback import callback_options
    from airflow_provider_taskwatch.receiver.push import API_KEY, ticket_for

    try:
        ticket = ticket_for(_hook(args.conn_id).settings, needs_key=args.api_key)
        address = callback_options().push_address(ticket)
    except TaskWatchError as error:
        _say("red", str(error))
        sys.exit(1)
    _say("", address.url)
    if args.api_key:
        _say("", f"{API_KEY}: {address.key}")


def _counter() -> Callable[[str], None]:
    """Airflow's own counters, which a component of Airflow sets up for itself."""
    from airflow.configuration import conf
    from airflow.observability.metrics.stats_utils import get_stats_factory
    from airflow.observability.stats import incr, initialize

    initialize(factory=get_stats_factory(), export_legacy_names=conf.getboolean("metrics", "legacy_names_on"))
    return incr


def inbox(args: Namespace) -> None:
    """Show who writes into the inbox and who reads feeds into it, delete what is old, or print a key for it."""
    from airflow_provider_taskwatch.config.inbox import open_inbox, retention_days
    from airflow_provider_taskwatch.inbox.seal import fresh_key

    try:
        if args.action == "key":
            _say("", f"a fresh key: AIRFLOW__TASKWATCH__INBOX_KEYS={fresh_key()}")
            return
        with closing(open_inbox()) as store:
            if args.action == "prune":
                days = retention_days() if args.older_than_days is None else args.older_than_days
                _prune(store, days, with_sealed=args.sealed)
            elif args.action == "show":
                _show_sealed(store, is_raw=args.raw)
            else:
                _show_inbox(store)
    except TaskWatchError as error:
        _say("red", str(error))
        sys.exit(1)


def _prune(store: Inbox, days: float, *, with_sealed: bool) -> None:
    """Delete what is old. Replies that a remote has forgotten, and nobody has read, only where that is asked for."""
    from airflow_provider_taskwatch.inbox.message import DAY_SECONDS

    before = time.time() - days * DAY_SECONDS
    _say("", f"{_pruned(store, before)} messages older than {days:g} days are deleted")
    if forgotten := store.forget_sealed(before, unread=with_sealed):
        _say("", f"{forgotten} sealed replies older than {days:g} days are deleted")
    if left := sum(one.received_at < before for one in store.sealed(unread=True)):
        _say("yellow", f"{left} sealed replies that nobody has read yet are kept;", "--sealed deletes them, too")


def _pruned(store: Inbox, before: float) -> int:
    """Delete step by step, as a long transaction would keep callbacks waiting."""
    from airflow_provider_taskwatch.inbox.message import PRUNE_MESSAGES

    total = 0
    while deleted := store.prune(before, PRUNE_MESSAGES):
        total += deleted
    return total


def _show_inbox(store: Inbox) -> None:
    from airflow_provider_taskwatch.hub.canceller import unsettled
    from airflow_provider_taskwatch.inbox.aside import asides

    _say("", repr(store))
    for one in store.heartbeats():
        _say("", f"receiver on {one.host}, {one.age_seconds:.0f} s ago", one.url)
    for name, holder in store.holders().items():
        _say("", f"{name}: held by {holder}")
    for feed, number in Counter(one.feed for one in asides(store)).items():
        _say("red", f"{feed}: {number} of its events cannot be read and are set aside;", "see `inbox show`")
    for cancel in unsettled(store):
        _say("red", f"{cancel.ref} of {cancel.conn_id} is still to be cancelled:", f"a user has ended {cancel.task}")


def _show_sealed(store: Inbox, *, is_raw: bool) -> None:
    """Replies whose events are not stored, and what was set aside; what is in them only where that is asked for."""
    from airflow_provider_taskwatch.config.inbox import open_seal
    from airflow_provider_taskwatch.inbox.aside import asides

    sealed, others = list(store.sealed()), list(asides(store))
    if not sealed and not others:
        _say("", "nothing is set aside, and all replies are stored")
    for one in sealed:
        _say("", f"{one.feed} at {_second(one.received_at)}:", one.problem or "its events are not stored yet")
        if is_raw:
            _say("", open_seal().open(one.content).decode(errors="replace"))
    for other in others:
        _say("", f"{other.feed} at {_second(other.received_at)}:", other.problem)
        if is_raw:
            _say("", other.open(open_seal).decode(errors="replace"))


def _second(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def watch(args: Namespace) -> None:
    """Show a remote task's progress until it ends; exit 0 only on success."""
    from airflow_provider_taskwatch.core.plan import Plan

    told_last: list[Observation] = []
    try:
        hook = _system_hook(args.conn_id)
        ref = hook.system.check_ref(args.ref)
        if doubt := hook.system.doubt(ref):
            _say("yellow", doubt)
        plan = Plan(ref=ref, ends_at=args.timeout)
        watched = _watched_by_bar if out.is_terminal else _watched_by_line
        outcome = watched(hook, plan, told_last)
    except TaskWatchError as error:
        _say("red", str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        _say("", f"stopped watching; {args.ref} {_left_as(told_last)}")
        sys.exit(130)
    _say("", outcome.message)
    sys.exit(0 if outcome.ending.is_ok else 1)


def _left_as(seen: list[Observation]) -> str:
    """What is known of a task that is not watched any more."""
    if not seen:
        return "could not be read at the remote so far"
    return "was not found at the remote so far" if _is_absent(seen[-1]) else "goes on at the remote"


def _watched_by_bar(hook: SystemHook, plan: Plan, last: list[Observation]) -> Outcome:
    from airflow_provider_taskwatch.drive.blocking import wait

    with _bar() as bar:
        row = bar.add_task(f"{hook.system.noun} {plan.ref}", total=100, phase="")

        def tell(told: Observation | TaskWatchError, _: Poll | None) -> None:
            if isinstance(told, Observation):
                last[:] = [told]
            _show(bar, row, told)

        outcome = wait(hook.driver, hook.system, plan, tell=tell)
        if outcome.ending.is_ok:
            bar.update(row, total=100, completed=100)
    return outcome


def _watched_by_line(hook: SystemHook, plan: Plan, last: list[Observation]) -> Outcome:
    """Without a terminal: a line for each change, as in a task's log."""
    from airflow_provider_taskwatch.core.change_log import ChangeLog
    from airflow_provider_taskwatch.drive.blocking import wait

    changes = ChangeLog(hook.system.noun)

    def tell(told: Observation | TaskWatchError, then: Poll | None) -> None:
        if isinstance(told, Observation):
            last[:] = [told]
        if line := changes.line(told, then):
            _say("", line)

    return wait(hook.driver, hook.system, plan, tell=tell)


def adopt(args: Namespace) -> None:
    """Store a ref that a person has found, so that the task's next attempt waits for it instead of starting anew."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    names = {"dag_id": args.dag_id, "run_id": args.run_id, "task_id": args.task_id, "map_index": args.map_index}
    scope, store = TaskScope(**names), get_state_backend()
    try:
        with create_session() as session:
            stored = store.get(scope, KEY, session=session)
            task = TaskInstance.get_task_instance(**names, session=session)
            state = task and task.state
        if stored is None:
            raise ConfigurationError(_no_record(args, is_known=task is not None))
        record, found = _adoption(stored, args.ref, state and str(state), force=args.force)
        with create_session() as session:
            if store.get(scope, KEY, session=session) != stored:
                raise ConfigurationError("the task has written down something else meanwhile; look again")
            store.set(scope, KEY, json.dumps(record.to_json()), session=session)
    except TaskWatchError as error:
        _say("red", str(error))
        sys.exit(1)
    _say("", f"{args.task_id} has adopted {record.ref} ({found}); clear the task to wait for it")


def _no_record(args: Namespace, *, is_known: bool) -> str:
    """Why a task cannot adopt anything, by its names."""
    mapped = f" with map index {args.map_index}" if args.map_index >= 0 else ""
    task = f"task {args.task_id!r} of DAG {args.dag_id!r} in run {args.run_id!r}{mapped}"
    if is_known:
        return f"{task} has not tried to start anything, so there is nothing that it could have lost"
    return f"there is no {task}; its DAG, run and task id (and map index) are in the address of its page"


def _adoption(stored: str | None, ref: str, state: str | None, *, force: bool) -> tuple[Record, str]:
    """The record with the ref in it, and what the remote says of it.

    :param stored: the record as it is.
    :param state: of the Airflow task.
    :param force: whether to do it though something speaks against it.
    """
    before = _recorded(stored)
    checked, found = _checked(before, ref, force=force)
    if not force and (problem := objection(before, checked, state)):
        raise ConfigurationError(f"{problem}; --force adopts {checked} all the same")
    return _adopted(stored, checked), found


def _checked(record: Record, ref: str, *, force: bool) -> tuple[str, str]:
    """The ref as its remote writes it, and what the remote says of it."""
    if not record.conn_id:
        return safe_ref(ref, "task"), "not checked: the record of an earlier version does not name the connection"
    checked = safe_ref(ref, "task")
    try:
        hook = _system_hook(record.conn_id)
    except TaskWatchError as error:
        return checked, _forced(checked, error, force=force)
    checked = hook.system.check_ref(ref)
    try:
        return checked, _found(hook, record, checked)
    except TaskWatchError as error:
        return checked, _forced(checked, error, force=force)


def _found(hook: SystemHook, record: Record, ref: str) -> str:
    """What the remote says of a ref, if it is the one to which the start was sent, and knows the ref."""
    if has_moved(record.id_space, here := hook.system.id_space(hook.settings)):
        raise MovedError(record.conn_id, record.id_space, here)
    seen = hook.run(hook.system.observe(ref))
    if seen.phase.is_final and not seen.status:
        raise ConfigurationError(f"the remote knows no {hook.system.noun} {ref}")
    return seen.describe()


def _forced(ref: str, error: TaskWatchError, *, force: bool) -> str:
    """What speaks against a ref, where a person adopts it all the same; else an error that says so."""
    if not force:
        raise ConfigurationError(f"{error}; --force adopts {ref} all the same") from error
    return f"forced: {error}"


def _adopted(stored: str | None, ref: str) -> Record:
    """The record of the start with the ref in it; without ``max_tries`` the next attempt rejoins it in any case.

    It is rejoined wherever the connection leads by then.
    """
    return replace(
        _recorded(stored), ref=safe_ref(ref, "task"), max_tries=None, is_delivered=False, id_space="", is_adopted=True
    )


def _recorded(stored: str | None) -> Record:
    record = from_json(json.loads(stored or "null"))
    if record is None:
        raise ConfigurationError(
            "that task has not tried to start anything; only a task of this provider that has can adopt something, "
            "and its DAG, run and task id (and map index) are shown in the address of its page"
        )
    return record


def _hook(conn_id: str) -> TaskWatchHook:
    """The hook for a connection, by its type; stored connections count too, as a command may read the database."""
    from airflow.exceptions import AirflowException
    from airflow.models.connection import Connection

    from airflow_provider_taskwatch.config.connection import settings_of

    try:
        connection = Connection.get_connection_from_secrets(conn_id)
    except AirflowException as cause:
        raise ConfigurationError(f"connection {conn_id!r} cannot be read: {described(cause)}") from cause
    kind = _hook_classes().get(connection.conn_type or "")
    if kind is None:
        raise ConfigurationError(
            f"connection {conn_id!r} has the type {connection.conn_type!r}; "
            f"this command knows {', '.join(_hook_classes())}"
        )
    hook = kind(conn_id)
    hook.settings = settings_of(connection, kind.form)
    return hook


def _hook_classes() -> dict[str, type[TaskWatchHook]]:
    from airflow_provider_taskwatch.hooks.acquia import AcquiaHook
    from airflow_provider_taskwatch.hooks.acronis import AcronisHook
    from airflow_provider_taskwatch.hooks.aps import ApsHook
    from airflow_provider_taskwatch.hooks.automic import AutomicHook
    from airflow_provider_taskwatch.hooks.docplanner import DocplannerHook
    from airflow_provider_taskwatch.hooks.taskwatch import TaskWatchHook

    kinds = (TaskWatchHook, AcquiaHook, AutomicHook, AcronisHook, ApsHook, DocplannerHook)
    return {kind.conn_type: kind for kind in kinds}


def _system_hook(conn_id: str) -> SystemHook:
    from airflow_provider_taskwatch.hooks.taskwatch import SystemHook

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
        total = None if told.progress is None else 100
        phase = "not found" if _is_absent(told) else str(told.phase)
        bar.update(row, total=total, completed=told.progress or 0, phase=phase)
    else:
        bar.update(row, phase=str(told))


def _is_absent(seen: Observation) -> bool:
    """Whether a reading says no more than that the remote does not know the id."""
    return seen.phase is Phase.LOST and not seen.status
