"""The sandbox: all emulated remotes, the rules and faults in force, and the log of requests."""

from __future__ import annotations

import contextlib
import copy
import itertools
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import Call

from .active_fault import Faults
from .call_fault import Delivery
from .fault import Fault
from .post import Post
from .remote import Remote
from .remotes import REMOTES
from .rule import OUTCOMES, Rule, TaskRules
from .token import token_id

LOG_LIMIT = 200_000


class Sandbox:
    """An emulator of remotes, not the vendors' software.

    Nothing here knows the time or a socket: each call is handed the unix seconds at which it happens, and the
    callbacks that are due are handed out. All public methods may be called from any thread.

    :param rules: rules that are in force from the start; :meth:`reset` returns to them.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._lock = threading.RLock()
        self._listeners: list[Callable[[], object]] = []
        self.rules = TaskRules(rules)
        self.faults = Faults()
        self.remotes: dict[str, Remote[Any]] = {remote.name: remote(self.rules) for remote in REMOTES}
        self._log: deque[dict[str, Any]] = deque(maxlen=LOG_LIMIT)
        self._requests_so_far = 0
        self._requests: Counter[str] = Counter()
        self._outbox: list[Post] = []

    def __getstate__(self) -> dict[str, Any]:
        """All but what belongs to this process, and the log."""
        with self._lock:
            kept = {name: value for name, value in vars(self).items() if name not in ("_lock", "_listeners", "_log")}
            return copy.deepcopy(kept)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._lock = threading.RLock()
        self._listeners = []
        self._log = deque(maxlen=LOG_LIMIT)
        vars(self).update(state)

    def handle(self, call: Call, system: str, now: float, client: str = "") -> Delivery:
        """Answer one call to a remote. One that is held open goes to :meth:`again`, and to :meth:`over` in the end.

        :param call: its path is the one after the remote's mount point.
        :param client: the other end of the connection, for the log.
        """
        with self._lock:
            remote = self.remotes[system]
            delivery = self.faults.strike(remote, call, now, lambda: _work(remote, call, now))
            if delivery.open_until is None:
                self._note(remote, call, now, client, delivery)
            if call.method != "GET" and remote.next_due() is not None:
                self._stir()
            return delivery

    def again(self, call: Call, system: str, now: float, held: Delivery) -> Delivery:
        """Answer a call that is held open once more; faults are not applied again."""
        with self._lock:
            return replace(_work(self.remotes[system], call, now), fault=held.fault, delay_seconds=held.delay_seconds)

    def over(self, call: Call, system: str, now: float, client: str, delivery: Delivery) -> None:
        """Note the answer to a call that was held open."""
        with self._lock:
            self._note(self.remotes[system], call, now, client, delivery)

    def due(self, now: float) -> list[Post]:
        """The callbacks to make now, as the faults in force leave them; each is handed out once."""
        with self._lock:
            for remote in self.remotes.values():
                for post in remote.due(now):
                    self._outbox += self.faults.distort(remote, post, now)
            ready = [post for post in self._outbox if post.due <= now]
            self._outbox = [post for post in self._outbox if post.due > now]
            for post in (one for one in ready if one.is_lost):
                self.answered(post, None, now)
            return [post for post in ready if not post.is_lost]

    def next_due(self) -> float | None:
        """When :meth:`due` may return something, in unix seconds; None where nothing is expected."""
        with self._lock:
            moments = [remote.next_due() for remote in self.remotes.values()] + [post.due for post in self._outbox]
            return min((one for one in moments if one is not None), default=None)

    def answered(self, post: Post, status: int | None, now: float, error: str = "") -> None:
        """Note the result of a callback.

        :param status: HTTP status; None where there was no answer.
        :param error: why there was none.
        """
        with self._lock:
            remote = self.remotes[post.system]
            if post.ref not in remote.book:  # forgotten by a reset
                return
            self._note_post(post, status, now, error)
            remote.answered(post, 200 if post.is_lost else status, now)
            self._stir()

    @contextlib.contextmanager
    def listening(self, hear: Callable[[], object]) -> Iterator[None]:
        """Call ``hear`` whenever :meth:`next_due` may have changed, from the thread that has changed it."""
        with self._lock:
            self._listeners.append(hear)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(hear)

    def play(self, content: Mapping[str, Any], given: str = "") -> Remote[Any]:
        """Add a remote that plays the examples of a profile; before :func:`~.app.create_app` serves the sandbox.

        :param content: of the profile, as plain data.
        :param given: the name or the path of it, for the connection.
        :raises ConfigurationError: it cannot be played, or another remote has its name.
        """
        from .profile.remote import PlayedRemote

        with self._lock:
            made = PlayedRemote(self.rules, content, given)
            known = self.remotes.get(made.name)
            if known is not None and not isinstance(known, PlayedRemote):
                raise ConfigurationError(f"the sandbox has a remote {made.name!r}; give the profile another name")
            if known is not None:
                made.continue_from(known)
            self.remotes[made.name] = made
            return made

    def add_rule(self, match: str = "*", **values: Any) -> Rule:
        """Put one rule before all others: see :class:`~.rule.Rule`."""
        rule = Rule(match=match, **values)
        self.add_rules(rule)
        return rule

    def add_rules(self, *rules: Rule) -> None:
        """Put rules before all others, in the order given; none where one of them names what no remote knows."""
        with self._lock:
            for rule in rules:
                self._check(rule)
            self.rules.add(*rules)

    def _check(self, rule: Rule) -> None:
        if rule.system:
            self._remote(rule.system)
        remotes = [self.remotes[rule.system]] if rule.system else list(self.remotes.values())
        known = sorted(set().union(*(remote.options for remote in remotes)))
        if unknown := sorted(rule.options.keys() - set(known)):
            whose = rule.system or "any remote"
            raise ConfigurationError(
                f"unknown option {', '.join(unknown)}; a rule for {whose} has {', '.join(known) or 'none'}"
            )
        for word in (rule.outcome, *(status for _, status in rule.stages)):
            self._check_outcome(word, [rule.system] if rule.system else list(self.remotes))

    def _check_outcome(self, word: str | int, systems: list[str]) -> None:
        if not any(self.remotes[name].vocabulary.knows(word) for name in systems):
            raise ConfigurationError(
                f"{word!r:.80} is neither an outcome ({', '.join(OUTCOMES)}) nor a status of {', '.join(systems)}"
            )

    def add_fault(self, name: str, **values: Any) -> Fault:
        """Put one fault behind all others: see :class:`~.fault.Fault`."""
        fault = Fault(name=name, **values)
        self.add_faults(fault)
        return fault

    def add_faults(self, *faults: Fault) -> None:
        """Put faults behind all others; none where one of them names a remote that there is not."""
        with self._lock:
            for fault in faults:
                if fault.system:
                    self._remote(fault.system)
            self.faults.add(*faults)

    def clear_faults(self, name: str = "") -> None:
        with self._lock:
            self.faults.clear(name)

    def change(self, settings: Mapping[str, Mapping[str, Any]], now: float) -> None:
        """New settings by remote, such as ``{"acquia": {"token_lifetime": 3}}``; what is not named stays.

        Where one is wrong, none is applied.
        """
        with self._lock:
            for system, values in settings.items():
                if not isinstance(values, Mapping):
                    raise ConfigurationError(f"{system}: its settings must be an object, not {values!r:.80}")
                self._remote(system).check(values)
            for system, values in settings.items():
                self._remote(system).change(values, now)
            self._stir()

    def emit(self, events: Mapping[str, Iterable[Mapping[str, Any]]], now: float) -> dict[str, int]:
        """Emit events, by remote: ``{"acronis": [{"type": "a.p.tenant.created"}]}``; return how many."""
        with self._lock:
            given = {system: list(ones) for system, ones in events.items()}
            for system, ones in given.items():
                self._remote(system).check_events(ones)
            counts = {system: self._remote(system).emit(ones, now) for system, ones in given.items()}
            self._stir()
            return counts

    def secrets(self) -> set[str]:
        """Passwords, client secrets, and every token ever issued: for tests that search for them."""
        with self._lock:
            return set().union(*(remote.secrets() for remote in self.remotes.values()))

    def revoke_tokens(self) -> None:
        with self._lock:
            for remote in self.remotes.values():
                remote.tokens.revoke()

    def end(self, ref: str, outcome: str | int, now: float, message: str = "") -> None:
        """End a task now, also one that has ended otherwise before. ``KeyError`` where there is none."""
        with self._lock:
            owner = self._owner(ref)
            self._check_outcome(outcome, [owner.name])
            owner.end(ref, outcome, message, now)
            self._stir()

    def release(self, ref: str, now: float) -> None:
        """Let a task begin that waits for a release. ``KeyError`` where there is none."""
        with self._lock:
            self._owner(ref).release(ref, now)
            self._stir()

    def reset(self) -> None:
        """Forget tasks, tokens, faults, settings and the log; back to the first rules."""
        with self._lock:
            for remote in self.remotes.values():
                remote.reset()
            self.rules.reset()
            self.faults.clear()
            self._log.clear()
            self._requests.clear()
            self._outbox.clear()

    def tasks(self, now: float) -> list[dict[str, Any]]:
        """What was started, oldest first, in our terms; times are unix seconds.

        Keys: ``system, ref, name, path, marker, phase, status, progress, message, started_at, ended_at,
        cancelled, request``. Children that a task started itself are not among them, nor are callbacks.
        """
        with self._lock:
            views = [remote.view(task, now) for remote in self.remotes.values() for task in remote.tasks()]
        return sorted(views, key=lambda view: view["started_at"])

    def task(self, ref: str, now: float) -> dict[str, Any]:
        """One task; ``KeyError`` where there is none."""
        with self._lock:
            owner = self._owner(ref)
            return owner.view(owner.book[ref], now)

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        """The requests with numbers above ``since``, oldest first.

        Keys: ``n, at, system, endpoint, method, path, query, status, token_id, fault, ref, client``.
        ``status`` is None where no answer was given; ``token_id`` is a fingerprint, never the token.

        A call that was held open is there once it is over, and so are a remote's own requests. Those have the
        endpoint ``callback``, the receiver as ``client``, the task that they are about as ``ref``, and besides
        ``url, attempt, callback`` (the ref of the callback's entry) and ``error`` (why there was no answer).
        """
        with self._lock:
            newest_first = itertools.takewhile(lambda entry: entry["n"] > since, reversed(self._log))
            return [dict(entry) for entry in newest_first][::-1]

    def counts(self) -> dict[str, Any]:
        """What happened since the last reset.

        ``{"started": {system: n}, "cancelled": {system: [ref]}, "markers": {marker: [ref]},
        "requests": {"system endpoint": n}}``
        """
        with self._lock:
            markers: dict[str, list[str]] = {}
            for task in itertools.chain(*(remote.tasks() for remote in self.remotes.values())):
                if task.marker:
                    markers.setdefault(task.marker, []).append(task.ref)
            return {
                "started": {name: remote.started for name, remote in self.remotes.items()},
                "cancelled": {name: list(remote.cancelled) for name, remote in self.remotes.items()},
                "markers": markers,
                "requests": dict(self._requests),
            }

    def _note(self, remote: Remote[Any], call: Call, now: float, client: str, delivery: Delivery) -> None:
        self._write(
            now,
            remote.name,
            "token" if remote.is_token(call) else "api",
            call,
            status=delivery.reply.status if delivery.reply is not None else None,
            fault=delivery.fault,
            ref=delivery.ref or remote.ref_of(call),
            client=client,
        )

    def _note_post(self, post: Post, status: int | None, now: float, error: str) -> None:
        self._write(
            now,
            post.system,
            "callback",
            post.call,
            status=status,
            fault=post.fault,
            ref=post.about,
            client=urlsplit(post.url).netloc,
            url=post.url,
            attempt=post.attempt,
            callback=post.ref,
            error=error,
        )

    def _write(self, now: float, system: str, endpoint: str, call: Call, **values: Any) -> None:
        self._requests[f"{system} {endpoint}"] += 1
        self._requests_so_far += 1
        entry = {
            "n": self._requests_so_far,
            "at": now,
            "system": system,
            "endpoint": endpoint,
            "method": call.method,
            "path": call.path,
            "query": parse_qs(urlencode(call.query), keep_blank_values=True),
            "token_id": token_id(call),
        }
        self._log.append(entry | values)

    def _stir(self) -> None:
        for hear in self._listeners:
            hear()

    def _remote(self, system: str) -> Remote[Any]:
        if system not in self.remotes:
            raise ConfigurationError(f"unknown system {system!r}; known are {', '.join(self.remotes)}")
        return self.remotes[system]

    def _owner(self, ref: str) -> Remote[Any]:
        owner = next((remote for remote in self.remotes.values() if ref in remote.book), None)
        if owner is None:
            raise KeyError(ref)
        return owner


def _work(remote: Remote[Any], call: Call, now: float) -> Delivery:
    answered = remote.answer(call, now)
    return Delivery(reply=answered.reply, ref=answered.ref, open_until=answered.open_until)
