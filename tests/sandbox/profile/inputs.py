"""Inputs for any profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OBJECTS = ("parameters", "form", "body", "inputs", "conf", "variables")
"""Inputs that are objects in the presets."""


def inputs_of(content: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    """Inputs that fit: a path where a path begins with one, an object where it is usual."""
    text = repr(content)
    return {
        name: f"/{name}/1" if f"'{{+inputs.{name}}}" in text else {} if name in OBJECTS else "1"
        for name in sorted(names)
    }
