"""The base of every emulated remote: a table of routes, a book of tasks, a token endpoint and settings."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import Call, Reply

from .post import Post
from .rule import TaskRules
from .setting import check_fields, check_settings
from .task import RequestedEnd, Task, TaskState, Vocabulary, read
from .token import TokenDesk, TokenSettings


@dataclass(slots=True, kw_only=True)
class Visit:
    """One call while it is being answered.

    :param now: unix seconds.
    :param names: the variable parts of the path, decoded.
    :param user: the caller, once it is authenticated.
    :param ref: the task that the call is about; a start fills it in.
    :param open_until: a handler that has nothing to tell yet fills in until when it may be asked again; the reply that
        it gives meanwhile is the one for that moment.
    """

    call: Call
    now: float
    names: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    scope: str = ""
    ref: str = ""
    open_until: float | None = None


Answer = Callable[[Any, Visit], Reply]


class Route:
    """Method and path pattern of one operation, and what answers it.

    :param pattern: a path in which ``{name}`` stands for one segment and ``{name*}`` for the rest.
    :param is_open: whether it answers without credentials.
    """

    def __init__(self, method: str, pattern: str, answer: Answer, *, is_open: bool = False) -> None:
        self.methods = frozenset(method.split("|"))
        self.answer = answer
        self.is_open = is_open
        rest = re.sub(r"\{(\w+)\*\}", r"(?P<\1>.+)", pattern)
        self._path = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", rest))

    def match(self, call: Call) -> Mapping[str, str] | None:
        """The variable parts of the call's path, or None where this is another operation."""
        found = self._path.fullmatch(call.path) if call.method in self.methods else None
        return {name: unquote(text) for name, text in found.groupdict().items()} if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A reply, which task it was about, and until when the call can be asked again for a better one."""

    reply: Reply
    ref: str = ""
    open_until: float | None = None


T = TypeVar("T", bound=Task)


class Remote(ABC, Generic[T]):
    """One emulated remote: pure handlers, no clock, no threads.

    A new remote is a subclass in a file of its own and one line in the table of :mod:`.remotes`. Paths are those after
    the remote's mount point (``/acquia``, ``/automic``), as the real service has them.
    """

    name: str
    title: str
    vocabulary: Vocabulary
    routes: tuple[Route, ...]
    token_paths: frozenset[str] = frozenset()
    options: tuple[str, ...] = ()
    """The options that a rule may have."""
    event_keys: Mapping[str, Any] = {}
    """The fields of an event to emit, with their types; empty where there are none."""
    settings_type: type[TokenSettings]

    def __init__(self, rules: TaskRules) -> None:
        self.rules = rules
        self.reset()

    def reset(self) -> None:
        """Return to the initial state."""
        self.settings: Any = self.settings_type()
        self.tokens = TokenDesk(self.settings)
        self.book: dict[str, T] = {}
        self.started = 0
        self.cancelled: list[str] = []

    def handle(self, call: Call, now: float) -> Reply:
        """Answer one call at ``now`` (unix seconds)."""
        return self.answer(call, now).reply

    def answer(self, call: Call, now: float) -> Answered:
        """Like :meth:`handle`, and which task the call was about."""
        route, names = self._route(call)
        visit = Visit(call=call, now=now, names=names, ref=names.get("ref", ""))
        if route is None or not route.is_open:
            refusal = self.authenticate(visit)
            if refusal is not None:
                return Answered(reply=refusal, ref=visit.ref)
        reply = self._reply(route, visit)
        return Answered(reply=reply, ref=visit.ref, open_until=visit.open_until)

    def ref_of(self, call: Call) -> str:
        """The task that the path of a call names; empty where it names none."""
        return self._route(call)[1].get("ref", "")

    def is_token(self, call: Call) -> bool:
        """Whether the call is for the token endpoint."""
        return call.path in self.token_paths

    def issue_token(self, visit: Visit) -> Reply:
        return self.tokens.issue(visit.call, visit.now)

    def secrets(self) -> set[str]:
        """All secrets that are, or were, valid at this remote."""
        return self.tokens.secrets()

    def refuse_call(self, call: Call, status: int, message: str = "") -> Reply:
        """A refusal in the shape of the endpoint that was called."""
        if self.is_token(call):
            error = {400: "invalid_request", 401: "invalid_client"}.get(status, "temporarily_unavailable")
            return self.tokens.refuse(status, error, message or "The token could not be issued.")
        return self.refuse(status, message)

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise :class:`ConfigurationError` where settings are not what this remote takes."""
        check_settings(self.name, self.settings_type, settings)

    def change(self, settings: Mapping[str, Any], now: float) -> None:
        """Apply new settings; those that are not named stay, and all do where one is wrong."""
        self.check(settings)
        for name, value in settings.items():
            setattr(self.settings, name, value)

    def view(self, task: T, now: float) -> dict[str, Any]:
        """One task in our terms; times are unix seconds."""
        reading = self.read(task, now)
        return {
            "system": self.name,
            "ref": task.ref,
            "name": task.name,
            "path": task.path,
            "marker": task.marker,
            "phase": str(reading.phase),
            "status": reading.status,
            "progress": reading.progress,
            "message": reading.message,
            "started_at": task.created_at,
            "ended_at": reading.ended_at,
            "cancelled": task.ref in self.cancelled,
            "request": dict(task.request),
        }

    def read(self, task: T, now: float) -> TaskState:
        return read(task, now, self.vocabulary)

    def tasks(self) -> list[T]:
        """The tasks that starts made, oldest first, without the children that a task starts itself."""
        return list(self.book.values())

    def end(self, ref: str, outcome: str | int, message: str, now: float) -> None:
        """End a task now, whatever its rule says. ``KeyError`` where there is none."""
        status = self.vocabulary.outcomes.get(str(outcome), str(outcome))
        self.book[ref].ending = RequestedEnd(asked_at=now, at=now, status=status, until_then=status, message=message)

    def release(self, ref: str, now: float) -> None:
        """Let a held task begin. ``KeyError`` where there is none."""
        task = self.book[ref]
        if not task.begun(now):
            task.begins_at = now

    def emit(self, events: Iterable[Mapping[str, Any]], now: float) -> int:
        """Emit events, in the shape that the remote's class describes; return how many."""
        raise NotImplementedError(f"{self.name} has no events")

    def check_events(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Raise :class:`ConfigurationError` where one of them is no event of this remote."""
        if not self.event_keys:
            raise ConfigurationError(f"{self.name} has no events")
        for event in events:
            check_fields("an event", self.event_keys, event)

    def due(self, now: float) -> list[Post]:
        """The callbacks to make now; each attempt is handed out once."""
        return []

    def next_due(self) -> float | None:
        """When a callback may be due, in unix seconds; None where none is expected."""
        return None

    def answered(self, post: Post, answer: int | None, now: float) -> None:
        """Note the result of an attempt: its HTTP status, None where there was no answer."""
        raise NotImplementedError(f"{self.name} makes no callbacks")

    def hasten(self, ref: str, seconds: float) -> bool:
        """Make the callback of a task early, ``seconds`` after its start; False where none is due."""
        return False

    def _reply(self, route: Route | None, visit: Visit) -> Reply:
        if route is None:
            return self.refuse(404)
        try:
            return route.answer(self, visit)
        except ValueError as problem:  # a value of the request that cannot be read
            return self.refuse_call(visit.call, 400, str(problem))

    def _route(self, call: Call) -> tuple[Route | None, Mapping[str, str]]:
        """The operation that a call asks for, and the variable parts of its path."""
        for route in self.routes:
            names = route.match(call)
            if names is not None:
                return route, names
        return None, {}

    @abstractmethod
    def authenticate(self, visit: Visit) -> Reply | None:
        """The refusal of a call with invalid credentials; else None, and the caller is filled in."""

    @abstractmethod
    def refuse(self, status: int, message: str = "") -> Reply:
        """A refusal in the shape that this remote gives it."""

    @abstractmethod
    def connection(self, url: str) -> dict[str, Any]:
        """The Airflow connection to this remote on a sandbox at ``url``."""

    def connections(self, url: str) -> dict[str, dict[str, Any]]:
        """The same by its connection id, and further ones where the remote has several callers."""
        return {f"{self.name}_default": self.connection(url)}
