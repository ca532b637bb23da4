"""The commands of ``taskwatch``, and of ``airflow taskwatch``, which exists since Airflow 3.2.

Every ``airflow`` command imports this module, so what does the work is imported when it is called. ``taskwatch``
imports Airflow, which takes seconds, only where a command needs it.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import __version__
from .remotes import load

NAME = "taskwatch"
ABOUT = "Watch tasks in other systems"


class Argument:
    """An argument of a command.

    :param flags: its name, or its options.
    :param settings: of ``argparse``, which Airflow's ``Arg`` takes, too.
    """

    def __init__(self, *flags: str, **settings: Any) -> None:
        self.flags = flags
        self.settings = settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command.

    :param path: of the function that carries it out, in the package's ``command``.
    """

    name: str
    path: str
    help: str
    arguments: tuple[Argument, ...]

    def run(self, given: Namespace) -> None:
        """Carry it out."""
        load(f".command.{self.path}")(given)


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

_CONN_ID = Argument("conn_id", help="an Airflow connection")
_REF = Argument("ref", help="the remote's id of the task")


_SANDBOX = (
    Argument("--host", help="address to listen on", default="127.0.0.1"),
    Argument("--port", help="port to listen on", type=_PORT, default=8900),
    Argument("--state", help="file that keeps tasks, rules and events over a restart"),
    Argument(
        "--profile",
        help="also play the examples of this profile, a name or a file; may be given several times",
        action="append",
    ),
    Argument("--token-lifetime", help="lifetime of a token in seconds", type=_SECONDS, default=300.0),
)
_CHECK = (
    Argument("conn_id", help="an Airflow connection", nargs="?"),
    Argument("--callbacks", help="send a callback and look for it in the inbox", action="store_true"),
)
_RECEIVER = (
    Argument("--host", help="address to listen on", default="127.0.0.1"),
    Argument("--port", help="port to listen on", type=_PORT, default=8901),
)
_PUSH_URL = (
    _CONN_ID,
    Argument("--api-key", help="require a key, and print the header that holds it", action="store_true"),
)
_INBOX = (
    Argument("action", help="what to do", nargs="?", choices=("status", "prune", "show", "key"), default="status"),
    Argument(
        "--older-than-days",
        help="prune messages that are older; the default is the option inbox_retention_days",
        type=_DAYS,
    ),
    Argument(
        "--sealed",
        help="also prune sealed replies whose events are not stored yet; these events are lost",
        action="store_true",
    ),
    Argument(
        "--raw",
        help="show the content of what could not be read",
        action="store_true",
    ),
)
_PROFILE = (
    Argument("action", help="what to do", choices=("list", "show", "check", "try"), nargs="?", default="list"),
    Argument("profile", help="its name or its file", nargs="?"),
    Argument("exchange", help="try: a recorded exchange, a HAR or a VCR cassette", nargs="?"),
    Argument("--schema", help="print the JSON Schema of profiles, for editors", action="store_true"),
)
_WATCH = (
    _CONN_ID,
    _REF,
    Argument("--timeout", help="give up after this many seconds", type=_SECONDS),
    Argument("--profile", help="a profile, for a REST API: a name or a file; default: the connection's"),
    Argument("--input", help="an input of the profile, NAME=VALUE; may be repeated", action="append"),
)
_ADOPT = (
    Argument("dag_id", help="the DAG"),
    Argument("run_id", help="the DAG run"),
    Argument("task_id", help="the task"),
    _REF,
    Argument("--map-index", help="the map index of a mapped task", type=_MAP_INDEX, default=-1),
    Argument(
        "--force",
        help="also if the task has a ref, waits or has succeeded, or if the remote does not know REF or cannot be "
        "reached",
        action="store_true",
    ),
)


COMMANDS = tuple(
    Command(name=name, path=path, help=text, arguments=arguments)
    for name, path, text, arguments in (
        ("sandbox", "sandbox.sandbox", "Serve emulators of the remotes", _SANDBOX),
        ("check", "check.check", "Test a connection, or the path of a callback, step by step", _CHECK),
        ("profile", "profile.profile", "List, show, check or try profiles of REST APIs", _PROFILE),
        ("watch", "watch.watch", "Watch a remote task until it ends; exits 0 only on success", _WATCH),
        ("receiver", "receiver.receiver", "Serve the receiver of callbacks and pushes", _RECEIVER),
        ("push-url", "receiver.push_url", "Print the address to which a remote pushes", _PUSH_URL),
        ("inbox", "inbox.inbox", "Show or prune the inbox, or print a new key for it", _INBOX),
        ("adopt", "adopt.adopt", "Let a task wait for a remote task that it has not recorded", _ADOPT),
    )
)


def get_commands() -> list[Any]:
    """What the provider adds to Airflow's command line."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

    found = [
        ActionCommand(
            name=one.name,
            help=one.help,
            func=one.run,
            args=tuple(Arg(argument.flags, **argument.settings) for argument in one.arguments),
        )
        for one in COMMANDS
    ]
    return [GroupCommand(name=NAME, help=ABOUT, subcommands=found)]


def parser() -> ArgumentParser:
    """The parser of ``taskwatch``."""
    made = ArgumentParser(prog=NAME, description=f"{ABOUT}.")
    made.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = made.add_subparsers(metavar="COMMAND", required=True)
    for one in COMMANDS:
        command = commands.add_parser(one.name, help=one.help, description=f"{one.help}.")
        for argument in one.arguments:
            command.add_argument(*argument.flags, **argument.settings)
        command.set_defaults(run=one.run)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """``taskwatch``: exits with 2 where the arguments are wrong, and with 130 when interrupted."""
    given = parser().parse_args(arguments)
    try:
        given.run(given)
    except KeyboardInterrupt:
        sys.exit(130)
