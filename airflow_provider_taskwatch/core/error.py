"""All errors of the package, by the question that a caller asks.

* :class:`TaskWatchError`

  - :class:`ConfigurationError`: configured wrongly? (a connection, an argument, an id)
  - :class:`TransportError`: could not ask? (DNS, TLS, lost connections, timeouts)

    - :class:`LossError`: the remote may have deleted what its lost answer held

  - :class:`RemoteError`: asked and refused? (carries method, path, status and the remote's words)

    - :class:`NotFoundError`: the remote does not know the id, or does not show it to us

  - :class:`ReplyError`: asked, and the answer makes no sense (not JSON, unknown shape, too large)

    - :class:`LengthError`: the answer is longer than what is read of one
  - :class:`TokenError`: the token endpoint said no, or could not be asked
  - :class:`InboxError`: the inbox's database could not be asked
  - :class:`EventsLostError`: events were deleted before they were read
  - :class:`OutputError`: what was read could not be written to ``output_path``
  - :class:`EventError`: a trigger event that this version cannot read
  - :class:`DeadlineError`: the wait's deadline has passed
  - :class:`MovedError`: the connection leads elsewhere than where this was started
  - :class:`StrangerError`: the remote has something else under this id

No message, attribute or cause holds a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from .wire import Reply

R = TypeVar("R", bound="RemoteError")


class TaskWatchError(Exception):
    """Root of all errors raised by this package."""

    transient = False
    """Whether asking again later can help."""
    is_lasting = False
    """Whether it passes only when somebody changes something: a host name that does not exist, a wrong certificate."""
    patience: float | None = None
    """Seconds after which it is given up, where nothing was ever reached; None for as long as the caller likes."""
    step = ""
    """The step of a check that it ended."""


@contextmanager
def at_step(name: str) -> Iterator[None]:
    """Let errors within the block say which step of a check has failed."""
    try:
        yield
    except TaskWatchError as error:
        error.step = error.step or name
        raise


def described(error: BaseException) -> str:
    """What an exception says, for a log or an error of ours.

    Its class is named where its text alone is no sentence: a time-out has no text at all, a ``KeyError`` only the key.
    """
    name, text = type(error).__name__, str(error).strip()
    if len(text.split()) > 1:
        return text
    return f"{name}: {text}" if text else name


class ConfigurationError(TaskWatchError):
    """A connection, an argument or an id is missing or malformed; the message says which and what to do."""


class TransportError(TaskWatchError):
    """The remote could not be asked.

    :param sent: False only where the request surely never left, so that repeating it is safe.
    :param is_lasting: see :class:`TaskWatchError`.
    """

    transient = True

    def __init__(self, message: str, *, sent: bool = True, is_lasting: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.is_lasting = is_lasting


class LossError(TransportError):
    """The answer to a read that deletes was lost: what it held may be gone. It is not asked for again on its own."""


class RemoteError(TaskWatchError):
    """The remote answered, and refused.

    :param status: HTTP status.
    :param message: the remote's own words, at most a few hundred characters.
    :param retry_after: seconds that the remote asked us to wait, if it did.
    :param place: host and base path of the remote, which ``path`` lies below.
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

    def meaning(self, original: str) -> Self:
        """The error of a refusal whose message was masked.

        :param original: the words as they came, for :meth:`says` only.
        """
        self._original = lambda: original
        return self

    def says(self, pattern: str) -> bool:
        """Whether a regular expression is found in the remote's own words, whatever is masked in the message."""
        return re.search(pattern, self._original()) is not None

    def saying(self, message: str, kind: type[R] | None = None) -> R:
        """The same refusal in other words.

        :param kind: of the new error; None for the same kind.
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
        return error.meaning(self._original())

    @property
    def transient(self) -> bool:  # type: ignore[override]
        """429 and 5xx pass; 408 is the server's own timeout."""
        return self.status in (408, 429) or self.status >= 500


class NotFoundError(RemoteError):
    """The remote does not know the id, or the credentials may not see it: the two look the same."""


class ReplyError(TaskWatchError):
    """The remote answered 2xx with something that cannot be read."""

    transient = True


class LengthError(ReplyError):
    """The remote answered with more than what is read of one reply.

    :param beginning: the reply, its body cut where reading stopped.
    """

    def __init__(self, message: str, beginning: Reply) -> None:
        super().__init__(message)
        self.beginning = beginning


class TokenError(TaskWatchError):
    """No token: the endpoint refused, or could not be asked.

    :param transient: True for an endpoint that was down, False for one that said no.
    :param retry_after: seconds that the endpoint asked us to wait, if it did.
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
    """The inbox's database could not be asked, or was made by a newer version."""

    transient = True


class EventsLostError(TaskWatchError):
    """Events were deleted before whoever wanted them has read them."""


class LeaseError(TaskWatchError):
    """Somebody else has taken over what we were about to write down."""


class OutputError(TaskWatchError):
    """What was read could not be written to ``output_path``; the message says where and why."""


class EventError(TaskWatchError):
    """A trigger event is missing, malformed or of a newer version."""


class DeadlineError(TaskWatchError):
    """The wait's deadline has passed."""


class MovedError(TaskWatchError):
    """The connection leads elsewhere now: what was started is not asked about, cancelled or rejoined there.

    :param started_at: the id space that it was started in; see :meth:`~.system.System.id_space`.
    :param is_at: that of the connection as it is now.
    """

    ways_on = "let the connection lead there again and clear the task, or clear it to begin anew here"

    def __init__(self, conn_id: str, started_at: str, is_at: str) -> None:
        super().__init__(
            f"it was started at {started_at}, and connection {conn_id!r} leads to {is_at} now, where the same id may "
            "be somebody else's: it is neither asked about nor cancelled there"
        )
        self.started_at = started_at
        self.is_at = is_at


class StrangerError(TaskWatchError):
    """The remote has another thing under this id than the one that was started: it carries another marker."""
