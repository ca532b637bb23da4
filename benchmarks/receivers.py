"""``python -m benchmarks.receivers receiver|bare DATABASE SECRET PORT``: what is measured, in a process of its own."""

from __future__ import annotations

import json
import sys
import time
import uuid

import uvicorn
from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool

from airflow_provider_taskwatch.inbox import schema
from airflow_provider_taskwatch.inbox.engine import engine_for
from airflow_provider_taskwatch.inbox.store import SqlInbox
from airflow_provider_taskwatch.receiver.app import create_app
from airflow_provider_taskwatch.receiver.token import Keys


def bare(url: str) -> FastAPI:
    """The least that a receiver can do: a row and a commit for each request, and no question asked."""
    SqlInbox(url).end()
    engine = engine_for(url)
    app = FastAPI()

    def insert(content: bytes) -> None:
        row = {
            "channel": "bare",
            "subject": "bare",
            "delivery": uuid.uuid4().hex,
            "content": json.dumps(json.loads(content)),
            "received_at": time.time(),
        }
        with engine.begin() as connection:
            connection.execute(schema.message.insert().values(**row))

    @app.post("/callbacks/{token}", status_code=204)
    async def take(token: str, request: Request) -> None:
        await run_in_threadpool(insert, await request.body())

    return app


def main() -> None:
    """Serve until terminated."""
    kind, url, secret, port = sys.argv[1:]
    app = bare(url) if kind == "bare" else create_app(SqlInbox(url), Keys([secret]))
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="error", access_log=False)


if __name__ == "__main__":
    main()
