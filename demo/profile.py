"""The APIs of the example DAGs that the sandbox plays by their profiles."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_taskwatch.command.sandbox import play
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox

DAGS = Path(__file__).parent.parent / "example_dags"

PROFILES = ("http-202", "github-workflow", str(DAGS / "nightly_report.yaml"))


def playing_sandbox() -> Sandbox:
    """A sandbox that has all APIs of the example DAGs."""
    sandbox = Sandbox()
    for profile in PROFILES:
        play(sandbox, profile)
    return sandbox
