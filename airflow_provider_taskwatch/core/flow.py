"""Flows: conversations with a remote as generators, and the parts that they are composed of.

A flow yields a :class:`~.wire.Call` and receives a :class:`~.wire.Reply`, or yields a :class:`~.wire.Pause` and
receives None. A transport error is thrown into it. It returns its result. A flow holds no clock, lock, logger or
random source, so that a test plays replies into it by hand and two drivers run it over two HTTP libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from .error import RemoteError, ReplyError, TaskWatchError, TokenError, TransportError
from .refusal import refusal
from .wire import Call, Pause, Reply

T = TypeVar("T")
Flow = Generator[Call | Pause, Any, T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a call is tried, and the pauses between the attempts.

    :param attempts: the first one included.
    :param first_seconds: the first pause; each is twice as long as the one before, up to ``limit_seconds``.
    :param within_seconds: the limit of all pauses together, because a remote may ask for a pause of an hour.
    """

    attempts: int = 5
    first_seconds: float = 1.0
    limit_seconds: float = 30.0
    within_seconds: float = 300.0

    def seconds(self, failures: int, retry_after: float | None = None) -> float:
        """The pause after this number of failures, or the pause that the remote asked for, if that is longer."""
        backoff = min(self.limit_seconds, self.first_seconds * 2.0 ** min(failures - 1, 16))
        return max(backoff, retry_after or 0.0)

    def is_over(self, failures: int, paused_seconds: float, patience: float | None = None) -> bool:
        """Whether to give up.

        :param paused_seconds: the pauses so far, and the next one.
        :param patience: of the error; see :class:`~.error.TaskWatchError`.
        """
        return failures >= self.attempts or paused_seconds > self._within(patience)

    def left_seconds(self, failures: int, paused_seconds: float, patience: float | None = None) -> float:
        """The longest time until the last attempt.

        :param paused_seconds: the pauses so far.
        """
        left, end = 0.0, self._within(patience) - paused_seconds
        for number in range(failures, self.attempts):
            if left + (pause := self.seconds(number)) > end:
                break
            left += pause
        return left

    def _within(self, patience: float | None) -> float:
        return self.within_seconds if patience is None else min(self.within_seconds, patience)


ONCE = Retry(attempts=1)
PATIENT = Retry(attempts=9, first_seconds=2.0)
"""For starts and cancels, which no later poll repeats: for some three minutes."""


def ask(
    call: Call,
    *,
    retry: Retry = ONCE,
    refused: Callable[[Reply], bool] | None = None,
    accepted: Collection[int] = (),
    repeat: Call | None = None,
) -> Flow[Reply]:
    """Sends ``call`` and returns its 2xx reply, or one with a status code in ``accepted``.

    A transient failure is retried where that is safe. A call that reads is always safe. Any other call is safe where
    the request did not arrive (or had no token), where the remote answered 429, and where ``refused`` says that the
    reply proves that nothing was done.

    :param repeat: what is sent after a failure; None: the same call.
    :raises RemoteError: where the reply is another one.
    :raises TransportError: where there is no reply.
    """
    failures, paused = 0, 0.0
    while True:
        error: TransportError | RemoteError | TokenError
        try:
            reply: Reply = yield call
            if reply.is_ok or reply.status in accepted:
                return reply
            error = refusal(call, reply)
            safe = call.is_repeatable or reply.status == 429 or (refused is not None and refused(reply))
        except TransportError as lost:
            error, safe = lost, call.is_repeatable or not lost.sent
        except TokenError as denied:
            error, safe = denied, True
        failures += 1
        pause = retry.seconds(failures, getattr(error, "retry_after", None))
        if not (error.transient and safe):
            raise error
        if retry.is_over(failures, paused + pause, error.patience):
            raise error if failures >= retry.attempts else _given_up(error)
        what = "" if isinstance(error, RemoteError) else f"{call.method} {call.shown_path}: "
        warning = retry_warning(f"{what}{error}", pause, retry.left_seconds(failures, paused, error.patience))
        paused += pause
        call = repeat or call
        yield Pause(seconds=pause, spread=0.2, warning=warning)


E = TypeVar("E", bound=TaskWatchError)


def _given_up(error: E) -> E:
    """The error that outlasted its patience, with the setting for more."""
    if error.patience is not None:
        error.args = (f"{error}; given up, as waiting does not cure it; {PATIENCE_HINT}",)
    return error


PATIENCE_HINT = "'patience' of the connection limits the retries"


def retry_warning(failure: str, pause: float, left: float) -> str:
    """The warning about a failure that is retried."""
    return f"{failure}; trying again in {pause:.0f} s, and for {max(pause, left):.0f} s more at most"


def ask_json(
    call: Call, *, retry: Retry = ONCE, refused: Callable[[Reply], bool] | None = None
) -> Flow[dict[str, Any]]:
    """Like :func:`ask`, and the reply's JSON object."""
    reply = yield from ask(call, retry=retry, refused=refused)
    return read_object(call, reply)


def nothing(result: T) -> Flow[T]:
    """A flow without steps."""
    yield from ()
    return result


def one_step(step: Call | Pause) -> Flow[Any]:
    """A flow of one step."""
    return (yield step)


def probe_any() -> Flow[str]:
    """Read the base path: any reply except a rejection shows that the credentials are accepted."""
    try:
        yield from ask(Call(method="GET", path="/"))
    except RemoteError as error:
        if error.status in (401, 403) or error.transient:
            raise
    return "the host answers, and did not reject the credentials"


def read_object(call: Call, reply: Reply) -> dict[str, Any]:
    """The JSON object in a reply, or an error that shows where the reply came from and how it begins."""
    try:
        content = reply.json()
    except (ValueError, RecursionError) as cause:
        raise unreadable(call, reply, "is not JSON") from cause
    if not isinstance(content, dict):
        raise unreadable(call, reply, "is not a JSON object")
    return content


def unreadable(call: Call, reply: Reply, problem: str) -> ReplyError:
    """The error for a reply that was accepted and cannot be understood."""
    shown, at = reply.text() or "(empty)", f"{reply.place}: " if reply.place else ""
    return ReplyError(f"{at}the reply to {call.method} {call.shown_path} ({reply.status}) {problem}: {shown}")
