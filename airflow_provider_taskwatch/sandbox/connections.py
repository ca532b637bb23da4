"""The Airflow connections to a sandbox, in the forms that people paste."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any

from .remote import Remote

Remotes = Collection[Remote[Any]]


def connections(url: str, remotes: Remotes) -> dict[str, dict[str, Any]]:
    """Connections by connection id, in Airflow's JSON form."""
    return {conn_id: content for remote in remotes for conn_id, content in remote.connections(url).items()}


def environment(url: str, remotes: Remotes) -> dict[str, str]:
    """The same as environment variables."""
    return {
        f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(content) for conn_id, content in connections(url, remotes).items()
    }


def commands(url: str, remotes: Remotes) -> list[str]:
    """The same as commands for Airflow's command line."""
    return [
        f"airflow connections add {conn_id} --conn-json {shlex.quote(json.dumps(content))}"
        for conn_id, content in connections(url, remotes).items()
    ]


def banner(url: str, remotes: Remotes, state: Path | None = None) -> str:
    """What a sandbox says when it starts.

    :param state: the file in which its state is kept.
    """
    kept = f"Its state is kept in {state}." if state else "A restart forgets all tasks; --state FILE keeps them."
    exports = [f"export {name}={shlex.quote(content)}" for name, content in environment(url, remotes).items()]
    return "\n".join(
        (
            f"TaskWatch sandbox on {url}: an emulator, not the vendors' software.",
            f"It stands in for {', '.join(remote.title for remote in remotes)}.",
            f"Outcomes, faults, settings and the control API: {url}/",
            kept,
            "",
            "Connections as environment variables:",
            *exports,
            "",
            "or stored in Airflow:",
            *commands(url, remotes),
            "",
        )
    )
