"""What the operating system says of a process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """CPU seconds since its start, and bytes of memory that are its own, of one process or the sum of several."""

    cpu: float
    memory: int

    @classmethod
    def of(cls, *processes: psutil.Process) -> Self:
        """Ended processes cannot be asked: ``psutil.NoSuchProcess``."""
        times = [process.cpu_times() for process in processes]
        return cls(
            cpu=sum(one.user + one.system for one in times),
            memory=sum(process.memory_full_info().uss for process in processes),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggerer:
    """The two processes of a triggerer: the supervisor talks to the database, the runner has the event loop."""

    supervisor: Usage
    runner: Usage

    @classmethod
    def of(cls, pid: int | None) -> Self:
        """:param pid: of the supervisor; None where it does not run."""
        if pid is None:
            raise RuntimeError("the triggerer does not run, so it cannot be measured")
        supervisor = psutil.Process(pid)
        return cls(supervisor=Usage.of(supervisor), runner=Usage.of(*supervisor.children()))
