"""OAuth 1.0a (RFC 5849) as a server checks it: HMAC-SHA1 over what was sent, a timestamp of now, a nonce used once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from airflow_provider_taskwatch.core.wire import Call
from airflow_provider_taskwatch.sandbox.answer import credentials, header

FORM = "application/x-www-form-urlencoded"
NEEDED = ("oauth_consumer_key", "oauth_signature_method", "oauth_timestamp", "oauth_nonce", "oauth_signature")

_PARAMETER = re.compile(r'\s*([^=\s]+)="([^"]*)"\s*')
_PORTS = {"http": 80, "https": 443}


class SignatureDesk:
    """Knows the nonces that were used, as long as their timestamps would still be believed."""

    def __init__(self) -> None:
        self._nonces: dict[tuple[str, str, str], float] = {}

    def client(self, call: Call, url: str, clients: Mapping[str, str], now: float, tolerance: float) -> str:
        """The key of the client that has signed a call, or ``ValueError`` that says what is wrong with it.

        :param url: where the call was sent, without its query.
        :param clients: secrets by key.
        :param tolerance: seconds by which clocks may differ.
        """
        sent = parameters(call)
        if missing := [name for name in NEEDED if not sent.get(name)]:
            raise ValueError(f"{', '.join(missing)} is missing")
        if sent["oauth_signature_method"] != "HMAC-SHA1" or sent.get("oauth_version", "1.0") != "1.0":
            raise ValueError("only HMAC-SHA1 of version 1.0 is supported")
        key = sent["oauth_consumer_key"]
        if key not in clients:
            raise ValueError("the consumer key is not known")
        wanted = signature(call, url, sent, clients[key])
        if not hmac.compare_digest(wanted, sent["oauth_signature"].encode()):
            raise ValueError("the signature is wrong")
        self._note(key, sent["oauth_timestamp"], sent["oauth_nonce"], now, tolerance)
        return key

    def _note(self, key: str, timestamp: str, nonce: str, now: float, tolerance: float) -> None:
        if not timestamp.isdecimal() or abs(now - int(timestamp)) > tolerance:
            raise ValueError("the timestamp is too old, or in the future")
        self._nonces = {used: until for used, until in self._nonces.items() if until >= now}
        if (key, timestamp, nonce) in self._nonces:
            raise ValueError("the nonce was used before")
        self._nonces[key, timestamp, nonce] = int(timestamp) + tolerance


def parameters(call: Call) -> dict[str, str]:
    """The parameters of an OAuth header; none where there is no such header."""
    scheme, text = credentials(call)
    if scheme != "oauth":
        return {}
    found = (_PARAMETER.fullmatch(one) for one in text.split(","))
    return {unquote(one[1]): unquote(one[2]) for one in found if one}


def signature(call: Call, url: str, sent: Mapping[str, str], secret: str) -> bytes:
    """The signature that a call should have."""
    covered = [(name, value) for name, value in sent.items() if name not in ("oauth_signature", "realm")]
    pairs = sorted((_escaped(name), _escaped(value)) for name, value in (*call.query, *_form(call), *covered))
    normal = "&".join(f"{name}={value}" for name, value in pairs)
    base = "&".join(map(_escaped, (call.method.upper(), _base_url(url), normal)))
    digest = hmac.new(f"{_escaped(secret)}&".encode(), base.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest)


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path or '/'}"


def _form(call: Call) -> Iterable[tuple[str, str]]:
    if not header(call, "content-type").startswith(FORM):
        return ()
    return parse_qsl((call.body or b"").decode(), keep_blank_values=True)


def _escaped(text: str) -> str:
    return quote(text, safe="~")
