"""docs/presets.md is what the files of the presets say."""

from __future__ import annotations

import pytest

from airflow_provider_taskwatch.config.profile import PRESETS
from docs import make_presets
from tests.systems.rest.test_copies import FILES as COPIES


def test_the_page_is_up_to_date() -> None:
    assert make_presets.PAGE.read_text() == make_presets.page(), "docs/presets.md is older than the files: `make docs`"


def test_each_profile_to_copy_has_a_row() -> None:
    text = make_presets.PAGE.read_text()
    assert [name for name in COPIES if f"(profiles/{name}.yaml)" not in text] == []


@pytest.mark.parametrize("file", sorted(PRESETS.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_preset_has_a_section_with_its_file(file: object) -> None:
    from pathlib import Path

    assert isinstance(file, Path)
    text = make_presets.PAGE.read_text()
    assert f"(#{file.stem})" in text
    assert file.read_text().strip() in text.partition(f"\n## {file.stem}\n")[2].partition("\n## ")[0]
