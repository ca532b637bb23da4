"""The sensor for executions of an Automic Automation Engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from airflow_provider_taskwatch.core.check import Check, flag
from airflow_provider_taskwatch.systems.automic.system import READING, Automic, reading_options
from airflow_provider_taskwatch.task.sensor import WatchSensor


class AutomicExecutionSensor(WatchSensor):
    """Wait until an Automic execution has ended, and return what the engine says about it.

    :param run_id: the number of the execution, as a number or as text.
    :param success_statuses: what counts as success: status numbers and the vendor's group names.
    :param skip_statuses: what counts as an end without work; see ``on_skipped``.
    :param follow_restarts: go on with the execution that restarts an ended one.
    :param report_tail: how many last lines of the report belong into the message of a failure.
    :param automic_conn_id: an Airflow connection of the type ``automic``.
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

    def ref(self) -> str:
        return Automic().check_ref(str(self.run_id))

    def options(self) -> dict[str, Any]:
        return reading_options(self)

    def joint_checks(self) -> Iterable[tuple[Collection[str], Callable[[], object]]]:
        yield READING, lambda: Automic().check_options(self.options())
        yield from super().joint_checks()
