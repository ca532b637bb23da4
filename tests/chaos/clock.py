"""The wall clock of one component alone, by libfaketime; its monotonic clock, and the host's clocks, stay true."""

from __future__ import annotations

import os
from pathlib import Path

_LIBRARIES = "*/faketime/libfaketimeMT.so.1"
_SLEEP = Path(__file__).parent / "skewed"
_ROOT = Path(__file__).parent.parent.parent
_FOLDERS = (Path("/usr/lib"), Path("/usr/local/lib"))


class Clock:
    """A clock that can be set while its processes run.

    :param path: the file that holds how far it is ahead.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._library = _library()
        self.jump(0)

    def jump(self, seconds: float) -> None:
        """Set the difference to the host's clock, in seconds."""
        unfinished = self._path.with_suffix(".new")
        unfinished.write_text(f"{seconds:+.0f}\n")
        unfinished.replace(self._path)

    def environment(self) -> dict[str, str]:
        """The variables for a Python process that shall live by this clock, its children included."""
        return {
            "PYTHONPATH": os.pathsep.join((str(_SLEEP), str(_ROOT))),
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


def _library() -> Path:
    found = next((path for folder in _FOLDERS for path in sorted(folder.glob(_LIBRARIES))), None)
    if found is None:
        raise RuntimeError("libfaketime is not installed here; on Debian: apt-get install faketime")
    return found
