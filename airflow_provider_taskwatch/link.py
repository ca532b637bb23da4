"""The link from an Airflow task to the remote's own page of what it started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.bases.operator import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


PAGE_KEY = "taskwatch_page"


class RemoteTaskLink(BaseOperatorLink):
    """Shown where the connection has a ``ui_url`` template."""

    name = "Remote task"

    @property
    def xcom_key(self) -> str:
        return PAGE_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        from airflow.sdk.execution_time.xcom import XCom

        from airflow_provider_taskwatch.core.settings import is_link

        if not getattr(operator, "has_page", True):
            return ""  # Airflow logs an error for an XCom that is not there
        page = XCom.get_value(key=self.xcom_key, ti_key=ti_key)
        return page if isinstance(page, str) and is_link(page) else ""
