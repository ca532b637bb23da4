"""One reply as expressions see it: status code, headers, body, and what was sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airflow_provider_taskwatch.core.error import ReplyError
from airflow_provider_taskwatch.core.flow import unreadable
from airflow_provider_taskwatch.core.wire import Call, Reply

_UNREAD = object()


class Document:
    """Reads a body only when an expression needs it, so that a status code counts with any body.

    Names of headers are in lower case, with ``_`` for ``-``: ``headers.retry_after``.

    :param call: what was sent, for messages.
    :param request: the start request as the profile filled it, without credentials; None for other requests.
    """

    __slots__ = ("_body", "_call", "_headers", "_inputs", "_reply", "_request")

    def __init__(self, call: Call, reply: Reply, inputs: Mapping[str, Any], request: Any = None) -> None:
        self._call = call
        self._reply = reply
        self._inputs = inputs
        self._request = request
        self._body: Any = _UNREAD
        self._headers: Mapping[str, str] | None = None

    @classmethod
    def of_item(cls, item: Any, whole: Document) -> Document:
        """The document of one entry of a list: its body is the entry."""
        made = cls(whole._call, whole._reply, whole._inputs)
        made._body = item
        return made

    def root(self, name: str) -> Any:
        """The value of one of :data:`~.expression.ROOTS`.

        :raises ReplyError: it is the body, which cannot be read.
        """
        if name == "body":
            return self._read_body()
        if name == "status_code":
            return self._reply.status
        if name == "headers":
            return self._named_headers()
        return self._inputs if name == "inputs" else self._request

    @property
    def path(self) -> str:
        """The path of the request, which a relative link is relative to."""
        return self._call.path

    @property
    def received_at(self) -> float | None:
        """When the reply arrived, by our clock; see :class:`~.wire.Reply`."""
        return self._reply.received_at

    @property
    def body_object(self) -> Mapping[str, Any]:
        """The body if it is a JSON object; else an empty one."""
        try:
            body = self._read_body()
        except ReplyError:
            return {}
        return body if isinstance(body, dict) else {}

    def check_object(self) -> None:
        """Raise :class:`ReplyError` for a body that is no JSON object."""
        if not isinstance(self._read_body(), dict):
            raise unreadable(self._call, self._reply, "is not a JSON object")

    def as_mapping(self, names: Collection[str]) -> dict[str, Any]:
        """The values of some names, or of all where none is given."""
        return {name: self.root(name) for name in names or ("status_code", "headers", "body", "request", "inputs")}

    def _named_headers(self) -> Mapping[str, str]:
        if self._headers is None:
            self._headers = {name.replace("-", "_"): value for name, value in self._reply.headers.items()}
        return self._headers

    def _read_body(self) -> Any:
        if self._body is _UNREAD:
            self._body = self._parsed()
        return self._body

    def _parsed(self) -> Any:
        """The JSON of the body; None for an empty one."""
        reply = self._reply
        if not reply.body.strip():
            return None
        try:
            return reply.json()
        except (ValueError, RecursionError):
            pass
        raise self._unreadable()

    def _unreadable(self) -> ReplyError:
        is_xml = "xml" in self._reply.headers.get("content-type", "").lower() or self._reply.body.startswith(b"<?xml")
        problem = "is XML, and profiles read JSON; ask for JSON with an Accept header" if is_xml else "is not JSON"
        return unreadable(self._call, self._reply, problem)
