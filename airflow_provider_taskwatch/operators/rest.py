"""The operator that starts a task at any REST API, as a profile describes it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_taskwatch.core.callback import Expectation
from airflow_provider_taskwatch.core.check import Check, duration, flag, seconds, seconds_or_none
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.record import Record, Started, fingerprint
from airflow_provider_taskwatch.task.deferral import deadline_of, now
from airflow_provider_taskwatch.task.operator import StartOperator, ended_at_once
from airflow_provider_taskwatch.task.profile import FROM_PROFILE, ProfileMixin, duration_or_profile, inputs_of
from airflow_provider_taskwatch.task.result import result_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_taskwatch.core.flow import Flow
    from airflow_provider_taskwatch.systems.rest.profile import Profile
    from airflow_provider_taskwatch.systems.rest.system import RestTasks

CHANNEL = "rest"
"""Of the receiver, for callbacks."""


class RestTaskOperator(ProfileMixin, StartOperator):
    """Starts a task at any REST API, waits until it has ended, and returns what the profile selects.

    A profile says how a task is started, polled, cancelled and found; see docs/profiles.md. A start without a reply is
    sent again only where the profile says that a repeat is safe. Otherwise it is looked up by its marker, and without a
    marker a person decides. docs/your-api.md makes a profile in ten minutes.

    :param conn_id: an Airflow connection of the type ``taskwatch``.
    :param profile: a name (of a file in ``[taskwatch] profiles_folder``, or of a preset), a path beside the DAG file,
        an object (``{"preset": "azure-lro", ...}`` changes a preset by JSON merge patch), or a ``Profile``. None: the
        extra ``profile`` of the connection.
    :param inputs: what the profile's requests need, as ``{inputs.NAME}``. They are shown in Airflow, so secrets belong
        into the extra ``secrets`` of the connection.
    :param callback: whether the remote calls back at the end, where the profile has a place for the address
        (``{callback.url}``). The task is then polled when it does, and every ``callback_poll_interval``.
    :param callback_poll_interval: the interval between polls while a callback is expected, in seconds or as a
        timedelta.
    :param timeout: the longest wait, in seconds or as a timedelta. ``profile``: what the profile says, which is 24
        hours unless it names another. None: no limit.
    :param kwargs: see :class:`~..task.operator.StartOperator`.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {
        "callback": flag,
        "callback_poll_interval": duration,
        "timeout": duration_or_profile,
    }
    template_fields: Sequence[str] = ("inputs", "conn_id", "output_path")
    template_fields_renderers = {"inputs": "json"}  # noqa: RUF012 - as Airflow's own operators have it
    ui_color = "#e6f2e6"

    conn_id: str = ""
    """An attribute here, as Airflow renders it."""

    def __init__(
        self,
        *,
        conn_id: str = "taskwatch_default",
        profile: str | Mapping[str, Any] | Profile | None = None,
        inputs: Mapping[str, Any] | None = None,
        callback: bool = False,
        callback_poll_interval: float | timedelta = 300.0,
        timeout: float | timedelta | str | None = FROM_PROFILE,
        **kwargs: Any,
    ) -> None:
        super().__init__(timeout=timeout, **kwargs)  # type: ignore[arg-type]
        self.conn_id = conn_id
        self.profile = profile
        self.inputs = inputs
        self.callback = callback
        self.callback_poll_interval = callback_poll_interval

    # --- what is started

    @property
    def wait_seconds(self) -> float | None:
        timeout: Any = self.timeout
        return self.found.profile.timeout if timeout == FROM_PROFILE else seconds_or_none(timeout)

    def joint_checks(self) -> Iterable[tuple[Collection[str], Callable[[], object]]]:
        yield from super().joint_checks()
        if self.profile is not None:
            yield ("profile", "callback", "wait_for_completion"), self._check_start_part

    def _check_start_part(self) -> None:
        """Refuse a profile that starts nothing, and a callback that would not come."""
        from airflow_provider_taskwatch.systems.rest.rules import placeholders_in

        start, where = self.found.profile.start, self.found.where
        if start is None:
            raise ConfigurationError(f"profile: {where} has no 'start'; wait with RestTaskSensor, or add it")
        places = [one for one in placeholders_in(start) if one.root == "callback"]
        if self.callback and not places:
            raise ConfigurationError(f"callback: {where} has no place for {{callback.url}}; remove callback")
        if not self.callback and any(not one.is_optional for one in places):
            raise ConfigurationError(f"callback: {where} needs {{callback.url}}; set callback=True")
        if self.callback and not self.wait_for_completion:
            raise ConfigurationError("callback: with wait_for_completion=False no wait receives it; remove callback")

    def validate(self) -> None:
        self.inputs = self.given_inputs  # once, as each item of mapped output costs a request
        super().validate()
        self.check_inputs()
        self._check_start_part()

    def start_inputs(self) -> Mapping[str, Any]:
        from airflow_provider_taskwatch.systems.rest.profile import hash_of

        return {"conn_id": self.conn_id, "inputs": self.given_inputs, "start": hash_of(self.found.content["start"])}

    def subject(self) -> str:
        return self.found.profile.name or self.found.where

    def marker(self, start_id: str) -> str:
        """The text that the profile's ``find`` looks for, or the ref that we choose."""
        text = _marker(start_id)
        chosen = self.found.profile.find is None and self.found.profile.chooses_ref
        return self.system.chosen_ref(start_id, text) if chosen else text

    def start_flow(self, start_id: str) -> Flow[Started]:
        return self.system.start(start_id, _marker(start_id), self._callback_url(start_id))

    def replay_flow(self, record: Record) -> Flow[Started] | None:
        start = self.found.profile.start
        if start is None or start.replay != "same" or record.ref is not None:
            return None
        age = (now() - datetime.fromisoformat(record.started_at)).total_seconds()
        is_known = start.replay_within is None or age < start.replay_within
        if not is_known or record.fingerprint != fingerprint(list(self.start_inputs().values())):
            return None
        return self.system.start(
            record.start_id, _marker(record.start_id), self._callback_url(record.start_id), again=True
        )

    # --- how it is waited for

    def options(self, start_id: str) -> dict[str, Any]:
        return self.options_with(self.given_inputs)

    def options_of(self, record: Record | None) -> dict[str, Any]:
        inputs = inputs_of(record)
        return self.options_with(self.given_inputs if inputs is None else inputs)

    def system_of(self, record: Record) -> RestTasks:
        inputs = inputs_of(record)
        return self.system if inputs is None else self.tasks(inputs)

    def kept_options(self) -> dict[str, Any]:
        """The inputs that later requests use, and which profile they belong to."""
        from airflow_provider_taskwatch.systems.rest.profile import FORMAT
        from airflow_provider_taskwatch.systems.rest.rules import input_names

        options, given = self.options(""), self.given_inputs
        found = {name: given[name] for name in input_names(self.found.profile.find) & given.keys()}
        return {"profile": options["hash"], "format": FORMAT, "inputs": {**options["inputs"], **found}}

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """As Airflow's, with the inputs of the start that is waited for; templates may give others by now."""
        self._ti = context["ti"]
        self.use_kept_inputs(inputs_of(self._records(context).load()), context)
        return super().resume_execution(next_method, next_kwargs, context)

    def use_kept_inputs(self, kept: Mapping[str, Any] | None, context: Context) -> None:
        """Take the inputs of the record; None where it keeps none."""
        if kept is not None:
            self.inputs = kept

    def without_ref(self, started: Started) -> Any:
        if started.ended is None:
            return super().without_ref(started)
        outcome = ended_at_once(self.system.noun, replace(started.ended, ref="the task"))
        if not outcome.ending.is_ok:
            self.forget_start()  # else the next attempt would look for a task that has no id
        return self.delivered_outcome(outcome, result_of(outcome, on_skipped=self.on_skipped))

    # --- callbacks

    @property
    def _is_called_back(self) -> bool:
        """Whether to ask for a callback: only a triggerer receives it."""
        return self.callback and self.waits_in_triggerer()

    def expectation(self) -> Expectation | None:
        return Expectation(poll_seconds=seconds(self.callback_poll_interval)) if self._is_called_back else None

    def _callback_url(self, start_id: str) -> str:
        """The address that the remote calls. It grants access, so Airflow masks it."""
        if not self._is_called_back:
            return ""
        from airflow.sdk.log import mask_secret

        from airflow_provider_taskwatch.config.callback import callback_options
        from airflow_provider_taskwatch.receiver.token import Ticket, expiry

        deadline = deadline_of(self._ti, self.wait_seconds)
        ticket = Ticket(channel=CHANNEL, start_id=start_id, expires_at=expiry(deadline, now()))
        address = callback_options().callback_address(ticket)
        mask_secret(address.url.rpartition("/")[2])
        return address.url


def _marker(start_id: str) -> str:
    """What a start leaves at a remote that keeps a text of ours."""
    return f"taskwatch-{start_id}" if start_id else ""
