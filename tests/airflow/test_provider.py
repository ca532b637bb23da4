"""What Airflow sees of the provider: its info, forms and plugin, what it costs to import, its commands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import airflow as airflow_package
import jsonschema
import pytest
from airflow.plugins_manager import AirflowPlugin
from airflow.providers.common.compat.sdk import conf
from airflow.providers_manager import ProvidersManager

from airflow_provider_taskwatch import __version__
from airflow_provider_taskwatch.command import watch as watch_command
from airflow_provider_taskwatch.core.phase import Observation, Phase, absent
from airflow_provider_taskwatch.core.wire import send
from airflow_provider_taskwatch.get_provider_info import get_provider_info
from airflow_provider_taskwatch.link import RemoteTaskLink
from airflow_provider_taskwatch.plugin import TaskWatchPlugin
from airflow_provider_taskwatch.remotes import REMOTES
from airflow_provider_taskwatch.sandbox.server import Running
from tests.airflow.conftest import Airflow
from tests.any_airflow import provider_hooks
from tests.sandbox.visitor import basic

PACKAGE = "airflow-provider-taskwatch"
MODULE = "airflow_provider_taskwatch"
TYPES = set(REMOTES.rows)
SCHEMAS = Path(airflow_package.__file__).parent
HEAVY = ("requests", "aiohttp", "authlib", "fastapi", "starlette", "uvicorn", "sqlalchemy", "httpx", "rich")

described_forms = pytest.mark.since("3.2", reason="forms of connections that the provider info describes")


# --- info


def test_the_provider_info_is_what_airflow_wants() -> None:
    schema = json.loads((SCHEMAS / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_the_connection_types_are_what_airflow_wants() -> None:
    schema = json.loads((SCHEMAS / "provider.yaml.schema.json").read_text())["properties"]["connection-types"]
    jsonschema.validate(get_provider_info()["connection-types"], schema)


@pytest.mark.process
def test_each_path_of_the_info_can_be_imported() -> None:
    script = f"""
        import importlib, json
        from {MODULE}.get_provider_info import get_provider_info
        info = get_provider_info()
        for kind in ("operators", "sensors", "hooks", "triggers"):
            for entry in info[kind]:
                for module in entry["python-modules"]:
                    importlib.import_module(module)
        classes = [one["hook-class-name"] for one in info["connection-types"]] + info["extra-links"] + info["cli"]
        classes += info["notifications"]
        for path in classes:
            module, name = path.rsplit(".", 1)
            assert getattr(importlib.import_module(module), name), path
    """
    assert python(script).returncode == 0


@pytest.mark.parametrize(
    "command, texts",
    [
        (("providers", "list"), (PACKAGE, __version__)),
        (("providers", "get", PACKAGE), (PACKAGE, __version__)),
        (("providers", "hooks"), ("taskwatch_conn_id", "acquia_conn_id", "aps_conn_id", f"{MODULE}.hooks.")),
        pytest.param(
            ("providers", "widgets"),
            ("extra__acquia__organization", "extra__aps__service", "extra__taskwatch__auth"),
            marks=described_forms,
        ),
        (("plugins",), (f"{MODULE}.plugin:TaskWatchPlugin",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) and value[0] in ("providers", "plugins") else "",
)
def test_airflow_shows_the_provider(airflow: Airflow, command: tuple[str, ...], texts: tuple[str, ...]) -> None:
    shown = airflow(*command, "--output", "json")
    assert shown.returncode == 0, shown.stderr
    assert [text for text in texts if text not in shown.stdout] == []
    assert MODULE not in shown.stderr


@pytest.fixture(scope="module")
def manager() -> ProvidersManager:
    found = ProvidersManager()
    found.initialize_providers_configuration()  # below Airflow 3.2 its programs do so when they start
    found.initialize_providers_hooks()
    return found


def test_each_connection_type_has_its_hook() -> None:
    ours = {name: hook for name, hook in provider_hooks().items() if hook.package_name == PACKAGE}
    assert set(ours) == TYPES
    assert {hook.connection_id_attribute_name for hook in ours.values()} == {f"{name}_conn_id" for name in TYPES}
    assert all(hook.connection_testable for hook in ours.values())


def test_the_link_and_the_setting_are_known(manager: ProvidersManager) -> None:
    assert f"{MODULE}.link.RemoteTaskLink" in manager.extra_links_class_names
    assert conf.getboolean("taskwatch", "default_deferrable") is True


@described_forms
def test_each_form_has_its_fields_with_their_secrets_hidden(manager: ProvidersManager) -> None:
    for name in TYPES:
        prefix = f"extra__{name}__"
        fields = {key.removeprefix(prefix): value for key, value in manager.connection_form_widgets.items()}
        fields = {key: value for key, value in fields.items() if value.package_name == PACKAGE and "__" not in key}
        assert {"auth", "verify", "concurrency", "ui_url"} < set(fields)
        assert ("token_url" in fields) is (name != "aps")
        assert {key for key, value in fields.items() if value.is_sensitive} == {
            "proxy",
            "secrets",
            "token_params",
        } & set(fields)


@described_forms
def test_the_password_has_the_name_that_the_remote_gives_it(manager: ProvidersManager) -> None:
    assert manager.field_behaviours["acquia"]["relabeling"] == {"login": "Client id", "password": "Client secret"}
    assert manager.field_behaviours["acquia"]["placeholders"]["login"] == "API key"


def test_the_plugin_is_one_of_airflow_s() -> None:
    assert issubclass(TaskWatchPlugin, AirflowPlugin)
    assert TaskWatchPlugin.name == "taskwatch"


def test_the_link_is_found_by_its_key() -> None:
    assert RemoteTaskLink().xcom_key == "taskwatch_page"


# --- what it costs to import


@pytest.mark.process
def test_operators_sensors_triggers_and_notifiers_import_nothing_heavy() -> None:
    script = f"""
        import importlib, pkgutil, sys
        import airflow.sdk
        heavy = {HEAVY!r}
        before = {{name for name in heavy if name in sys.modules}}
        assert not before & {{"requests", "aiohttp", "authlib", "fastapi"}}, before
        import {MODULE}
        for folder in ("operators", "sensors", "triggers", "notifications"):
            package = importlib.import_module(f"{MODULE}.{{folder}}")
            for module in pkgutil.iter_modules(package.__path__, f"{{package.__name__}}."):
                importlib.import_module(module.name)
        print(*sorted({{name for name in heavy if name in sys.modules}} - before))
    """
    assert python(script).stdout.split() == []


@pytest.mark.process
def test_the_hooks_import_no_http_library_before_they_are_used() -> None:
    script = f"""
        import sys
        import airflow.sdk
        import {MODULE}.hooks.acquia, {MODULE}.hooks.acronis, {MODULE}.hooks.aps, {MODULE}.hooks.automic
        import {MODULE}.hooks.docplanner
        print(*[name for name in ("requests", "aiohttp", "authlib", "fastapi") if name in sys.modules])
    """
    assert python(script).stdout.split() == []


@pytest.mark.since("3.2", reason="3.1 lets no provider add commands")
@pytest.mark.process
def test_the_command_line_imports_a_command_only_when_it_is_called() -> None:
    script = f"""
        import sys
        import airflow.cli.cli_config
        before = set(sys.modules)
        import {MODULE}.cli
        {MODULE}.cli.get_commands()
        print(*(set(sys.modules) - before - {{"{MODULE}"}}))
    """
    assert python(script).stdout.splitlines()[-1] == f"{MODULE}.cli"


def test_the_provider_info_imports_no_airflow() -> None:
    script = f"""
        import sys
        from {MODULE}.get_provider_info import get_provider_info
        get_provider_info()
        print("airflow" in sys.modules)
    """
    assert python(script).stdout.split() == ["False"]


# --- commands


@pytest.mark.since("3.2", reason="3.1 lets no provider add commands")
def test_the_help_lists_the_commands(airflow: Airflow) -> None:
    shown = airflow("taskwatch", "--help")
    assert shown.returncode == 0
    assert re.findall(r"^    (\w+) ", shown.stdout, re.MULTILINE) == [
        "adopt",
        "check",
        "inbox",
        "profile",
        "receiver",
        "sandbox",
        "watch",
    ]


def test_check_warns_of_tls_that_is_not_verified(taskwatch: Airflow, box: Running) -> None:
    given = box.connections()["acquia_default"]
    content = {**given, "host": "https://127.0.0.1:1", "extra": {**given["extra"], "verify": False}}
    checked = taskwatch("check", "lax", variables={"AIRFLOW_CONN_LAX": json.dumps(content)})
    text = "!!  warning     'verify' is false, so the certificate of 127.0.0.1:1 is not checked"
    assert text in " ".join(checked.stdout.split("\n"))


def test_check_tests_a_connection_step_by_step(taskwatch: Airflow, box: Running) -> None:
    shown = taskwatch("check", "acquia_default", variables=box.environment())
    assert (shown.returncode, shown.stdout.splitlines()) == (
        0,
        [
            f"ok  settings    {box.url}/acquia/api by oauth2",
            f"ok  token       obtained from {box.url}/acquia/api/auth/oauth/token",
            "ok  read        the token is accepted and the account can be read",
        ],
    )


def test_check_stops_at_the_first_step_that_fails(taskwatch: Airflow, box: Running) -> None:
    content = box.connections()["acquia_default"]
    wrong = {"AIRFLOW_CONN_ACQUIA_DEFAULT": json.dumps({**content, "password": "hush-hush"})}
    shown = taskwatch("check", "acquia_default", variables=wrong)
    ok, no = shown.stdout.splitlines()
    assert (shown.returncode, ok[:14]) == (1, "ok  settings  ")
    host = box.url.removeprefix("http://")
    assert no.startswith(f"FAILED  token       no token: {host}/acquia/api/auth/oauth/token answered 401: invalid_cl")
    assert "hush-hush" not in shown.stdout + shown.stderr


@pytest.mark.parametrize(
    "conn_id, text",
    [
        ("nowhere", "FAILED  settings    connection 'nowhere' cannot be read: The conn_id `nowhere` isn't defined"),
        (
            "files",
            "'files' has the type 'fs'; this command knows taskwatch, acquia, automic, acronis, aps, docplanner",
        ),
    ],
)
def test_check_of_a_connection_that_is_not_ours(taskwatch: Airflow, conn_id: str, text: str) -> None:
    shown = taskwatch("check", conn_id, variables={"AIRFLOW_CONN_FILES": '{"conn_type": "fs"}'})
    [line] = shown.stdout.splitlines()
    assert (shown.returncode, line.startswith("FAILED  settings    connection"), text in line) == (1, True, True)


def test_watch_ends_with_the_task(taskwatch: Airflow, box: Running) -> None:
    ref = started(box, duration=1.0)
    shown = taskwatch("watch", "automic_default", ref, variables=box.environment())
    assert shown.returncode == 0, shown.stderr
    assert f"execution {ref}" in shown.stdout
    assert "succeeded" in shown.stdout


@pytest.fixture
def watch(
    box: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs ``taskwatch watch`` in this process; returns exit code and output."""
    general = {"conn_type": "taskwatch", "host": box.url, "password": "t", "extra": {"auth": "bearer"}}
    for name, value in {**box.environment(), "AIRFLOW_CONN_GENERAL": json.dumps(general)}.items():
        monkeypatch.setenv(name, value)

    def run(conn_id: str, ref: str, timeout: float | None = None) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            watch_command.watch(Namespace(conn_id=conn_id, ref=ref, timeout=timeout, profile=None, input=None))
        return int(str(ended.value.code)), capsys.readouterr().out

    return run


Watch = Callable[..., tuple[int, str]]


def test_watch_of_a_task_that_fails_says_why(watch: Watch, box: Running) -> None:
    code, shown = watch(
        "automic_default", started(box, duration=0.0, outcome="failure", message="[/disk] is [red]full")
    )
    assert (code, "[/disk] is [red]full" in shown) == (1, True)


def test_watch_gives_up_after_its_timeout(watch: Watch, box: Running) -> None:
    code, shown = watch("automic_default", started(box, outcome="stuck"), timeout=0.5)
    assert (code, "0 s after its start" in shown) == (1, True)


@pytest.mark.parametrize(
    "seen, text",
    [
        ([], "could not be read at the remote so far"),
        ([absent("7")], "was not found at the remote so far"),
        ([Observation(ref="7", phase=Phase.RUNNING)], "goes on at the remote"),
    ],
)
def test_a_stopped_watch_says_that_the_task_goes_on_only_after_a_reading(seen: list[Observation], text: str) -> None:
    assert watch_command._left_as(seen) == text


def test_watch_calls_an_id_that_is_not_there_not_found(watch: Watch) -> None:
    code, shown = watch("automic_default", "4711", timeout=0.5)
    assert (code, "was not found at the remote in time" in shown) == (1, True)
    assert "pending" not in shown
    assert "lost" not in shown


@pytest.mark.parametrize(
    "conn_id, ref, text",
    [
        ("automic_default", "9" * 20, "of at most 19 digits"),
        ("automic_default", "../x", "is not an execution id"),
        ("nowhere", "1", "connection 'nowhere' cannot be read"),
        ("general", "1", "connection 'general' has no profile: give --profile"),
    ],
)
def test_watch_of_a_wrong_connection_or_id_is_an_error(watch: Watch, conn_id: str, ref: str, text: str) -> None:
    code, shown = watch(conn_id, ref)
    assert (code, text in shown) == (2, True)


def started(box: Running, **rule: Any) -> str:
    """The run id of an execution that the sandbox runs by this rule."""
    box.sandbox.add_rule(**rule)
    headers = {"Authorization": basic("100/AIRFLOW/AIRFLOW", "sandbox-secret")}
    call = send("POST", "/ae/api/v1/100/executions", {"object_name": "JOBS.X"}, headers)
    delivery = box.sandbox.handle(call, "automic", time.time())
    assert delivery.reply is not None
    return str(delivery.reply.json()["run_id"])


def python(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done
