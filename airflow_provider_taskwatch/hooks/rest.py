"""The hook for any REST API: requests with credentials, and tasks that a profile describes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_taskwatch.systems.rest.form import FORM

from .taskwatch import SystemHook

if TYPE_CHECKING:
    from airflow_provider_taskwatch.core.flow import Flow
    from airflow_provider_taskwatch.systems.rest.profile import Profile
    from airflow_provider_taskwatch.systems.rest.system import RestRemote, RestTasks


class RestHook(SystemHook):
    """Requests to one REST API, and the tasks of a profile.

    :param taskwatch_conn_id: an Airflow connection of the type ``taskwatch``. Its extra ``profile`` is for tasks that
        name none.
    """

    conn_type = FORM.connection_type
    hook_name = FORM.title
    form = FORM

    @cached_property
    def system(self) -> RestRemote:
        """The remote, whose tasks a profile describes."""
        from airflow_provider_taskwatch.systems.rest.system import RestRemote

        return RestRemote(self.settings)

    def tasks(self, profile: Profile, inputs: Mapping[str, Any]) -> RestTasks:
        """The tasks of a profile with some inputs: flows to start, read, cancel and find one, for :meth:`run`."""
        return self.system.tasks(profile, inputs)

    def _probe(self) -> Flow[str]:
        """The read that the connection's profile names, else any."""
        from airflow_provider_taskwatch.config.profile import find_profile

        given = self.settings.own.get("profile")
        return self.tasks(find_profile(given).profile, {}).probe() if given else self.system.probe()
