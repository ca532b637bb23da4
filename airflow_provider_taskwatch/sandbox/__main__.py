"""``python -m airflow_provider_taskwatch.sandbox [--port PORT]``: the sandbox without Airflow."""

from __future__ import annotations

import argparse
from pathlib import Path

from airflow_provider_taskwatch.core.error import ConfigurationError, cannot_listen

from .server import HOST, PORT, serve
from .state import opened

parser = argparse.ArgumentParser(prog="taskwatch sandbox", description="Emulators of the remotes.")
parser.add_argument("--host", default=HOST)
parser.add_argument("--port", type=int, default=PORT, help="0: any free one")
parser.add_argument("--state", type=Path, help="a file that keeps the state over restarts")
if __name__ == "__main__":
    chosen = parser.parse_args()
    try:
        with opened(chosen.state) as sandbox:
            serve(chosen.host, chosen.port, sandbox=sandbox, state=chosen.state)
    except ConfigurationError as problem:
        parser.error(str(problem))
    except OSError as error:
        parser.exit(1, f"{cannot_listen('the sandbox', chosen.host, chosen.port, error)}\n")
