"""The interpreter of JMESPath, with a limit on the work of one evaluation. It is imported on first use."""

from __future__ import annotations

from typing import Any

from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter

WORK = 10_000
"""Steps of one evaluation. A step is a node that is visited, or a value that is copied, compared or written."""
STEP_CHARACTERS = 32
"""Characters of a string that count as one step."""

_WALKING = frozenset(("contains", "join", "max", "min", "sort", "sum", "avg", "to_string"))
"""Functions that read all of their arguments, and not only the first level."""
_WRONG_TYPES = (JMESPathError, ArithmeticError, AttributeError, RecursionError, TypeError, ValueError)


class TooMuchWorkError(Exception):
    """An evaluation takes more than :data:`WORK` steps."""


def evaluated(tree: Any, value: Any) -> Any:
    """The value of an expression; None where its types do not fit, as a reply may have any form.

    :raises TooMuchWorkError: it takes too many steps.
    """
    try:
        return _CountingInterpreter().visit(tree, value)
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
        return self._charged(super().visit_flatten(node, value))

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
        literals = [{"type": "literal", "value": argument} for argument in arguments]
        again: Any = {**node, "children": literals}
        return self._charged(super().visit_function_expression(again, value))

    def _charged(self, value: Any) -> Any:
        """The value, charged for the length of its first level."""
        if isinstance(value, (list, dict)):
            self._left -= len(value)
        elif isinstance(value, str):
            self._left -= len(value) // STEP_CHARACTERS
        if self._left < 0:
            raise TooMuchWorkError
        return value

    def _charge(self, value: Any) -> None:
        """Charges for all parts of a value, each as often as it occurs."""
        waiting = [value]
        while waiting:
            one = self._charged(waiting.pop())
            self._left -= 1
            waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
