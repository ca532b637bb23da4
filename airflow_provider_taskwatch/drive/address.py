"""Where a call goes, as one URL in one form: what is signed, what is sent and what both libraries are given."""

from __future__ import annotations

import functools
import re
from ipaddress import IPv4Address
from urllib.parse import urlsplit

import idna

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Call, canonical_path


def address(settings: Settings, call: Call) -> str:
    """Where a call goes: always to the connection's host.

    :raises ConfigurationError: where method, host or path have no single meaning.
    """
    if not _METHOD.fullmatch(call.method):
        raise ConfigurationError(f"{call.method[:80]!r} is not a method of HTTP, such as GET")
    if not call.path.startswith("/"):
        raise ConfigurationError(f"the path {call.path[:200]!r} must begin with '/': it belongs to {settings.base_url}")
    return sent_base(settings.base_url) + call.target


_METHOD = re.compile(r"[A-Za-z-]+")


@functools.lru_cache(maxsize=256)
def sent_base(base_url: str) -> str:
    """The base URL as it is sent: the host in ASCII (IDNA 2008), the path in normal form."""
    parts = urlsplit(base_url)
    user, at, place = parts.netloc.rpartition("@")
    host, port = _split(place)
    if parts.query or parts.fragment:
        raise ConfigurationError(f"the base URL {base_url!r} must not contain '?' or '#'")
    return f"{parts.scheme}://{user}{at}{sent_host(host)}{port}{canonical_path(parts.path)}"


def _split(place: str) -> tuple[str, str]:
    """Host, and colon and port."""
    if place.startswith("["):
        end = place.find("]") + 1
        return place[:end], place[end:]
    host, colon, port = place.partition(":")
    return host, colon + port


def sent_host(host: str) -> str:
    """A host name in ASCII."""
    if host.isascii():
        if not (host.startswith("[") or _ASCII_NAME.fullmatch(host)):
            raise ConfigurationError(f"the host name {host!r} cannot be asked for: its parts have 1 to 63 characters")
        if _NUMBERS.fullmatch(host) and not _is_ipv4(host):
            raise ConfigurationError(
                f"the host {host!r} is no IPv4 address: it has four numbers up to 255, without zeros before them"
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
