"""Profiles with examples, for the tests of what plays them: hand-written, in the manner of well-known APIs."""

from __future__ import annotations

from typing import Any

WORKFLOW: dict[str, Any] = {
    "profile": 1,
    "name": "workflow",
    "noun": "run",
    "auth": "bearer: a token",
    "base_url": "https://api.example.com",
    "start": {
        "path": "/repos/{inputs.repo}/workflows/{inputs.workflow}/dispatches",
        "body": {"ref": "{inputs.ref}", "inputs": {"marker": "{marker}"}},
        "accepted": [200],
        "example": {
            "status_code": 200,
            "body": {"run_id": 30433642, "run_url": "https://api.example.com/repos/o/runs/30433642"},
        },
    },
    "ref": {"from": "body.run_id"},
    "poll": {
        "path": "/repos/{inputs.repo}/runs/{ref}",
        "status": ["body.conclusion", "body.status"],
        "phases": {
            "pending": ["queued"],
            "running": ["in_progress"],
            "succeeded": ["success"],
            "failed": ["failure"],
            "cancelled": ["cancelled"],
        },
        "progress": {"value": "body.percent"},
        "message": "body.title",
        "examples": {
            "pending": {"body": {"id": 30433642, "status": "queued", "conclusion": None}},
            "running": {
                "headers": {"Retry-After": "7"},
                "body": {"id": 30433642, "status": "in_progress", "conclusion": None, "percent": 30},
            },
            "succeeded": {
                "body": {
                    "id": 30433642,
                    "status": "completed",
                    "conclusion": "success",
                    "title": "Build",
                    "percent": 100,
                }
            },
        },
    },
    "result": {"select": "{id: body.id}"},
    "cancel": {"path": "/repos/{inputs.repo}/runs/{ref}/cancel", "accepted": [202], "over": [409]},
    "find": {
        "path": "/repos/{inputs.repo}/runs?event=dispatch",
        "items": "body.runs",
        "ref": "id",
        "where": {"display.title": {"contains": "{marker}"}},
        "page": "link",
    },
    "list": {"path": "/repos/{inputs.repo}/runs?per_page=100", "items": "body.runs", "ref": "id", "page": "link"},
    "probe": {"path": "/user"},
}

MONITOR: dict[str, Any] = {
    "profile": 1,
    "name": "monitor",
    "base_url": "https://api.example.com/base",
    "auth": "an API key in the header X-Api-Key",
    "start": {
        "path": "{+inputs.path}",
        "body": "{inputs.body}",
        "accepted": [202],
        "example": {"status_code": 202, "headers": {"Location": "https://api.example.com/base/operations/77?v=1"}},
    },
    "ref": {"from": ["headers.operation_location", "headers.location"], "kind": "link"},
    "poll": {
        "accepted": [410],
        "acceptors": [
            {"when": "status_code == `202`", "phase": "running"},
            {"when": "status_code == `200`", "phase": "succeeded"},
            {"when": "status_code == `410`", "phase": "failed"},
        ],
        "examples": {
            "running": {"status_code": 202, "headers": {"Retry-After": "2"}},
            "succeeded": {"status_code": 200, "body": {"file": "https://files.example.net/a?sig=x"}},
            "failed": {"status_code": 410},
        },
    },
    "result": {"link": "body.file", "hosts": ["files.example.net"], "example": {"body": {"rows": 3}}},
}

QUEUE: dict[str, Any] = {
    "profile": 1,
    "name": "queue",
    "noun": "build",
    "auth": "basic: user and API token",
    "start": {
        "path": "/job/{+inputs.job}/build",
        "form": "{inputs.parameters}",
        "accepted": [201],
        "example": {"status_code": 201, "headers": {"Location": "https://ci.example.com/queue/item/143/"}},
    },
    "ref": {"from": "headers.location", "kind": "link", "link_host": "ignore"},
    "poll": {
        "path": "{+ref}api/json",
        "acceptors": [{"when": "body.cancelled", "phase": "cancelled"}, {"when": "body.id", "phase": "pending"}],
        "message": "body.why",
        "examples": {
            "pending": {"body": {"id": 143, "why": "In the quiet period", "url": "queue/item/143/"}},
            "cancelled": {"body": {"id": 143, "cancelled": True}},
            "next": {"body": {"id": 143, "executable": {"number": 14, "url": "https://ci.example.com/job/a/14/"}}},
        },
    },
    "cancel": {"path": "/queue/cancelItem?id={ref}"},
    "then": {
        "name": "build",
        "ref": {"from": "body.executable.url", "kind": "link", "link_host": "ignore"},
        "poll": {
            "path": "{+ref}api/json?tree=building,result,url",
            "acceptors": [{"when": "body.building", "phase": "running"}],
            "status": "body.result",
            "phases": {"succeeded": ["SUCCESS"], "failed": ["FAILURE"], "cancelled": ["ABORTED"]},
            "examples": {
                "running": {"body": {"building": True, "result": None, "url": "https://ci.example.com/job/a/14/"}},
                "succeeded": {
                    "body": {"building": False, "result": "SUCCESS", "url": "https://ci.example.com/job/a/14/"}
                },
            },
        },
        "cancel": {"path": "{+ref}stop", "accepted": [302]},
    },
}

CHOSEN: dict[str, Any] = {
    "profile": 1,
    "name": "chosen",
    "auth": "OAuth2 client credentials",
    "start": {
        "path": "/jobs",
        "headers": {"X-Extra": "{secret.EXTRA}"},
        "body": {"metadata": {"name": "job-{start.id}"}},
        "accepted": [201],
        "conflict": "adopt",
        "example": {"status_code": 201, "body": {"kind": "Job"}},
    },
    "ref": {"from": "request.body.metadata.name"},
    "poll": {
        "path": "/jobs/{ref}",
        "status": "body.state",
        "phases": {"running": ["active"], "succeeded": ["complete"], "failed": ["failed"]},
        "message": "body.reason",
        "examples": {"running": {"body": {"state": "active"}}, "succeeded": {"body": {"state": "complete"}}},
    },
    "cancel": {"method": "DELETE", "path": "/jobs/{ref}"},
    "result": {"path": "/jobs/{ref}/output", "example": {"body": {"lines": 2}}},
}

REPLAYED: dict[str, Any] = {
    "profile": 1,
    "name": "replayed",
    "start": {
        "path": "/run-now",
        "body": {"job": "{inputs.job}", "token": "{start.id}"},
        "accepted": [200],
        "replay": "same",
        "example": {"status_code": 200, "body": {"run_id": 455644833}},
    },
    "ref": {"from": "body.run_id"},
    "poll": {
        "path": "/runs/get?run_id={ref}",
        "status": "body.state",
        "phases": {"running": ["RUNNING"], "succeeded": ["SUCCESS"], "failed": ["FAILED"], "cancelled": ["CANCELED"]},
        "examples": {
            "running": {"body": {"run_id": 455644833, "state": "RUNNING"}},
            "succeeded": {"body": {"run_id": 455644833, "state": "SUCCESS"}},
        },
    },
    "cancel": {"path": "/runs/cancel", "body": {"run_id": "{ref:int}"}},
    "list": {
        "method": "POST",
        "path": "/runs/filter",
        "body": {"ids": "{refs}"},
        "items": "body.runs",
        "ref": "run_id",
        "page": {"query": "page_token", "next": "body.next"},
    },
}

ALL = (WORKFLOW, MONITOR, QUEUE, CHOSEN, REPLAYED)
