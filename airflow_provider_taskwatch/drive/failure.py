"""Translates errors of requests, urllib3, aiohttp and TLS into ours. Nothing else in the package knows theirs."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import requests
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, ProtocolError, ProxyError
from urllib3.exceptions import SSLError as TlsError

from airflow_provider_taskwatch.core.error import ConfigurationError, TaskWatchError, TransportError, described
from airflow_provider_taskwatch.core.reply import BrokenReplyError, Flaw
from airflow_provider_taskwatch.core.text import line
from airflow_provider_taskwatch.core.wire import LengthError


@dataclass(frozen=True, slots=True)
class Failure:
    """One way in which an exchange fails.

    :param sentence: names ``{place}``.
    :param sent: whether the request may have been sent.
    """

    sentence: str
    sent: bool

    def error(self, where: str, *, is_lasting: bool = False) -> TransportError:
        return TransportError(self.sentence.format(place=where), sent=self.sent, is_lasting=is_lasting)


UNRESOLVED = Failure("the host name of {place} cannot be resolved", sent=False)
NOT_ACCEPTED = Failure("{place} did not accept a connection in time", sent=False)
REFUSED = Failure("{place} refuses connections", sent=False)
NOT_ANSWERED = Failure("{place} did not answer in time", sent=True)
NOT_HTTP = Failure(f"the connection to {{place}} was lost: {Flaw.NOT_HTTP.value}", sent=True)
"""The libraries read what a proxy answers to CONNECT, not we."""


def requests_failure(cause: Exception, where: str) -> TaskWatchError:
    """The error for one that ``requests`` has raised.

    :param where: the address, for the message.
    """
    reason = _root(cause)
    if isinstance(cause, requests.RequestException):
        cause.request = cause.response = None  # they contain credentials, which a traceback might show
    if isinstance(cause, ValueError):
        return malformed_request(where)
    if isinstance(reason, ssl.SSLError):
        return _tls_failure(reason, where, sent=reason.reason not in _BEFORE_SENDING)
    if isinstance(reason, ProxyError):
        return _proxy_failure(where, reason.original_error)
    return _failure(_REQUESTS_FAILURES, cause, reason, where) or _connection_lost(where, reason)


_REQUESTS_FAILURES: Mapping[type[Exception], Failure] = {
    requests.exceptions.ConnectTimeout: NOT_ACCEPTED,
    requests.exceptions.ReadTimeout: NOT_ANSWERED,
    NameResolutionError: UNRESOLVED,
    NewConnectionError: REFUSED,
    http.client.HTTPException: NOT_HTTP,
}
_BEFORE_SENDING = ("CERTIFICATE_VERIFY_FAILED", "UNSUPPORTED_PROTOCOL", "WRONG_VERSION_NUMBER")
"""OpenSSL's reasons for a handshake that failed. Other TLS errors may come after the request was sent."""


def _root(cause: Exception) -> Exception:
    """The innermost error that requests and urllib3 wrap."""
    reason = cause
    while isinstance(inner := _wrapped(reason), Exception):
        reason = inner
    return reason


def _wrapped(error: Exception) -> object:
    if isinstance(error, HTTPError) and isinstance(getattr(error, "reason", None), Exception):
        return error.reason  # type: ignore[attr-defined]
    if isinstance(error, ProtocolError):
        return error.args[-1] if error.args else None
    if isinstance(error, (requests.RequestException, TlsError)):
        return error.args[0] if error.args else None
    return None


def aiohttp_failure(cause: Exception, where: str) -> TaskWatchError:
    """The error for one that ``aiohttp`` has raised.

    :param where: the address, for the message.
    """
    import aiohttp  # not at the top: a worker needs no aiohttp

    # aiohttp raises these two before it sends anything.
    if isinstance(cause, aiohttp.ClientConnectorCertificateError):
        return _handshake_failure(cause, cause.certificate_error, where)
    if isinstance(cause, aiohttp.ClientConnectorSSLError):
        return _handshake_failure(cause, cause.os_error, where)
    if isinstance(cause, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)):
        return _proxy_failure(where, getattr(cause, "os_error", None) or f"it answered {getattr(cause, 'status', '')}")
    reason: BaseException = cause
    while reason.__cause__ is not None:
        reason = reason.__cause__
    failures: Mapping[type[Exception], Failure] = {
        aiohttp.ClientConnectorDNSError: UNRESOLVED,
        aiohttp.ConnectionTimeoutError: NOT_ACCEPTED,
        aiohttp.ClientConnectorError: REFUSED,
        TimeoutError: NOT_ANSWERED,
        aiohttp.ClientResponseError: NOT_HTTP,
    }
    if (error := _failure(failures, cause, reason, where)) is not None:
        return error
    return malformed_request(where) if isinstance(cause, ValueError) else _connection_lost(where, cause)


def _handshake_failure(cause: Exception, reason: Exception, where: str) -> TransportError:
    if isinstance(reason, ssl.SSLError):
        return _tls_failure(reason, where, sent=False)
    return _connection_lost(where, cause)


def _failure(
    failures: Mapping[type[Exception], Failure], cause: Exception, reason: BaseException, where: str
) -> TransportError | None:
    for kind, failure in failures.items():
        if isinstance(cause, kind) or isinstance(reason, kind):
            return failure.error(where, is_lasting=_is_unknown_host(cause))
    return None


def broken_reply(broken: BrokenReplyError, where: str, whose: str) -> LengthError | TransportError:
    """The error for bytes that are not a reply. The request was sent, and its effect is unknown.

    :param whose: the reply, such as ``to GET /x``.
    """
    beginning = broken.beginning
    if beginning is not None:
        return LengthError(f"the reply {whose} ({beginning.status}) {broken.flaw.value}", beginning)
    return TransportError(f"the connection to {where} was lost: {broken.flaw.value}")


def malformed_request(where: str, reason: str = "") -> ConfigurationError:
    """The error for a request that cannot be sent at all."""
    sentence = f"cannot send a request to {where}: the address, the proxy or a header is malformed"
    return ConfigurationError(f"{sentence}; {reason}" if reason else sentence)


def shown_cause(error: TaskWatchError, cause: Exception) -> Exception | None:
    """The cause that an error may show: the one of a malformed request, which the error does not describe.

    The messages of other errors are complete, and their causes may contain received bytes, perhaps our token.
    """
    return cause if isinstance(error, ConfigurationError) else None


def _proxy_failure(where: str, reason: object) -> TransportError:
    text = described(reason) if isinstance(reason, Exception) else str(reason)
    return TransportError(f"the proxy on the way to {where} cannot be used: {line(text)}", sent=False)


def _connection_lost(where: str, reason: Exception) -> TransportError:
    return TransportError(f"the connection to {where} was lost: {type(reason).__name__}")


def _is_unknown_host(cause: BaseException | None) -> bool:
    """Whether a name server says that the host does not exist. If it could not answer, a retry may succeed."""
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return cause.errno in _NO_SUCH_HOST
        cause = cause.__cause__ or cause.__context__
    return False


_NO_SUCH_HOST = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


def _tls_failure(reason: ssl.SSLError, where: str, *, sent: bool) -> TransportError:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return TransportError(
            f"the TLS certificate of {where} is not trusted: {reason.verify_message}; "
            "name its issuer in 'ca_bundle', or check the host",
            sent=sent,
            is_lasting=True,
        )
    remedy = "; the server there does not speak TLS: check scheme and port" if reason.reason in _NO_TLS else ""
    message = f"no secure connection to {where}: {reason.reason or reason}{remedy}"
    return TransportError(message, sent=sent, is_lasting=reason.reason in _LASTING)


_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_LASTING = (
    *_NO_TLS,
    "CERTIFICATE_VERIFY_FAILED",
    "HTTP_REQUEST",
    "NO_PROTOCOLS_AVAILABLE",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "TLSV1_ALERT_UNKNOWN_CA",
    "TLSV1_UNRECOGNIZED_NAME",
    "UNSUPPORTED_PROTOCOL",
)
"""OpenSSL's reasons for handshakes that fail until a person changes a setting or a certificate."""
