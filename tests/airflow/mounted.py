"""Airflow's own API server app with our plugin in it, asked for everything without and with the secrets.

A program of its own, as Airflow keeps the plugins that it has loaded for the life of a process. It prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import Any

import structlog.testing
from airflow.api_fastapi.app import create_app
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount

try:
    from airflow.observability import stats
except ImportError:
    from airflow import stats  # type: ignore[no-redef, attr-defined, unused-ignore]  # of Airflow 3.1

from airflow_provider_taskwatch.config.callback import callback_options
from airflow_provider_taskwatch.config.inbox import open_inbox
from airflow_provider_taskwatch.inbox.cursor import Cursor
from airflow_provider_taskwatch.receiver.token import Ticket
from tests.receiver.visitor import ask, passport, push_pass
from tests.until import until

PREFIX = "/taskwatch"
NOTIFICATION = b'{"name": "slot-booked", "data": {"visit_booking": {"id": "7"}}}'
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Recorder(Counter[str]):
    """The part of a statsd client that counts."""

    def incr(self, stat: str, **_: object) -> None:
        self[stat] += 1


async def visit(app: FastAPI) -> dict[str, Any]:
    """Every route by every method, a few that are none, and a callback and a push that are authentic."""
    settings, recorder = callback_options(), Recorder()
    inbox = open_inbox()
    async with app.router.lifespan_context(app):
        record(recorder)
        await until(inbox.heartbeats)
        paths = sorted(filled(one.path) for one in mounted(app).routes if isinstance(one, APIRoute))
        strange = [f"{PREFIX}/{name}" for name in ("", "docs", "redoc", "openapi.json", "callbacks", "a/b", "health/")]
        answers = {
            f"{method} {path}": (await ask(app, method, path, {}, [b"{}"])).status
            for path in {*paths, *strange}
            for method in METHODS
        }
        expires_at = int(time.time()) + 60
        path, headers = passport(settings.keys(), Ticket(channel="c", start_id="s", expires_at=expires_at))
        with structlog.testing.capture_logs() as logs:
            accepted = await ask(app, "POST", PREFIX + path, headers, [b"{}"])
            path, headers = push_pass(settings.keys())
            pushed = await ask(app, "POST", PREFIX + path, headers, [NOTIFICATION])
    return {
        "open": sorted(name for name, status in answers.items() if status != 404),
        "count": len(answers),
        "kinds": sorted({type(one).__name__ for one in mounted(app).routes}),
        "accepted": accepted.status,
        "pushed": pushed.status,
        "stored": [one.message.subject for one in inbox.read(Cursor())],
        "receivers": [one.url for one in inbox.heartbeats()],
        "counters": recorder,
        "logged": [one["path"] for one in logs if one.get("logger_name") == "http.access"],
    }


def record(recorder: Recorder) -> None:
    """Let Airflow's metrics go to a recorder."""
    if hasattr(stats, "initialize"):  # since Airflow 3.3
        stats.initialize(factory=lambda: recorder, export_legacy_names=False)
    else:
        older: Any = stats.Stats
        older.factory, older.instance = lambda: recorder, None


def mounted(app: FastAPI) -> Any:
    return next(one.app for one in app.routes if isinstance(one, Mount) and one.path == PREFIX)


def filled(path: str) -> str:
    return PREFIX + path.replace("{token}", "some-token")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(visit(create_app(apps="core")))))
