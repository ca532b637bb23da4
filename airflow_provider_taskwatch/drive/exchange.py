"""What both drivers do alike in an exchange: the address, the headers, the time limit, and the origin of a reply."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

import idna
from requests.utils import get_auth_from_url, get_environ_proxies, select_proxy

from airflow_provider_taskwatch.core.decoding import ACCEPTED_ENCODINGS
from airflow_provider_taskwatch.core.error import ConfigurationError, TaskWatchError, TransportError
from airflow_provider_taskwatch.core.mask import Mask, mask_error
from airflow_provider_taskwatch.core.reply import BrokenReplyError
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.text import place
from airflow_provider_taskwatch.core.wire import Call, LengthError, Reply, canonical_path

from .failure import broken_reply, malformed_request

READ_TIMEOUTS = 10
"""An exchange may take this many read timeouts in all, so that a slow trickle of bytes ends too."""


def address(settings: Settings, call: Call) -> str:
    """The URL of a call, at the connection's host unless the call names another. It is signed and sent in this form.

    :raises ConfigurationError: method, host or path have more than one meaning.
    """
    if not _METHOD.fullmatch(call.method):
        raise ConfigurationError(f"{call.method[:80]!r} is not an HTTP method, such as GET")
    if not call.path.startswith("/"):
        raise ConfigurationError(f"the path {call.path[:200]!r} must begin with '/'; it is below {settings.base_url}")
    return canonical_base(call.origin or settings.base_url) + call.target


_METHOD = re.compile(r"[A-Za-z-]+")


@functools.lru_cache(maxsize=256)
def canonical_base(base_url: str) -> str:
    """The base URL as it is sent: the host in ASCII (IDNA 2008), the path in normal form."""
    parts = urlsplit(base_url)
    user, at, host_and_port = parts.netloc.rpartition("@")
    host, port = _split(host_and_port)
    if parts.query or parts.fragment:
        raise ConfigurationError(f"the base URL {base_url!r} must not contain '?' or '#'")
    return f"{parts.scheme}://{user}{at}{_ascii_host(host)}{port}{canonical_path(parts.path)}"


def _split(host_and_port: str) -> tuple[str, str]:
    """The host, and the colon with the port."""
    if host_and_port.startswith("["):
        end = host_and_port.find("]") + 1
        return host_and_port[:end], host_and_port[end:]
    host, colon, port = host_and_port.partition(":")
    return host, colon + port


def _ascii_host(host: str) -> str:
    if host.isascii():
        if not (host.startswith("[") or _ASCII_NAME.fullmatch(host)):
            raise ConfigurationError(
                f"the host name {host!r} cannot be used: each of its parts must have 1 to 63 characters"
            )
        if _NUMBERS.fullmatch(host) and not _is_ipv4(host):
            raise ConfigurationError(
                f"the host {host!r} is not an IPv4 address: it has four numbers from 0 to 255 without leading zeros"
            )
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError as cause:
        raise ConfigurationError(
            f"the host name {host!r} cannot be written in ASCII ({cause}); give it in its xn-- form"
        ) from cause


_ASCII_NAME = re.compile(r"[^.]{1,63}(?:\.[^.]{1,63})*\.?")
_NUMBERS = re.compile(r"[0-9.]+")


def _is_ipv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def sendable(headers: Mapping[str, str], url: str) -> dict[str, str]:
    """Headers that both libraries write alike, with the encodings that we can unpack.

    :raises ConfigurationError: names a header that cannot be sent.
    """
    for name, value in headers.items():
        if not _is_sendable(name, value):
            raise malformed_request(url, f"the header {name!r:.80} must have a name and a value of ASCII characters")
    problem, accepts_encoding = _check_names(tuple(headers))
    if problem:
        raise malformed_request(url, problem)
    return dict(headers) if accepts_encoding else {"Accept-Encoding": ACCEPTED_ENCODINGS, **headers}


def _is_sendable(name: str, value: object) -> bool:
    return bool(_NAME.fullmatch(name) and isinstance(value, str) and _VALUE.fullmatch(value))


@functools.lru_cache(maxsize=256)
def _check_names(given: tuple[str, ...]) -> tuple[str, bool]:
    """What is wrong with the names of the headers, and whether ``Accept-Encoding`` is among them."""
    names = {name.lower() for name in given}
    if len(names) < len(given):
        return f"one of the headers {', '.join(given)} is given twice", False
    if not names.isdisjoint(_CONNECTION_HEADERS):
        return f"one of the headers {', '.join(given)} belongs to the connection and cannot be set", False
    return "", "accept-encoding" in names


_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
_CONNECTION_HEADERS = frozenset(
    ("connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
)


def total_seconds(settings: Settings) -> float:
    """How long one exchange may take."""
    return settings.connect_timeout + READ_TIMEOUTS * settings.read_timeout


def check_bundle(settings: Settings) -> None:
    """Check that the CA bundle exists, before any request.

    :raises ConfigurationError: it does not.
    """
    if isinstance(settings.verify, str) and not Path(settings.verify).exists():
        raise ConfigurationError(
            f"connection {settings.conn_id!r}: extra 'ca_bundle' names {settings.verify!r}, which does not exist here"
        )


def proxy_for(settings: Settings) -> str | None:
    """The proxy of the connection, else the one that the environment names for its host."""
    url = settings.base_url
    proxy = settings.proxy or select_proxy(url, get_environ_proxies(url))
    return proxy_url(proxy) if proxy else None


def proxy_url(proxy: str) -> str:
    """The address of a proxy with its scheme."""
    return proxy if "://" in proxy else f"http://{proxy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The remote of a connection, for messages, and the secrets that they must not show."""

    url: str
    place: str
    doubt: str
    access: str
    mask: Mask

    def marked(self, reply: Reply, call: Call) -> Reply:
        """A reply with its origin. Built by hand: ``replace`` takes three times as long, on each poll.

        :param call: signed; the mask hides its credential too.
        """
        return Reply(
            status=reply.status,
            headers=reply.headers,
            body=reply.body,
            mask=self.mask.also(call.headers.get("Authorization", "").partition(" ")[2]),
            place=place(call.origin) if call.origin else self.place,
            doubt="" if call.origin else self.doubt,
            access="" if call.origin else self.access,
            received_at=reply.received_at,
        )

    def broken(self, error: BrokenReplyError, call: Call) -> LengthError | TransportError:
        """The error for bytes that are not a reply to a signed call."""
        if error.beginning is not None:
            error.beginning = self.marked(error.beginning, call)
        return broken_reply(error, call.origin or self.url, f"to {call.method} {call.shown_path}")


def origin_of(settings: Settings) -> Origin:
    """The origin of all replies of a connection."""
    mask = mask_of(settings)
    return Origin(
        url=mask.text(settings.base_url),
        place=mask.text(place(settings.base_url)),
        doubt=mask.text(settings.base_path_doubt),
        access=mask.text(settings.access),
        mask=mask,
    )


def mask_of(settings: Settings) -> Mask:
    """The secrets of a connection: those that its remote, its token endpoint and its proxy receive."""
    sent = tuple(one for one in (settings.own.get("secrets") or {}).values() if isinstance(one, str))
    credentials = ((settings.login, settings.password), _proxy_credentials(settings))
    return Mask(
        tuple(one for login, secret in credentials if secret for one in (*basic_spellings(login, secret), secret))
        + sent
    )


def _proxy_credentials(settings: Settings) -> tuple[str, str]:
    try:
        return get_auth_from_url(proxy_for(settings) or "")
    except ValueError:  # the exchange reports a malformed address
        return "", ""


def basic_spellings(login: str, secret: str) -> tuple[str, ...]:
    """Login and password as a Basic header has them, in either of two character sets."""
    pair = f"{login}:{secret}"
    return tuple(base64.b64encode(pair.encode(charset, "replace")).decode() for charset in ("utf-8", "latin-1"))


def mask_secrets(error: TaskWatchError, settings: Settings) -> None:
    """Remove the secrets of a connection from an error. An error that lasts gets the patience of the connection."""
    mask_error(error, mask_of(settings))
    if error.is_lasting:
        error.patience = settings.patience
