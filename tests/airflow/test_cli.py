"""What the command line takes, before any command runs."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from airflow_provider_taskwatch import __version__
from airflow_provider_taskwatch.cli import get_commands, main
from tests.airflow.conftest import Airflow


def parser_of(command_name: str) -> ArgumentParser:
    """What Airflow makes of a command's arguments."""
    parser = ArgumentParser(prog=command_name)
    for arg in next(one.args for one in get_commands()[0].subcommands if one.name == command_name):
        arg.add_to_parser(parser)
    return parser


NUMBERS = [
    ("sandbox", "--port", "0"),
    ("sandbox", "--token-lifetime", "0.5"),
    ("receiver", "--port", "65535"),
    ("inbox", "--older-than-days", "0.5"),
    ("watch a 7", "--timeout", "3600"),
    ("adopt dag run task 7", "--map-index", "-1"),
]


def test_every_number_on_the_command_line_is_in_the_table_below() -> None:
    typed = {
        (command.name, arg.flags[0])
        for command in get_commands()[0].subcommands
        for arg in command.args
        if callable(arg.kwargs.get("type"))
    }
    assert typed == {(line.split()[0], flag) for line, flag, _ in NUMBERS}


@pytest.mark.parametrize("line, flag, right", NUMBERS)
def test_a_malformed_number_is_refused_by_the_argument_s_name(
    capsys: pytest.CaptureFixture[str], line: str, flag: str, right: str
) -> None:
    name, *rest = line.split()
    parser = parser_of(name)
    for wrong in ("nan", "inf", "-inf", "-5", "1e308", "1e400", "9" * 400, "", "x", "1h"):
        with pytest.raises(SystemExit) as end:
            parser.parse_args([*rest, f"{flag}={wrong}"])
        assert end.value.code == 2
        assert f"argument {flag}: '{wrong[:60]}" in capsys.readouterr().err
    assert vars(parser.parse_args([*rest, f"{flag}={right}"]))[flag[2:].replace("-", "_")] == float(right)


@pytest.mark.parametrize("line, flag", [("inbox", "--older-than-days"), ("watch a 7", "--timeout")])
def test_nothing_is_no_duration(line: str, flag: str) -> None:
    name, *rest = line.split()
    with pytest.raises(SystemExit):
        parser_of(name).parse_args([*rest, flag, "0"])


def test_no_help_holds_what_rich_takes_for_markup() -> None:
    helps = [str(arg.kwargs["help"]) for one in get_commands()[0].subcommands for arg in one.args]
    assert [text for text in helps if "[" in text] == []


@pytest.mark.since("3.2", reason="3.1 lets no provider add commands")
def test_airflows_own_parser_refuses_a_wrong_number(airflow: Airflow) -> None:
    done = airflow("taskwatch", "inbox", "prune", "--older-than-days=-5")

    assert done.returncode == 2
    assert "argument --older-than-days: '-5' is not a number of days from 0.001 to 36500" in done.stderr


# --- taskwatch, without Airflow's command line


def ended(*arguments: str) -> object:
    """The exit code of ``taskwatch``."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code


def test_help_lists_the_commands_of_airflow_taskwatch(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--help") == 0
    shown = capsys.readouterr().out
    [group] = get_commands()
    for one in group.subcommands:
        assert f"\n    {one.name} " in shown
        assert ended(one.name, "--help") == 0
        assert f"usage: taskwatch {one.name}" in capsys.readouterr().out


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--version") == 0
    assert capsys.readouterr().out == f"taskwatch {__version__}\n"


@pytest.mark.parametrize("line", ["", "nothing", "watch", "watch a 7 --timeout=x", "inbox eat"])
def test_wrong_arguments_are_refused_with_the_usage(capsys: pytest.CaptureFixture[str], line: str) -> None:
    assert ended(*line.split()) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("usage: taskwatch")
    assert re.match(r"taskwatch.*: error: ", shown.splitlines()[-1])


def test_a_command_s_error_is_a_line_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("watch", "nowhere", "7") == 2
    assert capsys.readouterr().out.startswith("connection 'nowhere' cannot be read")


def test_adopt_says_what_it_needs_where_there_is_no_database_of_airflow(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_task_instance(**_: object) -> None:
        raise OSError("no such table: task_instance")

    monkeypatch.setattr("airflow.models.taskinstance.TaskInstance.get_task_instance", get_task_instance)
    assert ended("adopt", "d", "r", "t", "7") == 1
    shown = capsys.readouterr().out
    assert shown.startswith("Airflow's database cannot be asked for the task: no such table: task_instance; run this")


def test_an_interrupted_command_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("airflow_provider_taskwatch.command.check.check", interrupt)
    assert ended("check", "automic_default") == 130


@pytest.mark.process
def test_the_script_imports_airflow_only_where_a_command_needs_it() -> None:
    script = Path(sys.executable).with_name("taskwatch")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-X", "importtime", script, "sandbox", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f"the sandbox cannot listen on 127.0.0.1:{port}" in done.stdout
    assert "airflow_provider_taskwatch.sandbox.server" in done.stderr
    assert not [line for line in done.stderr.splitlines() if line.split("|")[-1].strip() in ("airflow", "sqlalchemy")]
