"""Output of the commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from airflow_provider_taskwatch.core.error import TaskWatchError

out = Console()


def say(style: str, head: str, rest: str = "") -> None:
    """Print one line without rich's markup, which text of a remote may contain."""
    out.print(Text.assemble((head, style), f" {rest}" if rest else ""), soft_wrap=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """Print an error and exit."""
    say("red", message)
    sys.exit(code)


@contextmanager
def exit_on_error(code: int = 1) -> Iterator[None]:
    """Print an error of this package that ends the block, and exit."""
    try:
        yield
    except TaskWatchError as error:
        fail(str(error), code)
