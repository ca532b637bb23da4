from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.core.wire import Call
from airflow_provider_taskwatch.sandbox.automic.status import PHASES, phase, text
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from tests.rows import each_row
from tests.sandbox.visitor import CLIENT, FORM, NOW, Visitor, basic, token_call


def start(automic: Visitor, name: str = "JOBS.LOAD", **content: Any) -> int:
    reply: Any = automic.post("/100/executions", {"object_name": name, **content}).json()
    return int(reply["run_id"])


def status(automic: Visitor, run_id: int) -> int:
    return int(automic.read(f"/100/executions/{run_id}")["status"])


def code(reply: Any) -> tuple[int, int]:
    return reply.status, reply.json()["code"]


def test_an_execution_runs_and_ends(automic: Visitor) -> None:
    run_id = start(automic, alias="LOAD-1", queue="FAST")
    automic.now = NOW + 2
    running = automic.read(f"/0100/executions/{run_id}")
    assert (running["run_id"], running["status"], running["runtime"]) == (run_id, 1550, 2)
    assert (running["alias"], running["queue"], running["type"]) == ("LOAD-1", "FAST", "JOBS")
    assert "end_time" not in running

    automic.now = NOW + 9
    ended = automic.read(f"/100/executions/{run_id}")
    assert (ended["status"], ended["status_text"]) == (1900, "ENDED_OK - ended normally")
    assert (ended["runtime"], ended["end_time"]) == (5, "2027-01-15T08:00:05Z")


def test_a_repeated_start_runs_twice(automic: Visitor) -> None:
    assert start(automic, alias="A-1") != start(automic, alias="A-1")
    assert len(automic.sandbox.counts()["markers"]["A-1"]) == 2


def test_the_client_segment_may_be_left_out(automic: Visitor) -> None:
    reply: Any = automic.post("/executions", {"object_name": "JOBS.LOAD"}).json()
    assert automic.get(f"/executions/{reply['run_id']:010}").status == 200


@pytest.mark.parametrize(
    "user",
    ["100/AIRFLOW/AIRFLOW", "0100/AIRFLOW/AIRFLOW", "100/AIRFLOW", "AIRFLOW/AIRFLOW", "AIRFLOW"],
)
def test_every_form_of_a_user_is_accepted(automic: Visitor, user: str) -> None:
    automic.headers["Authorization"] = basic(user, "sandbox-secret")
    assert automic.get("/100/executions").status == 200


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "Basic !",
        "Basic YWJj",
        "Bearer x",
        basic("AIRFLOW", "wrong"),
        basic("AIRFLOW/OTHER", "sandbox-secret"),
        basic("200/AIRFLOW/AIRFLOW", "sandbox-secret"),
    ],
)
def test_bad_credentials_are_refused(automic: Visitor, sent: str) -> None:
    automic.headers["Authorization"] = sent
    assert code(automic.get("/100/executions")) == (401, 45254)


def test_a_user_of_another_client_is_refused(automic: Visitor) -> None:
    assert automic.get("/200/executions").status == 401


def test_credentials_are_read_as_iso_8859_1(automic: Visitor) -> None:
    account = {"user": "JÜRGEN", "password": "geheim§"}
    automic.sandbox.change({"automic": {"accounts": [account]}}, NOW)
    automic.headers["Authorization"] = basic("100/JÜRGEN/AIRFLOW", "geheim§")
    assert automic.get("/100/executions").status == 200
    automic.headers["Authorization"] = basic("100/JÜRGEN/AIRFLOW", "geheim§", "utf-8")
    assert automic.get("/100/executions").status == 401


def test_a_token_is_accepted_unless_switched_off(automic: Visitor) -> None:
    sent = token_call(CLIENT)
    call = Call(method="POST", path="/oauth/token", headers=FORM, body=sent.body)
    token: Any = Visitor(automic.sandbox, "automic", "", {}).ask(call).json()
    automic.headers["Authorization"] = f"Bearer {token['access_token']}"
    assert automic.get("/100/executions").status == 200
    automic.sandbox.change({"automic": {"bearer": False}}, NOW)
    assert automic.get("/100/executions").status == 401


def test_ping_needs_no_credentials_and_health_shows_the_state(automic: Visitor) -> None:
    assert Visitor(automic.sandbox, "automic", "/ae/api/v1", {}).get("/ping").body == b""
    assert automic.get("/100/system/health").status == 200
    automic.sandbox.change({"automic": {"healthy": False}}, NOW)
    assert automic.get("/100/system/health").status == 503


def test_everything_is_refused_during_maintenance(automic: Visitor) -> None:
    automic.sandbox.change({"automic": {"maintenance": True}}, NOW)
    assert automic.get("/100/executions").status == 503


def test_the_language_of_texts_can_be_switched(automic: Visitor) -> None:
    run_id, automic.now = start(automic), NOW + 5
    automic.sandbox.change({"automic": {"language": "de"}}, NOW)
    assert automic.read(f"/100/executions/{run_id}")["status_text"] == "ENDED_OK - normal beendet"


@pytest.mark.parametrize(
    "content",
    [{}, {"object_name": "X", "execution_option": "never"}, {"object_name": "X", "alias": "a:b"}],
)
def test_a_malformed_start_is_refused(automic: Visitor, content: object) -> None:
    assert automic.post("/100/executions", content).status == 400


def test_malformed_json_is_refused_and_causes_a_server_error_with_a_callback(automic: Visitor) -> None:
    broken = Call(method="POST", path="/100/executions", body=b'{"object_name": "X",}')
    assert automic.ask(broken).status == 400
    worse = Call(method="POST", path="/100/executions", body=b'{"callback": {},}')
    assert code(automic.ask(worse)) == (500, 45110)


def test_a_value_that_cannot_be_read_is_refused(automic: Visitor) -> None:
    once = {"execution_date_time": "soon"}
    content = {"object_name": "X", "execution_option": "once", "once": once}
    assert automic.post("/100/executions", content).status == 400


def test_a_callback_is_accepted_and_kept(automic: Visitor) -> None:
    start(automic, callback={"type": "http", "http": {"url": "https://x.invalid"}})
    assert automic.sandbox.tasks(NOW)[0]["request"]["callback"]["type"] == "http"


@pytest.mark.parametrize(
    "outcome, number, expected",
    [
        ("failure", 1800, Phase.FAILED),
        ("lost", 1815, Phase.LOST),
        ("skipped", 1930, Phase.SKIPPED),
        ("blocked", 1560, Phase.BLOCKED),
        ("unknown", 2999, Phase.UNKNOWN),
        ("stuck", 1575, Phase.RUNNING),
        (1911, 1911, Phase.SUCCEEDED),
        (1777, 1777, Phase.RUNNING),
    ],
)
def test_an_execution_ends_as_its_rule_says(automic: Visitor, outcome: str | int, number: int, expected: Phase) -> None:
    automic.sandbox.add_rule("JOBS.LOAD", outcome=outcome)
    run_id, automic.now = start(automic), NOW + 3600
    assert status(automic, run_id) == number
    assert automic.sandbox.tasks(automic.now)[0]["phase"] == expected


def test_stages_are_shown_one_after_the_other(automic: Visitor) -> None:
    automic.sandbox.add_rule(stages=[(0, 1710), (1, 1684), (2, 1550)], duration=4)
    run_id = start(automic)
    seen = []
    for second in range(5):
        automic.now = NOW + second
        seen.append(status(automic, run_id))
    assert seen == [1710, 1684, 1550, 1550, 1900]


def test_a_new_execution_can_be_hidden_and_an_ended_one_can_vanish(automic: Visitor) -> None:
    automic.sandbox.add_rule("JOBS.LATE", hidden_seconds=2)
    automic.sandbox.add_rule("JOBS.GONE", outcome="gone")
    late, gone = start(automic, "JOBS.LATE"), start(automic, "JOBS.GONE")
    assert code(automic.get(f"/100/executions/{late}")) == (404, 11049)
    automic.now = NOW + 5
    assert automic.get(f"/100/executions/{late}").status == 200
    assert automic.get(f"/100/executions/{gone}").status == 404


def test_an_execution_is_forgotten_after_reorganisation(automic: Visitor) -> None:
    automic.sandbox.change({"automic": {"reorganise_after": 10}}, NOW)
    run_id = start(automic)
    automic.now = NOW + 14
    assert automic.get(f"/100/executions/{run_id}").status == 200
    automic.now = NOW + 15
    assert automic.get(f"/100/executions/{run_id}").status == 404


def test_a_manual_release_is_waited_for(automic: Visitor) -> None:
    once = {"wait_for_manual_release": "true"}
    run_id = start(automic, execution_option="once", once=once)
    automic.now = NOW + 100
    assert status(automic, run_id) == 1693
    automic.sandbox.release(str(run_id), automic.now)
    assert status(automic, run_id) == 1540
    automic.now = NOW + 105
    assert status(automic, run_id) == 1900


def test_a_start_time_is_waited_for(automic: Visitor) -> None:
    once = {"execution_date_time": "2027-01-15T08:01:00Z"}
    run_id = start(automic, execution_option="once", once=once)
    assert status(automic, run_id) == 1698
    automic.now = NOW + 65
    assert status(automic, run_id) == 1900


def test_a_stopped_queue_holds_executions_until_it_runs_again(automic: Visitor) -> None:
    automic.sandbox.change({"automic": {"stopped_queues": ["Q"]}}, NOW)
    run_id, automic.now = start(automic, queue="Q"), NOW + 100
    assert status(automic, run_id) == 1564
    automic.sandbox.change({"automic": {"stopped_queues": []}}, automic.now)
    automic.now = NOW + 104
    assert status(automic, run_id) == 1550


def test_a_recurring_start_brings_one_execution_per_interval(automic: Visitor) -> None:
    plan = {"execute_after": "PT1M", "end_after_executions": 2}
    run_id = start(automic, execution_option="recurring", recurring=plan)
    automic.now = NOW + 30
    first, second = reversed(automic.read(f"/100/executions/{run_id}/children")["data"])
    assert (first["status"], second["status"]) == (1900, 1698)
    assert automic.read(f"/100/executions/{run_id}")["type"] == "C_PERIOD"
    automic.now = NOW + 65
    assert status(automic, run_id) == 1900


def test_a_recurring_start_without_an_end_continues_until_it_is_cancelled_with_its_children(automic: Visitor) -> None:
    run_id, automic.now = start(automic, execution_option="recurring", recurring={}), NOW + 3
    automic.post(f"/100/executions/{run_id}/status", {"action": "cancel", "cancel": {"recursive": "true"}})
    assert [status(automic, run_id), status(automic, run_id + 1)] == [1850, 1850]


def children(automic: Visitor, run_id: int) -> list[int]:
    data = automic.read(f"/100/executions/{run_id}/children")["data"]
    return [child["status"] for child in reversed(data)]


def test_the_tasks_of_a_workflow_run_one_after_the_other(automic: Visitor) -> None:
    automic.sandbox.add_rule("JOBP.*", duration=9)
    run_id = start(automic, "JOBP.NIGHT")
    automic.now = NOW + 4
    assert children(automic, run_id) == [1900, 1550, 1700]
    automic.now = NOW + 9
    assert children(automic, run_id) == [1900, 1900, 1900]


@pytest.mark.parametrize("outcome, end, rest", [("failure", 1800, 1802), ("blocked", 1560, 1700)])
def test_a_workflow_that_fails_or_blocks_names_the_task_that_failed(
    automic: Visitor, outcome: str, end: int, rest: int
) -> None:
    options = {"children": ["JOBS.A", "JOBS.B", "JOBS.C"], "failing_child": 1}
    automic.sandbox.add_rule("JOBP.*", outcome=outcome, options=options)
    run_id, automic.now = start(automic, "JOBP.NIGHT"), NOW + 5
    assert status(automic, run_id) == end
    assert children(automic, run_id) == [1900, 1800, rest]


def test_a_workflow_that_waits_has_waiting_tasks(automic: Visitor) -> None:
    once = {"wait_for_manual_release": True}
    run_id = start(automic, "JOBP.NIGHT", execution_option="once", once=once)
    assert children(automic, run_id) == [1700, 1700, 1700]


@pytest.mark.parametrize("extra, expected", [({}, [1900, 1550, 1851]), ({"recursive": True}, [1900, 1850, 1851])])
def test_a_cancelled_workflow_cancels_its_running_tasks_only_on_request(
    automic: Visitor, extra: dict[str, Any], expected: list[int]
) -> None:
    automic.sandbox.add_rule("JOBP.*", duration=9)
    run_id, automic.now = start(automic, "JOBP.NIGHT"), NOW + 4
    automic.post(f"/100/executions/{run_id}/status", {"action": "cancel", **extra})
    assert status(automic, run_id) == 1851
    assert children(automic, run_id) == expected


def test_a_blocked_workflow_can_be_ended_by_hand(automic: Visitor) -> None:
    automic.sandbox.add_rule("JOBP.*", outcome="blocked")
    run_id, automic.now = start(automic, "JOBP.NIGHT"), NOW + 60
    automic.sandbox.end(str(run_id), "success", automic.now)
    assert status(automic, run_id) == 1900
    assert children(automic, run_id) == [1800, 1900, 1900]


def test_a_task_of_a_workflow_can_be_cancelled_alone(automic: Visitor) -> None:
    run_id = start(automic, "JOBP.NIGHT")
    automic.post(f"/100/executions/{run_id + 1}/status", {"action": "cancel"})
    assert status(automic, run_id + 1) == 1850


def test_a_cancel_takes_time_and_works_once(automic: Visitor) -> None:
    automic.sandbox.change({"automic": {"cancel_seconds": 2}}, NOW)
    run_id = start(automic)
    path = f"/100/executions/{run_id}/status"
    assert automic.post(path, {"action": "CANCEL"}).json() == {}
    assert status(automic, run_id) == 1571
    automic.now = NOW + 2
    assert status(automic, run_id) == 1850
    assert code(automic.post(path, {"action": "cancel"})) == (403, 11191)
    assert automic.sandbox.counts()["cancelled"]["automic"] == [str(run_id)]


def test_a_restart_is_a_new_execution_with_changed_inputs(automic: Visitor) -> None:
    automic.sandbox.add_rule("JOBS.LOAD", outcome="failure", times=1)
    run_id, automic.now = start(automic, inputs={"A#": "1", "B#": "2"}), NOW + 5
    restart = {"inputs": {"B#": "3"}, "queue": "FAST"}
    reply: Any = automic.post(f"/100/executions/{run_id}/status", {"action": "restart", "restart": restart}).json()
    automic.now = NOW + 10
    again = automic.read(f"/100/executions/{reply['run_id']}", {"fields": ["variables", "restarts"]})
    assert (again["reference_run_id"], again["status"], again["queue"]) == (run_id, 1900, "FAST")
    assert again["variables"] == {"&A#": "1", "&B#": "3"}
    assert again["restarts"] == 1


def test_a_restart_can_wait_for_a_release(automic: Visitor) -> None:
    path = f"/100/executions/{start(automic)}/status"
    content = {"action": "restart", "restart": {"wait_for_manual_release": "true"}}
    reply: Any = automic.post(path, content).json()
    assert status(automic, reply["run_id"]) == 1693


@pytest.mark.parametrize(
    "method, path, expected",
    [
        ("POST", "/status", 404),
        ("GET", "/children", 404),
        ("GET", "/reports", 404),
        ("GET", "/reports/LOG", 404),
        ("GET", "/variables", 404),
        ("GET", "/ert", 404),
        ("GET", "/comments", 404),
        ("POST", "/comments", 404),
        ("POST", "/ignore_sync_condition", 404),
    ],
)
def test_an_unknown_run_is_not_found(automic: Visitor, method: str, path: str, expected: int) -> None:
    call = Call(method=method, path=f"/100/executions/1{path}", body=b'{"action": "cancel"}')
    assert code(automic.ask(call)) == (expected, 11049)


def test_an_unknown_action_is_refused(automic: Visitor) -> None:
    assert automic.post(f"/100/executions/{start(automic)}/status", {"action": "dance"}).status == 400


def test_an_action_on_an_active_task_needs_an_active_task(automic: Visitor) -> None:
    path = f"/100/executions/{start(automic)}/ignore_sync_condition"
    assert automic.post(path).json() == {}
    automic.now = NOW + 5
    assert code(automic.post(path)) == (403, 11191)


def test_reports_come_in_pages_of_encoded_text(automic: Visitor) -> None:
    automic.sandbox.change({"automic": {"page_lines": 2}}, NOW)
    automic.sandbox.add_rule(options={"report": "a < b\nsecond\nthird\nfourth\nfifth"})
    path = f"/100/executions/{start(automic)}/reports"
    assert [one["type"] for one in automic.read(path)] == ["ACT", "LOG", "REP"]
    first = automic.read(f"{path}/REP")
    assert first["data"] == [{"page": 1, "content": "a &lt; b\r\nsecond\r\n"}]
    assert (first["total"], first["hasmore"]) == (3, True)
    rest = automic.read(f"{path}/rep", {"start_at": 2, "max_results": 9})
    assert ([one["page"] for one in rest["data"]], rest["hasmore"]) == ([2, 3], False)


def test_the_log_holds_the_reason_of_a_failure_and_rep_may_be_missing(automic: Visitor) -> None:
    automic.sandbox.add_rule(outcome="failure", message="disk full")
    path, automic.now = f"/100/executions/{start(automic)}/reports", NOW + 5
    assert automic.read(path)[0]["end_timestamp"] == "2027-01-15T08:00:05Z"
    assert automic.get(f"{path}/REP").status == 404
    assert automic.read(f"{path}/LOG")["data"][0]["content"].endswith("disk full\r\n")


def test_comments_are_kept(automic: Visitor) -> None:
    run_id = start(automic)
    automic.post(f"/100/executions/{run_id}/comments", {"comment": "look at this"})
    assert automic.read(f"/100/executions/{run_id}/comments")[0]["comment"] == "look at this"
    assert automic.read("/100/executions", {"commented_only": True})["total"] == 1


def test_variables_and_ert_can_be_read(automic: Visitor) -> None:
    automic.sandbox.add_rule(duration=7)
    path = f"/100/executions/{start(automic, inputs={'A#': ['x', 'y']})}"
    assert automic.read(f"{path}/variables") == {"&A#": ["x", "y"]}
    assert automic.read(f"{path}/ert") == {"estimated_runtime": 7}


def test_the_inputs_of_an_object_come_from_its_rule_or_the_settings(automic: Visitor) -> None:
    prompts: dict[str, Any] = {"PRPT.A": {"TEXT#": None, "BOX#": []}}
    automic.sandbox.add_rule("JOBS.A", options={"inputs": prompts})
    automic.sandbox.change({"automic": {"inputs": {"JOBS.B": prompts}}}, NOW)
    for name, expected in (("A", prompts), ("B", prompts), ("C", {})):
        assert automic.read(f"/100/objects/JOBS.{name}/inputs") == expected


def test_a_script_runs(automic: Visitor) -> None:
    reply: Any = automic.post("/100/scripts", {"script": ":PRINT 'x'"}).json()
    assert automic.read(f"/100/executions/{reply['run_id']}")["type"] == "SCRI"
    assert automic.post("/100/scripts").status == 400


def test_a_start_can_be_refused_by_a_rule(sandbox: Sandbox, automic: Visitor) -> None:
    sandbox.add_rule("JOBS.MISSING", refuse=404, message="no such object")
    reply = automic.post("/100/executions", {"object_name": "JOBS.MISSING"})
    content: Any = reply.json()
    assert (reply.status, content["details"]) == (404, "no such object")
    assert sandbox.tasks(NOW) == []


def test_all_145_statuses_have_a_phase_and_an_english_text() -> None:
    assert len(PHASES) == 145
    assert all(text(str(number), "en") for number in PHASES)
    assert all(phase(str(number)).is_final is (number >= 1800) for number in PHASES)


@each_row(
    "number, expected",
    [
        ("1399", Phase.RUNNING),
        ("1899", Phase.FAILED),
        ("1990", Phase.SUCCEEDED),
        ("1299", Phase.UNKNOWN),
        ("x", Phase.UNKNOWN),
    ],
)
def test_a_status_outside_the_table_is_mapped_by_its_range(number: str, expected: Phase) -> None:
    assert phase(number) is expected
