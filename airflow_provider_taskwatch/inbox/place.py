"""Checks that a connection still leads to the database that it opened.

SQLite keeps writing into a file that was deleted, moved or replaced, and reports success. So the file is checked
before a connection is used, and again after a commit: what was committed into another file is not acknowledged.
"""

from __future__ import annotations

import logging
import os
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import InvalidatePoolError

from airflow_provider_taskwatch.core.error import InboxError

log = logging.getLogger(__name__)

ACCOUNT_ONLY = 0o600
RESTORE = "restore it, or let `taskwatch inbox` begin an empty one"

Info = MutableMapping[Any, Any]


class Place:
    """The place of a database on a server, which needs no check."""

    def identity(self) -> object:
        """Equal for as long as it is the same database."""
        return None

    def problem(self, info: Info) -> str:
        """Explains why a connection does not lead there any more; empty if it does.

        :param info: the data that SQLAlchemy keeps with a connection.
        """
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The file that a connection has opened.

    :param identity: device and inode of the file.
    :param size: in bytes, when it was opened; a database in use does not shrink.
    :param log: the path of its write-ahead log.
    """

    identity: tuple[int, int]
    size: int
    log: str


class FilePlace(Place):
    """The place of a database in a file. A process creates the file once, and not again after it has vanished.

    :param engine: the engine whose connections lead there.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._path = Path(engine.url.database or "")
        self._seen: tuple[int, int] | None = None
        sa.event.listen(engine, "do_connect", lambda *_: self._prepare())
        sa.event.listen(engine, "connect", lambda _, record: self._note(record.info))
        sa.event.listen(engine, "checkout", lambda _, record, __: self._check(record.info))

    def identity(self) -> object:
        found = _stat(self._path)
        return None if found is None else _identity(found)

    def problem(self, info: Info) -> str:
        opened: Opened = info["opened"]
        found = _stat(self._path)
        if found is None or not found.st_size:
            return f"is gone: its file was deleted, moved or emptied; {RESTORE}"
        if _identity(found) != opened.identity:
            return "is another file than before"
        if found.st_size < opened.size:
            return "is smaller than before: its file was cut, or written anew"
        return _problem_of_log(opened.log, info)

    def _prepare(self) -> None:
        """Create the file, readable for this account only: it holds what remotes send."""
        if self._seen is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=ACCOUNT_ONLY)
        elif not ((found := _stat(self._path)) and found.st_size):
            raise InboxError(f"the inbox {self._path} is gone: its file was deleted, moved or emptied; {RESTORE}")

    def _note(self, info: Info) -> None:
        found = self._path.stat()
        if self._seen not in (None, _identity(found)):
            log.error("the inbox %s is another file now: what only the former one held is lost here", self._path)
        self._seen = _identity(found)
        info["opened"] = Opened(identity=self._seen, size=found.st_size, log=f"{os.path.realpath(self._path)}-wal")
        info.pop("log", None)

    def _check(self, info: Info) -> None:
        """Open all connections again if one leads to another file."""
        if problem := self.problem(info):
            raise InvalidatePoolError(problem)


def _problem_of_log(path: str, info: Info) -> str:
    """Explains what is wrong with the write-ahead log, which exists while a connection does, after the first write."""
    found = _stat(Path(path))
    noted = info.get("log")
    if found is not None and noted is None:
        info["log"] = _identity(found)
    elif noted is not None and (found is None or _identity(found) != noted):
        return f"has lost its file {path}, in which the newest of it was"
    return ""


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
