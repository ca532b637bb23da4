"""Operators for Acronis' Event Manager."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_taskwatch.core.check import Check, listed
from airflow_provider_taskwatch.core.text import shortened
from airflow_provider_taskwatch.systems.acronis.subscription import check_wish, feed_options
from airflow_provider_taskwatch.task.base import CheckedMixin, CheckedOperatorType, HookMixin
from airflow_provider_taskwatch.task.feed_operator import ReadFeedOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_taskwatch.hooks.acronis import AcronisHook  # noqa: F401 - named as a string below


class AcronisOperator(CheckedMixin, HookMixin["AcronisHook"], BaseOperator, metaclass=CheckedOperatorType):
    """What the operators of this module have in common.

    :param acronis_conn_id: an Airflow connection of the type ``acronis``.
    """

    template_fields: Sequence[str] = ("acronis_conn_id",)
    ui_color = "#e3f1dd"
    hook_class = "airflow_provider_taskwatch.hooks.acronis.AcronisHook"

    def __init__(self, *, acronis_conn_id: str = "acronis_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.acronis_conn_id = acronis_conn_id

    @property
    def conn_id(self) -> str:
        return self.acronis_conn_id


class AcronisCreateSubscriptionOperator(AcronisOperator):
    """Subscribes to events, and returns the subscription; other operators take its ``subscription_id``.

    The id is a hash of the arguments, so a retry or another run finds the subscription that exists: the server can
    neither list nor delete any. Other arguments make another subscription.

    :param topic: the topic, such as ``cti.a.p.em.topic.v1.0~a.p.task.v1.0``.
    :param types: one or more event types, such as ``cti.a.p.em.event.v1.0~a.p.task.*``; ``*`` may stand at the end.
    :param tenant_depth: ``CURRENT``, ``DIRECT`` (with direct children), or ``ALL``.
    :param tenant_id: the root of the tenants. None: the tenant of the client.
    :param subject_types: one or more types of the subject of the events.
    :param cel: a condition in CEL on ``event.``
    :param consumer: who keeps the offset, in the vendor's words: ``stateful`` (the reader), ``stateless`` (the server,
        after a commit), ``auto_commit`` (the server).
    :param session_timeout: ISO 8601: how long the server waits for a silent reader before it serves another one.
    :param auto_commit_interval: ISO 8601: how often the server commits for the consumer ``auto_commit``. None: the
        server's own interval.
    """

    argument_checks: ClassVar[Mapping[str, Check]] = dict.fromkeys(
        ("tenant_depth", "consumer", "session_timeout", "auto_commit_interval"), check_wish
    )
    template_fields: Sequence[str] = (
        "topic",
        "types",
        "tenant_depth",
        "tenant_id",
        "subject_types",
        "cel",
        "consumer",
        "session_timeout",
        "auto_commit_interval",
        "acronis_conn_id",
    )

    def __init__(
        self,
        *,
        topic: str,
        types: str | Sequence[str],
        tenant_depth: str = "ALL",
        tenant_id: str | None = None,
        subject_types: str | Sequence[str] | None = None,
        cel: str | None = None,
        consumer: str = "stateful",
        session_timeout: str = "PT30S",
        auto_commit_interval: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.topic = topic
        self.types = types
        self.tenant_depth = tenant_depth
        self.tenant_id = tenant_id
        self.subject_types = subject_types
        self.cel = cel
        self.consumer = consumer
        self.session_timeout = session_timeout
        self.auto_commit_interval = auto_commit_interval

    def execute(self, context: Context) -> dict[str, Any]:
        self.check_arguments()
        subscription = self.hook.create_subscription(
            topic=self.topic,
            types=listed("types", self.types),
            tenant_depth=self.tenant_depth,
            tenant_id=self.tenant_id,
            subject_types=listed("subject_types", self.subject_types),
            cel=self.cel,
            consumer=self.consumer,
            session_timeout=self.session_timeout,
            auto_commit_interval=self.auto_commit_interval,
        )
        return dict(shortened(subscription))


class AcronisCommitOffsetOperator(AcronisOperator):
    """Commits an offset for a stateless consumer, and returns the server's reply.

    :param subscription_id: the UUID of the subscription.
    :param offset: the offset of the last event that was processed, as a number or as text.
    """

    template_fields: Sequence[str] = ("subscription_id", "offset", "acronis_conn_id")

    def __init__(self, *, subscription_id: str, offset: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.subscription_id = subscription_id
        self.offset = offset

    def execute(self, context: Context) -> dict[str, Any]:
        self.check_arguments()
        return dict(shortened(self.hook.commit_offset(self.subscription_id, self.offset)))


class AcronisReadEventsOperator(ReadFeedOperator):
    """Reads the events since the last run. See :class:`~..task.feed_operator.ReadFeedOperator`.

    Events of a ``stateless`` consumer are committed when they are in the inbox. The position of this task's reader
    moves when they are delivered.

    :param topic: the topic, such as ``cti.a.p.em.topic.v1.0~a.p.task.v1.0``.
    :param types: one or more event types, such as ``cti.a.p.em.event.v1.0~a.p.task.*``; ``*`` may stand at the end.
    :param cel: a condition in CEL on ``event.``, which the server applies.
    :param subscription: more fields of the subscription; see :class:`AcronisCreateSubscriptionOperator`.
    :param acronis_conn_id: an Airflow connection of the type ``acronis``.
    """

    template_fields: Sequence[str] = (
        "topic",
        "types",
        "cel",
        "subscription",
        "acronis_conn_id",
        *ReadFeedOperator.template_fields,
    )
    ui_color = "#e3f1dd"
    hook_class = "airflow_provider_taskwatch.hooks.acronis.AcronisHook"

    def __init__(
        self,
        *,
        topic: str,
        types: str | Sequence[str],
        cel: str | None = None,
        subscription: Mapping[str, Any] | None = None,
        acronis_conn_id: str = "acronis_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.topic = topic
        self.types = types
        self.cel = cel
        self.subscription = subscription
        self.acronis_conn_id = acronis_conn_id

    @property
    def conn_id(self) -> str:
        return self.acronis_conn_id

    def feed_options(self) -> dict[str, Any]:
        return feed_options(self)
