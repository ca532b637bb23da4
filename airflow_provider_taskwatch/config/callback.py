"""The options of ``[taskwatch]`` for callbacks and pushes: the receiver's address and the secrets.

Operators, the plugin and the command line read these options here.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from airflow_provider_taskwatch.core.connection import http_url
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.receiver import push
from airflow_provider_taskwatch.receiver.callback import PATH
from airflow_provider_taskwatch.receiver.token import Keys, PushTicket, Ticket, secrets_problem

from . import option


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAddress:
    """The URL and the bearer secret for the callback of one start. They grant access, so no repr shows them."""

    url: str = field(repr=False)
    bearer: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """The value of the ``Authorization`` header."""
        return f"Bearer {self.bearer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushAddress:
    """The URL to which a remote pushes the events of a feed.

    :param key: the API key for the header ``X-Api-Key``. The remote sends it where the ticket requires one.
    """

    url: str = field(repr=False)
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackOptions:
    """The options as read. :meth:`check` validates them, because a process without callbacks does not need them.

    :param base_url: of the receiver, as remotes see it, without a trailing slash; empty where it is not set.
    :param secrets: the newest first; empty where callbacks are not set up.
    """

    base_url: str
    secrets: tuple[str, ...] = field(repr=False)
    require_https: bool

    def check(self) -> None:
        """Raise one :class:`ConfigurationError` that lists everything that prevents callbacks."""
        problems = (secrets_problem(self.secrets), base_url_problem(self.base_url, self.require_https))
        if any(problems):
            raise ConfigurationError("; ".join(filter(None, problems)))

    def keys(self) -> Keys:
        """The keys that mint and verify tokens."""
        return Keys(self.secrets)

    def callback_address(self, ticket: Ticket) -> CallbackAddress:
        """The URL and the secret with which a remote calls back.

        :raises ConfigurationError: see :meth:`check`.
        """
        self.check()
        keys = self.keys()
        token = keys.mint(ticket)
        return CallbackAddress(url=f"{self.base_url}{PATH}{token}", bearer=keys.bearer(token))

    def push_address(self, ticket: PushTicket) -> PushAddress:
        """The URL and the key with which a remote pushes. A ticket keeps its address until a newer secret is added.

        :raises ConfigurationError: see :meth:`check`.
        """
        self.check()
        keys = self.keys()
        token = keys.mint_push(ticket)
        return PushAddress(url=f"{self.base_url}{push.PATH}{token}", key=keys.push_key(token))


def callback_options() -> CallbackOptions:
    """The options of this process.

    :raises ConfigurationError: where one cannot be read.
    """
    return CallbackOptions(
        base_url=option.text("callback_base_url").rstrip("/"),
        secrets=option.items("callback_secrets"),
        require_https=option.boolean("require_https", default=True),
    )


def base_url_problem(base_url: str, require_https: bool) -> str:
    """What is wrong with a URL that is given to remotes, and the remedy; empty where it is valid."""
    parts = http_url(base_url)
    if parts is None or "@" in parts.netloc or parts.query or parts.fragment:
        return (
            f"[taskwatch] callback_base_url is {'not set' if not base_url else 'no http(s) URL without credentials'}; "
            "set it to the address of the receiver as remotes see it, such as https://airflow.example.com/taskwatch "
            "for the one on Airflow's API server"
        )
    if require_https and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return (
            f"[taskwatch] callback_base_url is {base_url}, over which anybody can read the secrets of callbacks; "
            "let a proxy add TLS and name its https address, or set [taskwatch] require_https to False"
        )
    return ""


def is_loopback(host: str) -> bool:
    """Whether a host name or IP address is a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
