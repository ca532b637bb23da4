from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.config import profile as module
from airflow_provider_taskwatch.config.profile import MAX_FILE_BYTES, find_profile, load_file, merged, preset_names
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.systems.rest.profile import Profile
from tests.rows import each_row

CONTENT: dict[str, Any] = {
    "profile": 1,
    "start": {"path": "/jobs", "query": {"a": "b", "c": "d"}},
    "ref": {"from": "body.id"},
    "poll": {"path": "/jobs/{ref}", "status": "body.state", "phases": {"succeeded": ["done"], "failed": ["no", "on"]}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``[taskwatch] profiles_folder``."""
    monkeypatch.setenv("AIRFLOW__TASKWATCH__PROFILES_FOLDER", str(tmp_path))
    return tmp_path


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def load(tmp_path: Path, text: str) -> Any:
    return load_file(write(tmp_path / "a.yaml", text))


@each_row(
    "text, value",
    [
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("y", "y"),
        ("0x1", "0x1"),
        ("0o7", "0o7"),
        ("012", "012"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-12-01", "2026-12-01"),
        ("2026-12-01T10:00:00Z", "2026-12-01T10:00:00Z"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("=", "="),
        ("<<", "<<"),
        ("1.", "1."),
        ("+1", 1),
        ("-5", -5),
        ("0", 0),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ('"5"', "5"),
        ("!!str 5", "5"),
        ("{a: [1, b]}", {"a": [1, "b"]}),
        ("[&x {a: 1}, *x]", [{"a": 1}, {"a": 1}]),
        ("\ufeffa", "a"),
    ],
)
def test_words_of_yaml_stay_words(tmp_path: Path, text: str, value: object) -> None:
    assert load(tmp_path, text) == value


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


@each_row(
    "text, problem",
    [
        ("a: 1\na: 2", "'a' is given twice"),
        ("{a: 1, b: {c: 1, c: 2}}", "'c' is given twice"),
        ("? [a]\n: 1", "not valid YAML"),
        ("a: [", "not valid YAML"),
        ("a: *b", "undefined alias"),
        ("\ta: 1", "not valid YAML"),
        ("a: 1\n---\nb: 1", "not valid YAML"),
        ("a: \x00", "not valid YAML"),
        ("!!python/object/apply:os.system [ls]", "not valid YAML"),
        ("!!int x", "not valid YAML"),
        ("!!bool maybe", "not valid YAML"),
        ("!!timestamp x", "not valid YAML"),
        ("9" * 5000, "not valid YAML"),
        ("1e999", "number that JSON does not have"),
        ("!!timestamp 2026-12-01", "of the type date"),
        ("1: a", "only have strings as names"),
        (BOMB, "more than 50000 values"),
        ("&a [*a]", "more than 50000 values"),
        ("&a {b: *a}", "more than 50000 values"),
        ("[" * 5000, "a.yaml"),
        ("x: " + "[" * 150 + "]" * 150, "nested deeper than 100 levels"),
        ('"\\ud800"', "a.yaml"),
        ("a" * (MAX_FILE_BYTES + 1), "more than 256 kB"),
    ],
)
def test_a_file_that_is_no_profile_is_an_error_with_its_name(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert problem in str(caught.value)
    assert "a.yaml" in str(caught.value)


def test_many_names_are_read_fast(tmp_path: Path) -> None:
    text = "{" + ",".join(f"k{number}: 1" for number in range(15_000)) + "}"
    assert len(load(tmp_path, text)) == 15_000


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("a: ü".encode("latin-1"))
    for path in (tmp_path / "latin.yaml", tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            load_file(path)


@each_row(
    "given",
    [
        "none",
        "no such name!",
        "../none",
        "./none.yaml",
        "/none/x.yaml",
        "~nobody-here/x.yaml",
        "a" * 5000,
        "x/" + "a" * 5000,
        "",
        "a\0.yaml",
        "folder.yaml",
        "loop.yaml",
    ],
)
def test_a_profile_that_does_not_exist_is_an_error(folder: Path, given: str) -> None:
    (folder / "folder.yaml").mkdir(exist_ok=True)
    if not (folder / "loop.yaml").is_symlink():
        (folder / "loop.yaml").symlink_to("loop.yaml")
    with pytest.raises(ConfigurationError, match="there is no profile"):
        find_profile(given, folder)


def test_a_missing_profile_without_a_folder_names_the_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__TASKWATCH__PROFILES_FOLDER", raising=False)
    with pytest.raises(ConfigurationError, match=r"profiles_folder is not set; presets are .*jenkins"):
        find_profile("none")


@pytest.mark.parametrize("given", [None, 5, ["a"], b"x"])
def test_a_profile_is_a_name_a_path_an_object_or_a_profile(given: object) -> None:
    with pytest.raises(ConfigurationError, match="must be a name, a path, an object or a Profile"):
        find_profile(given)


def test_a_profile_is_found_by_name_path_object_and_value(folder: Path) -> None:
    path = write(folder / "mine.yaml", CONTENT)
    (folder / "linked.yml").symlink_to(path)
    for given in ("mine", "mine.yaml", "./mine.yaml", str(path), "linked", CONTENT, Profile.model_validate(CONTENT)):
        found = find_profile(given, folder)
        assert found.profile.poll.phases["failed"] == ["no", "on"]
        assert json.dumps(found.content)
    assert find_profile("mine").where == str(path)


def test_the_folder_goes_before_the_presets_and_json_is_read(folder: Path) -> None:
    assert "jenkins" in preset_names()
    write(folder / "jenkins.json", CONTENT)
    assert find_profile("jenkins").where == str(folder / "jenkins.json")


def test_a_changed_file_is_read_again(folder: Path) -> None:
    path = write(folder / "mine.yaml", CONTENT)
    write(folder / "over.yaml", {"preset": "mine", "noun": "build"})
    assert (find_profile("mine").profile.noun, find_profile("over").profile.title) == ("task", "")
    assert find_profile("mine") is find_profile("mine")
    write(path, {**CONTENT, "noun": "job", "title": "new"})
    os.utime(path, ns=(1, 1))
    assert (find_profile("mine").profile.noun, find_profile("over").profile.title) == ("job", "new")
    assert find_profile("over").profile.noun == "build"


def test_a_profile_may_change_another_one(folder: Path) -> None:
    write(folder / "mine.yaml", CONTENT)
    write(folder / "over.yaml", {"preset": "mine", "start": {"query": {"a": None, "e": "f"}}})
    found = find_profile({"preset": "over", "noun": "build", "poll": {"phases": {"lost": ["gone"]}}})
    assert found.content["start"]["query"] == {"c": "d", "e": "f"}
    assert (found.profile.noun, set(found.profile.poll.phases)) == ("build", {"succeeded", "failed", "lost"})
    assert find_profile("mine").content == CONTENT
    assert str(folder) in found.where
    with pytest.raises(
        ConfigurationError, match=r"profile over .*mine.yaml is not a valid profile:\n  poll: Field required"
    ):
        find_profile({"preset": "mine", "poll": None})


@each_row(
    "files, given",
    [
        ({"a.yaml": {"preset": "a"}}, "a"),
        ({"a.yaml": {"preset": "./a.yaml"}}, "a"),
        ({"a.yaml": {"preset": "../{name}/a.yaml"}}, "a"),
        ({"a.yaml": {"preset": "b"}, "b.yaml": {"preset": "a"}}, "a"),
        ({"a.yaml": {"preset": {"preset": "a"}}}, {"preset": "a"}),
    ],
)
def test_a_profile_that_changes_itself_is_an_error(folder: Path, files: dict[str, Any], given: Any) -> None:
    for name, content in files.items():
        write(folder / name, json.dumps(content).replace("{name}", folder.name))
    with pytest.raises(ConfigurationError, match="changes itself"):
        find_profile(given, folder)


@each_row(
    "base, patch, made",
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_changes_are_a_merge_patch(base: Any, patch: Any, made: Any) -> None:
    """The examples of RFC 7396, appendix A."""
    assert merged(base, patch) == made


def test_a_file_that_vanishes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        module._of_file(tmp_path / "gone.yaml", ())
