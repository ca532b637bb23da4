"""Tables of cases inside one test, for functions that need nothing but their row."""

from __future__ import annotations

import functools
import inspect
import reprlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest

Test = Callable[..., None]


def each_row(names: str, rows: Iterable[Any], ids: Iterable[str] | None = None) -> Callable[[Test], Test]:
    """Like ``pytest.mark.parametrize``, but one test: it runs every row and names all that fail.

    A row costs microseconds instead of milliseconds. Rows share the fixtures of their test.

    :param names: the arguments that a row fills, separated by commas
    :param rows: one value each where there is one name, otherwise a tuple each
    :param ids: a name of each row; by default its values, shortened
    """
    columns = [name.strip() for name in names.split(",")]
    table = [(row,) if len(columns) == 1 else tuple(row) for row in rows]
    named = list(ids) if ids is not None else None
    assert table, f"no row for {names}"

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def run_all(*args: Any, **fixtures: Any) -> None:
            failures: list[BaseException] = []
            failed: list[str] = []
            for number, row in enumerate(table):
                try:
                    test(*args, **fixtures, **dict(zip(columns, row, strict=True)))
                except (Exception, pytest.fail.Exception, pytest.skip.Exception) as failure:  # noqa: BLE001 - all are reported
                    label = named[number] if named else _shown(number, row)
                    failure.add_note(f"row: {label}")
                    failures.append(failure)
                    failed.append(label)
            if failures:
                raise BaseExceptionGroup(f"{len(failed)} of {len(table)} rows fail: {'; '.join(failed)}", failures)

        parameters = inspect.signature(test).parameters.values()
        run_all.__signature__ = inspect.Signature([one for one in parameters if one.name not in columns])
        return run_all

    return decorate


def _shown(number: int, row: tuple[Any, ...]) -> str:
    try:
        return ", ".join(map(reprlib.repr, row))
    except ValueError:  # an integer with more digits than Python writes
        return f"row {number}"
