"""Operators that send, edit, delete and read the notifications of an APS platform."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_taskwatch.core.check import Check, choice, flag, text
from airflow_provider_taskwatch.core.error import NotFoundError
from airflow_provider_taskwatch.core.text import EVENTS_CHARACTERS, bounded, safe, shortened
from airflow_provider_taskwatch.systems.aps.listing import notification_ref
from airflow_provider_taskwatch.systems.aps.notification import (
    SETTABLE,
    TEXTS,
    ApsNotification,
    as_result,
    check_type,
    run_context,
    task_context,
)
from airflow_provider_taskwatch.systems.aps.text import Text, localized
from airflow_provider_taskwatch.task.base import CheckedMixin, CheckedOperatorType, HookMixin
from airflow_provider_taskwatch.task.output import Output
from airflow_provider_taskwatch.task.result import OutputMixin

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_taskwatch.hooks.aps import ApsHook  # noqa: F401 - named as a string below


def fields_of(task: Any) -> dict[str, Any]:
    """The fields of a notification that a task was given, but its context; from its rendered arguments."""
    texts = {name: localized(name, getattr(task, name), literal=task.literal) for name in TEXTS}
    given = {name: getattr(task, name) for name in SETTABLE if name not in (*TEXTS, "context")}
    plain = {name: text(name, value) for name, value in given.items() if value not in (None, "")}
    return {name: value for name, value in texts.items() if value is not None} | plain


def type_or_none(name: str, value: Any) -> None:
    """A check of a type that need not be given."""
    if value is not None:
        check_type(value)


class ApsOperator(CheckedMixin, HookMixin["ApsHook"], BaseOperator, metaclass=CheckedOperatorType):
    """What the operators of the notification manager have in common.

    :param aps_conn_id: an Airflow connection of the type ``aps``.
    :param include_personal: put personal data (users, initiators, addresses) into the result.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {"include_personal": flag}
    ui_color = "#e8e4f6"
    hook_class = "airflow_provider_taskwatch.hooks.aps.ApsHook"

    def __init__(self, *, aps_conn_id: str = "aps_default", include_personal: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.aps_conn_id = aps_conn_id
        self.include_personal = include_personal

    @property
    def conn_id(self) -> str:
        return self.aps_conn_id

    def whole(self, message: ApsNotification) -> dict[str, Any]:
        """A notification, as much of it as is wanted."""
        return as_result(message, self.hook.system.locale, personal=self.include_personal)

    def result(self, message: ApsNotification) -> dict[str, Any]:
        """A notification as XCom."""
        return dict(shortened(self.whole(message)))


class ApsMessageOperator(ApsOperator):
    """The arguments of sending and of editing a notification.

    A text is a string, a :class:`~..systems.aps.text.LocalizedMessage`, or a dict in the vendor's form: ``{"message":
    "Load of __day__", "keys": {"day": "{{ ds }}"}, "multilangKeys": {...}}``. Each ``__key__`` must be given, and each
    key used, in every language. Put foreign texts, in which ``__`` may occur, into ``keys``, or set ``literal``.

    :param message: the title.
    :param status: of an activity ``inProgress``, ``ready`` or ``error``; of a warning ``upcoming`` or ``existing``.
    :param type: ``activity`` or ``warning``.
    :param details: a short text in the list of notifications.
    :param full_details: the text of the opened notification.
    :param link: a view of the panel, such as ``/v/aps/samples/async1pn/servers``.
    :param link_more: another view of the panel.
    :param link_more_text: the label of ``link_more``.
    :param package_id: APS id of the package that sends. None: that of the connection.
    :param service: the service that sends. None: that of the connection.
    :param account_id: APS id of an account, all of whose users are addressed. The vendor requires neither this nor
        ``user_id``, and does not say who is addressed without them.
    :param user_id: APS id of the user who is addressed.
    :param initiator_id: APS id of the user who started the activity.
    :param parent_id: id of another notification; its children do not pop up.
    :param ip_address: the vendor's field ``ipAddress``.
    :param literal: show the texts as they are: ``__name__`` is not a place for a key, and keys are left out.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {"type": type_or_none, "literal": flag}
    template_fields: Sequence[str] = (
        "message",
        "status",
        "details",
        "full_details",
        "link",
        "link_more",
        "link_more_text",
        "package_id",
        "service",
        "account_id",
        "user_id",
        "initiator_id",
        "parent_id",
        "aps_conn_id",
    )
    template_fields_renderers = dict.fromkeys(TEXTS, "json")

    def __init__(
        self,
        *,
        message: Text | None = None,
        status: str | None = None,
        type: str | None = None,  # noqa: A002 - the vendor's name
        details: Text | None = None,
        full_details: Text | None = None,
        link: str | None = None,
        link_more: str | None = None,
        link_more_text: Text | None = None,
        package_id: str | None = None,
        service: str | None = None,
        account_id: str | None = None,
        user_id: str | None = None,
        initiator_id: str | None = None,
        parent_id: str | None = None,
        ip_address: str | None = None,
        literal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.message = message
        self.status = status
        self.type = type
        self.details = details
        self.full_details = full_details
        self.link = link
        self.link_more = link_more
        self.link_more_text = link_more_text
        self.package_id = package_id
        self.service = service
        self.account_id = account_id
        self.user_id = user_id
        self.initiator_id = initiator_id
        self.parent_id = parent_id
        self.ip_address = ip_address
        self.literal = literal


class ApsSendNotificationOperator(ApsMessageOperator):
    """Sends a notification once, and returns it, with its ``id`` and ``context``.

    The context is made of the ids of the task instance. A retry, or a cleared task, edits the notification that has
    this context, so there is never a second one.

    :param about: what the context is made of: the ids of the ``task``, or of the ``dag_run``, for which an
        ``ApsNotifier`` at the end of the run looks.
    :param context_group: the beginning of the context, instead of the ids of DAG, run and task; the context is this, a
        dot, and 12 hex digits. An ``ApsNotifier`` looks for the context without a group.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {"about": choice("task", "dag_run")}
    template_fields: Sequence[str] = ("context_group", *ApsMessageOperator.template_fields)

    def __init__(self, *, about: str = "task", context_group: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.about = about
        self.context_group = context_group

    def execute(self, context: Context) -> dict[str, Any]:
        self.check_arguments()
        ti = context["ti"]
        group = text("context_group", self.context_group) if self.context_group else ""
        mine = (
            run_context(ti.dag_id, ti.run_id, group=group)
            if self.about == "dag_run"
            else task_context(ti.dag_id, ti.run_id, ti.task_id, ti.map_index, group=group)
        )
        sent = self.hook.announce(ApsNotification(**fields_of(self), context=mine))
        self.log.info("notification %s shows the status %s", sent.id, sent.status)
        return self.result(sent)


class ApsEditNotificationOperator(ApsMessageOperator):
    """Changes a notification, and returns it. Fields that are not given keep their values.

    :param notification_id: the id of the notification, or the result of the task that sent it.
    :param context: instead of an id, the whole context; of several notifications the last one is changed.
    """

    template_fields: Sequence[str] = ("notification_id", "context", *ApsMessageOperator.template_fields)

    def __init__(
        self, *, notification_id: str | Mapping[str, Any] | None = None, context: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.notification_id = notification_id
        self.context = context

    def execute(self, context: Context) -> dict[str, Any]:
        self.check_arguments()
        ref = self.hook.system.check_ref(notification_ref(self.notification_id, self.context))
        edited = self.hook.run(self.hook.system.change(ref, fields_of(self)))
        self.log.info("notification %s shows the status %s", edited.id, edited.status)
        return self.result(edited)


class ApsDeleteNotificationOperator(ApsOperator):
    """Deletes a notification, and returns the platform's reply: the notification, a text, or nothing.

    :param notification_id: the id of the notification, or the result of the task that sent it.
    :param on_missing: what it means if there is no such notification: ``succeed`` or ``fail``.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {"on_missing": choice("succeed", "fail")}
    template_fields: Sequence[str] = ("notification_id", "aps_conn_id")

    def __init__(self, *, notification_id: str | Mapping[str, Any], on_missing: str = "succeed", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.notification_id = notification_id
        self.on_missing = on_missing

    def execute(self, context: Context) -> dict[str, Any] | str | None:
        self.check_arguments()
        ref = notification_ref(self.notification_id, None)
        try:
            deleted = self.hook.delete_notification(ref)
        except NotFoundError:
            if self.on_missing == "fail":
                raise
            self.log.info("notification %s was gone already", ref)
            return None
        return self.result(deleted) if isinstance(deleted, ApsNotification) else deleted


class ApsListNotificationsOperator(OutputMixin, ApsOperator):
    """Reads notifications. The result is a list of them; for ``display`` it is a dict with three lists.

    An XCom has up to 1,000,000 characters of them; the log says what is left out.

    :param view: ``channel``, ``context``, ``activity_log``, or ``display``: what a panel shows, in the groups
        ``warnings``, ``inProgressActivities`` and ``otherActivities``, the last with the ten latest.
    :param context: for the view of that name; ``*`` stands for any characters.
    :param channel: for the view of that name. None: the channel of the caller.
    :param output_path: write all of them there, as JSON, and return ``path`` and ``count``: a path on the worker, or an
        address of Airflow's object storage, such as ``s3://conn@bucket/{{ run_id }}.json``.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = {
        "view": choice("channel", "context", "activity_log", "display"),
    }
    template_fields: Sequence[str] = ("view", "context", "channel", "aps_conn_id", "output_path")

    def __init__(
        self,
        *,
        view: str,
        context: str | None = None,
        channel: str | None = None,
        output_path: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.view = view
        self.context = context
        self.channel = channel

    def execute(self, context: Context) -> Any:
        self.check_arguments()
        self.check_output()
        return self._delivered(self._display() if self.view == "display" else self._list())

    def _delivered(self, found: list[Any] | dict[str, list[Any]]) -> Any:
        if self.output_path:
            path = Output(self.output_path).write([f"{json.dumps(safe(found))}\n"])
            groups = found.values() if isinstance(found, dict) else [found]
            return {"path": path, "count": sum(map(len, groups))}
        kept = bounded(found, EVENTS_CHARACTERS)
        if kept.loss:
            self.log.warning("the result is too long for an XCom: %s; set output_path= to get all of it", kept.loss)
        return kept.value

    def _list(self) -> list[dict[str, Any]]:
        read = {
            "channel": lambda: self.hook.get_notifications(self.channel),
            "context": lambda: self.hook.get_last_notification_messages_by_context(text("context", self.context)),
            "activity_log": self.hook.activity_log,
        }
        return [self.whole(one) for one in read[self.view]()]

    def _display(self) -> dict[str, list[dict[str, Any]]]:
        shown = self.hook.get_display_messages()
        groups = {
            "warnings": shown.warnings,
            "inProgressActivities": shown.in_progress_activities,
            "otherActivities": shown.other_activities,
        }
        return {name: [self.whole(one) for one in group] for name, group in groups.items()}
