"""The table of remotes: what a row gives, and that a remote is added by one row."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.form import Form
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.system import SystemDefaults
from airflow_provider_taskwatch.get_provider_info import get_provider_info
from airflow_provider_taskwatch.remotes import REMOTES, Remotes, RemoteSpec, load
from tests.rows import each_row

FORM = Form(connection_type="sixth", title="Sixth", auths=("bearer",))


class Sixth(SystemDefaults):
    name = "sixth"


def from_settings(settings: Settings) -> Sixth:
    return Sixth()


SIXTH = RemoteSpec(
    connection_type="sixth",
    form=f"{__name__}.FORM",
    hook=".hooks.sixth.SixthHook",
    system=f"{__name__}.from_settings",
    docs="https://sixth.example.com/",
    triggers=(".triggers.watch",),
)
SIX = Remotes((*REMOTES.rows.values(), SIXTH))


def settings_of(connection_type: str) -> Settings:
    form = load(SIX.rows[connection_type].form)
    raw = RawConnection(
        conn_id="c",
        conn_type=connection_type,
        host="https://a.example.com",
        login="me",
        password="p",
        extra=json.dumps({"token_url": "https://a.example.com/token"} if "oauth2" in form.auths else {}),
    )
    return read_connection(form, raw)


# --- one more row


def test_one_row_gives_a_form_and_a_system() -> None:
    assert SIX.form_of("c", "sixth") is FORM
    assert SIX.system_for(settings_of("sixth")).name == "sixth"
    assert [SIX.form_of("c", name) for name in ("acquia", "docplanner")] == [
        REMOTES.form_of("c", name) for name in ("acquia", "docplanner")
    ]


def test_one_row_gives_all_that_airflow_lists() -> None:
    before, after = get_provider_info(), get_provider_info(SIX)
    added = {name: new(before[name], after[name]) for name in after if before[name] != after[name]}
    [form] = added.pop("connection-types")
    assert (form["connection-type"], form["hook-name"]) == ("sixth", "Sixth")
    assert form["hook-class-name"] == "airflow_provider_taskwatch.hooks.sixth.SixthHook"
    modules = {
        "operators": "operators.sixth",
        "sensors": "sensors.sixth",
        "hooks": "hooks.sixth",
        "triggers": "triggers.watch",
    }
    assert added == {
        "integrations": [
            {"integration-name": "Sixth", "external-doc-url": "https://sixth.example.com/", "tags": ["service"]}
        ],
        **{
            kind: [{"integration-name": "Sixth", "python-modules": [f"airflow_provider_taskwatch.{module}"]}]
            for kind, module in modules.items()
        },
    }


def new(before: list[Any], after: list[Any]) -> list[Any]:
    assert after[: len(before)] == before
    return after[len(before) :]


# --- the rows that there are


def test_each_row_can_be_loaded() -> None:
    for name, row in REMOTES.rows.items():
        settings = settings_of(name)
        assert load(row.form).connection_type == name
        assert not row.system or load(row.system)(settings).name == row.modules
        assert not row.feed or callable(load(row.feed))
        assert not row.push or callable(load(row.push).read)


def test_a_remote_without_tasks_has_a_feed() -> None:
    assert REMOTES.form_of("c", "docplanner").connection_type == "docplanner"
    assert REMOTES.feed_for(settings_of("docplanner"), {}).is_consuming


TYPE, HAVE, TASKS = "connection 'c' has the type", "types that have are", "taskwatch, acquia, automic, acronis, aps"
REFUSALS: dict[str, tuple[Callable[[], object], str]] = {
    "form": (
        lambda: REMOTES.form_of("c", "http"),
        f"{TYPE} 'http', which has no tasks to watch and no events; {HAVE} {TASKS}, docplanner",
    ),
    "system of a remote with events only": (
        lambda: REMOTES.system_for(settings_of("docplanner")),
        f"{TYPE} 'docplanner', which has no tasks to watch; {HAVE} {TASKS}",
    ),
    "feed": (
        lambda: REMOTES.feed_for(settings_of("automic"), {}),
        f"{TYPE} 'automic', which has no events; {HAVE} acronis, docplanner",
    ),
    "push": (
        lambda: REMOTES.push_of("acquia"),
        "remotes of the type 'acquia' push no events; types whose remotes do are docplanner",
    ),
}


@each_row("what", REFUSALS)
def test_a_missing_capability_is_an_error_that_lists_the_types_with_it(what: str) -> None:
    ask, message = REFUSALS[what]
    with pytest.raises(ConfigurationError) as refused:
        ask()
    assert str(refused.value) == message
