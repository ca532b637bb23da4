"""Where ``output_path`` leads: a file on the worker, or an object in Airflow's object storage."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_taskwatch.core.check import text
from airflow_provider_taskwatch.core.error import ConfigurationError, OutputError
from airflow_provider_taskwatch.core.text import line

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

LOCAL = ("", "file", "local")


class Output:
    """A file or an object at an address of Airflow's object storage.

    :param address: a path on the worker, or such as ``s3://conn@bucket/{{ run_id }}.json``, rendered.
    """

    def __init__(self, address: object) -> None:
        self._address = text("output_path", address)

    def check(self) -> None:
        """Find out what can be found out before anything is started.

        :raises ConfigurationError: names what is wrong.
        """
        path = self._path()
        try:
            if path.protocol in LOCAL:
                self._check_folder(Path(path.path).absolute())
        except OSError as cause:
            raise ConfigurationError(f"output_path={self._address!r} cannot be written: {_reason(cause)}") from cause

    def write(self, lines: Iterable[str]) -> str:
        """Write all of it or nothing, and return the address.

        :raises OutputError: where that cannot be done.
        """
        path, data = self._path(), "".join(lines).encode()
        try:
            if path.protocol in LOCAL:
                _replace(Path(path.path), data)
            else:
                path.write_bytes(data)
        except Exception as cause:
            raise OutputError(f"output_path={self._address!r} cannot be written: {_reason(cause)}") from cause
        return str(path)

    def _path(self) -> ObjectStoragePath:
        from airflow.sdk import ObjectStoragePath

        try:
            path = ObjectStoragePath(self._address)
            _ = path.fs  # where its package is missing, or its connection
        except Exception as cause:
            raise ConfigurationError(
                f"output_path={self._address!r} is no address that Airflow's object storage knows: {_reason(cause)}"
            ) from cause
        return path

    def _check_folder(self, path: Path) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.lstat()  # from Python 3.14 on, is_dir() and exists() hide what else is wrong with a path
        if path.is_dir() or self._address.endswith("/"):
            raise ConfigurationError(f"output_path={self._address!r} is a folder; name a file in it")
        folder = next(one for one in path.parents if one.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigurationError(
                f"output_path={self._address!r} cannot be written: {str(folder)!r} is no folder that this worker may "
                "write to"
            )


def _replace(path: Path, data: bytes) -> None:
    """Write a file that has its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    return line(f"{type(error).__name__}: {error}")
