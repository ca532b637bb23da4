"""The hook for Docplanner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError, ReplyError
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.systems.docplanner.form import FORM
from airflow_provider_taskwatch.systems.docplanner.system import Pulled, probe, pull, quota, read_pulled, release

from .taskwatch import TaskWatchHook


class DocplannerHook(TaskWatchHook):
    """Requests to the Docplanner integration API v3 (https://integrations.docplanner.com/).

    A pull deletes at Docplanner what it returns, and the queue belongs to the client: a pull by hand takes
    notifications away from the tasks that wait for them. They hold patients' data; keep them out of XComs and logs.

    :param docplanner_conn_id: an Airflow connection of the type ``docplanner``.
    """

    conn_name_attr = "docplanner_conn_id"
    default_conn_name = "docplanner_default"
    conn_type = FORM.connection_type
    hook_name = FORM.title
    form = FORM

    def __init__(self, docplanner_conn_id: str = default_conn_name) -> None:
        super().__init__(docplanner_conn_id)

    def request(self, method: str, path: str, **kwargs: Any) -> Reply:
        """Sends one request. A pull is refused, because a read may be repeated; use :meth:`pull_notifications`."""
        if method.upper() == "GET" and path.strip("/").split("/")[0] == "notifications":
            raise ConfigurationError(
                f"GET {path} deletes what it reads, and a request may be repeated; use pull_notifications()"
            )
        return super().request(method, path, **kwargs)

    def pull_notification(self) -> Mapping[str, Any] | None:
        """Takes the earliest notification out of the queue; None if it is empty.

        :return: ``{"name", "data", "created_at"}``, as Docplanner sent it.
        :raises LossError: the reply was lost, and perhaps the notification with it.
        :raises ReplyError: what came is no notification.
        """
        pulled = read_pulled(self.run(pull()))
        if pulled.others or pulled.rest:
            raise ReplyError("what was pulled is no notification, and is deleted at Docplanner")
        return pulled.notifications[0] if pulled.notifications else None

    def pull_notifications(self, limit: int = 100) -> Pulled:
        """Takes the earliest notifications out of the queue, and returns how many remain.

        :param limit: the largest number of notifications, 1 to 100.
        :raises LossError: the reply was lost, and perhaps the notifications with it.
        :raises ReplyError: what came are no notifications.
        """
        pulled = read_pulled(self.run(pull(limit)))
        if pulled.loss:
            self.log.error(pulled.loss)
        return pulled

    def release_notifications(self) -> None:
        """Makes Docplanner push again what was not accepted.

        :raises RemoteError: 403 where it does not push to this client; 429 where it was asked to within the last hour,
            with ``retry_after`` in seconds.
        """
        self.run(release())

    def _with_quota(self, call: Call) -> Call:
        return replace(call, quota=quota(call.method, call.path))

    def _probe(self) -> Flow[str]:
        return probe()
