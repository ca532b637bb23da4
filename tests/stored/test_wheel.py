"""A built wheel holds every path of the provider info and every path that users import."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from textwrap import dedent

import pytest

from airflow_provider_taskwatch import __version__

ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_taskwatch"

USER_PATHS = {
    "hooks.acquia": ["AcquiaHook"],
    "hooks.acronis": ["AcronisHook"],
    "hooks.aps": ["ApsHook"],
    "hooks.automic": ["AutomicHook"],
    "hooks.docplanner": ["DocplannerHook"],
    "hooks.rest": ["RestHook"],
    "hooks.taskwatch": ["TaskWatchHook"],
    "notifications.aps": ["ApsNotifier"],
    "operators.acquia": [
        "AcquiaCreateDatabaseBackupOperator",
        "AcquiaCreateDatabaseOperator",
        "AcquiaDeployArtifactOperator",
        "AcquiaSwitchCodeOperator",
        "AcquiaTaskOperator",
    ],
    "operators.acronis": [
        "AcronisCommitOffsetOperator",
        "AcronisCreateSubscriptionOperator",
        "AcronisReadEventsOperator",
    ],
    "operators.aps": [
        "ApsDeleteNotificationOperator",
        "ApsEditNotificationOperator",
        "ApsListNotificationsOperator",
        "ApsSendNotificationOperator",
    ],
    "operators.automic": ["AutomicCallback", "AutomicExecutionOperator"],
    "operators.callback": ["AutomicCallback"],
    "operators.docplanner": ["DocplannerPullNotificationsOperator", "DocplannerReleaseNotificationsOperator"],
    "sandbox.server": ["running"],
    "sensors.acquia": ["AcquiaNotificationSensor"],
    "sensors.acronis": ["AcronisEventSensor", "AcronisTaskSensor"],
    "sensors.aps": ["ApsNotificationSensor"],
    "sensors.automic": ["AutomicExecutionSensor"],
    "sensors.docplanner": ["DocplannerNotificationSensor"],
    "triggers.event": ["EventTrigger"],
    "triggers.feed": ["FeedTrigger"],
    "triggers.watch": ["WatchTrigger"],
}

INFO_PATHS = {
    "airflow_provider_taskwatch.cli.get_commands",
    "airflow_provider_taskwatch.hooks.acquia",
    "airflow_provider_taskwatch.hooks.acquia.AcquiaHook",
    "airflow_provider_taskwatch.hooks.acronis",
    "airflow_provider_taskwatch.hooks.acronis.AcronisHook",
    "airflow_provider_taskwatch.hooks.aps",
    "airflow_provider_taskwatch.hooks.aps.ApsHook",
    "airflow_provider_taskwatch.hooks.automic",
    "airflow_provider_taskwatch.hooks.automic.AutomicHook",
    "airflow_provider_taskwatch.hooks.docplanner",
    "airflow_provider_taskwatch.hooks.docplanner.DocplannerHook",
    "airflow_provider_taskwatch.hooks.rest",
    "airflow_provider_taskwatch.hooks.rest.RestHook",
    "airflow_provider_taskwatch.operators.rest",
    "airflow_provider_taskwatch.sensors.rest",
    "airflow_provider_taskwatch.link.RemoteTaskLink",
    "airflow_provider_taskwatch.notifications.aps.ApsNotifier",
    "airflow_provider_taskwatch.operators.acquia",
    "airflow_provider_taskwatch.operators.acronis",
    "airflow_provider_taskwatch.operators.aps",
    "airflow_provider_taskwatch.operators.automic",
    "airflow_provider_taskwatch.operators.docplanner",
    "airflow_provider_taskwatch.sensors.acquia",
    "airflow_provider_taskwatch.sensors.acronis",
    "airflow_provider_taskwatch.sensors.aps",
    "airflow_provider_taskwatch.sensors.automic",
    "airflow_provider_taskwatch.sensors.docplanner",
    "airflow_provider_taskwatch.triggers.event",
    "airflow_provider_taskwatch.triggers.feed",
    "airflow_provider_taskwatch.triggers.watch",
}

LOAD = """
    import importlib.metadata, json, pkgutil, sys
    from pathlib import Path

    wheel = Path(sys.argv[1])
    [distribution] = importlib.metadata.distributions(path=[str(wheel)])
    points = {(one.group, one.name): one.load() for one in distribution.entry_points}
    info = points["apache_airflow_provider", "provider_info"]()

    modules = [
        module
        for kind in ("operators", "sensors", "hooks", "triggers")
        for entry in info[kind]
        for module in entry["python-modules"]
    ]
    names = [*info["notifications"], *info["extra-links"], *info["cli"]]
    names += [one["hook-class-name"] for one in info["connection-types"]]
    for path in [*modules, *names]:
        pkgutil.resolve_name(path)
    for module, user_names in json.loads(sys.argv[2]).items():
        for name in user_names:
            pkgutil.resolve_name(f"airflow_provider_taskwatch.{module}:{name}")

    ours = [module for name, module in sys.modules.items() if name.partition(".")[0] == "airflow_provider_taskwatch"]
    print(json.dumps({
        "paths": [*modules, *names],
        "points": sorted(map(list, points)),
        "version": [distribution.version, info["versions"][0]],
        "elsewhere": [str(one) for one in ours if not Path(one.__file__).is_relative_to(wheel)],
    }))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an unpacked wheel. It is built from a copy, because a build writes next to the sources."""
    copy, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / PACKAGE, copy / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    for file in [one for one in ROOT.iterdir() if one.is_file()]:
        shutil.copy(file, copy)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    _run(build, str(made), cwd=copy)
    [built] = made.glob("*.whl")
    with zipfile.ZipFile(built) as packed:
        packed.extractall(made / "unpacked")
    return made / "unpacked"


@pytest.mark.process
def test_every_path_of_the_provider_info_and_of_the_user_is_in_the_wheel(wheel: Path) -> None:
    start = f"import sys; sys.path.insert(0, {str(wheel)!r})\n"
    loaded = json.loads(_run(start + dedent(LOAD), str(wheel), json.dumps(USER_PATHS), cwd=wheel).splitlines()[-1])
    assert set(loaded["paths"]) == INFO_PATHS
    assert loaded["points"] == [
        ["airflow.plugins", "taskwatch"],
        ["apache_airflow_provider", "provider_info"],
        ["console_scripts", "taskwatch"],
    ]
    assert loaded["version"] == [__version__, __version__]
    assert loaded["elsewhere"] == []


@pytest.mark.process
def test_the_wheel_says_that_it_is_typed(wheel: Path) -> None:
    assert (wheel / PACKAGE / "py.typed").is_file()


@pytest.mark.process
def test_the_wheel_holds_the_presets(wheel: Path) -> None:
    folder = Path(PACKAGE) / "systems" / "rest" / "presets"
    assert {one.name for one in (wheel / folder).iterdir()} == {one.name for one in (ROOT / folder).iterdir()}


def _run(script: str, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
