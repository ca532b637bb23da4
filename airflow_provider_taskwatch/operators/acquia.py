"""Operators that start work on Acquia Cloud and wait for its notification."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_taskwatch.core.check import Check, choice, json_object, text
from airflow_provider_taskwatch.core.text import bounded
from airflow_provider_taskwatch.systems.acquia.operation import (
    Operation,
    create_database,
    create_database_backup,
    deploy_artifact,
    switch_code,
)
from airflow_provider_taskwatch.systems.acquia.system import Acquia
from airflow_provider_taskwatch.task.operator import StartOperator

if TYPE_CHECKING:
    from airflow_provider_taskwatch.core.flow import Flow
    from airflow_provider_taskwatch.core.record import Started


class AcquiaOperator(StartOperator):
    """What the operators of this module have in common. Subclasses say which call to send.

    The API has no cancel and no place for a marker. A kill leaves the task at Acquia running, and the log says so. If
    the reply to a start is lost, the task fails without a retry, because a second start might do the work twice; the
    message names the remedies.

    :param acquia_conn_id: an Airflow connection of the type ``acquia``.
    :param on_missing_notification: what a reply without a notification means: ``fail``, or ``succeed`` for calls that
        answer at once; the reply is then the result.
    :param kwargs: see :class:`~..task.operator.StartOperator`.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {"on_missing_notification": choice("fail", "succeed")}
    template_fields: Sequence[str] = ("acquia_conn_id", "output_path")
    ui_color = "#dff3fb"
    hook_class = "airflow_provider_taskwatch.hooks.acquia.AcquiaHook"

    def __init__(
        self, *, acquia_conn_id: str = "acquia_default", on_missing_notification: str = "fail", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.acquia_conn_id = acquia_conn_id
        self.on_missing_notification = on_missing_notification

    @property
    def conn_id(self) -> str:
        return self.acquia_conn_id

    def operation(self) -> Operation:
        """Method, path and body of the call, from the rendered arguments."""
        raise NotImplementedError

    def start_inputs(self) -> Mapping[str, Any]:
        method, path, content = self.operation()
        return {"acquia_conn_id": self.acquia_conn_id, "method": method, "path": path, "json": content}

    def subject(self) -> str:
        return " ".join(map(str, self.operation()[:2]))

    def joint_checks(self) -> Iterable[tuple[Collection[str], Callable[[], object]]]:
        yield self.template_fields, self._check_call

    def _check_call(self) -> None:
        """Make the call, and send nothing."""
        flow = self.start_flow("")
        next(flow, None)
        flow.close()

    def start_flow(self, start_id: str) -> Flow[Started]:
        return Acquia().start(*self.operation())

    def without_ref(self, started: Started) -> Any:
        if self.on_missing_notification == "succeed":
            return self.delivered(bounded(started.whole), lambda: started.whole)
        method, path, _ = self.operation()
        raise AirflowFailException(
            f"the reply to {method} {path} names no notification to wait for: {started.summary}; "
            "on_missing_notification='succeed' takes that for an end"
        )


class AcquiaTaskOperator(AcquiaOperator):
    """Sends any writing call of the Acquia Cloud API v2, and waits for the notification that the reply names.

    :param method: ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
    :param path: the path below the API's base, such as ``applications/<uuid>/databases``.
    :param json: the JSON body.
    """

    template_fields: Sequence[str] = ("path", "json", "acquia_conn_id", "output_path")
    template_fields_renderers = {"json": "json"}  # noqa: RUF012 - as Airflow's own operators have it

    def __init__(
        self, *, method: str = "POST", path: str = "", json: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.method = method
        self.path = path
        self.json = json

    def operation(self) -> Operation:
        return text("method", self.method), text("path", self.path), json_object("json", self.json)

    def validate(self) -> None:
        self.json = json_object("json", self.json)  # once, as each item of mapped output costs a request
        super().validate()

    def joint_checks(self) -> Iterable[tuple[Collection[str], Callable[[], object]]]:
        yield ("json",), lambda: json_object("json", self.json)
        yield from super().joint_checks()


class AcquiaCreateDatabaseOperator(AcquiaOperator):
    """Creates a database in all environments of an application.

    :param application_uuid: the application.
    :param database_name: the name of the new database.
    """

    template_fields: Sequence[str] = ("application_uuid", "database_name", "acquia_conn_id", "output_path")

    def __init__(self, *, application_uuid: str, database_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.application_uuid = application_uuid
        self.database_name = database_name

    def operation(self) -> Operation:
        return create_database(
            text("application_uuid", self.application_uuid), text("database_name", self.database_name)
        )


class AcquiaCreateDatabaseBackupOperator(AcquiaOperator):
    """Creates a backup of one database of an environment.

    :param environment_id: the environment: ``<number>-<application uuid>``.
    :param database_name: the name of the database.
    """

    template_fields: Sequence[str] = ("environment_id", "database_name", "acquia_conn_id", "output_path")

    def __init__(self, *, environment_id: str, database_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.environment_id = environment_id
        self.database_name = database_name

    def operation(self) -> Operation:
        return create_database_backup(
            text("environment_id", self.environment_id), text("database_name", self.database_name)
        )


class AcquiaDeployArtifactOperator(AcquiaOperator):
    """Deploys a build artifact to an environment.

    :param environment_id: the environment: ``<number>-<application uuid>``.
    :param artifact_id: the artifact.
    """

    template_fields: Sequence[str] = ("environment_id", "artifact_id", "acquia_conn_id", "output_path")

    def __init__(self, *, environment_id: str, artifact_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.environment_id = environment_id
        self.artifact_id = artifact_id

    def operation(self) -> Operation:
        return deploy_artifact(text("environment_id", self.environment_id), text("artifact_id", self.artifact_id))


class AcquiaSwitchCodeOperator(AcquiaOperator):
    """Switches an environment to another branch or tag.

    :param environment_id: the environment: ``<number>-<application uuid>``.
    :param branch: a branch, or ``tags/<tag>``.
    """

    template_fields: Sequence[str] = ("environment_id", "branch", "acquia_conn_id", "output_path")

    def __init__(self, *, environment_id: str, branch: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.environment_id = environment_id
        self.branch = branch

    def operation(self) -> Operation:
        return switch_code(text("environment_id", self.environment_id), text("branch", self.branch))
