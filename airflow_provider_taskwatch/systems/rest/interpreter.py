"""The interpreter of JMESPath, with a limit on the work of one evaluation. It is imported on first use."""

from __future__ import annotations

from typing import Any

from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter, Visitor, _Expression

WORK = 10_000
"""Steps of one evaluation. A step is a node that is visited, or a value that is copied, compared or written."""
STEP_CHARACTERS = 32
"""Characters of a string that count as one step."""
STEP_BITS = 128
"""Bits of a whole number that count as one step: writing a number of 4,000 digits takes as long as 110 steps."""
MAX_BITS = 14_280
"""Of a whole number that is made, such as a sum. Python writes no number of more than 4,300 digits."""

_WALKING = frozenset(("contains", "join", "max", "min", "sort", "sum", "avg", "to_string"))
"""Functions that read all of their arguments, and not only the first level."""
_WRONG_TYPES = (JMESPathError, ArithmeticError, AttributeError, TypeError, ValueError)


class TooMuchWorkError(Exception):
    """An evaluation takes more than :data:`WORK` steps."""


def evaluated(tree: Any, value: Any) -> Any:
    """The value of an expression; None where its types do not fit, as a reply may have any form.

    :raises TooMuchWorkError: it takes too many steps.
    """
    try:
        return _CountingInterpreter().visit(tree, value)
    except RecursionError:
        raise TooMuchWorkError from None
    except _WRONG_TYPES:
        return None


class _CountingInterpreter(TreeInterpreter):
    """Counts steps, so that no evaluation holds an event loop for long.

    Values may share parts: sixteen times ``[@, @]`` is one list in memory and 65,536 as text. So whatever walks a whole
    value is charged for all that it walks.
    """

    def __init__(self) -> None:
        super().__init__()
        self._left = WORK

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise TooMuchWorkError
        return super().visit(node, *args, **kwargs)

    def visit_flatten(self, node: Any, value: Any) -> Any:
        base = self._charged(self.visit(node["children"][0], value))
        for part in base if isinstance(base, list) else ():
            self._charged(part)
        again: Any = {**node, "children": [{"type": "literal", "value": base}]}
        return super().visit_flatten(again, value)

    def visit_slice(self, node: Any, value: Any) -> Any:
        return self._charged(super().visit_slice(node, value))

    def visit_comparator(self, node: Any, value: Any) -> Any:
        sides = [self.visit(child, value) for child in node["children"]]
        for side in sides:
            self._charge(side)
        literals = [{"type": "literal", "value": side} for side in sides]
        again: Any = {**node, "children": literals}
        return super().visit_comparator(again, value)

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        arguments = [self.visit(child, value) for child in node["children"]]
        for argument in arguments:
            if node["value"] in _WALKING:
                self._charge(argument)
            else:
                self._charged(argument)
        if node["value"] == "join":
            self._charge_for_separators(*arguments)
        literals = [{"type": "literal", "value": argument} for argument in arguments]
        again: Any = {**node, "children": literals}
        return self._charged(super().visit_function_expression(again, value))

    def visit_expref(self, node: Any, value: Any) -> Any:
        """An expression that a function evaluates for each entry. Keys are compared many times, so they are charged."""
        return _Expression(node["children"][0], _Keys(self))

    def _charge_for_separators(self, separator: Any = "", texts: Any = (), *_: Any) -> None:
        """A separator is written once for each text."""
        if isinstance(separator, str) and isinstance(texts, list):
            self._left -= len(separator) * len(texts) // STEP_CHARACTERS
        if self._left < 0:
            raise TooMuchWorkError

    def _charged(self, value: Any) -> Any:
        """The value, charged for the length of its first level."""
        if isinstance(value, (list, dict)):
            self._left -= len(value)
        elif isinstance(value, str):
            self._left -= len(value) // STEP_CHARACTERS
        elif isinstance(value, int):
            bits = value.bit_length()
            self._left -= bits // STEP_BITS if bits <= MAX_BITS else WORK
        if self._left < 0:
            raise TooMuchWorkError
        return value

    def _charge(self, value: Any) -> None:
        """Charges for all parts of a value, each as often as it occurs."""
        waiting = [value]
        while waiting:
            one = self._charged(waiting.pop())
            self._left -= 1
            if isinstance(one, dict):
                waiting += (*one, *one.values())
            elif isinstance(one, list):
                waiting += one


class _Keys(Visitor):
    """An interpreter whose results are charged."""

    def __init__(self, interpreter: _CountingInterpreter) -> None:
        super().__init__()
        self._interpreter = interpreter

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        return self._interpreter._charged(self._interpreter.visit(node, *args, **kwargs))
