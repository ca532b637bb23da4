"""A ``requests`` session that sends exactly what was signed, and reads replies with :class:`ReplyReader`."""

from __future__ import annotations

import http.client
import io
import socket
import time
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from airflow_provider_taskwatch.core.decoding import ACCEPTED_ENCODINGS
from airflow_provider_taskwatch.core.reply import BrokenReplyError, ReplyReader
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.wire import Call, Reply

from .exchange import READ_TIMEOUTS, address, check_bundle, origin_of, proxy_url, sendable
from .failure import requests_failure, shown_cause

CHUNK_BYTES = 65536

S = TypeVar("S", bound=requests.Session)


def bounded(session: S, settings: Settings) -> S:
    """The session without cookies and redirects, with replies that are bounded in size and time."""
    check_bundle(settings)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    # requests calls this even if it follows no redirect, and a malformed Location would make it fail.
    session.get_redirect_target = lambda response: None  # type: ignore[method-assign, assignment]
    session.headers["Accept-Encoding"] = ACCEPTED_ENCODINGS
    session.mount("http://", _BoundedAdapter())
    session.mount("https://", _BoundedAdapter())
    return session


def exchange(session: requests.Session, settings: Settings, call: Call) -> Reply:
    """Send one signed call and read its reply.

    :raises TaskWatchError: for each error of the library.
    """
    url = address(settings, call)
    try:
        response = session.request(
            call.method,
            url,
            data=call.body,
            headers=sendable(call.headers, settings.base_url),
            auth=_ExactUrl(url),
            **request_options(settings),
        )
    except BrokenReplyError as broken:
        raise origin_of(settings).broken(broken, call) from None
    except (requests.RequestException, OSError, ValueError) as cause:
        error = requests_failure(cause, call.origin or origin_of(settings).url)
        raise error from shown_cause(error, cause)
    return origin_of(settings).marked(as_reply(response), call)


@dataclass(frozen=True, slots=True)
class _ExactUrl:
    """Restores the URL that was signed, as ``requests`` rewrites it.

    It is passed as the authentication. Without one, ``requests`` lets a ~/.netrc replace the Authorization header.
    """

    url: str

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.url = self.url
        return request


def request_options(settings: Settings) -> dict[str, Any]:
    """Options of each request. As options of a session, ``requests`` would let the environment override them."""
    proxy = settings.proxy and proxy_url(settings.proxy)
    return {
        "timeout": (settings.connect_timeout, settings.read_timeout),
        "allow_redirects": False,
        "verify": settings.verify,
        "proxies": {"http": proxy, "https": proxy} if proxy else None,
    }


def as_reply(response: requests.Response) -> Reply:
    """A response of ``requests`` as a value."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(status=response.status_code, headers=headers, body=response.content, received_at=time.time())


class _BoundedAdapter(HTTPAdapter):
    """Returns whole replies, read by :class:`ReplyReader`, and sends targets unchanged."""

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        url = super().request_url(request, proxies)
        is_target = url[:1] == "/"
        return request.path_url.replace("//", _MARKED, 1) if is_target and request.path_url.startswith("//") else url

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        kind = pool.ConnectionCls
        if not issubclass(kind, _ExactConnection):
            pool.ConnectionCls = type(kind.__name__, (_ExactConnection, kind), {})
        return pool

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        response = super().send(request, **{**kwargs, "stream": True})
        reply: Reply = response.raw._original_response.reply  # type: ignore[union-attr]
        response.headers = CaseInsensitiveDict(reply.headers)
        response._content = reply.body
        response.raw.release_conn()
        return response

    def close(self) -> None:
        """Close at once. urllib3 leaves it to the garbage collector, which the traceback of an error may delay."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - it cannot be iterated over
                manager.pools[key].close()
        super().close()


_MARKED = "/.//"
"""Stands for the two slashes at the beginning of a target: urllib3 would read the first segment as a host."""


class _ExactConnection:
    """A connection that sends targets unchanged and reads replies with :class:`_WireResponse`."""

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        exact = url.replace(_MARKED, "//", 1) if url.startswith(_MARKED) else url
        super().putrequest(method, exact, *args, **kwargs)  # type: ignore[misc]


class _WireResponse(http.client.HTTPResponse):
    """A reply with a time limit from its first byte on, interim replies, headers and trailers included.

    The libraries above get no headers, so that they do not interpret what :class:`ReplyReader` has read.
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


_ExactConnection.response_class = _WireResponse  # type: ignore[attr-defined]


class _TimedSocket(io.RawIOBase):
    """Reads from a socket within a total time. Each read also has the read timeout."""

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
