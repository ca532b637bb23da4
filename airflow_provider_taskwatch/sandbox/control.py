"""The sandbox's control API under ``/_control``: JSON in, JSON out.

=======================  ====================================================================================
GET (nothing)            what there is: this list, outcomes, stages, faults, settings
GET health               ``{"status": "ok", "systems": [...]}``
GET tasks                ``{"tasks": [...], "started": ..., "cancelled": ..., "markers": ..., ...}``
GET tasks/{ref}          one task
POST tasks/{ref}         ``{"action": "end", "outcome": "failure"}`` or ``{"action": "release"}``
GET log?since=N          ``{"entries": [...], "next": M}``: the requests after number N; M is the next N
GET, POST, DELETE rules  one rule or a list; the new ones come first. DELETE leaves the default rule
GET, POST, DELETE faults one fault or a list, also with ``for_seconds``. ``DELETE faults?name=hang``
GET, POST settings       ``{"acquia": {"token_lifetime": 3}}``
POST emit                events by remote: ``{"acronis": [{"type": "a.p.tenant.created", "count": 10000}]}``
POST tokens/revoke       every token is rejected from now on
POST reset               forget everything
GET connections          the Airflow connections to this sandbox
=======================  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import Call, Reply

from .answer import header, json_reply, value
from .connections import connections
from .fault import ABOUT, Fault
from .remote import Remote
from .rule import OUTCOMES, PROGRESS, SECONDS, Rule, is_seconds
from .sandbox import Sandbox
from .setting import check_fields

MAX_DIGITS = 19


def control(sandbox: Sandbox, call: Call, now: float) -> Reply:
    """Answer one call; its path is the one after ``/_control/``."""
    name, _, ref = call.path.strip("/").partition("/")
    answer = _ANSWERS.get((call.method, name, bool(ref)))
    if answer is None:
        return json_reply(404, {"error": f"no {call.method} {call.path} here; GET /_control lists what there is"})
    try:
        return json_reply(200, answer(sandbox, call, now, ref))
    except KeyError as missing:
        return json_reply(404, {"error": f"there is no {missing}"})
    except (ConfigurationError, TypeError, ValueError) as problem:
        return json_reply(400, {"error": str(problem)})


def overview(sandbox: Sandbox) -> dict[str, Any]:
    """What the sandbox is, and the values that its control API takes."""
    return {
        "sandbox": "an emulator, not the vendors' software",
        "control": [f"{method} /_control/{name}{'/{ref}' if ref else ''}" for method, name, ref in _ANSWERS],
        "rules": {"keys": _defaults(Rule()), "outcomes": OUTCOMES, "progress": list(PROGRESS)},
        "faults": {"keys": _defaults(Fault(name="hang")), "names": dict(ABOUT)},
        "systems": {name: _system(remote) for name, remote in sandbox.remotes.items()},
    }


def _system(remote: Remote[Any]) -> dict[str, Any]:
    return {
        "title": remote.title,
        "url": f"/{remote.name}",
        "outcomes": dict(remote.vocabulary.outcomes),
        "stages": [{"share": share, "status": status} for share, status in remote.vocabulary.stages],
        "settings": _public(asdict(remote.settings)),
    }


def _defaults(thing: Rule | Fault) -> dict[str, Any]:
    return {one.name: getattr(thing, one.name) for one in fields(thing)}


Answer = Callable[[Sandbox, Call, float, str], object]


def _health(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    return {
        "status": "ok",
        "systems": list(sandbox.remotes),
        "note": "an emulator, not the vendor's software",
    }


def _tasks(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    return {"tasks": sandbox.tasks(now), **sandbox.counts()}


def _task(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    return sandbox.task(ref, now)


def _act(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    content = _object(call)
    check_fields("an action", _ACTION_KEYS, content)
    if content.get("action") == "end":
        if (before := sandbox.task(ref, now))["ended_at"] is not None:
            raise ValueError(f"{ref} has ended already: {before['phase']}")
        sandbox.end(ref, content.get("outcome", "success"), now, content.get("message", ""))
    elif content.get("action") == "release":
        sandbox.release(ref, now)
    else:
        raise ValueError("action must be 'end' or 'release'")
    return sandbox.task(ref, now)


_ACTION_KEYS: Mapping[str, Any] = {"action": str, "outcome": str | int, "message": str}


def _log(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    text = value(call, "since", "0")
    if not text.isdecimal() or len(text) > MAX_DIGITS:
        raise ValueError(f"since must be the number of a request, not {text!r:.80}")
    since = int(text)
    entries = sandbox.log(since)
    return {"entries": entries, "next": entries[-1]["n"] if entries else since}


def _rules(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    return {"rules": [asdict(rule) for rule in sandbox.rules]}


def _add_rules(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    sandbox.add_rules(*[_rule(one) for one in _objects(call)])
    return _rules(sandbox, call, now, ref)


def _clear_rules(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    sandbox.rules.clear()
    return _rules(sandbox, call, now, ref)


def _faults(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    return {"faults": sandbox.faults.view()}


def _add_faults(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    sandbox.add_faults(*[_fault(one, now) for one in _objects(call)])
    return _faults(sandbox, call, now, ref)


def _clear_faults(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    sandbox.clear_faults(value(call, "name"))
    return _faults(sandbox, call, now, ref)


def _settings(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    return {name: _public(asdict(remote.settings)) for name, remote in sandbox.remotes.items()}


def _change(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    sandbox.change(_object(call), now)
    return _settings(sandbox, call, now, ref)


def _emit(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    return sandbox.emit({system: _dicts(events) for system, events in _object(call).items()}, now)


def _revoke(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    if ref != "revoke":
        raise KeyError(f"tokens/{ref}")
    sandbox.revoke_tokens()
    return {}


def _reset(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    sandbox.reset()
    return {}


def _connections(sandbox: Sandbox, call: Call, now: float, ref: str) -> object:
    scheme = header(call, "x-forwarded-proto") or "http"
    return connections(f"{scheme}://{header(call, 'host')}", sandbox.remotes.values())


_ANSWERS: Mapping[tuple[str, str, bool], Answer] = {
    ("GET", "", False): lambda sandbox, call, now, ref: overview(sandbox),
    ("GET", "health", False): _health,
    ("GET", "tasks", False): _tasks,
    ("GET", "tasks", True): _task,
    ("POST", "tasks", True): _act,
    ("GET", "log", False): _log,
    ("GET", "rules", False): _rules,
    ("POST", "rules", False): _add_rules,
    ("DELETE", "rules", False): _clear_rules,
    ("GET", "faults", False): _faults,
    ("POST", "faults", False): _add_faults,
    ("DELETE", "faults", False): _clear_faults,
    ("GET", "settings", False): _settings,
    ("POST", "settings", False): _change,
    ("POST", "emit", False): _emit,
    ("POST", "tokens", True): _revoke,
    ("POST", "reset", False): _reset,
    ("GET", "connections", False): _connections,
}


def _rule(content: Mapping[str, Any]) -> Rule:
    known = [one.name for one in fields(Rule)]
    if unknown := sorted(content.keys() - set(known)):
        raise ConfigurationError(f"unknown key {', '.join(unknown)}; a rule has {', '.join(known)}")
    return Rule(**content)


def _fault(content: Mapping[str, Any], now: float) -> Fault:
    known = [*(one.name for one in fields(Fault)), "for_seconds"]
    if unknown := sorted(content.keys() - set(known)):
        raise ConfigurationError(f"unknown key {', '.join(unknown)}; a fault has {', '.join(known)}")
    if "name" not in content:
        raise ConfigurationError(f"the name of the fault is missing; known are {', '.join(ABOUT)}")
    values = dict(content)
    if "for_seconds" in values:
        seconds = values.pop("for_seconds")
        if not is_seconds(seconds):
            raise ConfigurationError(f"for_seconds must be {SECONDS}, not {seconds!r:.80}")
        values["until"] = now + seconds
    return Fault(**values)


def _object(call: Call) -> dict[str, Any]:
    content = _json(call)
    if not isinstance(content, dict):
        raise TypeError("the body must be a JSON object")
    return content


def _objects(call: Call) -> list[dict[str, Any]]:
    return _dicts(_json(call))


def _json(call: Call) -> object:
    try:
        return call.json()
    except (ValueError, RecursionError) as problem:
        raise ConfigurationError(f"the body is not JSON: {problem}") from None


def _dicts(content: object) -> list[dict[str, Any]]:
    items = content if isinstance(content, list) else [content]
    objects = [item for item in items if isinstance(item, dict)]
    if len(objects) != len(items):
        raise TypeError("the body must be a JSON object, or a list of them")
    return objects


_SECRET = ("clients", "accounts", "aps_tokens", "push_headers")


def _public(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in settings.items() if name not in _SECRET}
