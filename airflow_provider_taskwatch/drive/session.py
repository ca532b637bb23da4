"""A ``requests`` session as a connection wants it, and the one door where its errors become ours."""

from __future__ import annotations

import base64
import functools
import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote_plus

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_auth_from_url, get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, ProtocolError, ProxyError
from urllib3.exceptions import SSLError as TlsError

from airflow_provider_taskwatch.core.decoding import ACCEPTED_ENCODINGS
from airflow_provider_taskwatch.core.error import ConfigurationError, TaskWatchError, TransportError, described
from airflow_provider_taskwatch.core.mask import Mask, clean, is_secret_name
from airflow_provider_taskwatch.core.reply import BrokenReplyError, Flaw, ReplyReader
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.text import line, place
from airflow_provider_taskwatch.core.wire import Call, LengthError, Reply

from .address import address

CHUNK_BYTES = 65536
READ_TIMEOUTS = 10
"""For so many read timeouts a reply may trickle, however steadily."""

S = TypeVar("S", bound=requests.Session)


def bounded(session: S, settings: Settings) -> S:
    """The session without cookies and redirects, and with replies that neither fill the memory nor go on for ever."""
    check_bundle(settings)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    # It is asked also where no redirect is followed, and an odd Location would make it fail.
    session.get_redirect_target = lambda response: None  # type: ignore[method-assign, assignment]
    session.headers["Accept-Encoding"] = ACCEPTED_ENCODINGS
    session.mount("http://", _BoundedAdapter())
    session.mount("https://", _BoundedAdapter())
    return session


def exchange(session: requests.Session, settings: Settings, call: Call) -> Reply:
    """Send one call and read its reply; every foreign error becomes one of ours here."""
    url = address(settings, call)
    try:
        response = session.request(
            call.method,
            url,
            data=call.body,
            headers=sendable(call.headers, settings.base_url),
            auth=_Exactly(url),
            **options(settings),
        )
    except BrokenReplyError as broken:
        raise origin_of(settings).unread(broken, call) from None
    except (requests.RequestException, OSError, ValueError) as cause:
        error = lost(cause, origin_of(settings).url)
        raise error from shown_cause(error, cause)
    return origin_of(settings).marked(as_reply(response), call)


@dataclass(frozen=True, slots=True)
class _Exactly:
    """Sends to the address that was signed, which ``requests`` has rewritten.

    It stands where an authentication would: without one, ``requests`` lets a ~/.netrc replace the Authorization header.
    """

    url: str

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.url = self.url
        return request


def sendable(headers: Mapping[str, str], url: str) -> dict[str, str]:
    """Headers that both libraries write alike, and what we can unpack; or an error that names the one that is wrong."""
    for name, value in headers.items():
        if not _is_sendable(name, value):
            raise malformed(url, f"the header {name!r:.80} must be a name and a text of ASCII characters")
    problem, is_packed = _names(tuple(headers))
    if problem:
        raise malformed(url, problem)
    return dict(headers) if is_packed else {"Accept-Encoding": ACCEPTED_ENCODINGS, **headers}


@functools.lru_cache(maxsize=256)
def _names(given: tuple[str, ...]) -> tuple[str, bool]:
    """What is wrong with the headers that a request has, and whether the caller says how the reply may be packed."""
    names = {name.lower() for name in given}
    if len(names) < len(given):
        return f"one of the headers {', '.join(given)} is given twice", False
    if not names.isdisjoint(_OF_THE_CONNECTION):
        return f"one of the headers {', '.join(given)} says how a request is framed, and is not yours", False
    return "", "accept-encoding" in names


def _is_sendable(name: str, value: object) -> bool:
    return bool(_NAME.fullmatch(name) and isinstance(value, str) and _VALUE.fullmatch(value))


_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")
_OF_THE_CONNECTION = frozenset(
    ("connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
)


def options(settings: Settings) -> dict[str, Any]:
    """What each request is told, because ``requests`` lets the environment overrule what a session was told."""
    proxy = settings.proxy and _with_scheme(settings.proxy)
    return {
        "timeout": (settings.connect_timeout, settings.read_timeout),
        "allow_redirects": False,
        "verify": settings.verify,
        "proxies": {"http": proxy, "https": proxy} if proxy else None,
    }


@contextmanager
def shown_errors(settings: Settings) -> Iterator[None]:
    """Errors leave it without secrets, and with the connection's patience for what time does not cure."""
    try:
        yield
    except TaskWatchError as error:
        clean(error, mask_of(settings))
        if error.is_lasting:
            error.patience = settings.patience
        raise


def total_seconds(settings: Settings) -> float:
    """How long one exchange may take, however steadily its reply trickles."""
    return settings.connect_timeout + READ_TIMEOUTS * settings.read_timeout


def proxy_for(settings: Settings) -> str | None:
    """The connection's proxy, else the one that the environment names for its host."""
    url = settings.base_url
    proxy = settings.proxy or select_proxy(url, get_environ_proxies(url))
    return _with_scheme(proxy) if proxy else None


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def check_bundle(settings: Settings) -> None:
    """A CA bundle that does not exist is an error before any request."""
    if isinstance(settings.verify, str) and not Path(settings.verify).exists():
        raise ConfigurationError(
            f"connection {settings.conn_id!r}: extra 'ca_bundle' names {settings.verify!r}, which does not exist here"
        )


def as_reply(response: requests.Response) -> Reply:
    """What ``requests`` received, as a value."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(status=response.status_code, headers=headers, body=response.content, received_at=time.time())


def mask_of(settings: Settings) -> Mask:
    """What nobody is shown of a connection: to its remote, to its token endpoint, and to its proxy it is sent."""
    pairs = ((settings.login, settings.password), _proxy_pair(settings))
    return Mask(tuple(one for login, secret in pairs if secret for one in (*_packed(login, secret), secret)))


def token_mask_of(settings: Settings) -> Mask:
    """The same for a token request, whose further parameters may be secrets, too."""
    given = ((name, value) for name, value in settings.token_params.items() if is_secret_name(name))
    values = [one for _, value in given for one in ([value] if isinstance(value, str) else value)]
    return mask_of(settings).also(*values, *_packed(quote_plus(settings.login), quote_plus(settings.password)))


def _proxy_pair(settings: Settings) -> tuple[str, str]:
    try:
        return get_auth_from_url(proxy_for(settings) or "")
    except ValueError:  # a malformed address is told where it is used
        return "", ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the replies of a connection come from, and what a text made of one must not show."""

    url: str
    place: str
    doubt: str
    access: str
    mask: Mask

    def marked(self, reply: Reply, call: Call) -> Reply:
        """The reply to a signed call; made by hand, as ``replace`` takes three times as long, for each poll."""
        return Reply(
            status=reply.status,
            headers=reply.headers,
            body=reply.body,
            mask=self.mask.also(secret_of(call)),
            place=self.place,
            doubt=self.doubt,
            access=self.access,
            received_at=reply.received_at,
        )

    def unread(self, broken: BrokenReplyError, call: Call) -> LengthError | TransportError:
        """The error for what came instead of the reply to a signed call."""
        if broken.beginning is not None:
            broken.beginning = self.marked(broken.beginning, call)
        return unread(broken, self.url, f"to {call.method} {call.path}")


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


def _packed(login: str, secret: str) -> tuple[str, ...]:
    pair = f"{login}:{secret}"
    return tuple(base64.b64encode(pair.encode(charset, "replace")).decode() for charset in ("utf-8", "latin-1"))


def secret_of(call: Call) -> str:
    """The credential that a signed call carries."""
    return call.headers.get("Authorization", "").partition(" ")[2]


@dataclass(frozen=True, slots=True)
class Loss:
    """One way of not being answered: a sentence, and whether the request may have been sent."""

    sentence: str
    sent: bool

    def error(self, where: str, *, is_lasting: bool = False) -> TransportError:
        return TransportError(self.sentence.format(place=where), sent=self.sent, is_lasting=is_lasting)


UNRESOLVED = Loss("the host name of {place} cannot be resolved", sent=False)
NOT_ACCEPTED = Loss("{place} did not accept a connection in time", sent=False)
REFUSED = Loss("{place} refuses connections", sent=False)
NOT_ANSWERED = Loss("{place} did not answer in time", sent=True)
NOT_HTTP = Loss(f"the connection to {{place}} was lost: {Flaw.NOT_HTTP.value}", sent=True)
"""What a proxy answers to CONNECT is read by the libraries."""

_LOSSES: Mapping[type[Exception], Loss] = {
    requests.exceptions.ConnectTimeout: NOT_ACCEPTED,
    requests.exceptions.ReadTimeout: NOT_ANSWERED,
    NameResolutionError: UNRESOLVED,
    NewConnectionError: REFUSED,
    http.client.HTTPException: NOT_HTTP,
}

_BEFORE_SENDING = ("CERTIFICATE_VERIFY_FAILED", "UNSUPPORTED_PROTOCOL", "WRONG_VERSION_NUMBER")
"""What OpenSSL says of a handshake that failed; other errors of TLS may come after the request was sent."""


def lost(cause: Exception, where: str) -> TaskWatchError:
    """Why ``requests`` could not ask, in one sentence."""
    reason = _root(cause)
    if isinstance(cause, requests.RequestException):
        cause.request = cause.response = None  # they hold credentials, and a traceback may be shown to anybody
    if isinstance(cause, ValueError):
        return malformed(where)
    if isinstance(reason, ssl.SSLError):
        return untrusted(reason, where, sent=reason.reason not in _BEFORE_SENDING)
    if isinstance(reason, ProxyError):
        return no_proxy(where, reason.original_error)
    loss = _loss(cause, reason)
    return deletions(where, reason) if loss is None else loss.error(where, is_lasting=is_unknown_name(cause))


def shown_cause(error: TaskWatchError, cause: Exception) -> Exception | None:
    """The cause that an error shows: that of a malformed request, which the error does not describe.

    Other errors say all of it, and their causes may hold what was received, our token perhaps.
    """
    return cause if isinstance(error, ConfigurationError) else None


def unread(broken: BrokenReplyError, where: str, whose: str) -> LengthError | TransportError:
    """The error for what is no reply: the request was sent, and nobody knows what became of it.

    :param whose: the reply, in words: ``to GET /x``.
    """
    beginning = broken.beginning
    if beginning is not None:
        return LengthError(f"the reply {whose} ({beginning.status}) {broken.flaw.value}", beginning)
    return TransportError(f"the connection to {where} was lost: {broken.flaw.value}")


def _loss(cause: Exception, reason: Exception) -> Loss | None:
    kinds = (kind for kind in _LOSSES if isinstance(cause, kind) or isinstance(reason, kind))
    return next((_LOSSES[kind] for kind in kinds), None)


def malformed(where: str, reason: str = "") -> ConfigurationError:
    """The request cannot even be made."""
    words = f"{where} cannot be asked: its address, the proxy or a header is malformed"
    return ConfigurationError(f"{words}; {reason}" if reason else words)


def no_proxy(where: str, reason: object) -> TransportError:
    """The proxy cannot be reached, or refuses to go on."""
    words = described(reason) if isinstance(reason, Exception) else str(reason)
    return TransportError(f"the proxy on the way to {where} cannot be used: {line(words)}", sent=False)


def deletions(where: str, reason: Exception) -> TransportError:
    """The connection ended too early."""
    return TransportError(f"the connection to {where} was lost: {type(reason).__name__}")


def is_unknown_name(cause: BaseException | None) -> bool:
    """Whether a name server has said that there is no such host; one that could not say it is asked again."""
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return cause.errno in _NO_SUCH_NAME
        cause = cause.__cause__ or cause.__context__
    return False


_NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))

_LASTING = (
    *("CERTIFICATE_VERIFY_FAILED", "UNSUPPORTED_PROTOCOL", "WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"),
    *("TLSV1_ALERT_PROTOCOL_VERSION", "SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_UNRECOGNIZED_NAME", "HTTP_REQUEST"),
    *(
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_UNKNOWN_CA",
        "NO_PROTOCOLS_AVAILABLE",
        "PACKET_LENGTH_TOO_LONG",
    ),
)
"""What OpenSSL says of handshakes that fail until somebody changes a setting or a certificate."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


def untrusted(reason: ssl.SSLError, where: str, *, sent: bool) -> TransportError:
    """TLS with ``where`` failed."""
    is_lasting = isinstance(reason, ssl.SSLCertVerificationError) or reason.reason in _LASTING
    if isinstance(reason, ssl.SSLCertVerificationError):
        return TransportError(
            f"the TLS certificate of {where} is not trusted: {reason.verify_message}; "
            "name its issuer in 'ca_bundle', or check the host",
            sent=sent,
            is_lasting=is_lasting,
        )
    remedy = "; what answers there speaks no TLS: check scheme and port" if reason.reason in _NO_TLS else ""
    words = f"no secure connection to {where}: {reason.reason or reason}{remedy}"
    return TransportError(words, sent=sent, is_lasting=is_lasting)


def _root(cause: Exception) -> Exception:
    """The innermost reason that urllib3 and requests name."""
    reason = cause
    while isinstance(inner := _inner(reason), Exception):
        reason = inner
    return reason


def _inner(error: Exception) -> object:
    """What an error of requests or urllib3 wraps."""
    if isinstance(error, HTTPError) and isinstance(getattr(error, "reason", None), Exception):
        return error.reason  # type: ignore[attr-defined]
    if isinstance(error, ProtocolError):
        return error.args[-1] if error.args else None
    if isinstance(error, (requests.RequestException, TlsError)):
        return error.args[0] if error.args else None
    return None


class _BoundedAdapter(HTTPAdapter):
    """Hands out replies that were read whole by :class:`ReplyReader`, and sends targets as they are."""

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        url = super().request_url(request, proxies)
        return request.path_url.replace("//", _KEPT, 1) if request.path_url.startswith("//") and url[:1] == "/" else url

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        kind = pool.ConnectionCls
        if not issubclass(kind, _Exact):
            pool.ConnectionCls = type(kind.__name__, (_Exact, kind), {})
        return pool

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        response = super().send(request, **{**kwargs, "stream": True})
        reply: Reply = response.raw._original_response.reply  # type: ignore[union-attr]
        response.headers = CaseInsensitiveDict(reply.headers)
        response._content = reply.body
        response.raw.release_conn()
        return response

    def close(self) -> None:
        """At once: urllib3 leaves it to the garbage collector, which an error's traceback may keep waiting."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - it cannot be iterated over
                manager.pools[key].close()
        super().close()


_KEPT = "/.//"
"""What a target that begins with two slashes is called on its way: libraries take such a one for a host."""


class _Exact:
    """A connection that reads replies as :class:`_WireResponse` does."""

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        exact = url.replace(_KEPT, "//", 1) if url.startswith(_KEPT) else url
        super().putrequest(method, exact, *args, **kwargs)  # type: ignore[misc]


class _WireResponse(http.client.HTTPResponse):
    """A reply that must be over in time from its first byte on: the interim ones, header and trailer included.

    The libraries above it get no header, so that they neither read nor judge what :class:`ReplyReader` has.
    """

    reply: Reply

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_TimedSocket(raw, sock))

    def begin(self) -> None:
        reader = ReplyReader(self._method, time.time)  # type: ignore[attr-defined]
        while reader.reply is None:
            if data := self.fp.read1(CHUNK_BYTES):
                reader.feed(data)
            else:
                reader.end()
        self.reply = reader.reply
        self.status = self.code = self.reply.status
        self.version, self.reason, self.length = 11, "", 0
        self.headers = self.msg = http.client.HTTPMessage()
        self.will_close = not reader.is_reusable
        self._close_conn()  # type: ignore[attr-defined]


_Exact.response_class = _WireResponse  # type: ignore[attr-defined]


class _TimedSocket(io.RawIOBase):
    """Reads from a socket as long as there is time; each read has no more than the read timeout."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._socket = raw, sock
        self._read_timeout = sock.gettimeout() or 1.0
        self._end = time.monotonic() + READ_TIMEOUTS * self._read_timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(min(self._read_timeout, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
