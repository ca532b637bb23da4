"""Many waits over one hub in virtual time, and a remote whose refs answer as a test defines."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_taskwatch.core.error import TaskWatchError, TransportError
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.run import Run
from airflow_provider_taskwatch.core.schedule import Rhythm
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.watch import PollResult, watch
from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.drive.waiting import WaitingDriver
from airflow_provider_taskwatch.hub.hub import Hub
from tests.drive.virtual import now, run

RUNNING = Reply(status=200, body=json.dumps({"uuid": "1", "status": "in-progress", "progress": 0}).encode())

Answer = Callable[[str, float], Reply | TransportError]
"""The answer of a ref at a time."""


class Fleet:
    """Waits for refs of Acquia. ``asked`` lists the requests as ``(ref, seconds)``.

    :param latency: how long a ref takes to answer.
    :param count: see :class:`Hub`.
    :param settings: of the connection; they may name another remote.
    """

    def __init__(
        self,
        refs: Sequence[str],
        answer: Answer,
        *,
        interval: float = 5.0,
        latency: Callable[[str], float] = lambda ref: 0.05,
        options: Mapping[str, Any] | None = None,
        count: Callable[[str, int], object] = lambda name, number: None,
        **settings: Any,
    ) -> None:
        self.asked: list[tuple[str, float]] = []
        self.ended: dict[str, float] = {}
        self.most = self._under_way = 0
        self._refs = refs
        self._answer = answer
        self._rhythm = Rhythm(limit_seconds=interval, adaptive=False)
        self._latency = latency
        self._options = options or {}
        self._count = count
        self._settings = Settings(
            **{
                "conn_id": "acquia_default",
                "connection_type": "acquia",
                "base_url": "http://acquia",
                "auth": "bearer",
                "login": "",
                "password": "a-token-for-tests",
                **settings,
            }
        )

    def watched(self, seconds: float) -> Fleet:
        """The same fleet, after a number of seconds."""
        run(self._watch(seconds))
        return self

    def polls(self, name: str = "", since: float = 0.0) -> int:
        """How often refs whose ids begin with ``name`` were asked."""
        return sum(ref.startswith(name) and at >= since for ref, at in self.asked)

    def gaps(self, name: str) -> list[float]:
        """The seconds between the polls of one ref."""
        times = [at for ref, at in self.asked if ref == name]
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    async def _watch(self, seconds: float) -> None:
        hub = Hub("acquia_default", self._read, count=self._count, make_driver=self._driver, clock=now)
        async with hub:
            tasks = [asyncio.create_task(self._follow(hub, ref)) for ref in self._refs]
            await asyncio.sleep(seconds)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            hub.close()

    async def _read(self) -> Settings:
        return self._settings

    async def _follow(self, hub: Hub, ref: str) -> None:
        system = (await hub.connection.current()).system
        program = Run(watch(system, Plan(ref=ref, options=self._options, rhythm=self._rhythm), 0.0))
        while not program.is_over:
            try:
                program.send(PollResult(age=now(), observation=await hub.poll(program.step)))
            except TaskWatchError as error:
                program.send(PollResult(age=now(), error=error))
        self.ended[ref] = now()

    def _driver(self, settings: Settings, **kwargs: Any) -> WaitingDriver:
        return _Driver(self.exchange, settings, **kwargs)

    async def exchange(self, call: Call) -> Reply:
        ref = call.path.rpartition("/")[2]
        self.asked.append((ref, now()))
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        try:
            await asyncio.sleep(self._latency(ref))
        finally:
            self._under_way -= 1
        answer = self._answer(ref, now())
        if isinstance(answer, TransportError):
            raise answer
        return answer


class _Driver(WaitingDriver):
    def __init__(self, exchange: Callable[[Call], Any], settings: Settings, **kwargs: Any) -> None:
        super().__init__(settings, **kwargs)
        self._ask = exchange

    async def _exchange(self, call: Call) -> Reply:
        reply: Reply = await self._ask(call)
        return reply
