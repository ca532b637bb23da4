"""The operator that starts an object on an Automic Automation Engine, and the callback that it may ask for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_taskwatch.core.callback import Expectation
from airflow_provider_taskwatch.core.check import (
    Check,
    duration,
    flag,
    json_object,
    listed,
    seconds,
    seconds_or_none,
    shown,
    text,
    text_or_empty,
)
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.systems.automic.callback import callback_section, check_names
from airflow_provider_taskwatch.systems.automic.request import alias_for, execution_request
from airflow_provider_taskwatch.systems.automic.system import READING, Automic, reading_options
from airflow_provider_taskwatch.task.deferral import deadline_of, now
from airflow_provider_taskwatch.task.operator import StartOperator

if TYPE_CHECKING:
    from airflow_provider_taskwatch.core.flow import Flow
    from airflow_provider_taskwatch.core.record import Started

CHANNEL = "automic"
"""Of the receiver, for callbacks."""
_REQUEST = ("object_name", "automic_queue", "inputs", "execution_option", "details", "timezone")


@dataclass(kw_only=True)
class AutomicCallback:
    """How an Automation Engine calls back. A callback is a hint: the execution is polled before it counts.

    ``headers`` and ``url`` may be templates.

    :param headers: headers that the engine sends along, for a proxy in front of the receiver. ``Authorization`` is
        reserved.
    :param url: where the engine reaches the receiver, if not at ``[taskwatch] callback_base_url``.
    :param payload: for a TEMPLATE_EXECUTION of your own: the vendor's names, each with yours, as ``{"runid":
        "execution_id"}``. ``runid``, ``execution_status`` and the ``last_error_*`` are read.
    :param keep: names in the payload whose values the result keeps under ``callback``: object variables, archive keys.
        Nothing confirms them.
    """

    template_fields: ClassVar[Sequence[str]] = ("headers", "url")

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str = ""
    payload: Mapping[str, str] = field(default_factory=dict)
    keep: Sequence[str] = ()

    def check(self) -> None:
        """Raise :class:`ConfigurationError` for what the engine or the receiver would refuse."""
        check_names(self.payload)
        if isinstance(self.keep, str):
            raise ConfigurationError(f"keep must be a list of names, not {self.keep!r:.80}")
        if mine := [name for name in self.headers if name.lower() == "authorization"]:
            raise ConfigurationError(
                f"the header {mine[0]} of a callback is reserved: it authenticates the engine; use another one"
            )

    def request(self, start_id: str, deadline: datetime | None) -> dict[str, Any]:
        """The part of a start request that asks for the callback, with an address and a secret for this start only."""
        from airflow.sdk.log import mask_secret

        from airflow_provider_taskwatch.config.callback import base_url_problem, callback_options
        from airflow_provider_taskwatch.receiver.token import Ticket, expiry

        options = callback_options()
        if self.url:
            if problem := base_url_problem(self.url, options.require_https):
                named = problem.replace("[taskwatch] callback_base_url", "AutomicCallback(url=...)", 1)
                raise ConfigurationError(named)
            options = replace(options, base_url=self.url.rstrip("/"))
        ticket = Ticket(channel=CHANNEL, start_id=start_id, expires_at=expiry(deadline, now()))
        address = options.callback_address(ticket)
        for secret in (address.url.rpartition("/")[2], address.bearer):
            mask_secret(secret)
        return callback_section(address.url, {**self.headers, "Authorization": address.authorization})


def _callback_or_flag(name: str, value: object) -> None:
    if not isinstance(value, (bool, AutomicCallback)):
        raise ConfigurationError(f"{name} must be True, False or an AutomicCallback, not {shown(value)}")


class AutomicExecutionOperator(StartOperator):
    """Starts an Automic object (job, workflow, script, ...) and waits until its execution has ended.

    The execution's alias is a marker: ``alias`` (or the object's name), ``-`` and 12 hex digits. Before a second try
    the operator looks for the marker, so an object is started once even if a reply was lost.

    :param object_name: the object to start.
    :param alias: shown at the remote instead of the object's name.
    :param automic_queue: the Automic queue to run in. ``queue`` is an argument of Airflow, the queue of the executor.
    :param inputs: values of the object's PromptSet variables: strings, or lists of strings. The value of a name
        that ends in ``|json`` is sent as JSON.
    :param execution_option: ``execute`` now, ``once`` later, or ``recurring``.
    :param details: the fields of ``once`` (``wait_for_manual_release``, ``execution_date_time``, ``use_logical_time``)
        or of ``recurring`` (``start_date``, ``end_date``, ``end_after_executions``, ``execute_after``, ``execute_at``,
        ``between_start``, ``between_end``, ``adjust_start_time``).
    :param timezone: the name of a TIMEZONE object.
    :param validate_inputs: read the object's inputs first, and refuse unknown ones.
    :param success_statuses: which statuses are a success: numbers and the vendor's task states, such as
        ``["ANY_OK_OR_UNBLOCKED"]``. None: 1900 to 1999, except the skipped ones.
    :param skip_statuses: which statuses are an end without work; see ``on_skipped``.
    :param follow_restarts: continue with the execution that restarts an ended one.
    :param callback: the engine calls back when the execution has ended: True, or an :class:`AutomicCallback`. The
        execution is then polled when the callback arrives, and every ``callback_poll_interval`` in case it does not
        arrive.
    :param callback_poll_interval: the interval between polls while a callback is expected, in seconds or as a
        timedelta. The engine calls back at the end only; a blocked execution, or an active status in
        ``success_statuses``, is noticed at these polls.
    :param cancel_children: a cancel of the execution includes what it has started (the tasks of a workflow, a schedule
        or a group). False leaves those running, which is the engine's own default.
    :param report_tail: the number of last lines of the report that the message of a failure contains.
    :param automic_conn_id: an Airflow connection of the type ``automic``.
    :param kwargs: see :class:`~..task.operator.StartOperator`.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {
        "object_name": text,
        "alias": text_or_empty,
        "automic_queue": text_or_empty,
        "timezone": text_or_empty,
        "inputs": json_object,
        "details": json_object,
        "validate_inputs": flag,
        "follow_restarts": flag,
        "cancel_children": flag,
        "callback": _callback_or_flag,
        "callback_poll_interval": duration,
    }
    template_fields: Sequence[str] = (
        "object_name",
        "alias",
        "automic_queue",
        "inputs",
        "details",
        "timezone",
        "automic_conn_id",
        "output_path",
        "callback",
    )
    template_fields_renderers = {"inputs": "json", "details": "json"}  # noqa: RUF012 - as Airflow has it
    ui_color = "#fdeedd"
    hook_class = "airflow_provider_taskwatch.hooks.automic.AutomicHook"

    def __init__(
        self,
        *,
        object_name: str,
        alias: str = "",
        automic_queue: str = "",
        inputs: Mapping[str, Any] | None = None,
        execution_option: str = "execute",
        details: Mapping[str, Any] | None = None,
        timezone: str = "",
        validate_inputs: bool = False,
        success_statuses: Sequence[int | str] | None = None,
        skip_statuses: Sequence[int | str] | None = None,
        follow_restarts: bool = False,
        cancel_children: bool = True,
        report_tail: int = 0,
        callback: bool | AutomicCallback = False,
        callback_poll_interval: float | timedelta = 300.0,
        automic_conn_id: str = "automic_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name
        self.alias = alias
        self.automic_queue = automic_queue
        self.inputs = inputs
        self.execution_option = execution_option
        self.details = details
        self.timezone = timezone
        self.validate_inputs = validate_inputs
        self.success_statuses = success_statuses
        self.skip_statuses = skip_statuses
        self.follow_restarts = follow_restarts
        self.cancel_children = cancel_children
        self.report_tail = report_tail
        self.callback = callback
        self.callback_poll_interval = callback_poll_interval
        self.automic_conn_id = automic_conn_id

    @property
    def conn_id(self) -> str:
        return self.automic_conn_id

    def start_inputs(self) -> Mapping[str, Any]:
        return {"automic_conn_id": self.automic_conn_id, "request": self._request("")}

    def subject(self) -> str:
        return text("object_name", self.object_name)

    def marker(self, start_id: str) -> str:
        return alias_for(text_or_empty("alias", self.alias), text("object_name", self.object_name), start_id)

    def options(self, start_id: str) -> dict[str, Any]:
        cancelling = {} if self.cancel_children else {"cancel_children": False}
        return {"alias": self.marker(start_id), **reading_options(self), **cancelling}

    def validate(self) -> None:
        self.inputs = json_object("inputs", self.inputs)  # once, as each item of mapped output costs a request
        super().validate()

    def joint_checks(self) -> Iterable[tuple[Collection[str], Callable[[], object]]]:
        yield READING, lambda: Automic().check_options(reading_options(self))
        yield _REQUEST, lambda: self._request("")
        yield ("callback", "execution_option", "wait_for_completion"), self._check_callback

    def _check_callback(self) -> None:
        """Refuse a callback that would not come, or that no wait would receive."""
        if not self.callback:
            return
        if self.execution_option == "recurring":
            raise ConfigurationError(
                "callback: the engine does not call back for recurring executions; remove callback"
            )
        if not self.wait_for_completion:
            raise ConfigurationError("callback: with wait_for_completion=False no wait receives it; remove callback")
        self._callback.check()

    @property
    def _callback(self) -> AutomicCallback:
        """The options of the callback."""
        return self.callback if isinstance(self.callback, AutomicCallback) else AutomicCallback()

    @property
    def _is_called_back(self) -> bool:
        """Whether to ask for a callback: only a triggerer receives it."""
        return bool(self.callback) and self.waits_in_triggerer()

    def expectation(self) -> Expectation | None:
        if not self._is_called_back:
            return None
        return Expectation(
            poll_seconds=seconds(self.callback_poll_interval),
            names=json_object("payload", self._callback.payload),
            keep=listed("keep", self._callback.keep) or [],
        )

    def prepare(self) -> None:
        """Check the inputs against the object, with ``validate_inputs``."""
        if self.callback and not self._is_called_back:
            self.log.info(
                "polling instead of a callback: callbacks reach triggerers only, and this task waits on the worker"
            )
        if not self.validate_inputs:
            return
        problems = self.hook.run(self._system.inputs_problems(self.object_name, self.inputs or {}))
        if problems:
            raise ConfigurationError(f"{self.object_name}: " + "; ".join(problems))

    def start_flow(self, start_id: str) -> Flow[Started]:
        return self._system.start({**self._request(self.marker(start_id)), **self._callback_request(start_id)})

    def _callback_request(self, start_id: str) -> dict[str, Any]:
        """The part of the request that asks for a callback. It holds a secret, so it is no input of the start."""
        if not self._is_called_back:
            return {}
        deadline = deadline_of(self._ti, seconds_or_none(self.timeout))
        return {"callback": self._callback.request(start_id, deadline)}

    @property
    def _system(self) -> Automic:
        system = self.hook.system
        if not isinstance(system, Automic):
            raise ConfigurationError(f"connection {self.conn_id!r} is not one of the type 'automic'")
        return system

    def _request(self, alias: str) -> dict[str, Any]:
        details = json_object("details", self.details)
        if mine := sorted(details.keys() & {"object_name", "alias", "queue", "inputs", "timezone"}):
            raise ConfigurationError(f"details holds {', '.join(mine)}: give it as an argument of the operator instead")
        return execution_request(
            text("object_name", self.object_name),
            alias=alias,
            queue=text_or_empty("automic_queue", self.automic_queue),
            inputs=json_object("inputs", self.inputs),
            execution_option=self.execution_option,
            timezone=text_or_empty("timezone", self.timezone),
            **details,
        )
