"""What operators and sensors of REST tasks have in common: a profile, its inputs, and the remote of both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_taskwatch.core.check import Check, duration, json_object, shown
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.record import Record

if TYPE_CHECKING:
    from airflow_provider_taskwatch.config.profile import FoundProfile
    from airflow_provider_taskwatch.hooks.rest import RestHook
    from airflow_provider_taskwatch.systems.rest.system import RestTasks

FROM_PROFILE = "profile"
"""The value of ``timeout`` that leaves it to the profile."""


def _profile_or_none(name: str, value: object) -> None:
    from pydantic import BaseModel

    if value is not None and not isinstance(value, (str, Mapping, BaseModel)):
        raise ConfigurationError(f"{name} must be a name, a path, an object or a Profile, not {shown(value)}")


def duration_or_profile(name: str, value: object) -> None:
    """Check a duration that the profile may give."""
    if value != FROM_PROFILE:
        duration(name, value)


class ProfileMixin:
    """Finds the profile: the argument's, else that of the connection, when the DAG is parsed or on a worker.

    The class that it is mixed into takes the arguments, and documents them.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {"profile": _profile_or_none, "inputs": json_object}
    hook_class = "airflow_provider_taskwatch.hooks.rest.RestHook"

    profile: Any
    inputs: Any
    hook: RestHook

    @cached_property
    def found(self) -> FoundProfile:
        """The profile of this task.

        :raises ConfigurationError: there is none, or it is not valid.
        """
        from airflow_provider_taskwatch.config.profile import find_profile

        given = self.profile if self.profile is not None else self.hook.settings.own.get("profile")
        if not given:
            raise ConfigurationError(
                f"there is no profile: give profile=, or set the extra 'profile' of connection {self.hook.conn_id!r}"
            )
        return find_profile(given, self._folder_of_dag())

    def _folder_of_dag(self) -> Path | None:
        has_dag: Callable[[], bool] = getattr(self, "has_dag", lambda: False)
        return Path(self.dag.fileloc).parent if has_dag() else None  # type: ignore[attr-defined]

    def joint_checks(self) -> Iterable[tuple[Collection[str], Callable[[], object]]]:
        """Check the profile where it is known, and the names of the inputs."""
        yield from super().joint_checks()  # type: ignore[misc]
        if self.profile is not None:
            yield ("profile",), lambda: self.found
            yield ("profile", "inputs"), self.check_inputs

    def check_inputs(self) -> None:
        """Raise :class:`ConfigurationError` for inputs that are missing, or that nothing in the profile uses."""
        from airflow_provider_taskwatch.systems.rest.rules import input_names, needed_inputs

        profile, given = self.found.profile, set(self.given_inputs)
        used = input_names(profile) | set(profile.inputs)
        if unknown := sorted(given - used):
            known = ", ".join(sorted(used)) or "none"
            raise ConfigurationError(f"inputs: {self.found.where} uses no {', '.join(unknown)}; it uses {known}")
        if missing := sorted(needed_inputs(self.needed_for(profile)) - given):
            raise ConfigurationError(f"inputs: {self.found.where} needs {', '.join(missing)}")

    def needed_for(self, profile: Any) -> Any:
        """The parts of a profile whose inputs must be there."""
        return [profile]

    @property
    def given_inputs(self) -> dict[str, Any]:
        """The inputs as JSON."""
        return json_object("inputs", self.inputs)

    @cached_property
    def system(self) -> RestTasks:
        """The tasks of the profile, with the inputs of this task."""
        return self.tasks(self.given_inputs)

    def tasks(self, inputs: Mapping[str, Any]) -> RestTasks:
        """The tasks of the profile with some inputs."""
        return self.hook.tasks(self.found.profile, inputs)

    def options_with(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a wait."""
        from airflow_provider_taskwatch.systems.rest.system import options_of

        return options_of(self.found.content, self.found.profile, inputs)


def inputs_of(record: Record | None) -> Mapping[str, Any] | None:
    """The inputs that a record keeps; None where it keeps none."""
    kept = record.options.get("inputs") if record is not None else None
    return kept if isinstance(kept, Mapping) else None
