"""OAuth 1.0a (RFC 5849) with HMAC-SHA1 and no token: the ``Authorization`` header of one call, by Authlib.

Authlib's own client is not used whole: it signs no plain http:// but for localhost, and leaves a ``realm`` in the
query out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

from authlib.oauth1.rfc5849.client_auth import ClientAuth, generate_nonce, generate_timestamp
from authlib.oauth1.rfc5849.parameters import prepare_headers
from authlib.oauth1.rfc5849.signature import hmac_sha1_signature, normalize_base_string_uri, normalize_parameters
from authlib.oauth1.rfc5849.util import escape

from airflow_provider_taskwatch.core.wire import Call

_FORM = "application/x-www-form-urlencoded"

Pairs = list[tuple[str, str]]


def oauth1(
    call: Call, url: str, *, key: str, secret: str, nonce: str | None = None, timestamp: str | None = None
) -> str:
    """The header that signs a call.

    :param url: where the call goes, exactly as it is sent.
    :param nonce: a fresh one where it is not given.
    :param timestamp: seconds since the epoch; now where it is not given.
    """
    own: Pairs = ClientAuth(key).get_oauth_params(nonce or generate_nonce(), timestamp or generate_timestamp())
    signature = hmac_sha1_signature(_base_string(call, url, own), secret, None)
    headers: dict[str, str] = prepare_headers([*own, ("oauth_signature", signature)])
    return headers["Authorization"]


def _base_string(call: Call, url: str, own: Iterable[tuple[str, str]]) -> str:
    sent = [*parse_qsl(urlsplit(url).query, keep_blank_values=True), *_fields(call), *own]
    base_url = normalize_base_string_uri(_as_named(url))  # type: ignore[no-untyped-call]
    return "&".join(map(escape, (call.method, base_url, normalize_parameters(sent))))


def _as_named(url: str) -> str:
    """The URL with its host as in the Host header, from which both libraries leave a dot at the end out."""
    parts = urlsplit(url)
    return parts._replace(netloc=_LAST_DOT.sub(r"\1", parts.netloc)).geturl()


_LAST_DOT = re.compile(r"\.(:[0-9]+)?\Z")


def _fields(call: Call) -> Pairs:
    """The fields of a form are signed; a body of any other kind is not."""
    kind = next((value for name, value in call.headers.items() if name.lower() == "content-type"), "")
    return parse_qsl((call.body or b"").decode(), keep_blank_values=True) if kind.startswith(_FORM) else []
