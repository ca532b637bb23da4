"""A remote that costs next to nothing: one TLS server that answers what a poller asks, after a set time.

``python -m benchmarks.remote CERTIFICATE`` prints its port. It counts what it is asked; the emulators of the
sandbox would be truer, and so slow that their own CPU would be a part of the result.

=============================  ==============================================================================
GET  /.../notifications/{n}    a notification of Acquia; one in ten changes its progress at each poll
GET  /.../absent/{n}           404, which is what Airflow's HTTP sensor waits on
GET  /aps/.../displayMessages  the notifications of APS that a panel shows: all of ours, in progress
GET  /ae/.../executions        a page of Automic's list: ours among those of others, newest first
GET  /ae/.../executions/{n}    an execution of Automic
GET  /.../actions/runs         a page of GitHub's list, 100 of ours
GET  /.../actions/runs/{n}     a run of GitHub
GET  /.../runs/get?run_id={n}  a run of Databricks
POST /token                    an access token that lives five minutes
POST /_end                     ``[0, 1, 2]``; these executions of ours have ended
POST /_mode                    ``{"delay": 0.1, "watched": 1000}``; forgets what was counted
GET  /_seen                    what was asked since then
=============================  ==============================================================================
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Any
from urllib.parse import parse_qs

FOREIGN = 10_000
"""Executions of others whose aliases begin like ours."""

ALIAS = "NIGHTLY-LOAD"
FIRST_RUN_ID = 1_000_000
SPACING = 11
MISSING_SHARE = 10
CHANGING_SHARE = 10
RUNNING_SHARE = 10
"""One in this number: of ours missing in the list, of ours with new progress at each poll, of the others running."""

OURS = "AIRFLOW/DATA"

_HEAD = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n.*?\r\n\r\n", re.DOTALL)
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


def alias_of(number: int) -> str:
    """The marker of our execution with this number; one in ten was renamed, so that no list by alias holds it."""
    return f"{ALIAS}-{number:012x}"


def run_id_of(number: int) -> int:
    """Ours lie evenly among the newest of the others."""
    return FIRST_RUN_ID + SPACING * number


class Remote:
    """What the server knows and has counted.

    :param delay: seconds until it answers.
    :param watched: how many tasks are ours.
    """

    def __init__(self) -> None:
        self.connections = 0
        self.reset(delay=0.1, watched=0)

    def reset(self, *, delay: float, watched: int) -> None:
        """A new measurement."""
        self.delay = delay
        self.watched = watched
        self.polls: list[tuple[int, float]] = []
        self.lists: list[tuple[int, int]] = []
        self.times_polled: Counter[str] = Counter()
        self.tokens = self.opened = 0
        self._ended: set[int] = set()
        self._entries = _entries(watched)
        self._panel = _json({"inProgressActivities": [_activity(number) for number in range(watched)]})
        self._pages: dict[str, tuple[list[dict[str, Any]], bytes]] = {}

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """The status and the JSON that a request gets."""
        path, _, query = target.partition("?")
        if path.startswith("/_"):
            return 200, self._controlled(path, body)
        if path == "/token":
            self.tokens += 1
            return 200, _json({"access_token": f"token-{self.tokens}", "expires_in": 300, "token_type": "Bearer"})
        kind, number = path.rsplit("/", 2)[-2:]
        listed = self._listed(number, query)
        if listed is not None:
            return 200, listed
        if kind == "runs" and number == "get":
            number = parse_qs(query)["run_id"][0]
            kind = "job-runs"
        self.polls.append((int(number), time.monotonic()))
        self.times_polled[number] += 1
        if int(number) in self._ended:
            return 200, _json(_execution(int(number), status=1900))
        return _ANSWERS[kind](int(number), self.times_polled[number])

    def _controlled(self, path: str, body: bytes) -> bytes:
        """What the measurement asks for."""
        if path == "/_seen":
            return _json(self.seen())
        if path == "/_mode":
            self.reset(**json.loads(body))
        else:
            self._ended |= {run_id_of(number) for number in json.loads(body)}
        return b"{}"

    def _listed(self, name: str, query: str) -> bytes | None:
        """The list of that name; None where it names a task."""
        if name == "executions":
            return self._list(query)
        if name == "displayMessages":
            return self._shown()
        return self._runs(int(parse_qs(query).get("page", ["1"])[0])) if name == "runs" else None

    def seen(self) -> dict[str, Any]:
        """What was asked since the last reset.

        ``polls`` holds a number and its moment for each task that was in a reply, alone or in a list, in monotonic
        seconds of this machine; ``lists`` how many entries each page had, and how many of them were ours.
        """
        return {
            "polls": self.polls,
            "lists": self.lists,
            "tokens": self.tokens,
            "connections": self.connections,
            "opened": self.opened,
        }

    def _shown(self) -> bytes:
        now = time.monotonic()
        self.polls += [(number, now) for number in range(self.watched)]
        self.lists.append((self.watched, self.watched))
        return self._panel

    def _runs(self, page: int) -> bytes:
        numbers, now = range((page - 1) * 100, min(page * 100, self.watched)), time.monotonic()
        self.polls += [(number, now) for number in numbers]
        self.lists.append((len(numbers), len(numbers)))
        more = page + 1 if numbers.stop < self.watched else None
        runs = [_run(number) for number in numbers]
        return _json({"total_count": self.watched, "workflow_runs": runs, "next_page": more})

    def _list(self, query: str) -> bytes:
        if query not in self._pages:
            page = self._page({name: values[-1] for name, values in parse_qs(query).items()})
            self._pages[query] = (page["data"], _json(page))
        entries, content = self._pages[query]
        now = time.monotonic()
        ours = [(one["run_id"], now) for one in entries if one["user"] == OURS]
        self.polls += ours
        self.lists.append((len(entries), len(ours)))
        return content

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        """Newest first, below ``start_at_run_id``; ``status`` filters as the vendor's does."""
        start, size = int(query.get("start_at_run_id", 1 << 62)), int(query.get("max_results", 50))
        wanted = {int(one) for one in query["status"].split(",")} if "status" in query else None
        fitting = [
            one for one in self._entries if one["run_id"] < start and (wanted is None or one["status"] in wanted)
        ]
        return {"total": len(fitting[:size]), "data": fitting[:size], "hasmore": len(fitting) > size}


def _json(content: object) -> bytes:
    return json.dumps(content).encode()


def _entries(watched: int) -> list[dict[str, Any]]:
    """All executions whose alias begins like ours, newest first."""
    ours = [_execution(run_id_of(number), alias=alias_of(number)) for number in range(watched)]
    listed = [one for number, one in enumerate(ours) if number % MISSING_SHARE]
    between = (run for run in range(run_id_of(watched), 0, -1) if run % SPACING != FIRST_RUN_ID % SPACING)
    others = [
        _execution(
            run,
            alias=f"{ALIAS}-{number:012X}",
            user="SOMEBODY/ELSE",
            status=1550 if number % RUNNING_SHARE == 0 else 1900,
        )
        for number, run in enumerate(islice(between, FOREIGN))
    ]
    return sorted(listed + others, key=lambda one: -int(one["run_id"]))


def _execution(run_id: int, *, alias: str = "renamed", user: str = OURS, status: int = 1550) -> dict[str, Any]:
    return {
        "name": "JOBS.NIGHTLY_LOAD",
        "type": "JOBS",
        "queue": "CLIENT_QUEUE",
        "run_id": run_id,
        "status": status,
        "status_text": "Active",
        "runtime": int(time.monotonic()),
        "activation_time": "2026-01-31T03:00:00Z",
        "start_time": "2026-01-31T03:00:05Z",
        "agent": "UNIX01",
        "platform": "UNIX",
        "parent": 0,
        "reference_run_id": 0,
        "user": user,
        "estimated_runtime": 7200,
        "archive_key1": "",
        "archive_key2": "",
        "title": "nightly load",
        "alias": alias,
        "priority": 200,
    }


def _notification(number: int, polls: int) -> dict[str, Any]:
    changes = number % CHANGING_SHARE == 0
    return {
        "uuid": str(number),
        "event": "DatabaseBackupCreated",
        "label": "Database backup created",
        "description": "A backup of the database is being created.",
        "created_at": "2026-01-31T03:00:00+00:00",
        "started_at": "2026-01-31T03:00:05+00:00",
        "completed_at": None,
        "status": "in-progress",
        "progress": polls % 99 + 1 if changes else 50,
        "context": {"environment": {"ids": ["12-ab"]}, "database": {"names": ["drupal"]}},
        "_links": {"self": {"href": f"/api/notifications/{number}"}, "parent": {"href": "/api/notifications"}},
    }


def _run(number: int) -> dict[str, Any]:
    """A run of GitHub Actions, with what else such a run has."""
    repository = {"id": 1, "full_name": "o/r", "html_url": "https://github.example.com/o/r", "private": True}
    return {
        "id": number,
        "name": "CI",
        "run_number": number,
        "run_attempt": 1,
        "event": "workflow_dispatch",
        "display_title": "nightly load",
        "status": "in_progress",
        "conclusion": None,
        "workflow_id": 7,
        "head_branch": "main",
        "html_url": f"https://github.example.com/o/r/actions/runs/{number}",
        "created_at": "2026-01-31T03:00:00Z",
        "updated_at": "2026-01-31T03:00:05Z",
        "repository": repository,
        "head_repository": repository,
    }


def _job_run(number: int) -> dict[str, Any]:
    """A run of Databricks."""
    return {
        "job_id": 7,
        "run_id": number,
        "number_in_job": number,
        "state": {"life_cycle_state": "RUNNING", "state_message": "In run", "user_cancelled_or_timedout": False},
        "start_time": 1769828400000,
        "run_page_url": f"https://example.databricks.com/#job/7/run/{number}",
        "tasks": [{"task_key": "load", "run_id": number + 1, "state": {"life_cycle_state": "RUNNING"}}],
    }


def _activity(number: int) -> dict[str, Any]:
    return {
        "id": str(number),
        "type": "activity",
        "status": "inProgress",
        "message": {"message": "Load of __day__", "keys": {"day": "Monday"}},
        "localizedMessage": "Load of Monday",
        "packageId": "2b0f7f4e-2d53-4f6a-8f1c-6a0f5f0c7d11",
        "service": "airflow",
        "updated": False,
        "resolved": False,
        "created": "2026-01-31T03:00:00Z",
        "modified": "2026-01-31T03:00:00Z",
        "accountId": "account-1",
        "context": f"airflow.load.{number:012x}",
    }


_ANSWERS: dict[str, Callable[[int, int], tuple[int, bytes]]] = {
    "executions": lambda number, polls: (200, _json(_execution(number))),
    "notifications": lambda number, polls: (200, _json(_notification(number, polls))),
    "runs": lambda number, polls: (200, _json(_run(number))),
    "job-runs": lambda number, polls: (200, _json(_job_run(number))),
    "absent": lambda number, polls: (404, b"{}"),
}


class Conversation(asyncio.Protocol):
    """One kept-alive connection; requests are answered in turn."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._remote.connections += 1
        self._remote.opened += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._remote.connections -= 1

    def data_received(self, data: bytes) -> None:
        self._pending += data
        while (head := _HEAD.match(self._pending)) is not None:
            length = _LENGTH.search(head[0])
            end = head.end() + (int(length[1]) if length else 0)
            if len(self._pending) < end:
                return
            body, self._pending = self._pending[head.end() : end], self._pending[end:]
            self._serve(head[1].decode(), head[2].decode(), body)

    def _serve(self, method: str, target: str, body: bytes) -> None:
        status, content = self._remote.answer(method, target, body)
        head = b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        reply = head % (status, len(content)) + content
        delay = 0.0 if target.startswith("/_") else self._remote.delay
        asyncio.get_running_loop().call_later(delay, self._write, reply)

    def _write(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)  # type: ignore[attr-defined]


async def serve(certificate: str, tell: Callable[[int], None]) -> None:
    """Serve on a free port of the loopback interface until cancelled."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    remote = Remote()
    server = await asyncio.get_running_loop().create_server(
        lambda: Conversation(remote), "127.0.0.1", 0, ssl=context, backlog=2048
    )
    tell(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], lambda port: print(port, flush=True)))
