"""An oracle for acceptors: botocore's waiters, translated, give the verdict that botocore itself gives."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import botocore
import jmespath
from botocore.waiter import AcceptorConfig
from hypothesis import given, settings
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from airflow_provider_taskwatch.core.wire import Reply, get
from airflow_provider_taskwatch.systems.rest.document import Document
from airflow_provider_taskwatch.systems.rest.profile import Poll
from airflow_provider_taskwatch.systems.rest.reading import read_observation

PHASES = {"success": "succeeded", "failure": "failed", "retry": "running"}
STATES = {phase: state for state, phase in PHASES.items()}

Waiter = tuple[str, list[dict[str, Any]]]


@functools.cache
def waiters() -> list[Waiter]:
    """All waiters whose acceptors read replies; acceptors of client errors are left out, as replies have none."""
    folder = Path(botocore.__file__).parent / "data"
    found: dict[str, Waiter] = {}
    for path in sorted(folder.glob("*/*/waiters-2.json")):
        for name, waiter in json.loads(path.read_text())["waiters"].items():
            acceptors = [one for one in waiter["acceptors"] if one["matcher"] != "error"]
            if acceptors:
                found.setdefault(json.dumps(acceptors), (f"{path.parent.parent.name} {name}", acceptors))
    return list(found.values())


def translated(acceptor: Mapping[str, Any]) -> str:
    """The expression of an acceptor."""
    expected = f"`{json.dumps(acceptor['expected'])}`"
    if acceptor["matcher"] == "status":
        return f"status_code == {expected}"
    read = f"({acceptor['argument']})"
    if acceptor["matcher"] == "path":
        return f"body | {read} == {expected}"
    if acceptor["matcher"] == "pathAny":
        return f"body | type({read}) == 'array' && contains({read}, {expected})"
    return f"body | type({read}) == 'array' && {read} && !({read}[?@ != {expected}])"


@functools.cache
def polls(number: int) -> Poll:
    _, acceptors = waiters()[number]
    rules = [{"when": translated(one), "phase": PHASES[one["state"]]} for one in acceptors]
    return Poll.model_validate({"path": "/x", "acceptors": rules})


def verdict(acceptors: list[dict[str, Any]], status: int, body: Any) -> str | None:
    """What botocore says: the state of the first acceptor that matches."""
    response = {**body, "ResponseMetadata": {"HTTPStatusCode": status}}
    for one in acceptors:
        with suppress(JMESPathError):  # a type that does not fit, for which a profile reads null
            if AcceptorConfig(one).matcher_func(response):
                return str(one["state"])
    return None


# --- bodies in the form that the expressions of a waiter read


def body_for(acceptors: list[dict[str, Any]], random: Random) -> dict[str, Any]:
    trees = [jmespath.compile(one["argument"]).parsed for one in acceptors if "argument" in one]
    leaves = [one["expected"] for one in acceptors if "argument" in one]
    leaves += [text for tree in trees for text in literals(tree)] + ["other", None, True, False, 5, [], {}]
    shape = Shape(random, leaves)
    made: Any = {}
    for tree in trees:
        made = merged(made, shape.inside(tree, shape.leaf))
    return made if isinstance(made, dict) else {}


def literals(tree: Any) -> Iterator[Any]:
    if tree["type"] == "literal":
        yield tree["value"]
    for child in tree["children"]:
        if isinstance(child, dict):
            yield from literals(child)


def merged(first: Any, second: Any) -> Any:
    if isinstance(first, dict) and isinstance(second, dict):
        return {name: merged(first.get(name), second.get(name)) for name in {**first, **second}}
    return second if second is not None else first


Make = Callable[[], Any]


@dataclass(frozen=True)
class Shape:
    """Makes values that an expression may read; now and then of another form."""

    random: Random
    leaves: list[Any]

    def leaf(self) -> Any:
        return self.random.choice(self.leaves)

    def several(self, make: Make) -> list[Any]:
        same = make()
        return [same if self.random.random() < 0.6 else make() for _ in range(self.random.choice((0, 1, 1, 2, 3)))]

    def inside(self, node: Any, make: Make) -> Any:
        """A value in which the node reads what ``make`` returns."""
        if self.random.random() < 0.03:
            return self.leaf()
        if node["type"] == "field":
            return {node["value"]: make()}
        children = [one for one in node["children"] if isinstance(one, dict)]
        return getattr(self, f"_{node['type']}", self._parts)(children, make)

    def _subexpression(self, children: list[Any], make: Make) -> Any:
        first, *others = children
        return self.inside(first, lambda: self._subexpression(others, make)) if others else self.inside(first, make)

    _pipe = _subexpression

    def _projection(self, children: list[Any], make: Make) -> Any:
        return self.inside(children[0], lambda: self.several(lambda: self.inside(children[1], make)))

    def _filter_projection(self, children: list[Any], make: Make) -> Any:
        def entry() -> Any:
            return merged(self.inside(children[2], self.leaf), self.inside(children[1], make))

        return self.inside(children[0], lambda: self.several(entry))

    def _flatten(self, children: list[Any], make: Make) -> Any:
        return self.inside(children[0], lambda: self.several(make) if self.random.random() < 0.7 else make())

    _index_expression = _flatten

    def _parts(self, children: list[Any], make: Make) -> Any:
        """Of a function or a comparison; without parts, the node reads the value itself."""
        if not children:
            return make()
        made: Any = {}
        for child in children:
            read = (lambda: self.several(self.leaf)) if self.random.random() < 0.5 else self.leaf
            made = merged(made, self.inside(child, read))
        return made


def check(number: int, random: Random) -> str | None:
    name, acceptors = waiters()[number]
    status = random.choice((200, 200, 404, 301))
    body = body_for(acceptors, random)
    expected = verdict(acceptors, status, body)
    document = Document(get("/x"), Reply(status=status, body=json.dumps(body).encode()), {})
    phase = read_observation("1", polls(number), document).phase
    assert STATES.get(phase.value) == expected, (name, status, body)
    return expected


def test_every_waiter_is_said_as_acceptors_and_gives_the_same_verdict() -> None:
    random = Random(16)
    seen = {check(number, random) for number in range(len(waiters()))}
    assert len(waiters()) > 150
    assert seen == {"success", "failure", "retry", None}
    assert {one["matcher"] for _, acceptors in waiters() for one in acceptors} == {
        "path",
        "pathAny",
        "pathAll",
        "status",
    }


@settings(max_examples=200)
@given(number=st.integers(0, 10_000), random=st.randoms(use_true_random=False))
def test_a_verdict_on_any_body_is_that_of_botocore(number: int, random: Random) -> None:
    check(number % len(waiters()), random)
