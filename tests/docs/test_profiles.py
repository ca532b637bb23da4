"""docs/profiles.md describes the whole format, and its profiles are valid."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from airflow_provider_taskwatch.config.profile import MAX_FILE_BYTES
from airflow_provider_taskwatch.core.wire import MAX_REPLY_BYTES
from airflow_provider_taskwatch.systems.rest import profile
from airflow_provider_taskwatch.systems.rest.expression import EXPRESSION_CHARACTERS, FUNCTIONS, ROOTS
from airflow_provider_taskwatch.systems.rest.interpreter import WORK
from airflow_provider_taskwatch.systems.rest.listing import MAX_PAGES
from airflow_provider_taskwatch.systems.rest.reader import read_profile
from airflow_provider_taskwatch.systems.rest.reading import RESULT_CHARACTERS
from airflow_provider_taskwatch.systems.rest.reference import LINK_CHARACTERS
from tests.rows import each_row

PAGE = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text()

SECTIONS: dict[type[BaseModel], str] = {
    profile.Profile: "The whole profile",
    profile.Source: "The whole profile",
    profile.Request: "Requests",
    profile.Start: "Start",
    profile.Ref: "Ref",
    profile.Poll: "Poll",
    profile.Acceptor: "Poll",
    profile.Progress: "Poll",
    profile.Stage: "Stages",
    profile.Then: "Stages",
    profile.Result: "Result",
    profile.Cancel: "Cancel",
    profile.Listing: "Find and list",
    profile.Find: "Find and list",
    profile.Where: "Find and list",
    profile.Many: "Find and list",
    profile.Page: "Find and list",
    profile.Probe: "Probe",
    profile.Example: "Examples in a profile",
}
"""Where the page describes the fields of a model."""


def models() -> list[type[BaseModel]]:
    found = [one for one in vars(profile).values() if isinstance(one, type) and issubclass(one, BaseModel)]
    return [one for one in found if one.__module__ == profile.__name__ and one.model_fields]


def section(head: str) -> str:
    [found] = re.findall(rf"^## {head}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def described(model: type[BaseModel]) -> str:
    """The sections of a model and of those that it extends."""
    bases = [one for one in model.__mro__ if one in SECTIONS]
    return "".join(section(SECTIONS[one]) for one in bases)


def test_each_model_has_a_section() -> None:
    assert [one.__name__ for one in models() if one not in SECTIONS] == []


@each_row("model", SECTIONS)
def test_each_field_is_described(model: type[BaseModel]) -> None:
    text = described(model)
    names = [field.alias or name for name, field in model.model_fields.items()]
    assert [name for name in names if f"`{name}`" not in text] == []


def words() -> list[str]:
    """What a field may be, as a word, and what expressions and placeholders may begin with."""
    from airflow_provider_taskwatch.systems.rest.template import _NAMES

    roots = [f"{{{root}" for root in _NAMES]
    kinds = [*get_args(profile.Ref.model_fields["kind"].annotation), *get_args(profile.PhaseName)]
    others = [*get_args(profile.Source.model_fields["checked"].annotation), "same", "adopt", "single", "lost", "link"]
    return [*roots, *(f"`{one}`" for one in (*FUNCTIONS, *ROOTS, *kinds, *others))]


@each_row("word", words())
def test_each_word_of_the_format_is_described(word: str) -> None:
    assert word in PAGE


def test_the_limits_are_those_of_the_code() -> None:
    text = section("Limits")
    for number, unit in (
        (MAX_FILE_BYTES // 1024, "kB"),
        (profile.MAX_RESOLVED_BYTES // 1024, "kB"),
        (EXPRESSION_CHARACTERS, "characters"),
        (WORK, "steps"),
        (LINK_CHARACTERS, "characters"),
        (RESULT_CHARACTERS, "characters"),
        (MAX_REPLY_BYTES // 1024**2, "MB"),
    ):
        assert f" {number:,} {unit}" in text
    assert f" {MAX_PAGES} pages" in PAGE


def test_the_blocks_of_yaml_are_valid() -> None:
    whole, stages = (yaml.safe_load(one) for one in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
    assert read_profile(whole, "the page").poll.phase_of("expired") == "failed"
    two: dict[str, Any] = {"profile": 1, **stages}
    assert list(read_profile(two, "the page").stages) == ["", "build"]


def test_the_page_has_plain_characters() -> None:
    assert set(PAGE) <= set(string.printable)
