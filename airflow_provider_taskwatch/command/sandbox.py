"""``taskwatch sandbox``: serves the emulators of the remotes."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_taskwatch.core.error import ConfigurationError, cannot_listen

from .console import fail

if TYPE_CHECKING:
    from airflow_provider_taskwatch.sandbox.sandbox import Sandbox


def sandbox(args: Namespace) -> None:
    """Serve the emulators until interrupted."""
    from airflow_provider_taskwatch.sandbox.server import serve
    from airflow_provider_taskwatch.sandbox.state import opened

    state = Path(args.state) if args.state else None
    try:
        with opened(state) as emulators:
            for given in args.profile or ():
                play(emulators, given)
            emulators.change({"acquia": {"token_lifetime": args.token_lifetime}}, time.time())
            serve(args.host, args.port, sandbox=emulators, state=state)
    except ConfigurationError as error:
        fail(str(error), code=2)
    except OSError as error:
        fail(cannot_listen("the sandbox", args.host, args.port, error))


def play(emulators: Sandbox, given: str) -> None:
    """Let a sandbox play a profile.

    :param given: its name or its path.
    :raises ConfigurationError: there is none, or it is not valid, or it cannot be played.
    """
    from airflow_provider_taskwatch.config.profile import find_profile

    found = find_profile(given)
    is_path = "/" in given or "." in given
    content = {"name": Path(given).stem, **found.content}
    emulators.play(content, str(Path(given).expanduser().resolve()) if is_path else given)
