"""The arguments of an asset watcher's trigger: Airflow 3.2.1 passes a dict in its own encoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CONTENT = ("Encoding.VAR", "__var")
_TYPE = ("Encoding.TYPE", "__type")

RESERVED = "__type"
"""Airflow takes a dict with this name for one in its own encoding. Where it is none, Airflow's triggerer ends."""


def unwrapped(value: Any) -> Any:
    """``value`` without Airflow's encoding, at any depth."""
    if isinstance(value, Mapping):
        if len(value) == len(_TYPE) and any(name in value for name in _TYPE):
            return next((unwrapped(value[name]) for name in _CONTENT if name in value), value)
        return {name: unwrapped(one) for name, one in value.items()}
    if isinstance(value, list):
        return [unwrapped(one) for one in value]
    return value
