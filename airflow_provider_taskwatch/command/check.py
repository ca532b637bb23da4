"""``taskwatch check``: tests a connection, or the receiver of callbacks, step by step."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing

from airflow_provider_taskwatch.core.error import ConfigurationError, TaskWatchError, at_step

from .console import fail, say
from .hook import hook_for


def check(args: Namespace) -> None:
    """Exit with 1 at the first step that fails."""
    if not (args.conn_id or args.callbacks):
        fail("nothing to check; name a connection, or --callbacks")
    try:
        for step, text in _steps(args):
            is_fine = step != "warning"
            say("green" if is_fine else "yellow", f"{'ok' if is_fine else '!!'}  {step:<11}", text)
    except TaskWatchError as error:
        say("red", f"FAILED  {error.step or 'settings':<11}", str(error))
        sys.exit(1)


def _steps(args: Namespace) -> Iterator[tuple[str, str]]:
    if args.conn_id:
        yield from hook_for(args.conn_id).check()
    if args.callbacks:
        yield from _callback_steps()


def _callback_steps() -> Iterator[tuple[str, str]]:
    from airflow_provider_taskwatch.config.callback import callback_options
    from airflow_provider_taskwatch.config.inbox import inbox_name, open_inbox
    from airflow_provider_taskwatch.receiver.token import fresh_secret, secrets_problem

    from .probe import prove

    options = callback_options()
    if problem := secrets_problem(options.secrets):
        say("", f"a fresh secret: AIRFLOW__TASKWATCH__CALLBACK_SECRETS={fresh_secret()}")
        what = problem.rpartition(";")[0]
        raise ConfigurationError(f"{what}; set the fresh secret above wherever tasks and receivers run")
    with at_step("inbox"):
        store = open_inbox()
    with closing(store):
        yield from prove(options, store, inbox_name())
