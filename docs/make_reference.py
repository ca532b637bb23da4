"""Writes docs/reference.md from what the code says of itself: signatures, ``:param:`` lines, forms, options, commands.

``python -m docs.make_reference`` writes the page; ``tests/airflow/test_reference.py`` compares it with the code.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from airflow.sdk import BaseOperator, BaseSensorOperator
from airflow.sdk.exceptions import AirflowException

import airflow_provider_taskwatch
from airflow_provider_taskwatch import cli
from airflow_provider_taskwatch.core.error import TaskWatchError
from airflow_provider_taskwatch.get_provider_info import get_provider_info
from airflow_provider_taskwatch.link import RemoteTaskLink
from airflow_provider_taskwatch.sandbox.server import running
from docs.table import table

PAGE = Path(__file__).with_name("reference.md")
PACKAGE = airflow_provider_taskwatch.__name__
SOURCE = Path(airflow_provider_taskwatch.__file__).parent
INFO = get_provider_info()

COUNTERS = {
    "polls": "polls that triggers of a process have made",
    "callback.received": "callbacks that the receiver has stored",
    "callback.duplicate": "callbacks that came again with the same body; they are stored once",
    "callback.unreadable": "callbacks whose body is not JSON; they count all the same",
    "callback.too_large": "callbacks above 256 kB, refused",
    "callback.too_slow": "callbacks whose body took more than 10 s, refused",
    "callback.unavailable": "callbacks refused because the inbox did not answer",
    "callback.refused": "requests without a valid token or secret, to any path of the receiver",
    "callback.dropped": "callbacks deleted because their start has more than 20",
    "callback.missed": "executions that ended without their callback",
    "push.received": "pushed events that the receiver has stored",
    "push.duplicate": "pushed events that came again; they are stored once",
    "push.unreadable": "pushed bodies that are not an event of the feed",
    "push.too_large": "pushed events above 256 kB, refused",
    "push.too_slow": "pushed events whose body took more than 10 s, refused",
    "push.unavailable": "pushed events refused because the inbox did not answer",
    "push.dropped": "events deleted because a pushed feed has more than 1 GB",
    "feed.unreadable": "items of a feed that cannot be read and were set aside",
    "feed.lost": "events deleted before a reader had read them",
    "inbox.went_back": "times that a reader found an inbox behind its position",
    "cancel.kept": "cancels kept in the inbox, to be tried again",
    "cancel.given_up": "kept cancels that were given up",
}
TIMINGS = {"delay": "from the end of a task, by the remote's clock, to the event of its wait"}
XCOMS = {
    "return_value": "the result",
    "ref": "the remote's id of what was started, pushed as soon as it is known; operators that start something",
    RemoteTaskLink().xcom_key: "the address of the remote's own page, shown as the link *Remote task*; empty "
    "where the connection has no `ui_url`",
}


# --- what a class says of itself


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One argument of a class.

    :param owner: the class whose ``__init__`` takes it.
    :param default: as it is written; empty where the argument is required.
    :param meaning: Markdown; empty where no ``:param:`` line says it.
    """

    name: str
    owner: type
    kind: str
    default: str
    meaning: str
    is_templated: bool


def arguments(cls: type) -> list[Argument]:
    """The arguments that classes of this package add to those of Airflow."""
    meanings = field_lines(cls, "param")
    templated = getattr(cls, "template_fields", ())
    found: dict[str, Argument] = {}
    for owner in filter(_is_ours, cls.__mro__):
        if "__init__" not in vars(owner):
            continue
        parameters = inspect.signature(owner.__init__).parameters.values()  # type: ignore[misc]
        for one in parameters:
            if one.name == "self" or one.kind is one.VAR_KEYWORD or one.name in found:
                continue
            found[one.name] = Argument(
                name=one.name,
                owner=owner,
                kind=_kind(one),
                default=_default(owner, one),
                meaning=meanings.get(one.name, ""),
                is_templated=one.name in templated,
            )
        if all(one.kind is not one.VAR_KEYWORD for one in parameters):
            break
    return list(found.values())


def field_lines(cls: type, word: str) -> dict[str, str]:
    """The lines ``:word name: meaning`` of a class and its bases, as Markdown."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not _is_ours(base):
            continue
        pattern = rf":{word} (\w+): (.*?)(?=\n\s*:\w+ \w+:|\n\s*\n|\Z)"
        for name, meaning in re.findall(pattern, inspect.cleandoc(base.__doc__ or ""), re.DOTALL):
            found[name] = markdown(meaning)
    return found


def prose(thing: Any) -> str:
    """The docstring of a class or function without its field lines, as Markdown."""
    text = inspect.cleandoc(inspect.getdoc(thing) or "")
    return "\n\n".join(markdown(one) for one in text.split("\n\n") if not one.startswith(":"))


def markdown(text: str) -> str:
    """A piece of a docstring on one line: roles lose their path, literals get single backticks."""
    text = re.sub(r":\w+:`~?[\w.]*?(\w+)`", r"`\1`", text)
    text = re.sub(r"\bdocs/([\w-]+\.md)", r"[\1](\1)", text)
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip()


def operators(folder: str) -> Iterator[tuple[str, list[type]]]:
    """The integrations of the provider info, each with the classes of a folder that a DAG can use."""
    for entry in INFO[folder]:
        modules = map(import_module, entry["python-modules"])
        found = [one for module in modules for one in vars(module).values() if _is_usable(one, module.__name__)]
        if found:
            yield entry["integration-name"], found


def decorators(integration: str) -> list[Mapping[str, str]]:
    """The task decorators of an integration: ``decorators/rest.py`` stands beside ``operators/rest.py``."""
    entries = [one["python-modules"] for one in INFO["operators"] if one["integration-name"] == integration]
    known = {module.replace(".operators.", ".decorators.") for modules in entries for module in modules}
    return [one for one in INFO["task-decorators"] if one["class-name"].rpartition(".")[0] in known]


def hooks() -> list[type]:
    """The hooks of all connection types."""
    return [load(one["hook-class-name"]) for one in INFO["connection-types"]]


def others() -> list[type]:
    """What else a DAG may use: notifiers, the trigger of asset watchers, the settings of a callback."""
    return [
        *map(load, INFO["notifications"]),
        load(f"{PACKAGE}.triggers.feed.FeedTrigger"),
        load(f"{PACKAGE}.operators.automic.AutomicCallback"),
    ]


def load(path: str) -> Any:
    """What a dotted path of the provider info names."""
    module, name = path.rsplit(".", 1)
    return getattr(import_module(module), name)


def _is_ours(cls: type) -> bool:
    return cls.__module__.startswith(f"{PACKAGE}.")


def _is_usable(one: object, module: str) -> bool:
    """Whether a DAG can use it: an operator or sensor of the module, from which no other one there derives."""
    if not isinstance(one, type) or not issubclass(one, BaseOperator) or one.__module__ != module:
        return False
    is_base = any(derived.__module__ == module for derived in one.__subclasses__())
    return not is_base and one.execute not in (BaseOperator.execute, BaseSensorOperator.execute)


def _kind(one: inspect.Parameter) -> str:
    return str(one.annotation).replace("typing.", "")


def _default(owner: type, one: inspect.Parameter) -> str:
    if one.default is one.empty:
        return ""
    if "__dataclass_fields__" in vars(owner):  # a factory shows as an object without a name
        field = next(each for each in fields(owner) if each.name == one.name)
        return _code(field.default_factory()) if field.default_factory is not MISSING else _code(field.default)
    return _code(one.default)


def _code(value: object) -> str:
    return f"`{value!r}`".replace("'", '"') if value != "" else '`""`'


# --- the page


def page() -> str:
    """The whole page."""
    parts = (
        [_HEAD],
        _operators(),
        _shared(),
        _results(),
        _others(),
        _hooks(),
        _options(),
        _connections(),
        _commands(),
        _metrics(),
        _errors(),
        _sandbox(),
    )
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


_HEAD = """\
# Reference

`make docs` writes this page from the code: edit the code, not the page.

A *template* argument may hold Jinja, or the output of another task. A duration is a number of seconds or a `timedelta`.
All other arguments are those of Airflow's `BaseOperator` and `BaseSensorOperator`.

- [Operators and sensors](#operators-and-sensors), [shared arguments](#shared-arguments),
  [results and XComs](#results-and-xcoms)
- [Notifier, trigger, callback](#notifier-trigger-callback), [hooks](#hooks)
- [Options](#options), [connection types](#connection-types), [commands](#commands), [metrics](#metrics),
  [exceptions](#exceptions)
- [Sandbox](#sandbox)"""

_RESULTS = """\
An operator and a sensor of the same system have the same result. What a remote leaves out is `None`.
[results.md](results.md) says how much an XCom holds. A profile says itself what its tasks return, in `result.select`;
[presets.md](presets.md) lists the keys of each preset. Without a `result` the keys are those of *RestTask* below."""

_OPTIONS = """\
## Options

They stand in the section `[taskwatch]` of `airflow.cfg`, or in the environment as `AIRFLOW__TASKWATCH__<NAME>`. Each
process reads them when it starts."""

_CONNECTIONS = """\
## Connection types

The fields below are extra fields: they stand in the connection's `extra` as JSON. An unknown one is an error. Airflow
shows fields whose names hold *token* or *proxy* as `***`; they are stored as you wrote them."""


def _operators() -> list[str]:
    classes: dict[str, list[type]] = {}
    for folder in ("operators", "sensors"):
        for name, found in operators(folder):
            classes.setdefault(name, []).extend(found)
    shown = ["## Operators and sensors"]
    for name, found in classes.items():
        shown += ["", f"### {name}"]
        for cls in found:
            shown += ["", *_class(cls, shared=_SHARED)]
        for one in decorators(name):
            shown += [
                "",
                f"#### @task.{one['name']}",
                "",
                "`from airflow.sdk import task`",
                "",
                prose(load(one["class-name"])),
            ]
    return shown


def _class(cls: type, *, shared: Mapping[str, str]) -> list[str]:
    """A class with its arguments.

    :param shared: titles of the sections that have the arguments of some base classes.
    """
    known = arguments(cls)
    shown = [f"#### {cls.__name__}", "", f"`from {cls.__module__} import {cls.__name__}`", "", prose(cls), ""]
    shown += _argument_table(one for one in known if one.owner.__name__ not in shared)
    titles = dict.fromkeys(shared[one.owner.__name__] for one in known if one.owner.__name__ in shared)
    for title in titles:
        also = [f"`{one.name}`" for one in known if shared.get(one.owner.__name__) == title and one.is_templated]
        link = f"[{title}](#{title.lower().replace(' ', '-')})"
        shown += ["", f"It also takes the arguments of {link}; of these, templates are {', '.join(also)}."]
    return shown


def _argument_table(known: Iterable[Argument]) -> list[str]:
    return table(
        ("argument", "type", "default", "template", "meaning"),
        (
            (
                f"`{one.name}`",
                f"`{one.kind}`",
                one.default or "required",
                "yes" if one.is_templated else "",
                one.meaning,
            )
            for one in known
        ),
    )


_SHARED = {
    "StartOperator": "operators that start something",
    "ReadFeedOperator": "operators that read events",
    "WatchSensor": "sensors that wait for a task",
    "EventSensor": "sensors that wait for an event",
}


def _shared() -> list[str]:
    bases: dict[str, type] = {}
    for folder in ("operators", "sensors"):
        for _, found in operators(folder):
            bases |= {base.__name__: base for cls in found for base in cls.__mro__ if base.__name__ in _SHARED}
    shown = ["## Shared arguments"]
    for name, title in _SHARED.items():
        own = [one for one in arguments(bases[name]) if _is_ours(one.owner)]
        shown += ["", f"### {title.capitalize()}", "", prose(bases[name]), "", *_argument_table(own)]
    return shown


def _results() -> list[str]:
    shown = [
        "## Results and XComs",
        "",
        *table(("XCom key", "holds"), ((f"`{name}`", meaning) for name, meaning in XCOMS.items())),
        "",
        _RESULTS,
    ]
    for name, found in operators("sensors"):
        for cls in found:
            keys = field_lines(cls, "result")
            shown += ["", f"### Result: {name}, {cls.__name__.removesuffix('Sensor')}", ""]
            shown += table(("key", "meaning"), ((f"`{key}`", meaning) for key, meaning in keys.items()))
    return shown


def _others() -> list[str]:
    shown = ["## Notifier, trigger, callback"]
    for cls in others():
        shown += ["", *_class(cls, shared={})]
    return shown


def _hooks() -> list[str]:
    shown = ["## Hooks", "", "Each hook also has the methods of `TaskWatchHook`."]
    for cls in hooks():
        shown += ["", *_class(cls, shared={})]
        if methods := list(_methods(cls)):
            shown += ["", *table(("method", "what it does"), methods)]
    return shown


def _methods(cls: type) -> Iterator[tuple[str, str]]:
    """Of a class, not of its bases: all hooks have the methods of the first one."""
    for name, one in vars(cls).items():
        if inspect.isfunction(one) and not name.startswith("_") and one.__doc__:
            yield f"`{name}{_signature(one)}`", _first(one)


def _signature(method: Callable[..., Any]) -> str:
    shown = str(inspect.signature(method)).replace("(self, ", "(").replace("(self)", "()")
    return re.sub(r"(?<=: |> )'([^']*)'", r"\1", shown)  # annotations are texts


def _options() -> list[str]:
    section = INFO["config"]["taskwatch"]["options"]
    return [
        _OPTIONS,
        "",
        *table(
            ("option", "type", "default", "meaning"),
            (
                (f"`{name}`", one["type"], f"`{one['default']}`" if one["default"] else "not set", _option(one))
                for name, one in section.items()
            ),
        ),
    ]


def _option(one: Mapping[str, Any]) -> str:
    return markdown(one["description"]) + (" A secret." if one.get("sensitive") else "")


def _connections() -> list[str]:
    general, *others = INFO["connection-types"]
    shown = [
        _CONNECTIONS,
        "",
        *_connection_type(general),
        "",
        *_field_table(general["conn-fields"]),
    ]
    for one in others:
        missing = [f"`{name}`" for name in general["conn-fields"] if name not in one["conn-fields"]]
        known = general["conn-fields"].items()
        shown += ["", *_connection_type(one), ""]
        shown += ["The fields are those of `taskwatch`" + (f", without {', '.join(missing)};" if missing else ",")]
        shown += [
            "and these:",
            "",
            *_field_table({name: field for name, field in one["conn-fields"].items() if (name, field) not in known}),
        ]
    return shown


def _connection_type(one: Mapping[str, Any]) -> list[str]:
    behaviour = one["ui-field-behaviour"]
    basics = " ".join(_basics(behaviour["relabeling"], behaviour["placeholders"]))
    return [f"### Connection type `{one['connection-type']}`", "", f"{one['hook-name']}. {basics}"]


def _basics(labels: Mapping[str, str], hints: Mapping[str, str]) -> Iterator[str]:
    for name in ("host", "login", "password"):
        if words := _basic(labels.get(name, ""), hints.get(name, "")):
            yield f"{name.capitalize()}: {words}."


def _basic(label: str, hint: str) -> str:
    """What a field of every connection holds, by its label and its placeholder in Airflow's form."""
    if not label or not hint:
        return f"such as `{hint}`" if hint else label
    return hint if hint.startswith(label) else f"{label} ({hint})"


def _field_table(known: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, one in known.items():
        schema = one["schema"]
        kind = " or ".join(f"`{each}`" for each in schema["enum"]) if "enum" in schema else schema["type"][0]
        default = f"`{json.dumps(schema['default'])}`" if "default" in schema else ""
        rows.append((f"`{name}`", kind, default, one["description"] or one["label"]))
    return table(("field", "type", "default", "meaning"), rows)


def _commands() -> list[str]:
    intro = "Since Airflow 3.2 `airflow taskwatch ...` takes the same commands."
    shown = ["## Commands", "", intro]
    for one in cli.COMMANDS:
        usage = " ".join([cli.NAME, one.name, *map(_usage, one.arguments)])
        shown += ["", f"### `{cli.NAME} {one.name}`", "", f"{one.help}.", "", "```", usage, "```", ""]
        shown += table(("argument", "default", "meaning"), map(_argument, one.arguments))
    return shown


def _usage(arg: cli.Argument) -> str:
    flag = arg.flags[0]
    value = "" if arg.settings.get("action") == "store_true" else f" {flag.lstrip('-').replace('-', '_').upper()}"
    if not flag.startswith("-"):
        return f"[{flag.upper()}]" if arg.settings.get("nargs") == "?" else flag.upper()
    return f"[{flag}{value}]"


def _argument(arg: cli.Argument) -> tuple[str, str, str]:
    choices, default = arg.settings.get("choices"), arg.settings.get("default")
    words = f"{arg.settings['help']}: {', '.join(f'`{one}`' for one in choices)}" if choices else arg.settings["help"]
    return f"`{arg.flags[0]}`", "" if default is None else f"`{default}`", words


def _metrics() -> list[str]:
    rows = [(f"`taskwatch.{name}`", "counter", meaning) for name, meaning in COUNTERS.items()]
    rows += [(f"`taskwatch.{name}`", "timing, ms", meaning) for name, meaning in TIMINGS.items()]
    intro = "They go to Airflow's own metrics (StatsD or OpenTelemetry), below Airflow's prefix."
    return ["## Metrics", "", intro, "", *table(("name", "kind", "counts"), rows)]


def metrics_in_source() -> set[str]:
    """The names that the package counts under, as far as they are literals."""
    calls = re.compile(r"\b_?count\(\s*f?\"(?:\{[A-Z_]+\})?([a-z_.]+)\"")
    return {name for file in SOURCE.rglob("*.py") for name in calls.findall(file.read_text())}


def _errors() -> list[str]:
    shown = [
        "## Exceptions",
        "",
        f"Hooks raise these, from `{TaskWatchError.__module__}`; `transient` says whether asking again later can help.",
        "So does a task that fails before it waits (a refused start, a wrong argument).",
        "",
        *(f"{'  ' * depth}- `{cls.__name__}`: {_first(cls)}" for depth, cls in _tree(TaskWatchError)),
        "",
        "If a person must decide (an uncertain start, for example), a task raises Airflow's `AirflowFailException` and",
        f"is not retried. A task whose wait ends badly raises one of these, from `{PACKAGE}.task.result`:",
        "",
    ]
    return [*shown, *(f"- `{cls.__name__}`: {_first(cls)}" for cls in task_errors())]


def task_errors() -> list[type]:
    """The exceptions that a failed wait raises in a task."""
    module = import_module(f"{PACKAGE}.task.result")
    found = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, AirflowException)]
    return [one for one in found if one.__module__ == module.__name__]


def _tree(cls: type[Exception], depth: int = 0) -> Iterator[tuple[int, type]]:
    yield depth, cls
    for one in sorted(cls.__subclasses__(), key=lambda one: one.__name__):
        if one.__module__ == TaskWatchError.__module__:
            yield from _tree(one, depth + 1)


def _first(thing: Any) -> str:
    return prose(thing).split("\n\n")[0]


def _sandbox() -> list[str]:
    with running() as box:
        with urlopen(f"{box.url}/") as reply:  # noqa: S310 - the sandbox of this process
            known = json.load(reply)
        remotes = box.sandbox.remotes
        settings = {name: type(remote.settings) for name, remote in remotes.items()}
        rule = type(box.sandbox.add_rule())
        fault = type(box.sandbox.add_fault("latency", times=1))
    return [
        "## Sandbox",
        "",
        "[sandbox.md](sandbox.md) says how to use these.",
        "",
        "### Keys of a rule",
        "",
        *_keys(known["rules"]["keys"], field_lines(rule, "param")),
        "",
        "### Outcomes",
        "",
        *_outcomes(known),
        "",
        "### Stages and options of a rule, keys of an event",
        "",
        *table(
            ("remote", "share of the duration: status", "options of a rule", "keys of an event"),
            (
                (name, _stages(known["systems"][name]), _names(remote.options), _names(remote.event_keys))
                for name, remote in remotes.items()
            ),
        ),
        "",
        "### Faults",
        "",
        *table(("fault", "what it does"), ((f"`{name}`", text) for name, text in known["faults"]["names"].items())),
        "",
        "### Keys of a fault",
        "",
        *_keys(known["faults"]["keys"], field_lines(fault, "param")),
        "",
        "### Settings",
        "",
        *table(("remote", "setting", "default", "meaning"), _settings(known["systems"], settings)),
    ]


def _keys(known: Mapping[str, Any], meanings: Mapping[str, str]) -> list[str]:
    rows = ((f"`{name}`", f"`{json.dumps(value)}`", meanings.get(name, "")) for name, value in known.items())
    return table(("key", "default", "meaning"), rows)


def _outcomes(known: Mapping[str, Any]) -> list[str]:
    systems = known["systems"]
    return table(
        ("outcome", "meaning", *systems),
        (
            (f"`{name}`", text, *(str(one["outcomes"].get(name, "")) for one in systems.values()))
            for name, text in known["rules"]["outcomes"].items()
        ),
    )


def _stages(one: Mapping[str, Any]) -> str:
    return ", ".join(f"{stage['share']:g}: {stage['status']}" for stage in one["stages"])


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _settings(systems: Mapping[str, Any], classes: Mapping[str, type]) -> Iterator[tuple[str, ...]]:
    for system, cls in classes.items():
        meanings, shown = field_lines(cls, "param"), systems[system]["settings"]
        for one in fields(cls):
            default = f"`{json.dumps(shown[one.name])}`" if one.name in shown else "of the sandbox"
            yield system, f"`{one.name}`", default, meanings.get(one.name, "")


if __name__ == "__main__":
    PAGE.write_text(page())
