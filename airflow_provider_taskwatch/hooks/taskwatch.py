"""The general hook: a token and requests for any REST API behind OAuth2, OAuth 1.0a, Basic or a bearer token."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow.sdk import BaseHook

from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    TaskWatchError,
    TransportError,
    at_step,
    described,
)
from airflow_provider_taskwatch.core.flow import Flow, Retry, ask, probe_any
from airflow_provider_taskwatch.core.form import Form
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Call, Query, Reply, get, send
from airflow_provider_taskwatch.remotes import REMOTES
from airflow_provider_taskwatch.systems.rest.form import FORM

if TYPE_CHECKING:
    from airflow_provider_taskwatch.core.system import System
    from airflow_provider_taskwatch.drive.blocking import BlockingDriver
    from airflow_provider_taskwatch.drive.credential import Credential

T = TypeVar("T")

_WITHOUT_TOKEN = {
    "basic": "uses Basic authentication: it has no token",
    "oauth1": "signs each request: it has no token",
}


class TaskWatchHook(BaseHook):
    """Requests to one REST API, with the credentials of an Airflow connection.

    A token is obtained once and renewed before it expires. A call is repeated once after a rejected token. Credentials
    are sent to the connection's host and token URL only, and redirects with credentials are not followed.

    :param taskwatch_conn_id: an Airflow connection of the type ``taskwatch``.
    """

    conn_name_attr = "taskwatch_conn_id"
    default_conn_name = "taskwatch_default"
    conn_type = FORM.connection_type
    hook_name = FORM.title
    form: ClassVar[Form] = FORM

    def __init__(self, taskwatch_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.conn_id = taskwatch_conn_id
        self._credential: tuple[Settings, Credential] | None = None

    @cached_property
    def settings(self) -> Settings:
        """The connection, read and checked.

        :raises ConfigurationError: names every missing or malformed field.
        :raises TransportError: Airflow could not read the connection.
        """
        from airflow.providers.common.compat.sdk import AirflowException
        from airflow.sdk.exceptions import AirflowRuntimeError

        from airflow_provider_taskwatch.config.connection import get_connection, settings_of

        try:
            connection = get_connection(self.conn_id)
        except AirflowRuntimeError as cause:
            raise TransportError(
                f"Airflow could not give the connection {self.conn_id!r}: {described(cause)}"
            ) from cause
        except AirflowException as cause:
            raise ConfigurationError(
                f"connection {self.conn_id!r} cannot be read: {described(cause)}; add one of the type "
                f"{self.form.connection_type!r} (a variable AIRFLOW_CONN_{self.conn_id.upper()} that Airflow cannot "
                "read counts as none)"
            ) from cause
        return settings_of(connection, self.form)

    @cached_property
    def driver(self) -> BlockingDriver:
        """The driver that sends this hook's requests."""
        from airflow_provider_taskwatch.drive.blocking import BlockingDriver

        return BlockingDriver(self.settings, self._shared_credential(self.settings))

    def get_conn(self) -> BlockingDriver:
        """Airflow's name for :attr:`driver`."""
        return self.driver

    def get_token(self) -> str:
        """Returns a valid access token, without the word ``Bearer``.

        :raises ConfigurationError: where the connection has none, as it uses Basic authentication or OAuth 1.0a.
        :raises TokenError: in the remote's words.
        """
        if self.settings.auth in _WITHOUT_TOKEN:
            raise ConfigurationError(f"connection {self.conn_id!r} {_WITHOUT_TOKEN[self.settings.auth]}")
        signed = self.driver.credential.sign(get("/"))
        return signed.headers[self.settings.token_header or "Authorization"].removeprefix("Bearer ")

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        query: Query | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Sends one request, and returns the 2xx reply. Reads are repeated after transient errors.

        :param path: below the connection's host, never another host's address; what is percent-encoded in it stays
            so. It may have a query of its own.
        :param json: the body. Any sequence that is no text is a list.
        :param query: what is None is left out; a sequence is sent as one pair for each of its members.
        :raises ConfigurationError: names what cannot be sent, before anything is.
        :raises RemoteError: the remote refused; ``status`` and ``message`` say why.
        :raises TransportError: it could not be asked.
        """
        below = path if path.startswith("/") else f"/{path}"
        call = send(method.upper(), below, json, headers, query)
        return self.run(ask(self._with_quota(call), retry=Retry()))

    def _with_quota(self, call: Call) -> Call:
        """The call with the name of the rate limit that it counts against, for a remote with several."""
        return call

    def run(self, flow: Flow[T]) -> T:
        """Runs a flow in this process, and blocks until it ends."""
        return self.driver.run(flow)

    async def arun(self, flow: Flow[T]) -> T:
        """Runs a flow in an event loop without blocking it, over a session of its own."""
        from airflow_provider_taskwatch.config.connection import read_settings
        from airflow_provider_taskwatch.drive.waiting import WaitingDriver

        settings = await read_settings(self.conn_id, self.form)
        driver = WaitingDriver(settings, credential=self._shared_credential(settings))
        try:
            return await driver.run(flow)
        finally:
            await driver.close()

    def _shared_credential(self, settings: Settings) -> Credential:
        """The credential that all calls of :meth:`arun` share, so that each does not request a token."""
        from airflow_provider_taskwatch.drive.credential import credential_for

        if self._credential is None or self._credential[0] != settings:
            self._credential = settings, credential_for(settings)
        return self._credential[1]

    def test_connection(self) -> tuple[bool, str]:
        """Requests a token and reads something harmless. The second value says what is wrong."""
        try:
            return True, "; ".join(text for _, text in self.check())
        except TaskWatchError as error:
            return False, str(error)

    def check(self) -> Iterator[tuple[str, str]]:
        """Tests the connection step by step: yields the name of each step and its result."""
        yield "settings", f"{self.settings.base_url} by {self.settings.auth}"
        if warning := self.settings.tls_warning:
            yield "warning", warning
        if self.settings.auth == "oauth2":
            with at_step("token"):
                self.get_token()
            yield "token", f"obtained from {self.settings.token_url}"
        with at_step("read"):
            proved = self.run(self._probe())
        yield "read", proved

    def _probe(self) -> Flow[str]:
        return probe_any()


class SystemHook(TaskWatchHook):
    """A hook for a remote with tasks to watch."""

    @cached_property
    def system(self) -> System:
        """The remote, as the connection describes it."""
        return REMOTES.system_for(self.settings)

    def page(self, ref: str) -> str:
        """The remote's own page of a task; empty if the connection has no ``ui_url``."""
        return self.settings.page(self.system.page(ref))

    def _probe(self) -> Flow[str]:
        return self.system.probe()
