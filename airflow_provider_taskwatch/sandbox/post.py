"""One request that a remote makes by itself, as a value: an attempt of a callback or a push."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_taskwatch.core.wire import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One attempt to report that a task has ended.

    :param system: name of the remote that makes it.
    :param ref: the entry that stands for the callback at the remote.
    :param about: the task that has ended.
    :param claimed_ref: the task that it names.
    :param claimed_status: the status that it reports.
    :param write: makes the body from ``claimed_ref`` and ``claimed_status``.
    :param due: unix seconds before which it is not sent.
    :param attempt: 1 for the first.
    :param timeout_seconds: for all of it, from the connection to the end of the answer.
    :param ca_bundle: path of the certificates to trust; empty: those of the system.
    :param garbage: a body instead of the one that ``write`` makes.
    :param is_copy: sent beside the proper one; its answer counts for nothing.
    :param is_lost: never sent; the remote takes it as delivered.
    :param fault: names of the faults that made it so.
    """

    system: str
    ref: str
    about: str
    claimed_ref: str
    claimed_status: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    write: Callable[[str, str], bytes] = field(repr=False)
    due: float
    attempt: int = 1
    timeout_seconds: float = 10.0
    ca_bundle: str = ""
    garbage: bytes | None = None
    is_copy: bool = False
    is_lost: bool = False
    fault: str = ""

    @property
    def body(self) -> bytes:
        return self.write(self.claimed_ref, self.claimed_status) if self.garbage is None else self.garbage

    @property
    def call(self) -> Call:
        """The request, its path and query being those of the URL."""
        to = urlsplit(self.url)
        query = tuple(parse_qsl(to.query, keep_blank_values=True))
        return Call(method="POST", path=to.path or "/", query=query, headers=self.headers, body=self.body)
