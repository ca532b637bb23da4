"""The profiles whose polls are measured, each of the server of :mod:`.remote`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PROFILES = ("profile", "github", "github-list", "databricks")
"""``profile`` is Automic's, whose replies a hand-written system reads in the case ``hand``."""

_FILES = {
    "profile": ROOT / "tests/systems/rest/automic.yaml",
    "github": ROOT / "airflow_provider_taskwatch/systems/rest/presets/github-workflow.yaml",
    "github-list": ROOT / "airflow_provider_taskwatch/systems/rest/presets/github-workflow.yaml",
    "databricks": ROOT / "docs/profiles/databricks-run.yaml",
}
_INPUTS = {"client": "100", "owner": "o", "repo": "r", "workflow": "ci.yml", "ref": "main", "job_id": 7}


def profile_options(kind: str) -> dict[str, Any]:
    """The options of a wait. Only ``github-list`` reads many tasks at once, page by page."""
    from airflow_provider_taskwatch.config.profile import find_profile
    from airflow_provider_taskwatch.systems.rest.system import options_of

    pages = {"page": {"query": "page", "next": "body.next_page"}}
    found = find_profile({"preset": str(_FILES[kind]), "list": pages if kind == "github-list" else None})
    return options_of(found.content, found.profile, _INPUTS)
