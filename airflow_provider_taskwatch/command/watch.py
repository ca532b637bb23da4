"""``taskwatch watch``: watches a remote task until it ends."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from airflow_provider_taskwatch.core.error import ConfigurationError, TaskWatchError
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.text import shown_ref

from .console import exit_on_error, out, say
from .hook import system_hook_for

if TYPE_CHECKING:
    from airflow_provider_taskwatch.core.outcome import Outcome
    from airflow_provider_taskwatch.core.plan import Plan
    from airflow_provider_taskwatch.core.system import System
    from airflow_provider_taskwatch.core.watch import Poll
    from airflow_provider_taskwatch.hooks.taskwatch import SystemHook


def watch(args: Namespace) -> None:
    """Exit with 0 on success, 1 on any other end, 2 where nothing can be watched, 130 when interrupted."""
    from airflow_provider_taskwatch.core.plan import Plan

    seen: list[Observation] = []
    try:
        with exit_on_error(code=2):
            hook = system_hook_for(args.conn_id)
            options = rest_options(hook, args) if hook.form.connection_type == "taskwatch" else {}
            system = hook.system.for_wait(options)
            ref = system.check_ref(args.ref)
            if doubt := system.doubt(ref):
                say("yellow", doubt)
            watched = _watched_by_bar if out.is_terminal else _watched_by_line
            outcome = watched(hook, system, Plan(ref=ref, options=options, ends_at=args.timeout), seen)
    except KeyboardInterrupt:
        say("", f"stopped watching; {shown_ref(args.ref)} {_left_as(seen)}")
        sys.exit(130)
    say("", outcome.message)
    sys.exit(0 if outcome.ending.is_ok else 1)


def rest_options(hook: SystemHook, args: Namespace) -> dict[str, Any]:
    """The options of a wait for a task of a general connection: its profile, and the inputs that its polls use.

    :raises ConfigurationError: there is no profile, or an input is missing.
    """
    from airflow_provider_taskwatch.config.profile import find_profile
    from airflow_provider_taskwatch.systems.rest.rules import needed_inputs
    from airflow_provider_taskwatch.systems.rest.system import options_of

    given = args.profile or hook.settings.own.get("profile")
    if not given:
        raise ConfigurationError(
            f"connection {hook.conn_id!r} has no profile: give --profile, a name or a file; "
            "`taskwatch profile list` shows the presets"
        )
    found, inputs = find_profile(given, Path.cwd()), dict(_pair(one) for one in args.input or ())
    needed = needed_inputs([found.profile.poll, found.profile.then, found.profile.result])
    if missing := sorted(needed - inputs.keys()):
        raise ConfigurationError(f"{found.where} needs {', '.join(missing)}: give --input {missing[0]}=VALUE")
    return options_of(found.content, found.profile, inputs)


def _pair(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark:
        raise ConfigurationError(f"--input {text!r} must be NAME=VALUE")
    return name, value


def _left_as(seen: list[Observation]) -> str:
    """The state of a task when the watch stopped, from the newest observation, if any."""
    if not seen:
        return "could not be read at the remote so far"
    return "was not found at the remote so far" if _is_absent(seen[-1]) else "goes on at the remote"


def _watched_by_bar(hook: SystemHook, system: System, plan: Plan, seen: list[Observation]) -> Outcome:
    """On a terminal: a progress bar. ``seen`` keeps the newest observation."""
    from airflow_provider_taskwatch.drive.blocking import wait

    with _bar() as bar:
        row = bar.add_task(f"{system.noun} {shown_ref(plan.ref)}", total=100, phase="")

        def show(polled: Observation | TaskWatchError, _: Poll | None) -> None:
            if isinstance(polled, Observation):
                seen[:] = [polled]
                total = None if polled.progress is None else 100
                phase = "not found" if _is_absent(polled) else str(polled.phase)
                bar.update(row, total=total, completed=polled.progress or 0, phase=phase)
            else:
                bar.update(row, phase=str(polled))

        outcome = wait(hook.driver, system, plan, report=show)
        if outcome.ending.is_ok:
            bar.update(row, total=100, completed=100)
    return outcome


def _watched_by_line(hook: SystemHook, system: System, plan: Plan, seen: list[Observation]) -> Outcome:
    """Without a terminal: a line for each change, as in a task's log. ``seen`` keeps the newest observation.

    The last poll gets no line, because the outcome says the same.
    """
    from airflow_provider_taskwatch.core.change_log import ChangeLog
    from airflow_provider_taskwatch.drive.blocking import wait

    changes = ChangeLog(system.noun)

    def show(polled: Observation | TaskWatchError, next_poll: Poll | None) -> None:
        if isinstance(polled, Observation):
            seen[:] = [polled]
        if next_poll is not None and (line := changes.line(polled, next_poll)):
            say("", line)

    return wait(hook.driver, system, plan, report=show)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[phase]}", markup=False),
        TimeElapsedColumn(),
        console=out,
    )


def _is_absent(seen: Observation) -> bool:
    """Whether the remote does not know the id."""
    return seen.phase is Phase.LOST and not seen.status
