"""Both drivers behind one face, and servers for them to talk to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from airflow_provider_taskwatch.core import limit
from airflow_provider_taskwatch.core.flow import Flow
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.drive.blocking import BlockingDriver
from airflow_provider_taskwatch.drive.credential import Credential
from airflow_provider_taskwatch.drive.limiter import Limiter
from airflow_provider_taskwatch.drive.waiting import WaitingDriver
from tests.drive.station import Station, station

T = TypeVar("T")


class Client(Protocol):
    """A driver, whichever it is."""

    def run(self, flow: Flow[T]) -> T: ...
    def close(self) -> None: ...


class Waiting:
    """The waiting driver in a loop of its own, which stands still between the flows."""

    def __init__(self, settings: Settings, credential: Credential | None = None) -> None:
        self._runner = asyncio.Runner()
        try:
            self._driver = self._runner.run(self._open(settings, credential))
        except BaseException:
            self._runner.close()
            raise

    def run(self, flow: Flow[T]) -> T:
        return self._runner.run(self._driver.run(flow))

    def forget(self) -> None:
        """Ask again at once after a failure."""
        self._driver.limiter = Limiter(4)

    def close(self) -> None:
        with self._runner:
            self._runner.run(self._driver.close())

    @staticmethod
    async def _open(settings: Settings, credential: Credential | None) -> WaitingDriver:
        return WaitingDriver(settings, credential=credential)


Connect = Callable[..., Client]


@pytest.fixture(params=[BlockingDriver, Waiting], ids=["requests", "aiohttp"])
def connect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Makes drivers: every test that asks for this runs once over each library."""
    monkeypatch.setattr(limit, "FIRST_SECONDS", 0.05)  # for which a failure holds the next request
    opened: list[Client] = []

    def make(settings: Settings, credential: Credential | None = None) -> Client:
        opened.append(request.param(settings, credential))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, no netrc and no bundle of the machine that runs the tests."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def remote() -> Iterator[Station]:
    """The host that the connection names."""
    with station() as one:
        yield one


@pytest.fixture
def elsewhere() -> Iterator[Station]:
    """A host that no connection names."""
    with station() as one:
        yield one
