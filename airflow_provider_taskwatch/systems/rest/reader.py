"""Reads a profile from plain data, and checks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from airflow_provider_taskwatch.core.error import ConfigurationError

from .profile import Profile
from .rules import problems


def read_profile(content: object, where: str) -> Profile:
    """The profile in plain data.

    :param where: the file or the argument, for the error.
    :raises ConfigurationError: names each field that is wrong.
    """
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"{where} must be an object with the fields of a profile, not {content!r:.80}")
    try:
        return checked(Profile.model_validate(dict(content)), where)
    except ValidationError as error:
        found = [_described(dict(one)) for one in error.errors(include_url=False, include_context=False)]
    raise _invalid(where, found)


def checked(profile: Profile, where: str) -> Profile:
    """The profile.

    :raises ConfigurationError: its fields do not fit together.
    """
    if found := problems(profile):
        raise _invalid(where, found)
    return profile


def _invalid(where: str, found: Sequence[str]) -> ConfigurationError:
    return ConfigurationError(f"{where} is not a valid profile:" + "".join(f"\n  {one}" for one in found))


def _described(error: Mapping[str, Any]) -> str:
    place = ".".join(str(one) for one in error["loc"] if one not in ("Page", "literal['link']", "[key]"))
    message = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "it must be")
    if error["type"] == "extra_forbidden":
        message = "unknown field"
    return "\n  ".join(f"{place}: {one}" if place else one for one in message.splitlines())
