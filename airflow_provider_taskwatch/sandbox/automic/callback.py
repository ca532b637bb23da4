"""Automic's callbacks: which starts may have one, when the next attempt is due, and when the engine gives up.

* https://docs.automic.com/documentation/WEBHELP/English/all/components/DOCU/21.0.5/Automic%20Automation%20Guides/Content/REST_API/AE_REST_API_General_PollingCallback.htm
* https://docs.automic.com/documentation/webhelp/english/ALL/components/DOCU/21.0.4/Automic%20Automation%20Guides/Content/AWA/Variables/UC_CALLBACK_SETTINGS.htm

Unknown, and therefore ours: that the method is POST and only 2xx a good answer, and that a start is refused whose
callback does not use HTTPS where it must.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from airflow_provider_taskwatch.sandbox.setting import SPEED, OneOf

from .payload import SHAPES

MIN_INTERVAL_SECONDS = 30.0
DELIVERED, GIVEN_UP = "1900", "1800"


@dataclass(kw_only=True)
class CallbackSettings:
    """How an engine calls back: the keys of its variable UC_CALLBACK_SETTINGS, and what only an emulator has.

    :param language: of status texts, ``en`` or ``de``.
    :param callback_attempts: CALLBACK_ATTEMPTS. 1: the initial try and no other; N: the initial try and N more.
    :param callback_interval: CALLBACK_INTERVAL, seconds between two attempts; less than 30 counts as 30.
    :param callback_interval_exp: CALLBACK_INTERVAL_EXP: by which power of the number of failed attempts the
        interval is multiplied: 0 (constant), 1 (linear) or 2 (squared).
    :param callback_https_only: whether a start is refused whose callback does not use HTTPS.
    :param callback_template: TEMPLATE_EXECUTION; empty: a default payload.
    :param callback_payload: which default payload: ``padded``, ``plain`` or ``named``.
    :param callback_speed: the factor by which the intervals pass faster.
    :param callback_timeout: seconds without an answer after which an attempt has failed.
    :param callback_ca_bundle: path of the certificates that receivers are checked against; empty: the system's.
    """

    language: Literal["en", "de"] = "en"
    callback_attempts: int = 3
    callback_interval: float = MIN_INTERVAL_SECONDS
    callback_interval_exp: Literal[0, 1, 2] = 0
    callback_https_only: bool = False
    callback_template: str = ""
    callback_payload: Annotated[str, OneOf(SHAPES)] = "padded"
    callback_speed: Annotated[float, SPEED] = 1.0
    callback_timeout: float = 10.0
    callback_ca_bundle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSubscription:
    """The callback section of a start.

    :param client: of the engine, as the start's path has it.
    :param early_at: unix seconds when it is sent although the execution has not ended; None: only at the end.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    client: str = ""
    early_at: float | None = None


def subscription(content: Mapping[str, Any], client: str) -> CallbackSubscription | None:
    """What a start asks for; None where that is nothing, and where it recurs: then a callback has no effect."""
    if not content.get("callback") or content.get("execution_option") == "recurring":
        return None
    wanted = content["callback"]["http"]
    headers = {name: str(value) for name, value in (wanted.get("headers") or {}).items()}
    return CallbackSubscription(url=wanted["url"], headers=headers, client=client)


def problem(content: Mapping[str, Any], *, https_only: bool) -> str:
    """What is wrong with the callback section of a start; empty where nothing is."""
    wanted = content.get("callback")
    if not wanted:
        return ""
    http = wanted.get("http") if isinstance(wanted, Mapping) and wanted.get("type") == "http" else None
    if not isinstance(http, Mapping) or not isinstance(http.get("headers") or {}, Mapping):
        return "callback must have the type http, and a section http with url and headers."
    to = urlsplit(str(http.get("url") or ""))
    if to.scheme not in ("http", "https") or not to.hostname:
        return "callback has no URL that could be called."
    return "callback must use HTTPS." if https_only and to.scheme != "https" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The progress of one callback.

    :param due: unix seconds of the next attempt; None while one is under way, and after the last.
    :param failed: attempts that have failed.
    :param end_status: of its entry, once it is delivered or given up.
    """

    due: float | None
    failed: int = 0
    end_status: str = ""

    def is_due(self, now: float) -> bool:
        return self.due is not None and self.due <= now


def after(schedule: Schedule, answer: int | None, now: float, settings: CallbackSettings) -> Schedule:
    """The progress after an attempt.

    :param answer: HTTP status; None where there was none.
    """
    if answer is not None and 200 <= answer < 300:
        return replace(schedule, due=None, end_status=DELIVERED)
    failed = schedule.failed + 1
    if failed > retries(settings):
        return replace(schedule, due=None, failed=failed, end_status=GIVEN_UP)
    return replace(schedule, due=now + pause(failed, settings), failed=failed)


def retries(settings: CallbackSettings) -> int:
    """How many attempts follow the initial one."""
    return settings.callback_attempts if settings.callback_attempts > 1 else 0


def pause(failed: int, settings: CallbackSettings) -> float:
    """Seconds until the next attempt, after ``failed`` ones."""
    interval = max(MIN_INTERVAL_SECONDS, settings.callback_interval)
    return float(interval * failed**settings.callback_interval_exp / settings.callback_speed)
