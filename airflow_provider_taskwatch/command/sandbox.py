"""``taskwatch sandbox``: serves the emulators of the remotes."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

from airflow_provider_taskwatch.core.error import ConfigurationError, cannot_listen

from .console import fail


def sandbox(args: Namespace) -> None:
    """Serve the emulators until interrupted."""
    from airflow_provider_taskwatch.sandbox.server import serve
    from airflow_provider_taskwatch.sandbox.state import opened

    state = Path(args.state) if args.state else None
    try:
        with opened(state) as emulators:
            emulators.change({"acquia": {"token_lifetime": args.token_lifetime}}, time.time())
            serve(args.host, args.port, sandbox=emulators, state=state)
    except ConfigurationError as error:
        fail(str(error), code=2)
    except OSError as error:
        fail(cannot_listen("the sandbox", args.host, args.port, error))
