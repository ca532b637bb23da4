"""Any REST API, played from the examples of its profile: an emulator of what the profile says, not of the API."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit
from zlib import crc32

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.pattern import Matched, RequestPattern
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.sandbox.answer import credentials, header, json_reply
from airflow_provider_taskwatch.sandbox.remote import Remote, Route, Visit
from airflow_provider_taskwatch.sandbox.rule import Rule, TaskRules
from airflow_provider_taskwatch.sandbox.setting import Between
from airflow_provider_taskwatch.sandbox.task import RequestedEnd, Task, TaskState
from airflow_provider_taskwatch.sandbox.token import CLIENT_ID, CLIENT_SECRET, TokenSettings, decode_basic

from .example import Example, first_value, listed, member, with_member
from .listing import page_of, wanted_refs
from .name import Name, named
from .stage import stages_of, vocabulary_of

TOKEN_PATH = "/_oauth/token"  # noqa: S105 - a path
RESULT_PATH = "/_result/"
OWN = ("start.id", "start.uuid", "marker")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
_SECRET = re.compile(r"\{secret\.([A-Za-z0-9_.-]+)\??\}")
_HEADER_NAME = re.compile(r"\b(?:[A-Za-z]+-)+[A-Za-z]+\b")


@dataclass(kw_only=True)
class PlayedSettings(TokenSettings):
    """The settings of a played API.

    :param auth: the credentials that it takes: ``oauth2``, ``basic``, ``bearer``, ``api_key``, ``none`` or ``any``.
    :param page_size: entries of a page of a list, where the profile does not say it.
    :param cancel_seconds: from a cancel until the task has ended.
    """

    auth: Literal["any", "oauth2", "basic", "bearer", "api_key", "none"] = "any"
    page_size: Annotated[int, Between(1)] = 100
    cancel_seconds: float = 0.0


@dataclass(slots=True, kw_only=True, eq=False)
class PlayedTask(Task):
    """One task, and its refs.

    :param names: of each stage.
    :param inputs: of its start, by which polls find it.
    :param own: what is the start's own in the request: its id, and what it left to be found.
    """

    names: tuple[Name, ...]
    inputs: Mapping[str, Any]
    own: Mapping[str, Any]


class PlayedRemote(Remote[PlayedTask]):
    """One profile.

    A task goes through ``pending`` and ``running`` of each stage, and ends as its rule says. A phase without an example
    gets a word of the profile's table. Rules match the path of a start, the same after its method, or the profile's
    name.

    :param content: of the profile, as plain data.
    :param given: what a connection's extra ``profile`` holds; empty: the name of the profile.
    :raises ConfigurationError: it cannot be played.
    """

    settings_type = PlayedSettings
    token_paths = frozenset((TOKEN_PATH,))
    routes = (Route("POST", TOKEN_PATH, Remote.issue_token, is_open=True),)

    def __init__(self, rules: TaskRules, content: Mapping[str, Any], given: str = "") -> None:
        self.name = _name_of(content, given)
        self.given = given or self.name
        try:
            self._read(content)
        except (AttributeError, KeyError, TypeError, ValueError) as cause:
            raise ConfigurationError(
                f"the profile {self.given} cannot be played: {type(cause).__name__} {cause}; `taskwatch profile check` "
                "says what is wrong with it"
            ) from cause
        except ConfigurationError as cause:
            raise ConfigurationError(f"the profile {self.given} cannot be played: {cause}") from cause
        super().__init__(rules)

    def _read(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self.title = f"{content.get('title') or self.name} (examples of a profile)"
        self._base_path = urlsplit(str(content.get("base_url") or "")).path.rstrip("/")
        self._stages = list(stages_of(content))
        self.vocabulary = vocabulary_of(self._stages)
        self._start: Mapping[str, Any] = content.get("start") or {}
        self._started = Example.of(self._start.get("example") or {}, (self._start.get("accepted") or [201])[0])
        self._replay_seconds = _seconds(self._start.get("replay_within"))
        self._is_chosen = all(one.startswith("request") for one in self._stages[0].ref_from)
        self._result: Mapping[str, Any] = content.get("result") or {}
        self._operations = list(self._read_operations(content))
        self._ids = frozenset(("id", *(one.rpartition(".")[2] for one in self._id_places(content))))
        has_place = self._stages[0].known is not None or self._started.copy().put(self._stages[0].ref_from, "")
        if self._start and not self._is_chosen and not has_place:
            raise ConfigurationError("start.example needs a reply in which ref.from has a value")

    def _read_operations(self, content: Mapping[str, Any]) -> Iterator[tuple[str, int, RequestPattern]]:
        if self._start:
            yield "start", 0, RequestPattern(self._start, "POST")
        for at, stage in enumerate(self._stages):
            for name, request in (("poll", stage.poll), ("cancel", stage.cancel)):
                if request is not None:
                    yield name, at, request
        for name in ("list", "find", "probe"):
            if name in content:
                yield name, 0, RequestPattern(content[name])
        if self._result.get("path"):
            yield "result", 0, RequestPattern(self._result)

    def _id_places(self, content: Mapping[str, Any]) -> list[str]:
        listings = [content[name]["ref"] for name in ("list", "find") if name in content]
        return [*listings, *(one for stage in self._stages for one in stage.ref_from)]

    def reset(self) -> None:
        super().reset()
        self._by_ref: dict[tuple[int, str], PlayedTask] = {}
        self._by_own: dict[frozenset[tuple[str, str]], PlayedTask] = {}
        self._last_number = 1_000_000 + crc32(self.name.encode()) % 1_000_000 * 1000

    def continue_from(self, other: PlayedRemote) -> None:
        """Take over the tasks, tokens and settings of an earlier run, whose profile may have been another version."""
        for task in other.book.values():
            if len(task.names) == len(self._stages):
                self._keep(task)
        self.started, self.cancelled = other.started, other.cancelled
        self.settings, self.tokens, self._last_number = other.settings, other.tokens, other._last_number

    def _keep(self, task: PlayedTask) -> None:
        self.book[task.ref] = task
        self._by_ref |= {(at, _key(name.ref)): task for at, name in enumerate(task.names)}
        if task.own:
            self._by_own[_own(task.own)] = task

    # --- who asks

    def authenticate(self, visit: Visit) -> Reply | None:
        auth = self.settings.auth
        ways = {
            "oauth2": lambda: self.tokens.find(visit.call, visit.now) is not None,
            "bearer": lambda: credentials(visit.call) == ("bearer", CLIENT_SECRET),
            "basic": lambda: decode_basic(visit.call, "utf-8") == (CLIENT_ID, CLIENT_SECRET),
            "api_key": lambda: _has_key(visit.call),
        }
        if auth == "none" or any(ways[one]() for one in (ways if auth == "any" else (auth,))):
            return None
        return self.refuse(401)

    def refuse(self, status: int, message: str = "") -> Reply:
        return json_reply(status, {"message": message or _REFUSALS.get(status, "The request was refused.")})

    def connection(self, url: str) -> dict[str, Any]:
        words = str(self._content.get("auth") or "").lower()
        auth = next((auth for word, auth in _AUTHS.items() if word in words), "bearer")
        extra: dict[str, Any] = {"auth": auth, "profile": self.given}
        if auth == "oauth2":
            extra["token_url"] = f"{url}/{self.name}{TOKEN_PATH}"
        if auth == "api_key":
            found = _HEADER_NAME.search(str(self._content["auth"]).replace("api-key", ""))
            extra |= {"api_key_in": "header", "api_key_name": found[0] if found else "X-API-Key"}
        if secrets := sorted(set(_SECRET.findall(repr(self._content)))):
            extra["secrets"] = dict.fromkeys(secrets, CLIENT_SECRET)
        login = {"login": CLIENT_ID} if auth in ("oauth2", "basic") else {}
        return {
            "conn_type": "taskwatch",
            "host": f"{url}/{self.name}",
            **login,
            "password": CLIENT_SECRET,
            "extra": extra,
        }

    def connections(self, url: str) -> dict[str, dict[str, Any]]:
        return {f"{self.name.replace('-', '_')}_default": self.connection(url)}

    # --- what is asked

    def _reply(self, route: Route | None, visit: Visit) -> Reply:
        if route is not None:
            return super()._reply(route, visit)
        if visit.call.path.startswith(RESULT_PATH):
            return self._show_result(visit, self._task(visit.call.path.removeprefix(RESULT_PATH), visit))
        linked = self._linked(visit)
        if linked is not None:
            return self._poll(visit, *linked)
        found = [
            (one, at, request, matched)
            for one, at, request in self._operations
            if (matched := request.match(visit.call)) is not None
        ]
        if not found:
            return self.refuse(404)
        name, at, _, matched = min(
            found,
            key=lambda one: (one[3].misses, -one[2].path.literals, -one[3].hits, not self._knows(one[1], one[3])),
        )
        return self._answers[name](self, visit, at, matched)

    def _knows(self, at: int, matched: Matched) -> bool:
        """Whether a stage has the ref of a request, as the requests of two stages may look alike."""
        return (at, _key(str(matched.values.get("ref", "")))) in self._by_ref

    def _linked(self, visit: Visit) -> tuple[PlayedTask, int] | None:
        """The task whose link is read, and the stage of the link."""
        if visit.call.method != "GET":
            return None
        for at, stage in enumerate(self._stages):
            task = self._by_ref.get((at, _key(visit.call.path))) if stage.poll is None else None
            query = task.names[at].ref.partition("?")[2] if task else ""
            if task and set(parse_qsl(query, keep_blank_values=True)) <= set(visit.call.query):
                return task, at
        return None

    def _task(self, ref: str, visit: Visit) -> PlayedTask | None:
        """A task by its own id, as far as a read may see it."""
        task = self.book.get(ref)
        if task is None or task.is_hidden(visit.now) or self.read(task, visit.now).is_gone:
            return None
        visit.ref = task.ref
        return task

    def _asked(self, visit: Visit, at: int, matched: Matched) -> PlayedTask | None:
        """The task that a request of a stage names, with the inputs of its start."""
        task = self._by_ref.get((at, _key(str(matched.values.get("ref", "")))))
        return self._task(task.ref, visit) if task is not None and _is_of(task, matched) else None

    def _begin(self, visit: Visit, at: int, matched: Matched) -> Reply:
        own = {name: matched.values[name] for name in OWN if name in matched.values}
        if self._start.get("replay") == "same" and own:
            known = self._by_own.get(_own(own))
            if known is not None and visit.now - known.created_at < self._replay_seconds:
                visit.ref = known.ref
                return self._show_start(visit, known)
        chosen = first_value(self._stages[0].ref_from, {"request": _request(visit.call)}) if self._is_chosen else None
        if self._is_chosen and chosen is None:
            return self.refuse(400, "the request names no id where ref.from reads it")
        if str(chosen) in self.book:
            return self.refuse(409, f"{chosen} exists already")
        path = visit.call.path
        rule = self.rules.take(self.name, (path, f"{visit.call.method} {path}", self.name))
        if rule.refuse is not None:
            return self.refuse(rule.refuse, rule.message)
        if problem := self._cannot_play(rule):
            return self.refuse(400, problem)
        return self._show_start(visit, self._made(visit, matched, rule, own, chosen))

    def _cannot_play(self, rule: Rule) -> str:
        wanted = [self.vocabulary.outcome(rule)] if rule.outcome not in ("stuck", "gone") else []
        for status in (*wanted, *(str(one) for _, one in rule.stages)):
            phase, _, name = status.partition("#")
            stage = next((one for one in self._stages if one.name == name), None)
            if stage is None or stage.example(phase) is None:
                return f"the sandbox cannot play {status!r}, as the profile has no example for it"
        return ""

    def _made(self, visit: Visit, matched: Matched, rule: Rule, own: Mapping[str, Any], chosen: Any) -> PlayedTask:
        made = [
            named(stage.kind, stage.known, self._last_number + at, self._base_path)
            for at, stage in enumerate(self._stages, start=1)
        ]
        self._last_number += len(made)
        if chosen is not None:
            made[0] = str(chosen), Name(kind=self._stages[0].kind, known="", ref=str(chosen))
        task = PlayedTask(
            ref=made[0][0],
            name=self.name,
            rule=rule,
            created_at=visit.now,
            begins_at=visit.now,
            path=visit.call.path,
            marker=str(own.get("marker", "")),
            request=_object(visit.call),
            names=tuple(name for _, name in made),
            inputs=_inputs(matched),
            own=own,
        )
        self._keep(task)
        self.started += 1
        visit.ref = task.ref
        return task

    def _show_start(self, visit: Visit, task: PlayedTask) -> Reply:
        reply = self._renamed(self._started, task, visit)
        if not self._is_chosen:
            reply.put(self._stages[0].ref_from, task.names[0].value(self._url(visit.call)))
        return reply.reply()

    def _read_task(self, visit: Visit, at: int, matched: Matched) -> Reply:
        task = self._asked(visit, at, matched)
        return self.refuse(404) if task is None else self._poll(visit, task, at)

    def _poll(self, visit: Visit, task: PlayedTask, at: int) -> Reply:
        shown = self._shown(visit, task, at) if self._task(task.ref, visit) else None
        return self.refuse(404) if shown is None else shown.reply()

    def _shown(self, visit: Visit, task: PlayedTask, at: int) -> Example | None:
        """What a stage of a task shows now; None where the task is not there yet."""
        state = self.read(task, visit.now)
        now_at = self._at(state)
        if at > now_at or state.phase is Phase.LOST:
            return None
        stage, phase = self._stages[at], "next" if at < now_at else state.status.partition("#")[0]
        example = self._renamed(stage.shown(phase, state, task.rule.progress), task, visit)
        if phase == "next":
            example.put(self._stages[at + 1].ref_from, task.names[at + 1].value(self._url(visit.call)))
        if state.phase is Phase.SUCCEEDED and at == now_at and self._result.get("link"):
            example.put(listed(self._result["link"]), f"{self._url(visit.call)}{RESULT_PATH}{task.ref}")
        return example

    def _at(self, state: TaskState) -> int:
        name = state.status.partition("#")[2]
        return next((at for at, stage in enumerate(self._stages) if stage.name == name), 0)

    def _renamed(self, example: Example, task: PlayedTask, visit: Visit) -> Example:
        """An example with the refs of a task."""
        made, url = example.copy(), self._url(visit.call)
        for name in task.names:
            made.body = name.renamed(made.body, url, self._base_path, self._ids)
            made.headers = name.renamed(made.headers, url, self._base_path, self._ids)
        return made

    def _url(self, call: Call) -> str:
        scheme = header(call, "x-forwarded-proto") or "http"
        return f"{scheme}://{header(call, 'host') or 'localhost'}/{self.name}"

    def _stop(self, visit: Visit, at: int, matched: Matched) -> Reply:
        task, stage = self._asked(visit, at, matched), self._stages[at]
        if task is None:
            return self.refuse(404)
        state = self.read(task, visit.now)
        if state.is_ended or task.ending is not None or self._at(state) != at:
            status = next(iter(stage.over), 409 if self._at(state) == at else 404)
            return json_reply(status, {"message": f"it is {state.status}"})
        phase = next((one for one in ("cancelled", "failed") if stage.example(one)), str(Phase.LOST))
        ends_at = visit.now + self.settings.cancel_seconds
        task.ending = RequestedEnd(asked_at=visit.now, at=ends_at, status=stage.status(phase), until_then=state.status)
        self.cancelled.append(task.ref)
        return json_reply(202, {})

    def _list(self, visit: Visit, at: int, matched: Matched) -> Reply:
        return self._page(visit, self._content["list"], wanted_refs(matched.values.get("refs")))

    def _find(self, visit: Visit, at: int, matched: Matched) -> Reply:
        return self._page(visit, self._content["find"], None)

    def _page(self, visit: Visit, listing: Mapping[str, Any], wanted: frozenset[str] | None) -> Reply:
        items = [
            self._item(visit, task, listing)
            for task in reversed(self.book.values())
            if self._task(task.ref, visit) and (wanted is None or task.names[0].ref in wanted)
        ]
        visit.ref = ""
        return page_of(listing, items, visit.call, self._url(visit.call), self.settings.page_size).reply()

    def _item(self, visit: Visit, task: PlayedTask, listing: Mapping[str, Any]) -> Any:
        """A task as an entry of a list: what a poll shows, with its ref, and what it can be found by."""
        example = self._shown(visit, task, 0)
        item = with_member(example.body if example else {}, listing["ref"].split("."), task.names[0].value(""))
        for name, rule in (listing.get("where") or {}).items():
            text = str(next(iter(rule.values()))).replace("{marker}", task.marker)
            if task.marker and text not in str(member(item, name)):
                item = with_member(item, name.split("."), text)
        return item

    def _show(self, visit: Visit, at: int, matched: Matched) -> Reply:
        if "ref" in matched.values:
            return self._show_result(visit, self._asked(visit, len(self._stages) - 1, matched))
        ours = (task for task in reversed(self.book.values()) if _is_of(task, matched))
        return self._show_result(visit, next((one for one in ours if self._has_succeeded(one, visit)), None))

    def _has_succeeded(self, task: PlayedTask, visit: Visit) -> bool:
        return self.read(task, visit.now).phase is Phase.SUCCEEDED

    def _show_result(self, visit: Visit, task: PlayedTask | None) -> Reply:
        if task is None or not self._has_succeeded(task, visit):
            return self.refuse(404)
        return self._renamed(Example.of(self._result.get("example") or {"body": {}}), task, visit).reply()

    def _probe(self, visit: Visit, at: int, matched: Matched) -> Reply:
        return json_reply(200, {})

    _answers = {  # noqa: RUF012 - a table that does not change
        "start": _begin,
        "poll": _read_task,
        "cancel": _stop,
        "list": _list,
        "find": _find,
        "result": _show,
        "probe": _probe,
    }


_AUTHS = {"basic": "basic", "oauth": "oauth2", "api key": "api_key", "api-key": "api_key", "api_key": "api_key"}
_REFUSALS = {
    401: "The credentials are missing or not valid.",
    403: "That is not allowed.",
    404: "There is no such thing here.",
    429: "There were too many requests.",
}


def _name_of(content: Mapping[str, Any], given: str) -> str:
    """The name of a profile, which is a part of addresses."""
    stem = given.rpartition("/")[2].partition(".")[0]
    name = str(content.get("name") or stem).lower()
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"the profile needs a 'name' of letters, digits, '-' and '_', not {name!r:.80}")
    return name


def _has_key(call: Call) -> bool:
    """Whether a header, a cookie or the query holds the key; not as another kind of credentials."""
    if credentials(call)[0] in ("basic", "bearer"):
        return False
    values = [*call.headers.values(), *(value for _, value in call.query)]
    return any(CLIENT_SECRET in re.split(r"[\s=;]+", value) for value in values)


def _seconds(duration: Any) -> float:
    """Seconds of a number, or of a text such as ``24h``; without end where there is none."""
    if duration is None:
        return math.inf
    text = str(duration).strip()
    return float(text[:-1]) * _UNITS[text[-1]] if text[-1] in _UNITS else float(text)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _key(ref: str) -> str:
    """A ref without its query, in the one form in which it is looked up."""
    return ref.partition("?")[0].strip("/")


def _own(own: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    return frozenset((name, str(value)) for name, value in own.items())


def _is_of(task: PlayedTask, matched: Matched) -> bool:
    """Whether a request has the inputs of a task's start."""
    return all(str(task.inputs.get(name, one)) == str(one) for name, one in _inputs(matched).items())


def _inputs(matched: Matched) -> dict[str, Any]:
    return {name: one for name, one in matched.values.items() if name.startswith("inputs.")}


def _object(call: Call) -> Mapping[str, Any]:
    """The body of a start, where it is an object or a form."""
    try:
        content = call.json()
    except (ValueError, RecursionError):
        return call.form()
    return content if isinstance(content, dict) else {}


def _request(call: Call) -> dict[str, Any]:
    """A request as ``ref.from`` sees it."""
    return {
        "method": call.method,
        "path": call.path,
        "query": dict(call.query),
        "headers": {name.lower().replace("-", "_"): value for name, value in call.headers.items()},
        "body": _object(call),
        "form": call.form(),
    }
