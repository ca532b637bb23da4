"""A sandbox's state in a file, so that a restart forgets no task, rule, token or event."""

from __future__ import annotations

import fcntl
import os
import pickle
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from airflow_provider_taskwatch.core.error import ConfigurationError

from .sandbox import Sandbox

SAVE_SECONDS = 2.0


@contextmanager
def opened(path: Path | None) -> Iterator[Sandbox]:
    """The sandbox of a state file, which is locked against other processes; a new one where no file is named.

    The lock is on a file beside it, as each save replaces the file itself. It ends with the process, however that ends.

    :raises ConfigurationError: where another sandbox has the file, or it cannot be used.
    """
    if path is None:
        yield Sandbox()
        return
    with _lock_file(path) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise ConfigurationError(
                f"another sandbox keeps its state in {path}; stop that one, or name another --state"
            ) from cause
        yield load(path)


def _lock_file(path: Path) -> BinaryIO:
    beside = path.with_name(f"{path.name}.lock")
    try:
        return os.fdopen(os.open(beside, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600), "rb+")
    except FileNotFoundError as cause:
        raise ConfigurationError(
            f"{path} cannot be kept: there is no directory {path.parent}; make it, or name another --state"
        ) from cause
    except OSError as cause:
        raise ConfigurationError(f"{beside} cannot be written: {cause.strerror}; name another --state") from cause


def load(path: Path) -> Sandbox:
    """The sandbox that was saved to a file; a new one where there is no file.

    :raises ConfigurationError: where the file cannot be read, or belongs to another user: it is a pickle, which can
        run whatever code it holds.
    """
    try:
        found = path.stat()
        if found.st_uid not in (os.getuid(), 0) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ConfigurationError(f"{path} is not only yours to write; remove it, or name another --state")
        sandbox = pickle.loads(path.read_bytes())  # noqa: S301 - only its owner can have written it
    except FileNotFoundError:
        return Sandbox()
    except OSError as cause:
        raise ConfigurationError(f"{path} cannot be read: {cause.strerror}; name another --state") from cause
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, TypeError, ValueError) as cause:
        raise ConfigurationError(f"{path} holds no state of this version of the sandbox; remove it") from cause
    if not isinstance(sandbox, Sandbox):
        raise ConfigurationError(f"{path} holds no state of a sandbox; name another --state")
    return sandbox


def save(sandbox: Sandbox, path: Path) -> None:
    """Write the state; a reader sees the old file or the new one, and nothing in between.

    :raises ConfigurationError: where it cannot be written.
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.touch(mode=0o600)
        beside.write_bytes(pickle.dumps(sandbox))
        beside.replace(path)
    except OSError as cause:
        raise ConfigurationError(f"{path} cannot be written: {cause.strerror}; name another --state") from cause


@contextmanager
def kept(sandbox: Sandbox, path: Path, every: float = SAVE_SECONDS) -> Iterator[None]:
    """Save now, every few seconds while the block runs, and at its end."""
    save(sandbox, path)
    is_over = threading.Event()

    def go_on() -> None:
        while not is_over.wait(every):
            save(sandbox, path)

    saver = threading.Thread(target=go_on, name="taskwatch-sandbox-state", daemon=True)
    saver.start()
    try:
        yield
    finally:
        is_over.set()
        saver.join()
        save(sandbox, path)
