"""``python -m airflow_provider_taskwatch.sandbox [--port PORT]``: the sandbox without Airflow."""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from airflow_provider_taskwatch.core.error import ConfigurationError, cannot_listen

from .sandbox import Sandbox
from .server import HOST, PORT, serve
from .state import opened

parser = argparse.ArgumentParser(prog="taskwatch sandbox", description="Emulators of the remotes.")
parser.add_argument("--host", default=HOST)
parser.add_argument("--port", type=int, default=PORT, help="0: any free one")
parser.add_argument("--profile", type=Path, action="append", default=[], help="a file whose examples are played, too")
parser.add_argument("--state", type=Path, help="a file that keeps the state over restarts")


def play(sandbox: Sandbox, path: Path) -> None:
    """Add the remote that plays a profile.

    :raises ConfigurationError: the file cannot be read, or not be played.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as cause:
        raise ConfigurationError(f"the profile {path} cannot be read: {' '.join(str(cause).split()):.300}") from cause
    if not isinstance(content, dict) or "preset" in content:
        raise ConfigurationError(
            f"{path} is no whole profile; `taskwatch sandbox --profile` also plays changes of a preset"
        )
    sandbox.play({"name": path.stem, **content}, str(path.resolve()))


if __name__ == "__main__":
    chosen = parser.parse_args()
    try:
        with opened(chosen.state) as sandbox:
            for file in chosen.profile:
                play(sandbox, file)
            serve(chosen.host, chosen.port, sandbox=sandbox, state=chosen.state)
    except ConfigurationError as problem:
        parser.error(str(problem))
    except OSError as error:
        parser.exit(1, f"{cannot_listen('the sandbox', chosen.host, chosen.port, error)}\n")
