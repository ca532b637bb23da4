"""The regular expressions of the package, with hostile text."""

from __future__ import annotations

import re
from importlib import import_module
from pkgutil import walk_packages

import airflow_provider_taskwatch as package
from tests.rows import each_row

UNITS = ("a", "A", "0", "_", "-", ".", " ", "/", "%", "__a", "a.", "a-", "a_", "a=", '"', "P1D", "&a", "event.")


def _expressions() -> dict[str, re.Pattern[str]]:
    """All that a module keeps, by the names of module and expression."""
    names = [one.name for one in walk_packages(package.__path__, f"{package.__name__}.") if "__main__" not in one.name]
    kept = ((module, vars(import_module(module))) for module in names)
    return {
        f"{module.partition('.')[2]}.{name}": one
        for module, values in kept
        for name, one in values.items()
        if isinstance(one, re.Pattern)
    }


EXPRESSIONS = _expressions()


@each_row("name", EXPRESSIONS)
def test_no_regular_expression_takes_longer_than_its_text(name: str) -> None:
    """One that goes back over its text for each of its characters would need minutes."""
    for unit in UNITS:
        text = unit * (50_000 // len(unit))
        for hostile in (text, f"{text}\n", f"__{text}", f"/{text}", f"&{text}", f"P{text}"):
            expression = EXPRESSIONS[name]
            expression.fullmatch(hostile if isinstance(expression.pattern, str) else hostile.encode())
