"""The ledger of a run: processes record where they are and where they are killed, one JSON line each."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One step of one attempt.

    :param what: ``execute``, ``defer``, ``resume``, or ``kill`` just before a process dies.
    :param process: of the task.
    :param supervisor: its parent.
    """

    job: str
    what: str
    attempt: int
    process: int
    supervisor: int
    at: float


def is_airflow(process: int) -> bool:
    """Whether a process is one of Airflow's: an orphan's parent is not, and must not be killed for it."""
    try:
        return b"airflow" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


class Ledger:
    """The file, written by many processes at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, job: str, what: str, attempt: int) -> None:
        """Add an entry about the process that calls this."""
        entry = Entry(job=job, what=what, attempt=attempt, process=os.getpid(), supervisor=os.getppid(), at=time.time())
        line = json.dumps(asdict(entry)) + "\n"
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    def read(self) -> list[Entry]:
        """All entries, in order."""
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [Entry(**json.loads(line)) for line in lines]

    def claim(self, name: str) -> bool:
        """Whether this call is the first to claim the name, among all processes."""
        try:
            os.close(os.open(self._path.with_name(f"{self._path.name}.{name}"), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True
