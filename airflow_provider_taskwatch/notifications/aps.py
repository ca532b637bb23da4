"""The notifier that informs users of an APS platform about a DAG run or a task."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from airflow.providers.common.compat.sdk import conf
from airflow.sdk import BaseNotifier

from airflow_provider_taskwatch.core.check import Check, choice, flag
from airflow_provider_taskwatch.core.error import ConfigurationError, described
from airflow_provider_taskwatch.core.text import line
from airflow_provider_taskwatch.systems.aps.notification import ApsNotification, check_type, run_context, task_context
from airflow_provider_taskwatch.systems.aps.text import LocalizedMessage, Text, localized, placeholders
from airflow_provider_taskwatch.task.base import CheckedMixin, CheckedType, HookMixin

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_taskwatch.hooks.aps import ApsHook  # noqa: F401 - named as a string below

ABOUT = ("dag_run", "task")
TITLES = {"dag_run": "__dag__", "task": "__dag__: __task__"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The subject of a callback, from its context; what the context does not say is empty.

    :param map_index: -1, or None, for a task that is not mapped.
    :param reason: the reason of the callback: an exception, Airflow's own reason, a missed deadline.
    """

    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    map_index: int | None = None
    reason: str = ""

    @property
    def run_context(self) -> str:
        """The context of the DAG run's notification; empty where no run is known."""
        return run_context(self.dag_id, self.run_id) if self.dag_id and self.run_id else ""

    @property
    def task_context(self) -> str:
        """The context of the task instance's notification."""
        ids = (self.dag_id, self.run_id, self.task_id, self.map_index)
        return task_context(*ids) if self.run_context and self.task_id else ""

    def url(self, about: str) -> str:
        """Airflow's own page; its first one where no run is known."""
        base = str(conf.get("api", "base_url", fallback="http://localhost:8080")).rstrip("/")
        if not self.run_context:
            return base
        run = f"{base}/dags/{quote(self.dag_id)}/runs/{quote(self.run_id, safe='')}"
        mapped = f"/mapped/{self.map_index}" if self.map_index is not None and self.map_index >= 0 else ""
        return f"{run}/tasks/{quote(self.task_id)}{mapped}" if about == "task" else run


def subject_of(context: Mapping[str, Any]) -> Subject:
    """The subject of a callback: of a task, of a DAG (whose context may be short), of a deadline alert (likewise)."""
    ti, run = context.get("ti"), context.get("dag_run")
    known = run if isinstance(run, Mapping) else {}
    return Subject(
        dag_id=str(
            _first(getattr(ti, "dag_id", None), getattr(context.get("dag"), "dag_id", None), known.get("dag_id"))
        ),
        run_id=str(_first(getattr(ti, "run_id", None), context.get("run_id"), known.get("dag_run_id"))),
        task_id=str(_first(getattr(ti, "task_id", None))),
        map_index=getattr(ti, "map_index", None),
        reason=line(_reason(context)),
    )


def _first(*values: object) -> object:
    return next(filter(None, values), "")


def _reason(context: Mapping[str, Any]) -> str:
    if error := context.get("exception"):
        return described(error) if isinstance(error, BaseException) else str(error)
    deadline = context.get("deadline")
    if isinstance(deadline, Mapping):
        return f"the deadline was {deadline.get('deadline_time')}"
    return str(context.get("reason") or "")


class ApsNotifier(CheckedMixin, HookMixin["ApsHook"], BaseNotifier, metaclass=CheckedType):
    """Shows the users of an APS platform the state of a DAG run or a task, in one notification that each call edits.

    The notification is found again by its context, which is made of the ids of DAG and run (and task); the first call
    sends it. A DAG has no callback for its start: use the ``on_execute_callback`` of a task, or an
    ``ApsSendNotificationOperator(about="dag_run")`` as the first task.

    ``ApsNotifier(status="inProgress")`` is for ``on_execute_callback``, ``status="ready"`` for ``on_success_callback``,
    ``status="error"`` for ``on_failure_callback`` and for deadline alerts (``AsyncCallback``, ``SyncCallback``).

    Texts are those of :class:`~..operators.aps.ApsMessageOperator`. The keys ``dag``, ``run``, ``task``, ``url`` (of
    Airflow's page) and ``reason`` (an exception, for example, so consider who reads it) are given.

    :param status: ``inProgress``, ``ready`` or ``error``; of a warning ``upcoming`` or ``existing``.
    :param about: the ``dag_run``, or the ``task``. The notification of a task is a child of that of its run, if there
        is one, and does not pop up then.
    :param message: the title. None: the names of DAG and task.
    :param details: a short text in the list of notifications. None: the id of the run.
    :param full_details: the text of the opened notification. None: the run and the address of Airflow's page.
    :param literal: show the given texts as they are: ``__name__`` is not a place for a key.
    :param account_id: APS id of an account, all of whose users are addressed.
    :param user_id: APS id of the user who is addressed.
    :param message_context: the notification's context, instead of the one made of ids. It is required if a callback's
        context names neither DAG nor run. ``context`` is Airflow's name for its own.
    :param type: ``activity`` or ``warning``.
    :param link: a view of the panel.
    :param package_id: APS id of the package that sends. Empty: that of the connection.
    :param service: the service that sends. Empty: that of the connection.
    :param aps_conn_id: an Airflow connection of the type ``aps``.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {"about": choice(*ABOUT), "literal": flag}
    template_fields: Sequence[str] = (
        "message",
        "details",
        "full_details",
        "account_id",
        "user_id",
        "message_context",
        "link",
        "package_id",
        "service",
        "aps_conn_id",
    )
    hook_class = "airflow_provider_taskwatch.hooks.aps.ApsHook"

    def __init__(
        self,
        *,
        status: str,
        about: str = "dag_run",
        message: Text | None = None,
        details: Text | None = None,
        full_details: Text | None = None,
        account_id: str = "",
        user_id: str = "",
        message_context: str = "",
        type: str = "activity",  # noqa: A002 - the vendor's name
        link: str = "",
        package_id: str = "",
        service: str = "",
        aps_conn_id: str = "aps_default",
        literal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.status = status
        self.about = about
        self.message = message
        self.details = details
        self.full_details = full_details
        self.account_id = account_id
        self.user_id = user_id
        self.message_context = message_context
        self.type = type
        self.link = link
        self.package_id = package_id
        self.service = service
        self.aps_conn_id = aps_conn_id
        self.literal = literal

    @property
    def conn_id(self) -> str:
        return self.aps_conn_id

    def joint_checks(self) -> Iterable[tuple[Collection[str], Callable[[], object]]]:
        yield ("type", "status"), lambda: check_type(self.type, self.status)

    def notify(self, context: Context) -> None:
        """Send or edit the notification, on a worker or in the DAG processor."""
        message, under = self._message(context)
        self.hook.run(self.hook.system.announce(message, under=under))

    async def async_notify(self, context: Context) -> None:
        """Send or edit the notification, in a triggerer, where deadline alerts run."""
        message, under = self._message(context)
        system = await self.hook.asystem()
        await self.hook.arun(system.announce(message, under=under))

    def _message(self, context: Context) -> tuple[ApsNotification, str]:
        """The notification, and the context of its parent."""
        self.check_arguments()
        subject = subject_of(context)
        under = subject.run_context if self.about == "task" else ""
        usual = (TITLES[self.about], "__run__", "__run__: __url__") if subject.run_context else (None, None, None)
        message = ApsNotification(
            message=self._text("message", usual[0], subject),
            details=self._text("details", usual[1], subject),
            full_details=self._text("full_details", usual[2], subject),
            type=self.type,
            status=self.status,
            link=self.link,
            package_id=self.package_id,
            service=self.service,
            account_id=self.account_id,
            user_id=self.user_id,
            context=self.message_context or self._context_of(subject),
        )
        return message, under

    def _context_of(self, subject: Subject) -> str:
        own = subject.task_context if self.about == "task" else subject.run_context
        if not own:
            raise ConfigurationError(
                f"the context of this callback names no {self.about.replace('dag_run', 'DAG run')}, as that of a "
                "deadline alert may not: give message_context=, by which the notification is found again"
            )
        return own

    def _text(self, name: str, usual: str | None, subject: Subject) -> LocalizedMessage | None:
        """A text, the usual one where none is given, with those of our own keys that it has a place for."""
        given = getattr(self, name)
        text = localized(name, given or usual, literal=self.literal and bool(given))
        if text is None:
            return None
        ours = {
            "dag": subject.dag_id,
            "run": subject.run_id,
            "task": subject.task_id,
            "url": subject.url(self.about),
            "reason": subject.reason,
        }
        wanted = placeholders(text) - {*text.keys, *text.multilang_keys}
        return replace(text, keys={**{key: ours[key] for key in wanted if key in ours}, **text.keys})
