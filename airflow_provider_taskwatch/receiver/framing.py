"""Refuses requests whose end is ambiguous: a proxy could find another end than the server (request smuggling).

https://www.rfc-editor.org/rfc/rfc9112#section-6
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

CLOSE = {"Connection": "close"}
"""Closes the connection: the body is left unread."""


def framing_problem(headers: Iterable[tuple[bytes, bytes]], http_version: str) -> str:
    """Explains why the end of a body is ambiguous; empty if it is not.

    :param headers: names in lower case.
    """
    given = list(headers)
    lengths = {one.strip() for name, value in given if name == b"content-length" for one in value.split(b",")}
    codings = [value.strip().lower() for name, value in given if name == b"transfer-encoding"]
    if lengths and codings:
        return "it has both Content-Length and Transfer-Encoding"
    if len(lengths) > 1 or not all(one.isdigit() for one in lengths):
        return "its Content-Length is no single number"
    if codings and (codings != [b"chunked"] or http_version == "1.0"):
        return "its Transfer-Encoding is not the chunked one of HTTP/1.1"
    return ""


class Framing:
    """Refuses ambiguous requests and closes their connection. Servers differ in what they accept.

    :param refuse: called with the reason.
    """

    def __init__(self, app: ASGIApp, refuse: Callable[[Scope, str], None]) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = framing_problem(scope["headers"], scope["http_version"]) if scope["type"] == "http" else ""
        if not problem:
            await self._app(scope, receive, send)
            return
        self._refuse(scope, problem)
        await JSONResponse({"detail": "Bad Request"}, status_code=400, headers=CLOSE)(scope, receive, send)
