"""``airflow taskwatch``: imported by every ``airflow`` command, so what does the work is imported when it is called."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

COMMANDS = f"{__package__}.command"


def _number(kind: type[int] | type[float], low: float, high: float, what: str) -> Callable[[str], float]:
    """Reads a number within bounds: what a command cannot do with, argparse refuses by the argument's name."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:  # not a number is in no range
            raise ArgumentTypeError(f"{text!r:.80} is not {what} from {low:g} to {high:g}")
        return value

    return read


_PORT = _number(int, 0, 65_535, "a port")
_SECONDS = _number(float, 0.001, 1e9, "a number of seconds")
_DAYS = _number(float, 0.001, 36_500, "a number of days")
_MAP_INDEX = _number(int, -1, 1e9, "a map index")

_CONN_ID = Arg(("conn_id",), help="an Airflow connection")
_REF = Arg(("ref",), help="the remote's id of the task")


def get_commands() -> list[Any]:
    """What the provider adds to Airflow's command line."""
    return [
        GroupCommand(
            name="taskwatch",
            help="Watch tasks in other systems",
            subcommands=(
                _command("sandbox", "sandbox.sandbox", "Serve emulators of the remotes", _SANDBOX),
                _command("check", "check.check", "Test a connection, or the path of a callback, step by step", _CHECK),
                _command("watch", "watch.watch", "Watch a remote task until it ends; exits 0 only on success", _WATCH),
                _command("receiver", "receiver.receiver", "Serve the receiver of callbacks and pushes", _RECEIVER),
                _command("push-url", "receiver.push_url", "Print the address to which a remote pushes", _PUSH_URL),
                _command("inbox", "inbox.inbox", "Show or prune the inbox, or print a new key for it", _INBOX),
                _command("adopt", "adopt.adopt", "Let a task wait for a remote task that it has not recorded", _ADOPT),
            ),
        )
    ]


_SANDBOX = (
    Arg(("--host",), help="address to listen on", default="127.0.0.1"),
    Arg(("--port",), help="port to listen on", type=_PORT, default=8900),
    Arg(("--state",), help="file that keeps tasks, rules and events over a restart"),
    Arg(("--token-lifetime",), help="lifetime of a token in seconds", type=_SECONDS, default=300.0),
)
_CHECK = (
    Arg(("conn_id",), help="an Airflow connection", nargs="?"),
    Arg(("--callbacks",), help="send a callback and look for it in the inbox", action="store_true"),
)
_RECEIVER = (
    Arg(("--host",), help="address to listen on", default="127.0.0.1"),
    Arg(("--port",), help="port to listen on", type=_PORT, default=8901),
)
_PUSH_URL = (
    _CONN_ID,
    Arg(("--api-key",), help="require a key, and print the header that holds it", action="store_true"),
)
_INBOX = (
    Arg(("action",), help="what to do", nargs="?", choices=("status", "prune", "show", "key"), default="status"),
    Arg(
        ("--older-than-days",),
        help="prune messages that are older; the default is the option inbox_retention_days",
        type=_DAYS,
    ),
    Arg(
        ("--sealed",),
        help="also prune sealed replies whose events are not stored yet; these events are lost",
        action="store_true",
    ),
    Arg(
        ("--raw",),
        help="show the content of what could not be read",
        action="store_true",
    ),
)
_WATCH = (_CONN_ID, _REF, Arg(("--timeout",), help="give up after this many seconds", type=_SECONDS))
_ADOPT = (
    Arg(("dag_id",), help="the DAG"),
    Arg(("run_id",), help="the DAG run"),
    Arg(("task_id",), help="the task"),
    _REF,
    Arg(("--map-index",), help="the map index of a mapped task", type=_MAP_INDEX, default=-1),
    Arg(
        ("--force",),
        help="also if the task has a ref, waits or has succeeded, or if the remote does not know REF or cannot be "
        "reached",
        action="store_true",
    ),
)


def _command(name: str, path: str, text: str, args: tuple[Arg, ...]) -> ActionCommand:
    return ActionCommand(name=name, help=text, func=lazy_load_command(f"{COMMANDS}.{path}"), args=args)
