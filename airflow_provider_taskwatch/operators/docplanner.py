"""Operators for Docplanner: pulling notifications, and having it push again what was not taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import BaseOperator

from airflow_provider_taskwatch.core.check import Check, choice, flag_or_none
from airflow_provider_taskwatch.core.error import RemoteError
from airflow_provider_taskwatch.core.flow import one_step
from airflow_provider_taskwatch.core.wire import Pause
from airflow_provider_taskwatch.systems.docplanner.system import patience
from airflow_provider_taskwatch.task.base import CheckedMixin, CheckedOperatorType, HookMixin
from airflow_provider_taskwatch.task.deferral import deadline_of, is_deferrable, now, resumable_from
from airflow_provider_taskwatch.task.feed_operator import ReadFeedOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_taskwatch.hooks.docplanner import DocplannerHook  # noqa: F401 - named as a string below


class DocplannerPullNotificationsOperator(ReadFeedOperator):
    """Pulls the queue, and returns the notifications since the last run. See
    :class:`~..task.feed_operator.ReadFeedOperator`.

    A pull deletes at Docplanner, so each reply is first written into the inbox, encrypted; ``[taskwatch] inbox_keys``
    is required. The connection's ``store_payload`` says how much of a notification is stored and returned.

    :param docplanner_conn_id: an Airflow connection of the type ``docplanner``.
    """

    template_fields: Sequence[str] = ("docplanner_conn_id", *ReadFeedOperator.template_fields)
    ui_color = "#d8f5ee"
    hook_class = "airflow_provider_taskwatch.hooks.docplanner.DocplannerHook"

    def __init__(self, *, docplanner_conn_id: str = "docplanner_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.docplanner_conn_id = docplanner_conn_id

    @property
    def conn_id(self) -> str:
        return self.docplanner_conn_id


class DocplannerReleaseNotificationsOperator(
    CheckedMixin, HookMixin["DocplannerHook"], BaseOperator, metaclass=CheckedOperatorType
):
    """Makes Docplanner push again the notifications that were not accepted, as it advises to do periodically.

    It is for clients to which Docplanner pushes. Docplanner allows one release per hour; see ``on_rate_limit``. The
    notifications arrive at the receiver some time after this task has ended.

    :param docplanner_conn_id: an Airflow connection of the type ``docplanner``.
    :param on_rate_limit: what to do within an hour of the last release: ``wait`` for the rest of it, or ``skip`` the
        task.
    :param deferrable: wait in the triggerer; False waits on the worker. None: ``[taskwatch] default_deferrable``.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {
        "on_rate_limit": choice("wait", "skip"),
        "deferrable": flag_or_none,
    }
    template_fields: Sequence[str] = ("docplanner_conn_id",)
    ui_color = "#d8f5ee"
    hook_class = "airflow_provider_taskwatch.hooks.docplanner.DocplannerHook"

    def __init__(
        self,
        *,
        docplanner_conn_id: str = "docplanner_default",
        on_rate_limit: str = "wait",
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.docplanner_conn_id = docplanner_conn_id
        self.on_rate_limit = on_rate_limit
        self.deferrable = deferrable

    @property
    def conn_id(self) -> str:
        return self.docplanner_conn_id

    def execute(self, context: Context) -> None:
        """Release, once that is allowed."""
        self.check_arguments()
        self._release(context)

    def execute_complete(self, context: Context, event: Any = None) -> None:
        """Resume on a worker when a release is allowed again. Another one may have come first."""
        self._release(context)

    def _release(self, context: Context) -> None:
        while (seconds := self._seconds_too_early()) is not None:
            message = f"Docplanner allows a release once an hour; the next one in {seconds:.0f} s"
            if self.on_rate_limit == "skip":
                raise AirflowSkipException(message)
            self.log.info(message)
            self._wait(context, seconds)
        self.log.info("Docplanner pushes the notifications again that were not accepted")

    def _seconds_too_early(self) -> float | None:
        """Release; None where that was allowed, else the seconds until it is."""
        try:
            self.hook.release_notifications()
        except RemoteError as error:
            if error.status == 403:
                raise AirflowFailException(str(error)) from error
            if error.status != 429:
                raise
            return patience(error)
        return None

    def _wait(self, context: Context, seconds: float) -> None:
        if not is_deferrable(self.deferrable):
            self.hook.run(one_step(Pause(seconds=seconds)))
            return
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        deadline = deadline_of(context["ti"], None)
        self.defer(
            trigger=DateTimeTrigger(moment=max(now() + timedelta(seconds=seconds), resumable_from(context["ti"]))),
            method_name="execute_complete",
            timeout=None if deadline is None else deadline - now(),
        )
