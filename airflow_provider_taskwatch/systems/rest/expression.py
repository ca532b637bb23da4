"""JMESPath over one reply (https://jmespath.org/specification.html), with a limit on the work of one evaluation.

A plain dotted name is read without the library, which takes twenty times as long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_taskwatch.core.error import ConfigurationError, ReplyError

if TYPE_CHECKING:
    from .document import Document

EXPRESSION_CHARACTERS = 1000
EXPRESSION_DEPTH = 100
"""How deeply an expression may be nested; each step after a name nests it, too."""
ROOTS = ("status_code", "headers", "body", "request", "inputs")
"""The names that an expression over a reply may begin with."""
FUNCTIONS = frozenset(
    (
        "abs",
        "avg",
        "ceil",
        "contains",
        "ends_with",
        "floor",
        "join",
        "keys",
        "length",
        "map",
        "max",
        "max_by",
        "merge",
        "min",
        "min_by",
        "not_null",
        "reverse",
        "sort",
        "sort_by",
        "starts_with",
        "sum",
        "to_array",
        "to_number",
        "to_string",
        "type",
        "values",
    )
)

_INPUT = re.compile(r"\binputs\.([A-Za-z_]\w*)", re.ASCII)
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)


class Expression:
    """One compiled expression.

    :param text: as the profile has it.
    :ivar roots: the names that it reads from the value that it is given.
    :ivar inputs: the inputs that it reads.
    """

    __slots__ = ("_names", "_parsed", "inputs", "roots", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._names: tuple[str, ...] = ()
        self._parsed: Any = None
        if len(text) > EXPRESSION_CHARACTERS:
            raise ConfigurationError(
                f"the expression {text[:40]!r}... has {len(text)} characters; at most {EXPRESSION_CHARACTERS} are read"
            )
        if _DOTTED.fullmatch(text):
            self._names = tuple(text.split("."))
            self.roots = frozenset(self._names[:1])
        else:
            self._parsed = _parsed(text)
            self.roots = frozenset(_roots(self._parsed))
        self.inputs = self._inputs()

    def _inputs(self) -> frozenset[str]:
        """Of an expression over a reply; a wait keeps these inputs and no others, so that each must have its name."""
        if "inputs" not in self.roots:
            return frozenset()
        names = set(self._names[1:2]) if self._names else set(_inputs(self._parsed))
        if None in names or self._names == ("inputs",):
            raise ConfigurationError(f"{self.text[:80]!r} reads all inputs; name each, such as inputs.branch")
        return frozenset(name for name in names if name) | frozenset(_INPUT.findall(self.text))

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def of(self, document: Document) -> Any:
        """The value for a reply; None where it has none.

        :raises ReplyError: the body cannot be read, or the evaluation takes too much work.
        """
        if not self._names:
            return _evaluated(self.text, self._parsed, document.as_mapping(self.roots))
        value = document.root(self._names[0])
        for name in self._names[1:]:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def of_item(self, item: Any) -> Any:
        """The value for one entry of a list, as :meth:`of`."""
        if not self._names:
            return _evaluated(self.text, self._parsed, item)
        for name in self._names:
            item = item.get(name) if isinstance(item, Mapping) else None
        return item


def is_true(value: Any) -> bool:
    """JMESPath's truth: everything but null, false, and an empty string, list or object. 0 is true."""
    return value is not None and value is not False and not (isinstance(value, (str, list, dict)) and not value)


def _parsed(text: str) -> Any:
    from jmespath.exceptions import JMESPathError
    from jmespath.parser import Parser

    try:
        tree = Parser().parse(text).parsed
    except (JMESPathError, RecursionError) as cause:
        reason = "it is nested too deeply" if isinstance(cause, RecursionError) else " ".join(str(cause).split())
        raise ConfigurationError(f"{text[:80]!r} is not a JMESPath expression: {reason[:200]}") from None
    if _is_deeper(tree, EXPRESSION_DEPTH):
        raise ConfigurationError(f"the expression {text[:80]!r} is nested more than {EXPRESSION_DEPTH} levels deep")
    unknown = sorted(_functions(tree) - FUNCTIONS)
    if _negates_too_little(tree):
        raise ConfigurationError(
            f"{text[:80]!r} negates too little: JMESPath reads !a.b as (!a).b, which is never true; write !(a.b)"
        )
    if unknown:
        raise ConfigurationError(
            f"{text[:80]!r} calls {', '.join(unknown)}(); the functions are {', '.join(sorted(FUNCTIONS))}"
        )
    return tree


def _is_deeper(tree: Any, limit: int) -> bool:
    level = [tree]
    for _ in range(limit):
        level = [child for node in level for child in _children(node)]
    return bool(level)


def _negates_too_little(node: Any) -> bool:
    """Whether a name is read of a negation, which has none."""
    children = _children(node)
    reads = node["type"] in _CHAINS - {"pipe"} and bool(children) and children[0]["type"] == "not_expression"
    return reads or any(map(_negates_too_little, children))


def _children(node: Any) -> list[Any]:
    return [one for one in node.get("children", ()) if isinstance(one, dict)]


def _functions(node: Any) -> set[str]:
    own = {node["value"]} if node["type"] == "function_expression" else set()
    return own.union(*map(_functions, _children(node)))


_CHAINS = frozenset(
    ("subexpression", "index_expression", "pipe", "projection", "value_projection", "filter_projection", "flatten")
)
"""Nodes whose second child reads the value of the first, and not what the node itself reads."""


def _roots(node: Any) -> Iterator[str]:
    if node["type"] == "field":
        yield node["value"]
    if node["type"] in ("current", "identity"):
        yield from ROOTS
    children = _children(node)
    for child in children[:1] if node["type"] in _CHAINS else children:
        if child["type"] != "expref":
            yield from _roots(child)


def _inputs(node: Any) -> Iterator[str | None]:
    """The members of ``inputs`` that are read; None where all are."""
    children = _children(node)
    if node["type"] == "field":
        if node["value"] == "inputs":
            yield None
    elif node["type"] == "subexpression" and children[0]["type"] == "field" and children[0]["value"] == "inputs":
        yield _first_name(children[1])
    else:
        for child in children[:1] if node["type"] in _CHAINS else children:
            if child["type"] != "expref":
                yield from _inputs(child)


def _first_name(node: Any) -> str | None:
    while node["type"] == "index_expression":
        node = node["children"][0]
    return node["value"] if node["type"] == "field" else None


def _evaluated(text: str, tree: Any, value: Any) -> Any:
    from .interpreter import TooMuchWorkError, evaluated

    try:
        return evaluated(tree, value)
    except TooMuchWorkError:
        raise ReplyError(f"the expression {text[:80]!r} takes too many steps on this reply; read less of it") from None
