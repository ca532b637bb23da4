from __future__ import annotations

import json

import pytest

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.error import ConfigurationError, RemoteError, ReplyError
from airflow_provider_taskwatch.core.phase import Phase
from airflow_provider_taskwatch.systems.acronis import system as acronis
from airflow_provider_taskwatch.systems.acronis.form import FORM
from airflow_provider_taskwatch.systems.acronis.system import TASKS, Acronis, from_settings
from airflow_provider_taskwatch.systems.acronis.task import id_in, read_task, task_id
from tests.play import play, reply, result_of, targets
from tests.rows import each_row
from tests.systems.acronis.case import BIG, TASK

ACRONIS = Acronis()


def entry(number: object, state: str = "started", **more: object) -> dict[str, object]:
    return {"id": number, "state": state, **more}


def listing(*items: object, **more: object):
    return reply(200, {"items": items, **more})


# --- the connection


def settings(**columns):
    given = {"conn_type": "acronis", "host": "eu2-cloud.acronis.test", "login": "id", "password": "s3cret", **columns}
    return read_connection(FORM, RawConnection(conn_id="c", **given))


def test_the_data_centre_s_url_is_enough():
    read = settings()
    assert (read.base_url, read.auth, read.client_auth) == ("https://eu2-cloud.acronis.test", "oauth2", "basic")
    assert read.token_url == "https://eu2-cloud.acronis.test/api/2/idp/token"
    assert from_settings(read).name == "acronis"


def test_without_a_data_centre_there_is_no_connection():
    with pytest.raises(ConfigurationError, match=r"the host is missing \(for example api.example.com\)$"):
        settings(host=None)


def test_the_syntax_of_many_values_is_a_setting():
    system = from_settings(settings(extra=json.dumps({"many_values": "or"})))
    steps, _ = play(system.observe_many("tasks", ["1", "2"]), listing())
    assert targets(steps) == [f"GET {TASKS}?id=or%281%2C2%29&limit=2"]


# --- ids


def test_a_malformed_task_id_is_named():
    with pytest.raises(ConfigurationError, match="is not a task id: it must be a whole number greater than 0"):
        ACRONIS.check_ref("12a")


@each_row(
    "value, found",
    [(BIG, str(BIG)), (str(BIG), str(BIG)), (float(BIG), None), (True, None), (0, None), (-1, None), (10**19, None)],
)
def test_an_id_is_a_number_or_a_text_and_never_a_float(value, found):
    assert task_id(value) == found


def test_an_id_given_as_a_string_too_is_read_from_the_string():
    assert id_in({"id": float(BIG), "idString": str(BIG)}) == str(BIG)
    assert id_in({"id": BIG}) == str(BIG)
    assert id_in({}) is None


# --- one task


def test_a_task_is_read_by_its_id():
    steps, seen = play(ACRONIS.observe(str(BIG)), reply(200, TASK))
    assert targets(steps) == [f"GET {TASKS}/{BIG}"]
    assert (seen.ref, seen.phase, seen.status) == (str(BIG), Phase.SUCCEEDED, "completed, ok")
    assert (seen.progress, seen.message) == (25.0, "")
    assert seen.ended_at == pytest.approx(1_769_839_291.123456)


def test_the_result_of_a_task_has_no_data_of_people():
    seen = result_of(ACRONIS.observe(str(BIG)), reply(200, TASK))
    assert dict(seen.result) == {
        "id": str(BIG),
        "uuid": TASK["uuid"],
        "state": "completed",
        "code": "ok",
        "type": "backup",
        "queue": "agents",
        "priority": "normal",
        "workflowId": "7",
        "cancelRequested": False,
        "assignCount": 1,
        "enqueuedAt": TASK["enqueuedAt"],
        "assignedAt": None,
        "startedAt": TASK["startedAt"],
        "updatedAt": TASK["updatedAt"],
        "completedAt": TASK["completedAt"],
        "duration": 90.0,
        "policy": {"id": "p-1", "name": "Nightly", "type": "policy.protection"},
        "resource": {"id": "r-1", "name": "db", "type": "resource.machine"},
        "tenant": "692ff7d2-8505-44ed-82b0-e82ee8d42ef2",
        "error": None,
        "warnings": None,
        "payload": {"saved": 5},
    }
    assert dict(seen.personal) == {"startedByUser": "ann@example.com", "tenant_name": "Ann Smith"}


def test_a_task_with_few_members_is_read():
    seen = read_task("7", {"state": "enqueued"})
    assert (seen.phase, seen.status, seen.progress, seen.ended_at) == (Phase.PENDING, "enqueued", None, None)
    assert (seen.result["policy"], seen.result["tenant"], dict(seen.personal)) == (None, None, {})


def test_an_abandoned_task_is_lost_and_not_absent():
    seen = read_task("7", {"state": "completed", "result": {"code": "abandoned"}})
    assert (seen.phase, seen.status) == (Phase.LOST, "completed, abandoned")


@each_row(
    "content, message",
    [
        ({"result": {"error": {"domain": "D", "code": "DiskFull", "message": "no space"}}}, "DiskFull: no space"),
        ({"result": {"code": "warning", "warnings": [{"message": "slow"}, {"message": "old"}]}}, "slow; old"),
        ({"blockers": [{"id": 1, "issue": {"key": "agent.offline"}}, {"id": 2}, "x"]}, "agent.offline; id 2; x"),
        ({"blockers": {"id": 1}}, "id 1"),
        ({"cancelRequested": True}, "its cancellation was asked for"),
        ({"result": "ok", "progress": 5}, ""),
    ],
)
def test_a_task_has_a_message(content, message):
    assert read_task("7", content).message == message


@each_row(
    "progress, percent",
    [
        ({"total": 3, "current": 1}, 33.3),
        ({"total": 0, "current": 0}, None),
        ({"total": 5, "current": 6}, None),
        ({"total": float("inf"), "current": float("inf")}, None),
        ({"total": "5", "current": 1}, None),
        ({"total": 5}, None),
    ],
)
def test_progress_is_a_share_where_the_numbers_make_sense(progress, percent):
    assert read_task("7", {"progress": progress}).progress == percent


def test_warnings_are_a_success_with_remarks_or_a_failure_as_asked():
    seen = read_task("7", {"state": "completed", "result": {"code": "warning", "warnings": ["slow"]}})
    assert ACRONIS.understand(seen, {}).phase is Phase.SUCCEEDED
    failed = ACRONIS.understand(seen, {"fail_on_warnings": True})
    assert (failed.phase, failed.message) == (Phase.FAILED, "slow")


def test_only_warnings_become_a_failure():
    seen = read_task("7", {"state": "completed", "result": {"code": "ok"}})
    assert ACRONIS.understand(seen, {"fail_on_warnings": True}) == seen


def test_options_that_are_unknown_are_named_with_those_that_are_known():
    ACRONIS.check_options({"fail_on_warnings": True})
    with pytest.raises(ConfigurationError, match="unknown option fail_on_error; known are fail_on_warnings"):
        ACRONIS.check_options({"fail_on_error": True})


# --- many tasks


def test_all_tasks_of_a_connection_are_read_together():
    assert ACRONIS.selector({}) == ACRONIS.selector({"fail_on_warnings": True}) != ""


def test_many_ids_are_one_request():
    refs = [str(BIG), str(BIG - 1)]
    steps, seen = play(ACRONIS.observe_many("tasks", refs), listing(entry(BIG), entry(str(BIG - 1), "enqueued")))
    assert targets(steps) == [f"GET {TASKS}?id={BIG}&id={BIG - 1}&limit=2"]
    assert {ref: one.phase for ref, one in seen.items()} == {refs[0]: Phase.RUNNING, refs[1]: Phase.PENDING}


def test_ended_and_missing_tasks_are_left_to_single_reads():
    page = listing(entry(1), entry(2, "completed", result={"code": "ok"}), entry(9), "odd", {"id": 1.5})
    assert set(result_of(ACRONIS.observe_many("tasks", ["1", "2", "3"]), page)) == {"1"}


def test_a_hundred_ids_go_into_one_request():
    refs = [str(number) for number in range(1, 251)]
    pages = [listing(*(entry(int(ref)) for ref in refs[first : first + 100])) for first in (0, 100, 200)]
    steps, seen = play(ACRONIS.observe_many("tasks", refs), *pages)
    assert (len(steps), set(seen)) == (3, set(refs))
    assert [step.query[-1] for step in steps] == [("limit", "100"), ("limit", "100"), ("limit", "50")]


@pytest.mark.parametrize("place", [{"cursors": {"after": "c1"}}, {"paging": {"cursors": {"after": "c1"}}}])
def test_a_list_goes_on_at_its_cursor_wherever_that_is(place):
    steps, seen = play(ACRONIS.observe_many("tasks", ["1", "2"]), listing(entry(1), **place), listing(entry(2)))
    assert targets(steps)[1] == f"GET {TASKS}?after=c1&limit=2"
    assert set(seen) == {"1", "2"}


@each_row("more", [{"cursors": {"after": 5}}, {"cursors": {"after": ""}}, {"paging": None}, {}])
def test_a_list_without_a_cursor_is_at_its_end(more):
    assert len(play(ACRONIS.observe_many("tasks", ["1", "2"]), listing(entry(1), **more))[0]) == 1


def test_a_server_that_ignores_the_filter_is_not_read_to_its_end():
    first = listing(*(entry(number) for number in (7, 8)), cursors={"after": "c"})
    assert result_of(ACRONIS.observe_many("tasks", ["1", "2"]), first) == {}


def test_a_reply_without_a_list_is_not_an_empty_list():
    with pytest.raises(ReplyError, match="holds no list of items"):
        play(ACRONIS.observe_many("tasks", ["1"]), reply(200, {"tasks": []}))


# --- what a hook asks for


def test_tasks_are_listed_by_the_vendor_s_filters_page_by_page():
    filters = {"policyId": "p", "state": ("started", "paused"), "enqueuedAt": "gt(2026-01-31T06:00:00Z)"}
    flow = ACRONIS.tasks(150, filters)
    pages = [listing(*([entry(1)] * 100), cursors={"after": "c"}), listing(*([entry(2)] * 100), cursors={"after": "d"})]
    steps, found = play(flow, *pages)
    assert len(found) == 150
    assert targets(steps) == [
        f"GET {TASKS}?policyId=p&state=started&state=paused&enqueuedAt=gt%282026-01-31T06%3A00%3A00Z%29&limit=100",
        f"GET {TASKS}?after=c&limit=100",
    ]


def test_one_value_of_many_needs_no_or():
    steps, _ = play(Acronis(many_values="or").tasks(5, {"state": ["paused"], "order": "asc(id)"}), listing())
    assert targets(steps) == [f"GET {TASKS}?state=paused&order=asc%28id%29&limit=5"]


def test_tasks_and_activities_are_read_for_the_hook():
    activities = "/api/task_manager/v2/activities"
    assert targets(play(ACRONIS.task("07"), reply(200, TASK))[0]) == [f"GET {TASKS}/7"]
    for given in (7, "7", '"7"', " 07 "):
        assert targets(play(ACRONIS.activity(given), reply(200, {}))[0]) == [f"GET {activities}/7"]
    assert targets(play(ACRONIS.activity("a-1"), reply(200, {}))[0]) == [f"GET {activities}/a-1"]
    assert targets(play(ACRONIS.activities(5, {"taskId": 7}), listing())[0]) == [f"GET {activities}?taskId=7&limit=5"]


def test_a_plan_is_started_once_and_returns_the_servers_time():
    steps, at = play(ACRONIS.run_policy("p", ["r"]), reply(200, date="Sat, 31 Jan 2026 06:00:00 GMT"))
    [call] = steps
    assert (call.method, call.path, at) == ("PUT", acronis.RUN_POLICY, "Sat, 31 Jan 2026 06:00:00 GMT")
    assert call.json() == {"state": "running", "policy_id": "p", "context_ids": ["r"]}


# --- the connection test


def test_both_services_are_asked():
    steps, message = play(ACRONIS.probe(), listing(), reply(200, []))
    assert targets(steps) == [f"GET {TASKS}?limit=1", "GET /api/event_manager/v1/topics"]
    assert message == "tasks can be read; topics of events can be read"


def test_a_service_may_be_closed_to_a_client():
    message = result_of(ACRONIS.probe(), reply(403, {"code": "Forbidden", "message": "no scope"}), reply(200, []))
    assert message == "tasks are closed to this client: Forbidden: no scope; topics of events can be read"


@pytest.mark.parametrize("answers", [(reply(403), reply(403)), (reply(401),), (reply(200, {}), reply(500))])
def test_a_connection_without_access_fails_the_test(answers):
    with pytest.raises(RemoteError):
        play(ACRONIS.probe(), *answers)
