"""The table of emulated remotes: one row each."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .remote import Remote

_PATHS = (
    ".acquia.remote.Acquia",
    ".automic.remote.Automic",
    ".acronis.remote.Acronis",
    ".aps.remote.Aps",
    ".docplanner.remote.Docplanner",
)


def _load(path: str) -> type[Remote[Any]]:
    module, _, name = path.rpartition(".")
    remote: type[Remote[Any]] = getattr(import_module(module, __package__), name)
    return remote


REMOTES = tuple(map(_load, _PATHS))
