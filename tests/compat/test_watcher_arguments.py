"""The arguments of an asset watcher's trigger, as an Airflow passes them."""

from __future__ import annotations

from typing import Any

from airflow_provider_taskwatch.compat.watcher_arguments import unwrapped
from tests.rows import each_row

PLAIN: dict[str, Any] = {"types": ["a", "b"], "deep": {"x": [{"y": 1}], "empty": {}}}


def wrapped(value: Any, content: str, kind: str) -> Any:
    """What Airflow makes of ``value``."""
    if isinstance(value, dict):
        return {content: {name: wrapped(one, content, kind) for name, one in value.items()}, kind: "dict"}
    return [wrapped(one, content, kind) for one in value] if isinstance(value, list) else value


@each_row("content, kind", [("Encoding.VAR", "Encoding.TYPE"), ("__var", "__type")])
def test_a_dict_is_unwrapped_at_any_depth(content: str, kind: str) -> None:
    assert unwrapped(wrapped(PLAIN, content, kind)) == PLAIN


@each_row("value", [PLAIN, {}, [], "text", None, 5, {"__type": "dict"}, {"__var": 1}, {"__type": "a", "other": 1}])
def test_everything_else_is_unchanged(value: Any) -> None:
    assert unwrapped(value) == value
