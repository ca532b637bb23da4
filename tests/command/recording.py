"""Hand-written recordings: a run of a workflow as a HAR, and a task behind a Location as a cassette."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

TOKEN = "ghp_not_a_real_token"
COOKIE = "session-cookie-value"
SIGNATURE = "AbCdEf0123456789"
API = "https://api.example.com/api/v3"


def har_entry(
    method: str, url: str, status: int, content: Any = None, sent: Any = None, *, packed: bool = False
) -> dict[str, Any]:
    """One entry of a HAR.

    :param packed: whether the body of the reply is in base64.
    """
    text = "" if content is None else json.dumps(content)
    body = {"text": base64.b64encode(text.encode()).decode(), "encoding": "base64"} if packed else {"text": text}
    request: dict[str, Any] = {
        "method": method,
        "url": url,
        "headers": [
            {"name": "Authorization", "value": f"Bearer {TOKEN}"},
            {"name": "Cookie", "value": f"sid={COOKIE}"},
        ],
    }
    if sent is not None:
        request["postData"] = {"mimeType": "application/json", "text": json.dumps(sent)}
    headers = [{"name": "Content-Type", "value": "application/json"}, {"name": "Retry-After", "value": "5"}]
    return {"request": request, "response": {"status": status, "headers": headers, "content": body}}


def workflow_har(*statuses: tuple[str, str | None]) -> dict[str, Any]:
    """A dispatch, a poll for each pair of status and conclusion, and what a page loads besides."""
    run = {"id": 91, "title": f"for {TOKEN}"}
    return {
        "log": {
            "version": "1.2",
            "entries": [
                har_entry("GET", f"{API}/user", 200, {"login": "someone"}),
                har_entry(
                    "POST",
                    f"{API}/repos/octo/workflows/ci.yml/dispatches",
                    200,
                    {"run_id": 91},
                    {"ref": "main", "inputs": {"marker": "m-1"}},
                ),
                har_entry("GET", "https://cdn.example.com/logo.png", 0),
                *(
                    har_entry(
                        "GET",
                        f"{API}/repos/octo/runs/91?cache=1",
                        200,
                        {**run, "status": status, "conclusion": conclusion, "percent": 50},
                        packed=True,
                    )
                    for status, conclusion in statuses
                ),
            ],
        }
    }


LIFE = (("queued", None), ("in_progress", None), ("completed", "success"))

OPERATION = f"https://api.example.com/base/operations/7?v=1&sig={SIGNATURE}"
CASSETTE = f"""
interactions:
- request:
    method: POST
    uri: https://api.example.com/base/report?day=1
    headers: {{Authorization: ["Basic dXNlcjpub3QtYS1yZWFsLXBhc3N3b3Jk"], Content-Type: [application/json]}}
    body: '{{"format": "csv"}}'
  response:
    status: {{code: 202, message: Accepted}}
    headers: {{Location: ["{OPERATION}"]}}
    body: {{string: ''}}
- request: {{method: GET, uri: "{OPERATION}", headers: {{}}, body: null}}
  response:
    status: {{code: 503, message: Busy}}
    headers: {{}}
    body: {{string: ''}}
- request: {{method: GET, uri: "{OPERATION}", headers: {{}}, body: null}}
  response:
    status: {{code: 202, message: Accepted}}
    headers: {{Retry-After: ['2']}}
    body: {{string: !!binary ""}}
- request: {{method: GET, uri: "{OPERATION}", headers: {{}}, body: null}}
  response:
    status_code: 200
    headers: {{}}
    body:
      base64_string: {base64.b64encode(b'{"file": "https://files.example.net/a.csv?sig=AbCdEf0123456789"}').decode()}
- request: {{method: GET, uri: "https://files.example.net/a.csv?sig={SIGNATURE}", headers: {{}}, body: null}}
  response:
    status: {{code: 200, message: OK}}
    headers: {{Content-Type: [application/json]}}
    content: '{{"rows": 3, "next": "https://files.example.net/b.csv?sig={SIGNATURE}"}}'
"""


def written(folder: Path, content: Any, name: str = "exchange.har") -> Path:
    """A file with a recording."""
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path
