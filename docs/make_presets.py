"""Writes docs/presets.md from the presets, and from the profiles to copy in docs/profiles.

``python -m docs.make_presets`` writes the page; ``tests/docs/test_presets.py`` compares it with the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from jmespath.parser import Parser

from airflow_provider_taskwatch.command.profile import facts
from airflow_provider_taskwatch.config.profile import PRESETS, find_profile
from airflow_provider_taskwatch.systems.rest.profile import Profile
from airflow_provider_taskwatch.systems.rest.rules import input_names, needed_inputs
from docs.table import table

PAGE = Path(__file__).with_name("presets.md")
COPIES = Path(__file__).with_name("profiles")

CHECKED = {
    "recording": "a recorded exchange",
    "schema": "the vendor's schema",
    "documentation": "its documentation only",
}

_HEAD = """\
# Presets: profiles that exist

`make docs` writes this page from the files: edit a file, not the page.

A preset comes with the package: `profile="NAME"` is enough. A copy is a file to put beside your DAG, or into the folder
of `[taskwatch] profiles_folder`. Both were written from the document in the last column but one, and compared with what
the last column says; none was run against the vendor's service. `taskwatch profile show NAME` prints a preset, and
`{"preset": "NAME", ...}` changes one. [profiles.md](profiles.md) describes the fields."""

_COPIES = """\
## Profiles to copy

These are known from documents only, or the API has a provider of its own. Read them before you use them."""


def page() -> str:
    """The whole page."""
    presets, copies = sorted(PRESETS.glob("*.yaml")), sorted(COPIES.glob("*.yaml"))
    parts = [
        [_HEAD],
        ["## Presets", "", *_table(presets, "#{}")],
        [_COPIES, "", *_table(copies, "profiles/{}.yaml")],
        *map(_section, presets),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _table(files: Sequence[Path], link: str) -> list[str]:
    return table(
        (
            "profile",
            "tasks",
            "after a lost reply, a start",
            "cancel",
            "many at once",
            "document, read",
            "checked against",
        ),
        (_row(file.stem, find_profile(str(file)).profile, link) for file in files),
    )


def _row(name: str, profile: Profile, link: str) -> tuple[str, ...]:
    known = dict(facts(profile))
    start = known["start"].removesuffix(" after a lost reply").partition(" after a lost reply:")[0]
    source = profile.source
    return (
        f"[`{name}`]({link.format(name)})",
        profile.title,
        start.replace("a person decides", "is for a person"),
        "yes" if profile.can_cancel else "no",
        "yes" if profile.many else "no",
        f"[{source.read}]({source.url})" if source else "",
        CHECKED[source.checked] if source else "",
    )


def _section(file: Path) -> list[str]:
    profile = find_profile(str(file)).profile
    return [
        f"## {file.stem}",
        "",
        *table(("", ""), ((head, text) for head, text in _lines(profile) if text)),
        "",
        *_inputs(profile),
        "```yaml",
        file.read_text().strip(),
        "```",
    ]


def _lines(profile: Profile) -> Iterator[tuple[str, str]]:
    source = profile.source
    yield "tasks", f"[{profile.title}]({profile.docs})" if profile.docs else profile.title
    yield "noun", profile.noun
    yield "host of the connection", f"`{profile.base_url}`" if profile.base_url else ""
    yield "credentials", profile.auth
    for head, text in facts(profile):
        if head not in ("inputs", "result", "probe"):
            yield head, text
    yield "result", _result(profile)
    yield "longest wait", f"{profile.timeout / 3600:g} hours"
    if source is not None:
        yield "source", f"{source.url}, read {source.read}, checked against {CHECKED[source.checked]}"
        yield "note", " ".join(source.note.split())


def _result(profile: Profile) -> str:
    if profile.result is None:
        return "`ref`, `status`, `message`"
    if profile.result.select is None:
        return "the body of the last read"
    return ", ".join(f"`{one}`" for one in _keys(profile.result.select.text)) or "`value`"


def _keys(expression: str) -> list[str]:
    """The names of the object that an expression makes; none where it makes something else."""
    tree = Parser().parse(expression).parsed
    return [one["value"] for one in tree["children"]] if tree["type"] == "multi_select_dict" else []


def _inputs(profile: Profile) -> list[str]:
    names, needed = sorted(input_names(profile) | set(profile.inputs)), needed_inputs(profile)
    rows = ((f"`{name}`", "yes" if name in needed else "", profile.inputs.get(name, "")) for name in names)
    return [*table(("input", "required", "meaning"), rows), ""] if names else []


if __name__ == "__main__":
    PAGE.write_text(page())
