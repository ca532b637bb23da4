"""Asking a remote to call back when it is done: what users may say about it, and the address that names one start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.systems.automic.callback import check_names
from airflow_provider_taskwatch.task.setting import now

CHANNEL = "automic"
_OURS = "authorization"


@dataclass(kw_only=True)
class AutomicCallback:
    """How an Automation Engine calls back. What it sends is a hint: the execution is looked at before it counts.

    ``headers`` and ``url`` may be templates.

    :param headers: sent along by the engine, for whatever stands before the receiver; ``Authorization`` is ours.
    :param url: where the engine reaches the receiver, if not at ``[taskwatch] callback_base_url``.
    :param payload: where the engine has a TEMPLATE_EXECUTION of its own: the names of the vendor's template, and those
        in yours, as ``{"runid": "execution_id"}``. Read are ``runid``, ``execution_status`` and the ``last_error_*``.
    :param keep: names in the payload whose values belong into the result, under ``callback``: object variables,
        archive keys. They are not confirmed by anything.
    """

    template_fields: ClassVar[Sequence[str]] = ("headers", "url")

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str = ""
    payload: Mapping[str, str] = field(default_factory=dict)
    keep: Sequence[str] = ()

    def check(self) -> None:
        """Raise :class:`ConfigurationError` for what the engine, or the receiver, would not understand."""
        check_names(self.payload)
        if isinstance(self.keep, str):
            raise ConfigurationError(f"keep must be a list of names, not {self.keep!r:.80}")
        if mine := [name for name in self.headers if name.lower() == _OURS]:
            raise ConfigurationError(
                f"the header {mine[0]} of a callback is ours: it proves to the receiver who calls; name another one"
            )


def callback_to(callback: AutomicCallback, start_id: str, deadline: datetime | None) -> tuple[str, dict[str, str]]:
    """The address for the callback of one start, and the headers to send along."""
    from airflow.sdk.log import mask_secret

    from airflow_provider_taskwatch.config.callback import base_url_problem, callback_options
    from airflow_provider_taskwatch.receiver.token import Ticket, expiry

    settings = callback_options()
    if callback.url:
        if problem := base_url_problem(callback.url, settings.require_https):
            raise ConfigurationError(problem.replace("[taskwatch] callback_base_url", "AutomicCallback(url=...)", 1))
        settings = replace(settings, base_url=callback.url.rstrip("/"))
    ticket = Ticket(channel=CHANNEL, start_id=start_id, expires_at=expiry(deadline, now()))
    made = settings.callback_address(ticket)
    for secret in (made.url.rpartition("/")[2], made.bearer):
        mask_secret(secret)
    return made.url, {**callback.headers, "Authorization": made.authorization}
