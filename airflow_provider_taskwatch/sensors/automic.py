"""The sensor for executions of an Automic Automation Engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from airflow_provider_taskwatch.core.check import Check, flag
from airflow_provider_taskwatch.systems.automic.system import READING, Automic, reading_options
from airflow_provider_taskwatch.task.sensor import WatchSensor


class AutomicExecutionSensor(WatchSensor):
    """Waits until an Automic execution has ended, and returns the execution.

    :param run_id: the run id of the execution, as a number or as text.
    :param success_statuses: which statuses are a success: numbers and the vendor's task states. None: 1900 to 1999,
        except the skipped ones.
    :param skip_statuses: which statuses are an end without work; see ``on_skipped``.
    :param follow_restarts: continue with the execution that restarts an ended one.
    :param report_tail: the number of last lines of the report that the message of a failure contains.
    :param automic_conn_id: an Airflow connection of the type ``automic``.

    :result run_id: the run id, a number.
    :result status: the status, a number.
    :result duration: seconds from ``start_time`` to ``end_time``.
    :result name: the name of the object.
    :result alias: the alias, which ends in the marker of the start.
    :result title: the title of the object.
    :result type: the type of the object, such as ``JOBS`` or ``JOBP``.
    :result status_text: the engine's text of the status, in the language of the user.
    :result runtime: seconds that it ran.
    :result estimated_runtime: seconds that the engine expected.
    :result activation_time: when it was activated.
    :result start_time: when it began.
    :result end_time: when it ended.
    :result reference_run_id: the run id of the execution that this one restarts.
    :result parent: the run id of the parent, such as the workflow.
    :result queue: the Automic queue.
    :result agent: the agent that ran it.
    :result platform: the platform of the agent.
    :result priority: the priority.
    :result archive_key1: the first archive key.
    :result archive_key2: the second archive key.
    :result callback: the kept values of a callback; only with ``callback`` of the operator.
    :result user: the user; only with ``include_personal``.
    :result activator: the object or user that activated it; only with ``include_personal``.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {"follow_restarts": flag}
    template_fields: Sequence[str] = ("run_id", "automic_conn_id", "output_path")
    ui_color = "#fdeedd"
    hook_class = "airflow_provider_taskwatch.hooks.automic.AutomicHook"

    def __init__(
        self,
        *,
        run_id: str | int,
        success_statuses: Sequence[int | str] | None = None,
        skip_statuses: Sequence[int | str] | None = None,
        follow_restarts: bool = False,
        report_tail: int = 0,
        automic_conn_id: str = "automic_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.success_statuses = success_statuses
        self.skip_statuses = skip_statuses
        self.follow_restarts = follow_restarts
        self.report_tail = report_tail
        self.automic_conn_id = automic_conn_id

    @property
    def conn_id(self) -> str:
        return self.automic_conn_id

    def watched_ref(self) -> str:
        return Automic().check_ref(str(self.run_id))

    def options(self) -> dict[str, Any]:
        return reading_options(self)

    def joint_checks(self) -> Iterable[tuple[Collection[str], Callable[[], object]]]:
        yield READING, lambda: Automic().check_options(self.options())
        yield from super().joint_checks()
