"""A component that dies is restarted, and no process of its first life survives its end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from demo.component import Component, ComponentEndedError
from demo.wait import until

PARENT = "sleep 600 & echo $! > child; wait"


@pytest.fixture
def component(tmp_path: Path) -> Component:
    """A shell with a child."""
    command = ["sh", "-c", f"cd {tmp_path}; {PARENT}"]
    return Component("shell", command, env=dict(os.environ), log_folder=tmp_path)


def child(folder: Path) -> int:
    """Its process id."""
    return until(lambda: int((folder / "child").read_text() or 0), within_seconds=10, what="the shell has a child")


def is_alive(process: int) -> bool:
    return psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE


def die(component: Component, folder: Path) -> int:
    """Kill the main process alone, and return its child."""
    component.start()
    until(lambda: (folder / "child").exists(), within_seconds=10, what="the shell runs")
    orphan = child(folder)
    assert component.pid is not None
    os.kill(component.pid, signal.SIGKILL)
    until(lambda: component.has_ended, within_seconds=10, what="the shell has ended")
    return orphan


def test_a_component_that_was_killed_is_an_error(component: Component, tmp_path: Path) -> None:
    die(component, tmp_path)
    with pytest.raises(ComponentEndedError, match="shell ended with exit code -9"):
        component.check()
    component.kill()


def test_a_component_can_be_restarted_beside_its_remaining_children(component: Component, tmp_path: Path) -> None:
    orphan = die(component, tmp_path)
    component.start_again()
    component.check()
    assert is_alive(orphan)
    component.kill()
    assert not is_alive(orphan)
    assert component.pid is None
