"""Finds the profile of a task: a file beside the DAG, in ``[taskwatch] profiles_folder``, or a preset of the package.

Files are read where a DAG is parsed, on workers and by commands, never in a triggerer, which has no DAG bundle.
"""

from __future__ import annotations

import functools
import os
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
MAX_VALUES = 50_000
"""Of a file. Aliases of YAML count as often as they are used, so that ten lines cannot stand for a billion values."""

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
    from airflow_provider_taskwatch.systems.rest.reader import checked

    if isinstance(given, Profile):
        return FoundProfile(content=content_of(given), profile=checked(given, "profile"), where="profile")
    return _found(given, beside, ())


def _found(given: object, beside: Path | None, over: tuple[Path, ...]) -> FoundProfile:
    """See :func:`find_profile`.

    :param over: the files that change the one that is looked for.
    """
    from airflow_provider_taskwatch.systems.rest.reader import read_profile

    if isinstance(given, str):
        return _of_file(_path_of(given, beside), over)
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"profile must be a name, a path, an object or a Profile, not {given!r:.80}; a preset is listed by "
            "`taskwatch profile list`"
        )
    content: dict[str, Any] = plain("profile", given)
    where = "profile"
    if "preset" in content:
        base = _found(content.pop("preset"), beside, over)
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


def _of_file(path: Path, over: tuple[Path, ...]) -> FoundProfile:
    try:
        real, modified = path.resolve(), path.stat().st_mtime_ns
    except (OSError, RuntimeError) as cause:
        raise ConfigurationError(f"the profile {path} cannot be read: {cause}") from cause
    if real in over:
        raise ConfigurationError(f"the profile {path} changes itself, by 'preset'; name another file or a preset")
    content = _content(path, modified)
    if isinstance(content, Mapping) and "preset" in content:
        return _found(content, path.parent, (*over, real))
    return _read(path, modified)


@functools.lru_cache(maxsize=256)
def _content(path: Path, modified: int) -> Any:
    return load_file(path)


@functools.lru_cache(maxsize=256)
def _read(path: Path, modified: int) -> FoundProfile:
    from airflow_provider_taskwatch.systems.rest.reader import read_profile

    content = _content(path, modified)
    return FoundProfile(content=content, profile=read_profile(content, str(path)), where=str(path))


def load_file(path: Path) -> Any:
    """Plain data of a YAML or JSON file.

    :raises ConfigurationError: it cannot be read; the message has line and column.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path} has more than {MAX_FILE_BYTES // 1024} kB, too much for a profile")
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - it is a safe loader
        _check_size(path, content)
        return plain(str(path), content)
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigurationError(f"the profile {path} cannot be read: {cause}") from cause
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError) as cause:
        # A tag such as !!int makes the library read a value that is none, which raises any of these.
        problem = " ".join(str(cause).split())
        raise ConfigurationError(f"the profile {path} is not valid YAML: {problem:.300}") from cause


def _check_size(path: Path, content: Any) -> None:
    waiting, left = [content], MAX_VALUES
    while waiting:
        value = waiting.pop()
        left -= 1
        if left < 0:
            raise ConfigurationError(f"{path} holds more than {MAX_VALUES} values, too many for a profile")
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with the types of JSON. Words such as ``no``, ``on`` and ``2026-11-30`` stay words, as statuses may be."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as the library has it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if isinstance(name, Hashable) and name in names:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is given twice", node.start_mark)
            if isinstance(name, Hashable):
                names.add(name)
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
        path = Path(os.path.expanduser(text))  # noqa: PTH111 - that method fails for an unknown user
        path = path if path.is_absolute() or beside is None else beside / path
        if not _is_file(path):
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
            if _is_file(path):
                yield path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, or a folder that cannot be read
        return False


def profiles_folder() -> Path | None:
    """``[taskwatch] profiles_folder``."""
    folder = option("profiles_folder")
    return Path(folder).expanduser() if folder else None


def preset_names() -> list[str]:
    """The names of the package's own profiles."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))
