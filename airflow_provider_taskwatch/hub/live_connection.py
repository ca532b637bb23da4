"""Keeps the connection of a hub open and current: reads it again, replaces its driver, and runs flows over it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Self, TypeVar

from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    MovedError,
    RemoteError,
    TaskWatchError,
    TokenError,
)
from airflow_provider_taskwatch.core.flow import Flow, one_step
from airflow_provider_taskwatch.core.outcome import Outcome
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.sign import masking
from airflow_provider_taskwatch.core.system import System, has_moved
from airflow_provider_taskwatch.core.wire import Call, Pause
from airflow_provider_taskwatch.drive.credential import Credential
from airflow_provider_taskwatch.drive.limiter import Limiter
from airflow_provider_taskwatch.drive.waiting import WaitingDriver
from airflow_provider_taskwatch.remotes import REMOTES

T = TypeVar("T")

log = logging.getLogger(__name__)

AIRFLOW_SECONDS = 10.0
"""Between two attempts to open a connection that Airflow cannot give at the moment."""
REREAD_SECONDS = 300.0
REREAD_FAILED_SECONDS = 60.0
REREAD_REJECTED_SECONDS = 30.0
USABLE_SHARE = 0.9
"""Share of the slots that polls may fill."""


@dataclass(frozen=True, slots=True)
class OpenConnection:
    """A connection as it was read, and what was made from it.

    :param make_system: makes the remote. Raises :class:`ConfigurationError` where the remote has no tasks to watch.
    :param make_id_space: see :meth:`~..core.system.System.id_space`.
    """

    settings: Settings
    make_system: Callable[[], System]
    make_id_space: Callable[[], str]
    driver: WaitingDriver
    read_again_at: float

    @property
    def system(self) -> System:
        return self.make_system()

    @property
    def id_space(self) -> str:
        """The id space in which the refs of this connection are valid."""
        return self.make_id_space()

    @property
    def has_system(self) -> bool:
        """Whether the remote has tasks to watch; some have events only."""
        try:
            return bool(self.system)
        except ConfigurationError:
            return False

    def checked(self, id_space: str) -> Self:
        """The same connection.

        :param id_space: where the connection must lead; empty for anywhere.
        :raises MovedError: where it leads elsewhere, because it was edited.
        """
        if id_space and has_moved(id_space, self.id_space):
            raise MovedError(self.settings.conn_id, id_space, self.id_space)
        return self


class LiveConnection:
    """One session, one token and one limiter for all that use a connection in one event loop.

    The connection is read once, every five minutes, and after its credentials are rejected.

    :param read: reads the settings.
    :param make_driver: replaced in tests.
    """

    def __init__(
        self,
        conn_id: str,
        read: Callable[[], Awaitable[Settings]],
        *,
        make_driver: Callable[..., WaitingDriver] = WaitingDriver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._conn_id = conn_id
        self._read = read
        self._make_driver = make_driver
        self._clock = clock
        self._opened: OpenConnection | None = None
        self._separate: WaitingDriver | None = None
        self._replaced: dict[WaitingDriver, asyncio.Task[None]] = {}
        self._reading = asyncio.Lock()
        self._reread_from = 0.0

    async def open(self, warn: Callable[[str], object]) -> OpenConnection:
        """Like :meth:`current`, but tries again while Airflow cannot give the connection.

        :param warn: takes a warning for each failed attempt.
        """
        while True:
            try:
                return await self.current()
            except TaskWatchError as error:
                if not error.transient:
                    raise
                warn(f"still waiting: {error}")
            await asyncio.sleep(AIRFLOW_SECONDS)

    async def current(self) -> OpenConnection:
        """The connection, read again when it is time. Concurrent callers share one read.

        :raises TaskWatchError: where the connection was never read and cannot be.
        """
        opened = self._opened
        if opened is not None and self._clock() < opened.read_again_at:
            return opened
        async with self._reading:
            if self._opened is opened or self._opened is None:
                self._opened = await self._reread(opened)
            return self._opened

    async def run(
        self,
        make_flow: Callable[[OpenConnection], Flow[T]],
        *,
        id_space: str = "",
        about: str = "",
        separate: bool = False,
    ) -> T:
        """Runs a flow. Runs another one where the credentials are rejected, and the connection has changed meanwhile.

        :param id_space: where the flow may run; empty for wherever the connection leads.
        :param about: see :meth:`~..drive.waiting.WaitingDriver.run`.
        :param separate: use a session and a limiter of its own, for requests that stay open for long. Their refusals do
            not hold other requests.
        :raises MovedError: where the connection leads to another id space.
        """
        opened = await self.current()
        try:
            return await self._driver(opened, separate).run(make_flow(opened.checked(id_space)), about=about)
        except TaskWatchError as error:
            if not _is_rejection(error):
                raise
            changed = await self._after_rejection(opened)
            if changed is None:
                raise
        return await self._driver(changed, separate).run(make_flow(changed.checked(id_space)), about=about)

    async def converse(self, flow: Flow[T], *, id_space: str = "", separate: bool = False) -> T:
        """Runs a flow step by step: only the step whose credentials are rejected is repeated. See :meth:`run`."""
        run: Run[Call | Pause, T] = Run(masking(flow))
        while not run.is_over:
            with run.answering() as answer:
                answer.value = await self.run(lambda _: one_step(run.step), id_space=id_space, separate=separate)
        return run.result

    def shown(self, outcome: Outcome) -> Outcome:
        """The outcome without the connection's secrets, which a callback may have brought."""
        return outcome if self._opened is None else outcome.masked(self._opened.driver.mask)

    @property
    def reads_alone(self) -> bool:
        """See :attr:`~..core.system.System.reads_alone`."""
        return self._opened is None or self._opened.system.reads_alone

    @property
    def capacity(self) -> float:
        """Polls a second that concurrency, latency and rate limit allow; unlimited before the connection is open."""
        if self._opened is None:
            return math.inf
        settings, latency = self._opened.settings, self._opened.driver.latency
        slots = USABLE_SHARE * settings.concurrency / latency if latency else math.inf
        return min(slots, settings.rate_limit or math.inf)

    def held_seconds(self, about: str) -> float:
        """How long the limiter holds requests about a subject."""
        return 0.0 if self._opened is None else self._opened.driver.limiter.held_seconds(about)

    def warn(self, message: str, *values: object) -> None:
        """Logs a warning that concerns all waits, so outside of the log of any task.

        :param message: begins with ``connection %r``, for the connection's id.
        """
        contextvars.Context().run(log.warning, message, self._conn_id, *values)

    def _warn_of_remote(self, message: str) -> None:
        self.warn("connection %r: %s", message)

    async def close(self) -> None:
        """Closes all sessions, also those of earlier settings."""
        opened, self._opened = self._opened, None
        in_use = (None if opened is None else opened.driver, self._separate)
        for driver in (*self._replaced, *filter(None, in_use)):
            await driver.close()

    async def _reread(self, opened: OpenConnection | None) -> OpenConnection:
        try:
            return self._renewed(opened, await self._read())
        except TaskWatchError as error:
            if opened is None:
                raise
            self.warn("connection %r could not be read again, the old settings stay in use: %s", error)
            return replace(opened, read_again_at=self._clock() + REREAD_FAILED_SECONDS)

    def _renewed(self, opened: OpenConnection | None, settings: Settings) -> OpenConnection:
        """The connection with these settings; the same driver where nothing has changed.

        :raises ConfigurationError: where the connection had tasks to watch, and these settings name no such remote.
        """
        read_again_at = self._clock() + REREAD_SECONDS
        if opened is not None and opened.settings == settings:
            return replace(opened, read_again_at=read_again_at)
        make_system = cache(partial(REMOTES.system_for, settings))
        if opened is not None:
            if opened.has_system:
                make_system()
            self._retire(opened.driver)
        make_id_space = cache(lambda: make_system().id_space(settings))
        return OpenConnection(settings, make_system, make_id_space, self._connect(settings), read_again_at)

    async def _after_rejection(self, opened: OpenConnection) -> OpenConnection | None:
        """The connection, read again; None where it has not changed. Many rejections cause one read."""
        async with self._reading:
            if self._opened is not None and self._opened.driver is opened.driver and self._clock() >= self._reread_from:
                self._reread_from = self._clock() + REREAD_REJECTED_SECONDS
                self._opened = await self._reread(self._opened)
            return None if self._opened is None or self._opened.driver is opened.driver else self._opened

    def _driver(self, opened: OpenConnection, separate: bool) -> WaitingDriver:
        """The driver, or the separate one, which has the same token."""
        if not separate:
            return opened.driver
        if self._separate is None or self._separate.credential is not opened.driver.credential:
            if self._separate is not None:
                self._retire(self._separate)
            self._separate = self._connect(opened.settings, opened.driver.credential)
        return self._separate

    def _connect(self, settings: Settings, credential: Credential | None = None) -> WaitingDriver:
        limiter = Limiter(settings.concurrency, settings.rate_limit, warn=self._warn_of_remote, clock=self._clock)
        return self._make_driver(settings, credential=credential, limiter=limiter)

    def _retire(self, driver: WaitingDriver) -> None:
        """Closes a replaced driver in the background, because the caller may be cancelled."""
        closing = asyncio.get_running_loop().create_task(self._close(driver), context=contextvars.Context())
        self._replaced[driver] = closing

    async def _close(self, driver: WaitingDriver) -> None:
        await driver.close()
        self._replaced.pop(driver, None)


def _is_rejection(error: TaskWatchError) -> bool:
    """Whether other credentials may succeed."""
    if isinstance(error, TokenError):
        return not error.transient
    return isinstance(error, RemoteError) and error.status in (401, 403)
