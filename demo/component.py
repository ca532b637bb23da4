"""One long-running command in a session of its own, so that it can be ended with all its descendants."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from demo.wait import until

_END_WITHIN_SECONDS = 120.0


class ComponentEndedError(RuntimeError):
    """A component ended on its own; the message holds the last lines it wrote."""


class Component:
    """
    A command that is started, watched and killed as a whole.

    Task processes move to process groups of their own, but none leaves the session, and the session is what is ended.

    :param name: what the component is called in errors, and its log file's stem.
    """

    def __init__(self, name: str, command: Sequence[str], *, env: Mapping[str, str], log_folder: Path) -> None:
        self.name = name
        self.log_path = log_folder / f"{name}.log"
        self._command = list(command)
        self._env = dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._left: list[subprocess.Popen[bytes]] = []

    @property
    def pid(self) -> int | None:
        """The main process; None where the component was not started, or was killed."""
        return None if self._process is None else self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the main process has ended on its own, or by a signal that did not come from here.

        It is not waited for, so that no other process gets its number, and with it its session, before :meth:`kill`.
        """
        if self._process is None or self._process.returncode is not None:
            return self._process is not None
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def start(self) -> None:
        """Start the command; its output is appended to the log file."""
        if self._process is not None:
            raise RuntimeError(f"{self.name} was started already; kill it before it is started again")
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_again(self) -> None:
        """Start a component whose main process has ended; what is left of it may go on until :meth:`kill`."""
        if self._process is not None:
            self._left.append(self._process)
        self._process = None
        self.start()

    def kill(self, signal_number: int = signal.SIGKILL) -> None:
        """
        End the component and wait until nothing of it is left.

        SIGKILL reaches every process of the session at once. Any other signal goes to the main process
        alone, as from a service manager, which is expected to end its children.
        """
        for left in self._left:
            self._sweep(left)
        self._left.clear()
        if self._process is None:
            return
        if signal_number != signal.SIGKILL and self._process.poll() is None:
            self._process.send_signal(signal_number)
            self._process.wait(_END_WITHIN_SECONDS)
        self._sweep(self._process)
        self._process.wait(_END_WITHIN_SECONDS)  # a zombie may have threads that are still on their way out
        self._process = None

    def signal_all(self, signal_number: int) -> None:
        """Send a signal, such as SIGSTOP, to every process of the component."""
        if self._process is not None:
            for member in _session_members(self._process.pid):
                os.kill(member, signal_number)

    def check(self) -> None:
        """Raise if the component was started and has ended on its own."""
        if self._process is not None and self.has_ended:
            code = self._process.wait()
            raise ComponentEndedError(f"{self.name} ended with exit code {code}. Its last lines:\n{self.log_tail()}")

    def log_tail(self, lines: int = 25) -> str:
        """The last lines that the component wrote."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def _sweep(self, process: subprocess.Popen[bytes]) -> None:
        def is_swept() -> bool:
            left = list(_session_members(process.pid))
            for member in left:
                _kill_if_there(member)
            process.poll()
            return not left

        until(is_swept, within_seconds=_END_WITHIN_SECONDS, what=f"nothing is left of {self.name}")


def _session_members(session_id: int) -> Iterator[int]:
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == session_id and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                yield pid
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue


def _kill_if_there(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
