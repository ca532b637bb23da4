"""What operators, sensors and notifiers of this package have in common: checked arguments and a hook."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, ClassVar, Generic, TypeVar

from airflow.sdk.bases.operator import BaseOperatorMeta

from airflow_provider_taskwatch.core.check import Check, connection_id
from airflow_provider_taskwatch.core.error import ConfigurationError, described

H = TypeVar("H")

_ODD = (TypeError, ValueError, ArithmeticError, AttributeError, LookupError)
"""What Python raises where a check meets a value of an unexpected type."""
_JINJA = ("{{", "{%", "{#")
DEPTH = 20


class CheckedType(type):
    """Checks the arguments of an instance after all of its ``__init__``, which only assign."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        instance = super().__call__(*args, **kwargs)
        instance.check_arguments(is_rendered=False)
        return instance


class CheckedOperatorType(CheckedType, BaseOperatorMeta):
    """The metaclass of operators and sensors whose arguments are checked."""


class CheckedMixin:
    """Checks arguments one by one, and together. The class that it is mixed into takes them.

    They are checked twice: when the operator is made, without those that hold a template, and once rendered.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {}
    """The check of each argument by itself; those of all superclasses count."""

    template_fields: Collection[str]
    template_ext: Sequence[str]

    def joint_checks(self) -> Iterable[tuple[Collection[str], Callable[[], object]]]:
        """Checks of several arguments together: their names, and a function that raises where they do not fit."""
        return ()

    def check_arguments(self, *, is_rendered: bool = True) -> None:
        """Raise one :class:`ConfigurationError` for all arguments that are wrong.

        :param is_rendered: False leaves out arguments that hold a template.
        """
        open_names = set() if is_rendered else {name for name in self.template_fields if self._holds_template(name)}
        given = {name: getattr(self, name) for name in checks_of(type(self)) if name not in open_names}
        check_each(type(self), given)
        for names, check in self.joint_checks():
            if not open_names & set(names):
                tried(names, check)

    def _holds_template(self, name: str) -> bool:
        value = getattr(self, name)
        return holds_template(value) or (isinstance(value, str) and value.endswith(tuple(self.template_ext)))

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """As Airflow's, and checks the arguments: a mapped operator itself is made only when its task runs."""
        fields = set(cls.template_fields)
        check_each(
            cls, {name: value for name, value in kwargs.items() if name not in fields or not holds_template(value)}
        )
        return super().partial(**kwargs)  # type: ignore[misc]


class HookMixin(Generic[H]):
    """Has a connection and its hook."""

    hook_class: ClassVar[str]
    """Dotted path of the hook; it is imported when a task runs, as requests and Authlib are slow to import."""

    @property
    def conn_id(self) -> str:
        """The connection's id; each subclass has an argument of its own for it."""
        raise NotImplementedError

    @cached_property
    def hook(self) -> H:
        """The connection's hook."""
        from airflow.sdk.module_loading import import_string

        return import_string(self.hook_class)(self.conn_id)  # type: ignore[no-any-return]


def checks_of(kind: type) -> dict[str, Check]:
    """The checks of a class and its superclasses, by argument."""
    fields: Collection[str] = getattr(kind, "template_fields", ())
    connections = {name: connection_id for name in fields if name.endswith("conn_id")}
    own = {name: one for base in reversed(kind.__mro__) for name, one in vars(base).get("argument_checks", {}).items()}
    return connections | own


def check_each(kind: type, given: Mapping[str, Any]) -> None:
    """Raise one error for all of the given arguments that are wrong."""
    problems = []
    for name, check in checks_of(kind).items():
        if name not in given:
            continue
        try:
            tried((name,), partial(check, name, given[name]))
        except ConfigurationError as error:
            problems.append(str(error))
    if problems:
        raise ConfigurationError("; ".join(problems))


def tried(names: Collection[str], check: Callable[[], object]) -> None:
    """Run a check; any error of Python becomes one that names the arguments."""
    try:
        check()
    except _ODD as cause:
        raise ConfigurationError(f"{', '.join(names)}: a value cannot be read: {described(cause)}") from cause


def holds_template(value: object, depth: int = DEPTH) -> bool:
    """Whether a value is rendered before the task runs: it holds Jinja, or the result of another task."""
    if isinstance(value, str):
        return any(mark in value for mark in _JINJA)
    if depth == 0 or hasattr(value, "iter_references"):  # Airflow's XComArgs, literals and mapped arguments
        return True
    if isinstance(value, Mapping):
        return any(holds_template(one, depth - 1) for pair in value.items() for one in pair)
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(holds_template(one, depth - 1) for one in value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return True  # mapped output: each item costs a request, so it is read only when the task runs
    names: Sequence[str] = getattr(value, "template_fields", ())
    return any(holds_template(getattr(value, name), depth - 1) for name in names)
