"""``taskwatch receiver`` and ``push-url``: what remotes call, and the address for a remote that pushes."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_taskwatch.core.error import TaskWatchError, cannot_listen

from .console import exit_on_error, fail, say
from .hook import hook_for


def receiver(args: Namespace) -> None:
    """Serve the receiver until interrupted. It needs Airflow's configuration only, no metadata database."""
    from airflow.exceptions import AirflowConfigException

    from airflow_provider_taskwatch.compat.stats import own_counter
    from airflow_provider_taskwatch.config.callback import callback_options
    from airflow_provider_taskwatch.config.inbox import find_seal, open_inbox
    from airflow_provider_taskwatch.receiver.app import create_app
    from airflow_provider_taskwatch.receiver.server import serve

    try:
        settings = callback_options()
        seal, count = find_seal(), own_counter()
        app = create_app(open_inbox(), settings.keys(), url=settings.base_url, seal=seal, count=count)
        serve(app, args.host, args.port, show=lambda url: say("", f"the receiver listens on {url}"))
    except (TaskWatchError, AirflowConfigException) as error:
        fail(str(error))
    except OSError as error:
        fail(cannot_listen("the receiver", args.host, args.port, error))


def push_url(args: Namespace) -> None:
    """Print the address to which a remote pushes its events, and with ``--api-key`` the header that it must send."""
    from airflow_provider_taskwatch.config.callback import callback_options
    from airflow_provider_taskwatch.receiver.push import API_KEY, ticket_for

    with exit_on_error():
        ticket = ticket_for(hook_for(args.conn_id).settings, needs_key=args.api_key)
        address = callback_options().push_address(ticket)
    say("", address.url)
    if args.api_key:
        say("", f"{API_KEY}: {address.key}")
