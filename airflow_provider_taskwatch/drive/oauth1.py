"""OAuth 1.0a (RFC 5849) with HMAC-SHA1 and without a token: signs each call, with Authlib.

Authlib's own client is not used: it refuses to sign http:// except for localhost, and ignores a ``realm`` in the query.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

from authlib.oauth1.rfc5849.client_auth import ClientAuth, generate_nonce, generate_timestamp
from authlib.oauth1.rfc5849.parameters import prepare_headers
from authlib.oauth1.rfc5849.signature import hmac_sha1_signature, normalize_base_string_uri, normalize_parameters
from authlib.oauth1.rfc5849.util import escape

from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Call

from .exchange import address

_FORM = "application/x-www-form-urlencoded"

Pairs = list[tuple[str, str]]


class OAuth1Credential:
    """A new signature for each call.

    A rejected call is signed again: if it has waited behind a 429, its timestamp may be too old.
    """

    is_ready = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def sign(self, call: Call, refused: Call | None = None) -> Call:
        url = address(self._settings, call)
        header = oauth1(call, url, key=self._settings.login, secret=self._settings.password)
        return call.with_header("Authorization", header)


def oauth1(
    call: Call, url: str, *, key: str, secret: str, nonce: str | None = None, timestamp: str | None = None
) -> str:
    """The ``Authorization`` header of a call.

    :param url: exactly as it is sent.
    :param nonce: None: a new one.
    :param timestamp: seconds since the epoch; None: now.
    """
    own: Pairs = ClientAuth(key).get_oauth_params(nonce or generate_nonce(), timestamp or generate_timestamp())
    signature = hmac_sha1_signature(_base_string(call, url, own), secret, None)
    headers: dict[str, str] = prepare_headers([*own, ("oauth_signature", signature)])
    return headers["Authorization"]


def _base_string(call: Call, url: str, own: Iterable[tuple[str, str]]) -> str:
    sent = [*parse_qsl(urlsplit(url).query, keep_blank_values=True), *_fields(call), *own]
    base_url = normalize_base_string_uri(_with_sent_host(url))  # type: ignore[no-untyped-call]
    return "&".join(map(escape, (call.method, base_url, normalize_parameters(sent))))


def _with_sent_host(url: str) -> str:
    """The URL with its host as in the Host header: both libraries omit a dot at its end."""
    parts = urlsplit(url)
    return parts._replace(netloc=_LAST_DOT.sub(r"\1", parts.netloc)).geturl()


_LAST_DOT = re.compile(r"\.(:[0-9]+)?\Z")


def _fields(call: Call) -> Pairs:
    """The fields of a form, which are signed. A body of another type is not."""
    kind = next((value for name, value in call.headers.items() if name.lower() == "content-type"), "")
    return parse_qsl((call.body or b"").decode(), keep_blank_values=True) if kind.startswith(_FORM) else []
