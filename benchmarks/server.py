"""A server in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.port import free_port
from demo.wait import until

ROOT = Path(__file__).parent.parent


@contextmanager
def serving(*command: str) -> Iterator[str]:
    """Run Python with these arguments and a free port as the last one; the address, as soon as it is listened on."""
    port = free_port()
    process = subprocess.Popen([sys.executable, *command, str(port)], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        until(lambda: _listens(port), within_seconds=60, what=f"{command[-1]} listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
