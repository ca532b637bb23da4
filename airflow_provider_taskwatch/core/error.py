"""The errors of the package, by the question that a caller asks.

* :class:`TaskWatchError`

  - :class:`ConfigurationError`: is a connection, an argument or an id wrong?
  - :class:`TransportError`: was the remote not reached? (DNS, TLS, lost connections, timeouts)

    - :class:`LossError`: a reply was lost, and the remote may have deleted what it held

  - :class:`RemoteError`: did the remote refuse? (with method, path, status and the remote's message)

    - :class:`NotFoundError`: the remote does not know the id, or hides it

  - :class:`ReplyError`: is the reply unreadable? (not JSON, unknown shape, too long)

    - :class:`~.wire.LengthError`: the reply is too long; it is defined beside the reply that it carries

  - :class:`TokenError`: did the token endpoint refuse, or was it not reached?
  - :class:`InboxError`: did the inbox's database fail?
  - :class:`EventsLostError`: were events deleted before they were read?
  - :class:`LeaseError`: has another process taken over the work?
  - :class:`OutputError`: could ``output_path`` not be written?
  - :class:`EventError`: is a trigger event unreadable for this version?
  - :class:`DeadlineError`: has the deadline of the wait passed?
  - :class:`MovedError`: does the connection lead to another remote than at the start?
  - :class:`StrangerError`: does the id belong to something else at the remote?

No message, attribute or cause contains a secret.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

R = TypeVar("R", bound="RemoteError")


class TaskWatchError(Exception):
    """Root of all errors raised by this package."""

    transient = False
    """Whether a later retry can succeed."""
    is_lasting = False
    """Whether it lasts until a person changes a setting: a host name that does not exist, a wrong certificate."""
    patience: float | None = None
    """Seconds of retries if the remote was never reached; None: the caller decides."""
    step = ""
    """The step of a connection check that failed."""


@contextmanager
def at_step(name: str) -> Iterator[None]:
    """Set :attr:`TaskWatchError.step` on errors raised within the block, unless an inner block has set it."""
    try:
        yield
    except TaskWatchError as error:
        error.step = error.step or name
        raise


def described(error: BaseException) -> str:
    """The text of an exception, for a log or another error.

    It begins with the class if the text alone is not a sentence: a timeout has no text, a ``KeyError`` only the key.
    """
    name, text = type(error).__name__, str(error).strip()
    if len(text.split()) > 1:
        return text
    return f"{name}: {text}" if text else name


def cannot_listen(server: str, host: str, port: int, error: OSError) -> str:
    """Why a server cannot listen on an address, and the option to change: the host or the port.

    Python 3.11's ``create_server`` raises a plain ``OSError`` for a host name that cannot be resolved. It has the
    resolver's number, which is below 0 on Linux, and the address at the end of its text.
    """
    reason = str(error.strerror).partition(" (while ")[0]
    if isinstance(error, socket.gaierror) or (error.errno or 0) < 0:
        return f"{server} cannot listen on {host}: the name cannot be resolved ({reason}); choose another --host"
    remedy = "--host" if error.errno == errno.EADDRNOTAVAIL else "--port"
    return f"{server} cannot listen on {host}:{port}: {reason}; choose another {remedy}"


class ConfigurationError(TaskWatchError):
    """A connection, an argument or an id is missing or malformed. The message says which, and what to do."""


class TriggerArgumentError(ConfigurationError, TypeError):
    """An argument of a trigger is malformed. Only a ``TypeError`` of its constructor does not end the triggerer."""


class TransportError(TaskWatchError):
    """The remote was not reached, or its reply was lost.

    :param sent: False only if the request was certainly not sent, so that repeating it is safe.
    :param is_lasting: see :class:`TaskWatchError`.
    """

    transient = True

    def __init__(self, message: str, *, sent: bool = True, is_lasting: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.is_lasting = is_lasting


class LossError(TransportError):
    """The reply to a read that deletes was lost, and its content may be lost with it. It is not repeated."""


class RemoteError(TaskWatchError):
    """The remote refused the request.

    :param path: below ``place``.
    :param status: HTTP status.
    :param message: of the remote, masked, at most a few hundred characters.
    :param retry_after: seconds for which the remote asked us to wait; None if it did not.
    :param place: host and base path of the remote.
    """

    def __init__(
        self,
        *,
        method: str,
        path: str,
        status: int,
        message: str,
        retry_after: float | None = None,
        place: str = "",
    ) -> None:
        super().__init__(f"{place and f'{place}: '}{method} {path} answered {status}: {message}")
        self.method = method
        self.path = path
        self.status = status
        self.message = message
        self.retry_after = retry_after
        self.place = place
        self._original: Callable[[], str] = lambda: message

    def with_original(self, original: str) -> Self:
        """The same error, which also remembers the message before it was masked.

        :param original: the unmasked message, for :meth:`says` only.
        """
        self._original = lambda: original
        return self

    def says(self, pattern: str) -> bool:
        """Whether a regular expression matches in the remote's message before it was masked."""
        return re.search(pattern, self._original()) is not None

    def with_message(self, message: str, kind: type[R] | None = None) -> R:
        """The same refusal with another message.

        :param kind: class of the new error; None for the same class.
        """
        made: type[R] = kind or type(self)  # type: ignore[assignment]
        error = made(
            method=self.method,
            path=self.path,
            status=self.status,
            message=message,
            retry_after=self.retry_after,
            place=self.place,
        )
        return error.with_original(self._original())

    @property
    def transient(self) -> bool:  # type: ignore[override]
        """429 and 5xx are temporary; 408 is the server's own timeout."""
        return self.status in (408, 429) or self.status >= 500


class NotFoundError(RemoteError):
    """The remote does not know the id, or the credentials may not see it. The replies to both are the same."""


class ReplyError(TaskWatchError):
    """The remote answered 2xx with a reply that cannot be read."""

    transient = True


class TokenError(TaskWatchError):
    """There is no token: the token endpoint refused, or was not reached.

    :param transient: True if the endpoint was down, False if it refused.
    :param retry_after: seconds for which the endpoint asked us to wait; None if it did not.
    :param is_lasting: see :class:`TaskWatchError`.
    """

    def __init__(
        self, message: str, *, transient: bool, retry_after: float | None = None, is_lasting: bool = False
    ) -> None:
        super().__init__(message)
        self.transient = transient
        self.retry_after = retry_after
        self.is_lasting = is_lasting


class InboxError(TaskWatchError):
    """The inbox's database cannot be reached, or was created by a newer version."""

    transient = True


class EventsLostError(TaskWatchError):
    """Events were deleted before a waiting task had read them."""


class LeaseError(TaskWatchError):
    """Another process holds the lease now, so nothing was written."""


class OutputError(TaskWatchError):
    """The output could not be written to ``output_path``. The message says where and why."""


class EventError(TaskWatchError):
    """A trigger event is missing, malformed or of a newer version."""


class DeadlineError(TaskWatchError):
    """The deadline of the wait has passed."""


class MovedError(TaskWatchError):
    """The connection leads to another remote than at the start, so nothing is polled, cancelled or rejoined there.

    :param started_at: the id space of the start; see :meth:`~.system.System.id_space`.
    :param is_at: the id space of the connection now.
    """

    remedy = "change the connection back and clear the task, or clear the task to start it again at the new remote"

    def __init__(self, conn_id: str, started_at: str, is_at: str) -> None:
        super().__init__(
            f"it was started at {started_at}, but connection {conn_id!r} now leads to {is_at}, where the same id may "
            "belong to something else: it is neither polled nor cancelled there"
        )
        self.started_at = started_at
        self.is_at = is_at


class StrangerError(TaskWatchError):
    """The id belongs to something else at the remote: its marker is not the one of the start."""
