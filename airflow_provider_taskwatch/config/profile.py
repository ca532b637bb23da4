"""Finds the profile of a task: a file beside the DAG, in ``[taskwatch] profiles_folder``, or a preset of the package.

Files are read where a DAG is parsed, on workers and by commands, never in a triggerer, which has no DAG bundle.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.plain import plain

from .option import text as option

if TYPE_CHECKING:
    from airflow_provider_taskwatch.systems.rest.profile import Profile

PRESETS = Path(__file__).parent.parent / "systems" / "rest" / "presets"
SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILE_BYTES = 256 * 1024

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundProfile:
    """A profile with its plain data.

    :param where: what it was read from, for messages.
    """

    content: Mapping[str, Any]
    profile: Profile
    where: str


def find_profile(given: object, beside: Path | None = None) -> FoundProfile:
    """The profile that an argument, or a connection's extra, names or holds.

    :param given: a name, a path, an object (``preset`` names what it changes), or a :class:`Profile`.
    :param beside: the folder of the DAG file, which a relative path begins at.
    :raises ConfigurationError: there is none of that name, or it is not valid.
    """
    from airflow_provider_taskwatch.systems.rest.profile import Profile, content_of
    from airflow_provider_taskwatch.systems.rest.reader import checked, read_profile

    if isinstance(given, Profile):
        return FoundProfile(content=content_of(given), profile=checked(given, "profile"), where="profile")
    if isinstance(given, str):
        path = _path_of(given, beside)
        return _read(path, path.stat().st_mtime_ns)
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"profile must be a name, a path, an object or a Profile, not {given!r:.80}; a preset is listed by "
            "`taskwatch profile list`"
        )
    content: dict[str, Any] = plain("profile", given)
    where = "profile"
    if "preset" in content:
        base = find_profile(content.pop("preset"), beside)
        content, where = merged(base.content, content), f"profile over {base.where}"
    return FoundProfile(content=content, profile=read_profile(content, where), where=where)


def merged(base: Any, patch: Any) -> Any:
    """``base`` with the changes of a JSON merge patch (RFC 7396): null removes a member."""
    if not isinstance(patch, Mapping):
        return patch
    made = dict(base) if isinstance(base, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merged(made.get(name), value)
    return made


@functools.lru_cache(maxsize=256)
def _read(path: Path, modified: int) -> FoundProfile:
    from airflow_provider_taskwatch.systems.rest.reader import read_profile

    content = load_file(path)
    if isinstance(content, Mapping) and "preset" in content:
        return find_profile(content, path.parent)
    return FoundProfile(content=content, profile=read_profile(content, str(path)), where=str(path))


def load_file(path: Path) -> Any:
    """Plain data of a YAML or JSON file.

    :raises ConfigurationError: it cannot be read; the message has line and column.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path} has more than {MAX_FILE_BYTES // 1024} kB, too much for a profile")
        return plain(str(path), yaml.load(path.read_text(encoding="utf-8"), _Loader))  # noqa: S506 - it is a safe loader
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigurationError(f"the profile {path} cannot be read: {cause}") from cause
    except (yaml.YAMLError, RecursionError) as cause:
        problem = " ".join(str(cause).split())
        raise ConfigurationError(f"the profile {path} is not valid YAML: {problem:.300}") from cause


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with the types of JSON. Words such as ``no``, ``on`` and ``2026-11-30`` stay words, as statuses may be."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as the library has it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise yaml.constructor.ConstructorError(None, None, f"{twice!r} is given twice", node.start_mark)
        made: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return made


for _tag, _pattern, _first in (
    ("null", r"null|Null|NULL|~|", [*"nN~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", list("-+0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def _path_of(given: str, beside: Path | None) -> Path:
    """The file that a name or a path means."""
    text = given.strip()
    if "/" in text or text.endswith(SUFFIXES):
        path = Path(text).expanduser()
        path = path if path.is_absolute() or beside is None else beside / path
        if not path.is_file():
            raise ConfigurationError(f"there is no profile {path}; a path is relative to the folder of the DAG file")
        return path
    found = next(_files_of(text), None) if _NAME.fullmatch(text) else None
    if found is None:
        known = ", ".join(sorted(preset_names()))
        folder = profiles_folder()
        place = (
            f"in {folder}, and no preset" if folder else "among the presets, and [taskwatch] profiles_folder is not set"
        )
        raise ConfigurationError(f"there is no profile {text[:80]!r} {place}; presets are {known}")
    return found


def _files_of(name: str) -> Iterator[Path]:
    for folder in (profiles_folder(), PRESETS):
        for suffix in SUFFIXES if folder else ():
            path = folder / f"{name}{suffix}"  # type: ignore[operator]
            if path.is_file():
                yield path


def profiles_folder() -> Path | None:
    """``[taskwatch] profiles_folder``."""
    folder = option("profiles_folder")
    return Path(folder).expanduser() if folder else None


def preset_names() -> list[str]:
    """The names of the package's own profiles."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))
