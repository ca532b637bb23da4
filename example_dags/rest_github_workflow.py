"""Run a workflow of GitHub Actions for each branch, with inputs that a function returns, and wait for the runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

with DAG(
    dag_id="rest_github_workflow",
    schedule=None,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["rest"],
    doc_md=__doc__,
):

    @task
    def branches() -> list[str]:
        """What is built tonight."""
        return ["main", "release-2"]

    @task.rest(conn_id="github_workflow_default", profile="github-workflow", poll_interval=5)
    def build(branch: str) -> dict[str, Any]:
        """The inputs of the profile; `taskwatch profile show github-workflow` describes them."""
        return {
            "owner": "octo",
            "repo": "app",
            "workflow": "nightly.yml",
            "ref": branch,
            "inputs": {"publish": str(branch == "main").lower()},
        }

    @task
    def report(runs: list[dict[str, Any]]) -> str:
        """A success is what the profile selects of the run."""
        return ", ".join(f"{run['id']}: {run['conclusion']}" for run in runs)

    report(build.expand(branch=branches()))
