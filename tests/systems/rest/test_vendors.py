"""Three vendors as profiles: each reads the bodies of our tests and of the sandbox like the hand-written system.

What a profile cannot say is in :func:`check`, and in docs/when-to-write-a-system.md.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.config.profile import load_file
from airflow_provider_taskwatch.core.error import RemoteError
from airflow_provider_taskwatch.core.phase import Observation, Phase
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.system import System
from airflow_provider_taskwatch.core.wire import send
from airflow_provider_taskwatch.sandbox.rule import OUTCOMES, Rule
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.systems.acquia.system import Acquia
from airflow_provider_taskwatch.systems.acronis.system import Acronis
from airflow_provider_taskwatch.systems.automic.status import PHASES, TEXTS, number_of
from airflow_provider_taskwatch.systems.automic.system import Automic
from airflow_provider_taskwatch.systems.rest.reader import read_profile
from airflow_provider_taskwatch.systems.rest.system import RestRemote, RestTasks
from tests.play import play, reply, result_of, targets
from tests.rows import each_row
from tests.sandbox.visitor import CLIENT, NOW, Visitor, basic, token_call

HERE = Path(__file__).parent
REF = "1005016"
SETTINGS = Settings(
    conn_id="c", connection_type="rest", base_url="https://r.test", auth="bearer", login="", password="t"
)
WRITTEN: Mapping[str, System] = {"acquia": Acquia(), "acronis": Acronis(), "automic": Automic(client="0100")}


def tasks(name: str, **inputs: Any) -> RestTasks:
    """The vendor's tasks by its profile."""
    profile = read_profile(load_file(HERE / f"{name}.yaml"), name)
    return RestRemote(SETTINGS).tasks(profile, {"client": "0100", **inputs})


DECLARED = {name: tasks(name) for name in WRITTEN}


def read_both(name: str, body: Any) -> tuple[Observation | None, Observation]:
    """What the hand-written system and the profile read; None where the system reads a refusal."""
    ref = "/notifications/1" if name == "acquia" else REF
    by_profile = result_of(DECLARED[name].observe(ref), reply(200, body))
    try:
        return result_of(WRITTEN[name].observe(REF), reply(200, body)), by_profile
    except RemoteError:
        return None, by_profile


def shown(seen: Observation) -> tuple[Phase, float | None, str]:
    """What both must agree on. The hand-written system rounds the progress of Acronis."""
    return seen.phase, None if seen.progress is None else round(seen.progress, 1), seen.message


# --- what a profile cannot say


def is_refusal(body: Mapping[str, Any]) -> bool:
    """Acquia also refuses under 200."""
    return bool(body.get("error") and body.get("message"))


def has_text_of_ours(body: Mapping[str, Any]) -> bool:
    """Automic's numbers have texts of ours, for a body without one."""
    return not body.get("status_text") and number_of(body.get("status")) in TEXTS


def check(name: str, body: Mapping[str, Any]) -> None:
    """Compare both readings of a body, as far as a profile can say them."""
    written, declared = read_both(name, body)
    if name == "acquia" and is_refusal(body):
        assert written is None
        return
    assert written is not None
    if name == "automic" and has_text_of_ours(body):
        assert (declared.phase, declared.message) == (written.phase, "")
        return
    assert shown(declared) == shown(written), body


# --- the bodies of our tests


def literals(path: Path) -> Iterator[Mapping[str, Any]]:
    """Each object that a test module writes, alone or over constants of its own."""
    module = import_module(".".join(path.relative_to(HERE.parents[2]).with_suffix("").parts))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Dict):
            try:
                found = eval(compile(ast.Expression(node), str(path), "eval"), dict(vars(module)))
            except NameError:
                continue
            if all(isinstance(one, str) for one in found):
                yield found


def bodies(name: str) -> list[Mapping[str, Any]]:
    """All bodies in the tests of a vendor; not the queries, which may have a state, too."""
    case = import_module(f"tests.systems.{name}.case").SYSTEM
    states = [{**case.content, **changes} for changes, _ in (*case.states, *case.unknown)]
    states += [changes for changes, _ in (*case.states, *case.unknown)]
    folder = HERE.parent / name
    found = (one for path in sorted(folder.glob("*.py")) for one in literals(path))
    return [one for one in (*states, *found) if _is_json(one) and "order" not in one]


@pytest.mark.parametrize("name, least", [("acquia", 60), ("acronis", 60), ("automic", 60)])
def test_each_body_of_our_tests_is_read_like_by_the_system(name: str, least: int) -> None:
    found = bodies(name)
    assert len(found) >= least
    for body in found:
        check(name, body)


def _is_json(body: Any) -> bool:
    if isinstance(body, dict):
        return all(isinstance(key, str) and _is_json(one) for key, one in body.items())
    return all(map(_is_json, body)) if isinstance(body, list) else body is None or isinstance(body, (str, int, float))


@each_row("progress", [-1, 0, 40, 99.5, 100, 101, "50", True, None, float("nan"), [], {}])
def test_acquia_s_progress_is_read_alike(progress: Any) -> None:
    check("acquia", {"status": "started", "progress": progress})


@each_row("number", [*PHASES, 1299, 1300, 1400, 1799, 1870, 1950, 1999, 2000, 2999])
def test_each_number_of_automic_has_the_same_phase(number: int) -> None:
    for status in (number, str(number), f" {number} "):
        check("automic", {"status": status, "status_text": "as the engine says"})


def test_warnings_of_acronis_may_be_a_failure() -> None:
    body = {"state": "completed", "result": {"code": "warning", "warnings": ["slow"]}}
    strict = tasks("acronis", fail_on_warnings=True)
    assert shown(result_of(strict.observe(REF), reply(200, body))) == (Phase.FAILED, None, "slow")


def test_tasks_of_acronis_are_read_together_and_ended_ones_alone() -> None:
    entries = [{"id": 1, "state": "started"}, {"id": 2, "state": "completed", "result": {"code": "ok"}}]
    steps, seen = play(DECLARED["acronis"].observe_many("s", ["1", "2", "3"]), reply(200, {"items": entries}))
    assert targets(steps) == ["GET /api/task_manager/v2/tasks?id=or%281%2C2%2C3%29&limit=100"]
    assert {ref: one.phase for ref, one in seen.items()} == {"1": Phase.RUNNING}


def test_what_a_list_lacks_is_lost_even_where_ended_tasks_are_read_alone() -> None:
    content = load_file(HERE / "acronis.yaml")
    content["list"]["absent"] = "lost"
    system = RestRemote(SETTINGS).tasks(read_profile(content, "p"), {})
    page = reply(200, {"items": [{"id": 2, "state": "completed", "result": {"code": "ok"}}]})
    assert {ref: one.phase for ref, one in result_of(system.observe_many("s", ["2", "3"]), page).items()} == {
        "3": Phase.LOST
    }


# --- the bodies of the sandbox


def visitor(name: str, sandbox: Sandbox) -> Visitor:
    if name == "acquia":
        token: Any = Visitor(sandbox, name, "/api", {}).ask(token_call(CLIENT)).json()
        return Visitor(sandbox, name, "/api", {"Authorization": f"Bearer {token['access_token']}"})
    if name == "automic":
        return Visitor(sandbox, name, "/ae/api/v1", {"Authorization": basic("100/AIRFLOW/AIRFLOW", "sandbox-secret")})
    stranger = Visitor(sandbox, name, "", {"Authorization": basic("sandbox-id", "sandbox-secret")})
    token = stranger.ask(token_call({}, path="/api/2/idp/token")).json()
    return Visitor(sandbox, name, "", {"Authorization": f"Bearer {token['access_token']}"})


STARTS = {
    "acquia": send("POST", "/environments/24-a/code/actions/switch", {"branch": "main"}),
    "acronis": send(
        "PUT",
        "/api/policy_management/v4/applications/run",
        {"state": "running", "policy_id": "p", "context_ids": ["db"]},
    ),
    "automic": send("POST", "/100/executions", {"object_name": "JOBP.LOAD", "alias": "A-1"}),
}
READS = {
    "acquia": "/notifications/{ref}",
    "acronis": "/api/task_manager/v2/tasks/{ref}",
    "automic": "/100/executions/{ref}",
}


def lives(name: str) -> Iterator[Mapping[str, Any]]:
    """What the sandbox shows of a task with each outcome, from its start to after its end."""
    statuses = map(str, PHASES) if name == "automic" else ("warning", "timedout") if name == "acronis" else ("error",)
    for outcome in (*OUTCOMES, *statuses):
        for message in ("", "It went as it went."):
            sandbox = Sandbox([Rule(outcome=outcome, message=message)])
            client = visitor(name, sandbox)
            assert client.ask(STARTS[name]).is_ok
            ref = sandbox.tasks(client.now)[-1]["ref"]
            for client.now in (NOW, NOW + 0.7, NOW + 1.7, NOW + 4, NOW + 4.9, NOW + 60):
                answer = client.get(READS[name].replace("{ref}", str(ref)))
                if answer.is_ok:
                    content: Any = answer.json()
                    yield content


@pytest.mark.parametrize("name", WRITTEN)
def test_each_body_of_the_sandbox_is_read_like_by_the_system(name: str) -> None:
    phases = set()
    for body in lives(name):
        check(name, body)
        phases.add(read_both(name, body)[1].phase)
    assert {Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED, Phase.UNKNOWN} <= phases
