"""Flows: conversations with a remote as generators, and the pieces that they are composed of.

A flow yields a :class:`~.wire.Call` and receives a :class:`~.wire.Reply`, or yields a :class:`~.wire.Pause` and
receives None. A transport error is thrown into it. It returns its result. A flow holds no clock, lock, logger or
random source, so that a test plays replies into it by hand and two drivers run it over two HTTP libraries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from .error import NotFoundError, RemoteError, ReplyError, TaskWatchError, TokenError, TransportError
from .mask import NO_MASK
from .text import LINE_CHARACTERS, line, shortened
from .wire import Call, Pause, Reply

T = TypeVar("T")
Flow = Generator[Call | Pause, Any, T]

RETRY_AFTER_LIMIT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How patient one call is.

    :param attempts: the first one included.
    :param first_seconds: the first pause; each is twice as long as the one before, up to ``limit_seconds``.
    :param within_seconds: all pauses together, as a remote may ask for an hour's.
    """

    attempts: int = 5
    first_seconds: float = 1.0
    limit_seconds: float = 30.0
    within_seconds: float = 300.0

    def seconds(self, failures: int, retry_after: float | None = None) -> float:
        """The pause after so many failures; what the remote asked for wins where it is longer."""
        backoff = min(self.limit_seconds, self.first_seconds * 2.0 ** min(failures - 1, 16))
        return max(backoff, retry_after or 0.0)

    def is_over(self, failures: int, paused_seconds: float, patience: float | None = None) -> bool:
        """Whether to give up after so many failures, instead of making the pauses so long.

        :param patience: of the error; see :class:`~.error.TaskWatchError`.
        """
        return failures >= self.attempts or paused_seconds > self._within(patience)

    def left_seconds(self, failures: int, paused_seconds: float, patience: float | None = None) -> float:
        """How long it is tried on at most, the pause after so many failures included.

        :param paused_seconds: without that pause.
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
"""For starts and cancels, which nobody repeats on our behalf: through some three minutes of trouble."""


def ask(call: Call, *, retry: Retry = ONCE, refused: Callable[[Reply], bool] | None = None) -> Flow[Reply]:
    """Send ``call`` and return its 2xx reply, or raise the remote's refusal.

    Transient failures are repeated as ``retry`` allows where that is safe: always for a call that reads, else only
    where the request surely did not arrive (for want of a token, too), the remote answered 429, or ``refused`` says
    that the answer proves that nothing was done.
    """
    failures, paused = 0, 0.0
    while True:
        error: TransportError | RemoteError | TokenError
        try:
            reply: Reply = yield call
            if reply.is_ok:
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
        what = "" if isinstance(error, RemoteError) else f"{call.method} {call.path}: "
        words = trouble(f"{what}{error}", pause, retry.left_seconds(failures, paused, error.patience))
        paused += pause
        yield Pause(seconds=pause, spread=0.2, trouble=words)


E = TypeVar("E", bound=TaskWatchError)


def _given_up(error: E) -> E:
    """The error that was lived through until its patience was over, with how to have more of it."""
    if error.patience is not None:
        error.args = (f"{error}; given up, as waiting does not cure it; {PATIENCE_HINT}",)
    return error


PATIENCE_HINT = "'patience' of the connection limits the retries"


def trouble(words: str, pause: float, left: float) -> str:
    """A failure that is lived through, and how much patience is left, for the log."""
    return f"{words}; trying again in {pause:.0f} s, and for {max(pause, left):.0f} s more at most"


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


def read_object(call: Call, reply: Reply) -> dict[str, Any]:
    """The JSON object in a reply, or one error that shows where it came from and how it begins."""
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
    return ReplyError(f"{at}the reply to {call.method} {call.path} ({reply.status}) {problem}: {shown}")


def refusal(call: Call, reply: Reply) -> RemoteError:
    """The error for a reply that is not 2xx."""
    kind = NotFoundError if reply.status == 404 else RemoteError
    error = kind(
        method=call.method,
        path=call.path,
        status=reply.status,
        message=words(reply) + _doubt(call, reply),
        retry_after=retry_after(reply.headers, reply.received_at),
        place=reply.place,
    )
    return error.with_original(words(replace(reply, mask=NO_MASK)))


def _doubt(call: Call, reply: Reply) -> str:
    """What may be wrong with the connection where a remote refuses its credentials, or does not know a path."""
    if reply.status in (401, 403) and reply.access:
        return f"; check {reply.access}" + (", and its rights at the remote" if reply.status == 403 else "")
    base = reply.place.partition("/")[2]
    if reply.status not in (404, 405) or not reply.place:
        return ""
    first = call.path.strip("/").partition("/")[0]
    if base and base.rpartition("/")[2] == first:
        return f"; check the base path: {first!r} is in the connection's host and in the path"
    if reply.doubt:
        return f"; {reply.doubt}"
    return f"; a web page answers at {reply.place}: check host and base path of the connection" if reply.is_page else ""


def retry_after(headers: Mapping[str, str], received_at: float | None = None) -> float | None:
    """Seconds from ``Retry-After``, else until ``X-RateLimit-Reset``, bounded; None where neither can be read.

    :param received_at: when the reply came, by our clock; the remote's own ``Date`` wins, as clocks differ.
    """
    value = headers.get("retry-after", "").strip()
    seconds = plain_seconds(value)
    if seconds is None:
        seconds = _between(_sent_at(headers, received_at), _http_date, value)
    return until_reset(headers, received_at) if seconds is None else _bounded(seconds)


def said_at(reply: Reply) -> float | None:
    """When the remote answered, in seconds since the epoch: by its own clock, else by ours."""
    return _sent_at(reply.headers, reply.received_at)


def until_reset(headers: Mapping[str, str], received_at: float | None = None) -> float | None:
    """Seconds until the moment in ``X-RateLimit-Reset`` (ISO 8601, or seconds since the epoch), bounded.

    None where it names none: a small number may count seconds or anything else.
    """
    reset, now = headers.get("x-ratelimit-reset", "").strip(), _sent_at(headers, received_at)
    number = plain_seconds(reset)
    if number is None:
        seconds = _between(now, datetime.fromisoformat, reset)
    else:
        seconds = number - now if now is not None and _EPOCH_SECONDS <= number < _EPOCH_LIMIT_SECONDS else None
    return None if seconds is None else _bounded(seconds)


_EPOCH_SECONDS, _EPOCH_LIMIT_SECONDS = 1e9, 1e11
"""What can be seconds since the epoch; more would be milliseconds."""
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?")


def plain_seconds(value: str) -> float | None:
    """A number of seconds, also with a fraction, which the standard does not know and some send."""
    return float(value) if _NUMBER.fullmatch(value) else None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), RETRY_AFTER_LIMIT_SECONDS)


def _sent_at(headers: Mapping[str, str], received_at: float | None) -> float | None:
    """When a reply was sent, in seconds since the epoch."""
    try:
        return _http_date(headers.get("date", "")).timestamp()
    except (TypeError, ValueError, OverflowError):
        return received_at


def _http_date(value: str) -> datetime:
    """One of the three forms of RFC 9110 5.6.7, of which the oldest names no zone; ``-0000`` says that it has none."""
    moment = parsedate_to_datetime(value)
    return moment if moment.tzinfo or value.endswith("-0000") else moment.replace(tzinfo=UTC)


def _between(now: float | None, read: Callable[[str], datetime], moment: str) -> float | None:
    try:
        then = read(moment)
        return None if now is None or then.tzinfo is None else then.timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None


def words(reply: Reply) -> str:
    """What the remote says went wrong, whatever shape it has."""
    if 300 <= reply.status < 400:
        return "a redirect, which is not followed with credentials; check the host of the connection"
    try:
        said = reply.mask.text(_flat(reply.json())) if reply.is_small else reply.text(LINE_CHARACTERS)
    except (ValueError, RecursionError):
        said = reply.text()
    return line(said) or "(no message)"


_WORD_KEYS = ("error", "code", "errorCode", "message", "details", "error_description", "errorSummary")


def told(content: object, limit: int = LINE_CHARACTERS) -> str:
    """A JSON value of whatever shape and size as a few words on one line."""
    return line(_flat(shortened(content)), limit)


def _flat(content: object) -> str:
    if isinstance(content, dict):
        named = [content[key] for key in _WORD_KEYS if content.get(key) not in (None, "")]
        return ": ".join(map(_flat, named or [f"{key} {_flat(value)}" for key, value in content.items()]))
    if isinstance(content, list):
        return "; ".join(map(_flat, content))
    return str(content)
