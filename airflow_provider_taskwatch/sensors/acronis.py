"""The sensor for tasks of Acronis' Task Manager."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_taskwatch.systems.acronis import Acronis

from .watch import WatchSensor


class AcronisTaskSensor(WatchSensor):
    """Wait until a task of Acronis' Task Manager has ended, and return what it says about it.

    All that wait on one connection are read together, a hundred in a request.

    :param acronis_task_id: its id, as a text or a whole number: the subject of the task's events. (``task_id`` is that
        of the Airflow task.)
    :param fail_on_warnings: an end with warnings is a failure.
    :param acronis_conn_id: an Airflow connection of the type ``acronis``.
    """

    template_fields: Sequence[str] = ("acronis_task_id", "acronis_conn_id")
    ui_color = "#e3f1dd"
    hook_class = "airflow_provider_taskwatch.hooks.acronis.AcronisHook"

    def __init__(
        self,
        *,
        acronis_task_id: str | int,
        fail_on_warnings: bool = False,
        acronis_conn_id: str = "acronis_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.acronis_task_id = acronis_task_id
        self.fail_on_warnings = fail_on_warnings
        self.acronis_conn_id = acronis_conn_id

    @property
    def conn_id(self) -> str:
        return self.acronis_conn_id

    def ref(self) -> str:
        return Acronis().check_ref(str(self.acronis_task_id))

    def options(self) -> dict[str, Any]:
        return {"fail_on_warnings": True} if self.fail_on_warnings else {}
