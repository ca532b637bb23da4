"""``@task.rest``: the function returns the inputs of a task at any REST API."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    DecoratedOperator,
    TaskDecorator,
    context_merge,
    task_decorator_factory,
)

from airflow_provider_taskwatch.compat.decorator import determine_kwargs
from airflow_provider_taskwatch.core.check import shown
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.operators.rest import RestTaskOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class RestDecoratedOperator(DecoratedOperator, RestTaskOperator):
    """A :class:`~..operators.rest.RestTaskOperator` whose inputs a function returns.

    The function runs in each attempt, before anything is sent. Where it returns other inputs on a retry,
    ``on_changed_inputs`` applies.
    """

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, "conn_id", "output_path")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **RestTaskOperator.template_fields_renderers,
    }
    custom_operator_name = "@task.rest"
    has_inputs = False
    """Whether the function has returned them."""

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if "inputs" in kwargs:
            raise ConfigurationError("@task.rest takes no inputs: the function returns them")
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            **{**kwargs, "multiple_outputs": False},
        )

    def check_inputs(self) -> None:
        if self.has_inputs:
            super().check_inputs()

    def execute(self, context: Context) -> Any:
        self._set_inputs(self._returned(context))
        return RestTaskOperator.execute(self, context)

    def use_kept_inputs(self, kept: Mapping[str, Any] | None, context: Context) -> None:
        self._set_inputs(self._returned(context) if kept is None else kept)

    def _set_inputs(self, inputs: Mapping[str, Any]) -> None:
        self.inputs, self.has_inputs = inputs, True

    def _returned(self, context: Context) -> Mapping[str, Any]:
        """The inputs that the function returns."""
        context_merge(context, self.op_kwargs)
        arguments = determine_kwargs(self.python_callable, self.op_args, context)
        inputs = self.python_callable(*self.op_args, **arguments)
        if not isinstance(inputs, Mapping):
            raise ConfigurationError(
                f"the function of @task.rest must return the inputs as a dict, not {shown(inputs)}"
            )
        return inputs


def rest_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """Makes a function into a task at any REST API: what it returns, a dict, is the inputs.

    The arguments are those of :class:`~..operators.rest.RestTaskOperator`, without ``inputs``. The function runs in
    each attempt, before anything is sent. Where it returns other inputs on a retry, ``on_changed_inputs`` applies.

    :raises ConfigurationError: for a bare ``@task.rest``, as a task needs a connection, at least.
    """
    if python_callable is not None:
        raise ConfigurationError("@task.rest needs arguments: @task.rest(conn_id=..., profile=...)")
    made: TaskDecorator = task_decorator_factory(decorated_operator_class=RestDecoratedOperator, **kwargs)
    return made
