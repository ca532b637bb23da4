"""A small REST API with tasks, for docs/your-api.md: it renders reports, and needs nothing but Python.

``python docs/report_api.py [PORT]``. A report takes six seconds. The API key is ``try-me``.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECONDS = 6.0
KEY = "try-me"


class Reports(ThreadingHTTPServer):
    """The server, with the reports of its life."""

    def __init__(self, port: int = 8902) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.reports: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, str] = {}

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def start(self, day: str, key: str) -> dict[str, Any]:
        """Start a report; a known key names the report that it has started."""
        if key not in self.keys:
            ref = f"r-{len(self.reports) + 1}"
            self.reports[ref] = {"day": day, "started": time.monotonic(), "cancelled": False}
            self.keys[key or ref] = ref
            return self.show(ref)
        return self.show(self.keys[key])

    def show(self, ref: str) -> dict[str, Any]:
        """A report as the API shows it."""
        report = self.reports[ref]
        percent = min(100, int(100 * (time.monotonic() - report["started"]) / SECONDS))
        state = (
            "cancelled" if report["cancelled"] else "done" if percent == 100 else "rendering" if percent else "queued"
        )
        shown: dict[str, Any] = {"id": ref, "state": state, "percent": percent}
        if state == "done":
            shown |= {"pages": 12, "url": f"{self.url}/files/{report['day']}.pdf"}
        return shown


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Reports

    def do_POST(self) -> None:
        """Start a report."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self._is_allowed():
            self._answer(202, self.server.start(body.get("day", ""), self.headers.get("Idempotency-Key", "")))

    def do_GET(self) -> None:
        """Read a report, or the list of all."""
        if not self._is_allowed():
            return
        ref = self.path.partition("?")[0].removeprefix("/v1/reports").strip("/")
        if not ref:
            self._answer(200, {"reports": [self.server.show(one) for one in self.server.reports]})
        elif ref in self.server.reports:
            self._answer(200, self.server.show(ref))
        else:
            self._answer(404, {"error": "no such report"})

    def do_DELETE(self) -> None:
        """Cancel a report."""
        if not self._is_allowed():
            return
        report = self.server.reports.get(self.path.rpartition("/")[2])
        if report is None:
            self._answer(404, {"error": "no such report"})
        elif time.monotonic() - report["started"] > SECONDS:
            self._answer(409, {"error": "the report is done"})
        else:
            report["cancelled"] = True
            self._answer(200, {})

    def _is_allowed(self) -> bool:
        if self.headers.get("X-Api-Key") == KEY:
            return True
        self._answer(401, {"error": "wrong API key"})
        return False

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Print the request only."""
        print(format % args, flush=True)


if __name__ == "__main__":
    with Reports(*map(int, sys.argv[1:2])) as server:
        print(f"reports at {server.url}, API key {KEY}; Ctrl+C ends it", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
