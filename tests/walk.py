"""How much code one deferrable run of an Automic object passes through: what a reader must read to follow it.

    python -m tests.walk [--json]

The walk is that of a task in Airflow: the operator's ``execute`` starts an execution at the sandbox and defers, the
trigger polls until the execution has ended, and a fresh operator turns the event into a result. A file is on the walk
where a function of it was run; what runs while a module is imported does not count, nor does the sandbox.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import inspect
import json
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from types import CodeType, FrameType, SimpleNamespace
from typing import Any

from demo.configuration import environment
from tests.until import wait_until

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "airflow_provider_taskwatch"
POLLS = 2
"""Polls that find the execution running; the next one finds it ended."""
LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file on the walk.

    :param lines: of the whole file, as ``wc -l`` counts them.
    :param run_lines: of the functions in it that were run, decorators and docstrings included, each line once.
    :param functions: their names, without lambdas and comprehensions.
    """

    path: str
    lines: int
    run_lines: int
    functions: tuple[str, ...]

    @property
    def room(self) -> str:
        return str(Path(self.path).parent)


class Steps:
    """The functions of the package that were run, by their code.

    Only calls are traced. The tracer does not see threads that were started before it was.
    """

    def __init__(self) -> None:
        self.codes: set[CodeType] = set()
        self._ignored: set[CodeType] = set()

    @contextmanager
    def traced(self) -> Iterator[None]:
        """Notes calls of this thread, and of the threads that it starts meanwhile."""
        before = sys.gettrace()
        threading.settrace(self._note)
        sys.settrace(self._note)
        try:
            yield
        finally:
            sys.settrace(before)
            threading.settrace(before)

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if code in self.codes or code in self._ignored:
            return
        if not _is_function(code):
            self._ignored.add(code)
        elif not _is_import(frame):
            self.codes.add(code)

    def files(self) -> list[File]:
        """What was passed through, by path."""
        by_path: dict[str, set[CodeType]] = defaultdict(set)
        for code in self.codes:
            by_path[code.co_filename].add(code)
        return [_file(Path(path), codes) for path, codes in sorted(by_path.items())]


def _is_function(code: CodeType) -> bool:
    """Whether it is a function of the package, and neither a module nor the body of a class."""
    return code.co_filename.startswith(f"{PACKAGE}{os.sep}") and bool(code.co_flags & inspect.CO_OPTIMIZED)


def _is_import(frame: FrameType) -> bool:
    """Whether it runs because a module of the package is being imported."""
    caller: FrameType | None = frame
    while caller is not None:
        if caller.f_code.co_name == "<module>" and caller.f_code.co_filename.startswith(f"{PACKAGE}{os.sep}"):
            return True
        caller = caller.f_back
    return False


def _file(path: Path, codes: set[CodeType]) -> File:
    text = path.read_text()
    ends = _ends(ast.parse(text))
    run: set[int] = set()
    for code in codes:
        last = max((line for *_, line in code.co_lines() if line), default=code.co_firstlineno)
        run.update(range(code.co_firstlineno, ends.get(code.co_firstlineno, last) + 1))
    return File(
        path=str(path.relative_to(PACKAGE)),
        lines=text.count("\n"),
        run_lines=len(run),
        functions=tuple(
            code.co_qualname
            for code in sorted(codes, key=lambda one: one.co_firstlineno)
            if not code.co_name.startswith("<")
        ),
    )


def _ends(tree: ast.Module) -> dict[int, int]:
    """The last line of each function, by its first, where its code begins (the first decorator, if it has one)."""
    return {
        min([node.lineno, *(one.lineno for one in node.decorator_list)]): node.end_lineno or node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def walk() -> tuple[list[File], list[File]]:
    """One run, whose result is checked; the files on the walk, and those that the sandbox's server has run."""
    with tempfile.TemporaryDirectory(prefix="taskwatch-walk-") as home:
        for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
            del os.environ[name]
        os.environ.update(environment(home=Path(home), url="http://127.0.0.1:0"))

        from airflow_provider_taskwatch.sandbox.server import running

        served, steps = Steps(), Steps()
        threading.settrace(served._note)
        with running() as server:
            threading.settrace(None)
            server.sandbox.add_rule(outcome="stuck")
            os.environ.update(server.environment())
            threading.Thread(target=_end_when_polled, args=(server.sandbox,), daemon=True).start()
            _run(steps)
    return steps.files(), served.files()


def _end_when_polled(sandbox: Any) -> None:
    """In a thread that is older than the tracing, as the end is the sandbox's doing."""
    wait_until(lambda: sum(call["method"] == "GET" for call in sandbox.log()) >= POLLS, LIMIT_SECONDS)
    [task] = sandbox.tasks(time.time())
    sandbox.end(task["ref"], "success", time.time())


def _run(steps: Steps) -> None:
    from airflow_provider_taskwatch.operators.automic import AutomicExecutionOperator
    from tests.task.life import Life

    life = Life(AutomicExecutionOperator, object_name="JOBS.WALK", poll_interval=0.2)
    with steps.traced():
        trigger = life.defer().trigger
        event = asyncio.run(_event_of(trigger))
        result = life.resume(event)
    assert result["status"] == 1900, result


async def _event_of(trigger: Any) -> Any:
    """What a triggerer does with the trigger: it builds it from JSON, and takes its first event."""
    from tests.any_airflow import deserialize, serialize

    _, arguments = trigger.serialize()
    arrived: Any = deserialize(json.loads(json.dumps(serialize(arguments))))
    again = type(trigger)(**arrived)
    again.task_instance = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)
    async with asyncio.timeout(LIMIT_SECONDS):
        event = await anext(again.run())
    return json.loads(json.dumps(event.payload))


def table(files: list[File]) -> str:
    """The files by room, with sums."""
    rooms: dict[str, list[File]] = defaultdict(list)
    for file in files:
        rooms[file.room].append(file)
    lines = [f"{'':44}{'lines':>8}{'run':>8}{'functions':>11}"]
    for room, within in sorted(rooms.items()):
        lines.append(_row(f"{room}/ ({len(within)})", within))
        lines.extend(_row(f"    {Path(file.path).name}", [file]) for file in within)
    lines.append(_row(f"{len(files)} files", files))
    return "\n".join(lines)


def _row(title: str, files: list[File]) -> str:
    lines, run = sum(file.lines for file in files), sum(file.run_lines for file in files)
    return f"{title:44}{lines:8,}{run:8,}{sum(len(file.functions) for file in files):11,}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.walk", description=inspect.cleandoc(__doc__ or ""))
    parser.add_argument("--json", action="store_true", help="files, lines, functions as JSON")
    arguments = parser.parse_args()
    with redirect_stdout(sys.stderr):  # where Airflow's log of the task goes then
        files, served = walk()
    if arguments.json:
        print(json.dumps({"walk": [asdict(file) for file in files], "sandbox": [asdict(file) for file in served]}))
        return
    print(table(files))
    print(_row(f"\nApart: the sandbox, {len(served)} files", served))


if __name__ == "__main__":
    main()
