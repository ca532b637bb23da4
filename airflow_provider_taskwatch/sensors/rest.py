"""The sensor for a task of any REST API, as a profile describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_taskwatch.core.check import CENTURY_SECONDS, Check, seconds, text
from airflow_provider_taskwatch.task.profile import FROM_PROFILE, ProfileMixin, duration_or_profile
from airflow_provider_taskwatch.task.sensor import WatchSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_taskwatch.systems.rest.profile import Profile


class RestTaskSensor(ProfileMixin, WatchSensor):
    """Waits until a task at any REST API has ended, and returns what the profile selects.

    It starts nothing and cancels nothing. The profile may lack a ``start``; see docs/profiles.md.

    :param ref: the remote's id of the task, its name, or a link, as the profile has it. The id of a later stage ends in
        ``#`` and the name of the stage.
    :param conn_id: an Airflow connection of the type ``taskwatch``.
    :param profile: a name (of a file in ``[taskwatch] profiles_folder``, or of a preset), a path beside the DAG file,
        an object (``{"preset": "azure-lro", ...}`` changes a preset by JSON merge patch), or a ``Profile``. None: the
        extra ``profile`` of the connection.
    :param inputs: what the profile's polls need, as ``{inputs.NAME}``.
    :param timeout: the longest wait, in seconds or as a timedelta. ``profile``: what the profile says, which is 24
        hours unless it names another. None: no limit.
    :result ref: the remote's id of the task
    :result status: the remote's word for its state
    :result message: what the remote says to people
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {
        "ref": text,
        "longest_wait": lambda _, value: duration_or_profile("timeout", value),
    }
    template_fields: Sequence[str] = ("ref", "inputs", "conn_id", "output_path")
    template_fields_renderers = {"inputs": "json"}  # noqa: RUF012 - as Airflow's own operators have it
    ui_color = "#e6f2e6"

    conn_id: str = ""
    """An attribute here, as Airflow renders it."""

    def __init__(
        self,
        *,
        ref: str,
        conn_id: str = "taskwatch_default",
        profile: str | Mapping[str, Any] | Profile | None = None,
        inputs: Mapping[str, Any] | None = None,
        timeout: float | timedelta | str | None = FROM_PROFILE,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ref = ref
        self.conn_id = conn_id
        self.profile = profile
        self.inputs = inputs
        self.longest_wait = timeout

    def needed_for(self, profile: Any) -> Any:
        polls = [(stage.poll, stage.cancel) for stage in profile.stages.values()]
        return [*polls, profile.result, profile.many]

    def watched_ref(self) -> str:
        from airflow_provider_taskwatch.systems.rest.reference import plausible_ref

        return plausible_ref(text("ref", self.ref))

    def options(self) -> dict[str, Any]:
        return self.options_with(self.given_inputs)

    def validate(self) -> None:
        self.inputs = self.given_inputs  # once, as each item of mapped output costs a request
        super().validate()
        self.check_inputs()
        self.ref = self.system.check_ref(self.ref)

    def execute(self, context: Context) -> Any:
        self.timeout = self._wait_seconds()
        return super().execute(context)

    def _wait_seconds(self) -> float:
        """The longest wait. Airflow's sensors have no wait without end, so that is a century."""
        given: Any = self.longest_wait
        if given == FROM_PROFILE:
            return float(self.found.profile.timeout)
        return CENTURY_SECONDS if given is None else seconds(given)
