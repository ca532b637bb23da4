from __future__ import annotations

import json
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    NotFoundError,
    RemoteError,
    ReplyError,
)
from airflow_provider_taskwatch.core.phase import Observation, Phase, absent
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.systems.automic import system as automic
from airflow_provider_taskwatch.systems.automic.form import FORM
from airflow_provider_taskwatch.systems.automic.group import GROUPS, expand
from airflow_provider_taskwatch.systems.automic.request import alias_for, execution_request, input_problem
from airflow_provider_taskwatch.systems.automic.status import PHASES, phase_of
from airflow_provider_taskwatch.systems.automic.system import Automic, reading_options
from tests.play import play, reply, result_of, targets
from tests.rows import each_row
from tests.systems.automic.case import EFFECTS, EXECUTION, START_ID, listing

AUTOMIC = Automic(client="0100")


def entry(run_id: int, status: int = 1550, **more: object) -> dict[str, object]:
    return {"run_id": run_id, "name": f"JOBS.{run_id}", "type": "JOBS", "status": status, **more}


def seen_as(status: object, phase: Phase = Phase.UNKNOWN) -> Observation:
    return Observation(ref="7", phase=phase, status=str(status), message="text")


# --- ids and options


def test_a_malformed_run_id_is_named():
    with pytest.raises(ConfigurationError, match="'12a' is not an execution id: it must be a number greater than 0"):
        AUTOMIC.check_ref("12a")


def test_options_that_are_known_pass():
    AUTOMIC.check_options({"success_statuses": ["ANY_OK", 1899], "report_tail": 20, "alias": "A"})


@each_row(
    "options, problem",
    [
        ({"sucess_statuses": [1900]}, "unknown option sucess_statuses; known are success_statuses, "),
        ({"success_statuses": ["ANY_GOOD"]}, "'ANY_GOOD' is not an Automic status.*ANY_OK_OR_UNBLOCKED"),
        ({"skip_statuses": [2000]}, "2000 is not an Automic status; give numbers from 1300 to 1999"),
        ({"report_tail": "many"}, "report_tail must be a number"),
    ],
)
def test_wrong_options_are_named_with_the_valid_ones(options, problem):
    with pytest.raises(ConfigurationError, match=problem):
        AUTOMIC.check_options(options)


# --- start


def test_a_start_takes_the_run_id_from_the_reply():
    steps, started = play(AUTOMIC.start({"object_name": "A"}), reply(200, {"run_id": 1005016}))
    [call] = steps
    assert (call.method, call.path, call.json()) == ("POST", "/0100/executions", {"object_name": "A"})
    assert (started.ref, started.reply) == ("1005016", {"run_id": 1005016})


def test_a_padded_text_is_a_run_id_too():
    started = result_of(AUTOMIC.start({}), reply(200, {"runid": "0001005016", "execution_status": "1900"}))
    assert started.ref == "1005016"


@each_row("content", [{}, {"run_id": 0}, {"run_id": "abc"}, {"run_id": None}])
def test_a_reply_without_a_run_id_does_not_count_as_refused(content):
    with pytest.raises(ReplyError, match="holds no run id") as caught:
        play(AUTOMIC.start({}), reply(200, content))
    assert not AUTOMIC.was_refused(caught.value)


def test_without_a_client_the_path_has_none():
    steps, _ = play(Automic().start({}), reply(200, {"run_id": 7}))
    assert targets(steps) == ["POST /executions"]


@pytest.mark.parametrize("client", ["..", "1/2"])
def test_a_client_that_would_change_the_path_is_refused(client):
    with pytest.raises(ConfigurationError, match="not a client id"):
        Automic(client=client)


# --- the request


@pytest.mark.parametrize(
    "alias, object_name, marker",
    [
        ("", "JOBP.EXAMPLE_1#A", "JOBP-EXAMPLE-1-A-0123456789ab"),
        ("Nightly #1", "JOBP.EXAMPLE", "Nightly #1-0123456789ab"),
    ],
)
def test_the_marker_is_an_alias_and_the_start_id(alias, object_name, marker):
    assert alias_for(alias, object_name, START_ID) == marker


def test_a_plain_request_has_the_given_fields():
    assert execution_request("JOBS.A") == {"object_name": "JOBS.A", "execution_option": "execute"}
    request = execution_request("JOBS.A", alias="A", queue="Q", timezone="TZ.UTC", inputs={"X#": 5, "Y": ("a", 1)})
    assert request == {
        "object_name": "JOBS.A",
        "alias": "A",
        "queue": "Q",
        "timezone": "TZ.UTC",
        "execution_option": "execute",
        "inputs": {"X#": "5", "Y": ["a", "1"]},
    }


@pytest.mark.parametrize(
    "moment",
    ["2026-01-31T06:00:00Z", "2026-01-31 07:00:00+01:00", datetime(2026, 1, 31, 6, tzinfo=UTC)],
)
def test_once_takes_times_in_any_zone_and_sends_utc(moment):
    request = execution_request(
        "A",
        execution_option="once",
        execution_date_time=moment,
        wait_for_manual_release=True,
        use_logical_time="",
    )
    assert request["once"] == {
        "execution_date_time": "2026-01-31T06:00:00Z",
        "wait_for_manual_release": True,
    }


@each_row("given, sent", [(True, True), (False, False), ("true", True), ("False", False)])
def test_a_manual_release_is_a_json_boolean_and_an_adjusted_start_a_text(given, sent):
    once = execution_request("A", execution_option="once", wait_for_manual_release=given)
    recurring = execution_request("A", execution_option="recurring", adjust_start_time=given)
    assert once["once"] == {"wait_for_manual_release": sent}
    assert recurring["recurring"] == {"adjust_start_time": str(sent).lower()}


@each_row("value", [{"a": [1, None, {"b": True}]}, [{"c": 1.5}], [1, "x"], "text", 5, None, False, ()])
def test_an_input_whose_name_says_json_is_sent_as_it_is(value):
    request = execution_request("A", inputs={"&X#|json": value, "Y#": 5})
    assert request["inputs"] == {"&X#|json": json.loads(json.dumps(value)), "Y#": "5"}


def test_an_input_whose_name_says_json_is_checked_by_its_own_name():
    assert input_problem({"X#": "1"}, "X#|json", {"a": 1}) is None
    assert "unknown input" in input_problem({"X#": "1"}, "Y#|json", {"a": 1})


def test_recurring_takes_its_own_fields():
    fields = {
        "end_date": "2026-12-31",
        "execute_after": "PT5M",
        "execute_at": "06:30",
        "adjust_start_time": "False",
    }
    request = execution_request(
        "A",
        execution_option="recurring",
        start_date=date(2026, 1, 31),
        end_after_executions="3",
        **fields,
    )
    expected = {**fields, "start_date": "2026-01-31", "end_after_executions": 3, "adjust_start_time": "false"}
    assert request["recurring"] == expected


@each_row(
    "details, problem",
    [
        ({"execution_option": "twice"}, "execution_option 'twice' is none of execute, once, recurring"),
        ({"start_date": "2026-01-31"}, "start_date needs execution_option 'recurring'"),
        (
            {"execution_option": "recurring", "wait_for_manual_release": True},
            "wait_for_manual_release needs execution_option 'once'",
        ),
        ({"start": "now"}, "unknown field start; known are wait_for_manual_release"),
        ({"inputs": {"B": None, "A": [True]}}, "input A, B must be a string or a list of strings"),
    ],
)
def test_a_wrong_combination_is_named(details, problem):
    with pytest.raises(ConfigurationError, match=problem):
        execution_request("A", **details)


@each_row(
    "option, name, values",
    [
        ("once", "execution_date_time", ["2026-01-31T06:00:00", "now", "06:30", "2026-13-01", 5]),
        ("once", "wait_for_manual_release", ["maybe", 1]),
        ("recurring", "start_date", ["31.01.2026", "20260131", "2026-02-30", "2026-01-31T00:00:00Z", 5]),
        ("recurring", "end_after_executions", [0, -1, "x", 1.5, True]),
        ("recurring", "execute_after", ["5m", "PT", "P1X", "2026-01-01/P1D", 300]),
        ("recurring", "execute_at", ["24:00", "6:30", "06:60", 630]),
    ],
)
def test_a_malformed_value_is_named(option, name, values):
    for value in values:
        with pytest.raises(ConfigurationError, match=f"{name} must be an? .*, not|{name} must be true or false"):
            execution_request("A", execution_option=option, **{name: value})


def test_one_error_names_every_problem():
    with pytest.raises(ConfigurationError) as caught:
        execution_request(" ", execution_option="twice", execute_at="noon", inputs={"A": {}})
    parts = ("object_name is empty", "'twice'", "execute_at needs", "execute_at must be", "input A")
    assert [part for part in parts if part not in str(caught.value)] == []


# --- inputs


def test_inputs_are_checked_against_the_prompt_sets():
    prompts = {"PRPT.A": {"NAME#": "x", "DAYS": [], "FREE": None}, "PRPT.B": "none"}
    inputs = {"NAME": "x", "NAME#": ["x"], "DAYS": "Monday", "FREE": ["x"]}
    steps, problems = play(AUTOMIC.inputs_problems("JOBP.A#1", inputs), reply(200, prompts))
    assert targets(steps) == ["GET /0100/objects/JOBP.A%231/inputs"]
    assert problems == [
        "unknown input 'NAME'; known are 'NAME#', 'DAYS', 'FREE'",
        "input 'NAME#' takes one text",
        "input 'DAYS' takes a list of texts",
    ]


def test_inputs_that_fit_have_no_problems():
    flow = AUTOMIC.inputs_problems("A", {"NAME": "x", "DAYS": ["Monday"]})
    assert result_of(flow, reply(503), reply(200, {"P": {"NAME": "x", "DAYS": []}})) == []


def test_an_object_without_inputs_accepts_none():
    [problem] = result_of(AUTOMIC.inputs_problems("A", {"X": "1"}), reply(200, {}))
    assert problem == "unknown input 'X'; known are none"


# --- observe


def test_an_execution_becomes_an_observation():
    steps, seen = play(AUTOMIC.observe("1005016"), reply(200, EXECUTION))
    assert targets(steps) == ["GET /0100/executions/1005016"]
    assert (seen.ref, seen.phase, seen.status, seen.message) == ("1005016", Phase.RUNNING, "1550", "ACTIVE")
    assert (seen.progress, seen.elapsed_seconds, seen.expected_seconds) == (None, 90.0, 300.0)


def test_the_result_has_no_data_of_people():
    content = {**EXECUTION, "status": "1900", "end_time": "2026-01-31T06:01:30Z"}
    seen = result_of(AUTOMIC.observe("1005016"), reply(200, content))
    assert (seen.result["run_id"], seen.result["status"], seen.result["duration"]) == (1005016, 1900, 90.0)
    assert (seen.result["agent"], seen.result["queue"]) == (None, "CLIENT_QUEUE")
    assert not {"user", "activator"} & seen.result.keys()
    assert seen.personal == {"user": "SMITH/DEPT", "activator": "SMITH/DEPT"}


def test_a_status_alone_is_enough():
    seen = result_of(AUTOMIC.observe("7"), reply(200, {"status": 1800}))
    assert (seen.phase, seen.message, seen.elapsed_seconds) == (Phase.FAILED, "ended not ok, aborted", None)


@pytest.mark.parametrize("status, phase", [(1400, Phase.RUNNING), (1870, Phase.FAILED), (1950, Phase.SUCCEEDED)])
def test_an_unlisted_number_is_judged_by_its_range_and_says_so(status, phase):
    doubt = f"(the vendor does not list status {status}; by its range it counts as {phase})"
    seen = AUTOMIC.understand(result_of(AUTOMIC.observe("7"), reply(200, {"status": status})), {})
    assert (seen.phase, seen.message) == (phase, doubt)


@pytest.mark.parametrize("options", [{}, {"success_statuses": [1900]}])
def test_an_unlisted_number_outside_of_all_ranges_is_unknown_and_says_so(options):
    seen = AUTOMIC.understand(
        result_of(AUTOMIC.observe("7"), reply(200, {"status": 2999, "status_text": "odd"})), options
    )
    assert seen.phase is Phase.UNKNOWN
    assert seen.message == "odd (the vendor does not list status 2999; its meaning is not known)"


def test_an_unlisted_number_that_an_option_names_leaves_no_doubt():
    seen = result_of(AUTOMIC.observe("7"), reply(200, {"status": 1400, "status_text": "odd"}))
    named = AUTOMIC.understand(seen, {"success_statuses": [1400]})
    assert (named.phase, named.message) == (Phase.SUCCEEDED, "odd")


# --- statuses


def test_the_whole_status_table_is_there():
    assert len(PHASES) == 145
    for number, phase in PHASES.items():
        assert phase.is_final == (number >= 1800)
        assert phase.is_ok == (number >= 1900)


def test_numbers_and_groups_expand():
    assert expand([1899, "1901", "ended_cancel "]) == {1899, 1901, 1850, 1851}
    assert expand("ANY_OK_OR_UNBLOCKED") == GROUPS["ANY_OK"] | {1899}
    assert expand(1900) == {1900}
    assert expand([]) == frozenset()


def test_all_task_states_of_the_vendors_public_api_are_groups():
    assert len(GROUPS) == 45
    for name, numbers in GROUPS.items():
        assert numbers
        assert expand(f" {name.lower()} ") == expand(name.replace("INACTIVE", "INACTIV")) == numbers


def test_a_return_code_of_a_job_can_be_a_success():
    options = {"success_statuses": ["USER_100_200"]}
    assert AUTOMIC.understand(seen_as(147, Phase.UNKNOWN), options).phase is Phase.SUCCEEDED


@each_row(
    "status, phase, options, understood",
    [
        (1900, Phase.SUCCEEDED, {}, Phase.SUCCEEDED),
        (1899, Phase.FAILED, {"success_statuses": ["ANY_OK_OR_UNBLOCKED"]}, Phase.SUCCEEDED),
        (1904, Phase.SUCCEEDED, {"success_statuses": [1900]}, Phase.FAILED),
        (1904, Phase.SUCCEEDED, {"success_statuses": [1900], "skip_statuses": [1904]}, Phase.SKIPPED),
        (1920, Phase.SKIPPED, {"success_statuses": [1900]}, Phase.SKIPPED),
        (1920, Phase.SKIPPED, {"skip_statuses": [1922]}, Phase.FAILED),
        (1920, Phase.SKIPPED, {"skip_statuses": []}, Phase.FAILED),
        (1920, Phase.SKIPPED, {"success_statuses": ["ANY_OK"], "skip_statuses": []}, Phase.SUCCEEDED),
        (1900, Phase.SUCCEEDED, {"skip_statuses": ["ANY_SKIPPED"]}, Phase.SUCCEEDED),
        (1550, Phase.RUNNING, {"success_statuses": [1900]}, Phase.RUNNING),
        (1800, Phase.FAILED, {"success_statuses": [1900]}, Phase.FAILED),
        ("", Phase.LOST, {"success_statuses": [1900]}, Phase.LOST),
    ],
)
def test_the_options_of_a_watch_decide_about_a_status(status, phase, options, understood):
    assert AUTOMIC.understand(seen_as(status, phase), options).phase is understood


def test_a_success_that_does_not_count_says_why():
    seen = AUTOMIC.understand(seen_as(1904, Phase.SUCCEEDED), {"success_statuses": [1900]})
    assert seen.message == "text (status 1904 is not among the success_statuses [1900], so it counts as failed)"


# --- many at once


@each_row(
    "alias, selector",
    [
        (f"NIGHTLY-LOAD-{START_ID}", "NIGHTLY-LOAD-*"),
        (f"A#B-{START_ID}", ""),
        (f"A*B-{START_ID}", ""),
        ("NIGHTLY", ""),
        (None, ""),
    ],
)
def test_the_selector_is_what_the_aliases_have_in_common(alias, selector):
    assert AUTOMIC.selector({"alias": alias}) == selector


def test_one_list_answers_for_all_waiting_executions():
    flow = AUTOMIC.observe_many("A-*", ["7", "9", "5"])
    page = listing(entry(9, 1800), "odd", {"name": "no id"}, entry(8), entry(7), entry(5, 1700), hasmore=True)
    steps, seen = play(flow, page)
    [asked] = [dict(step.query) for step in steps]
    waiting = asked.pop("status").split(",")
    assert asked == {
        "include_deactivated": "true",
        "alias": "A-*",
        "start_at_run_id": "10",
        "max_results": "500",
    }
    assert {phase_of(int(one)) for one in waiting} == {Phase.PENDING, Phase.RUNNING, Phase.BLOCKED}
    assert {ref: one.phase for ref, one in seen.items()} == {"7": Phase.RUNNING, "5": Phase.PENDING}


def test_pages_are_read_until_all_are_found():
    refs = [str(number) for number in range(1, 31)]
    pages = [[entry(number) for number in range(start, start - 10, -1)] for start in (30, 20, 10)]
    steps, seen = play(AUTOMIC.observe_many("A-*", refs), *[listing(*page, hasmore=True) for page in pages])
    assert sorted(seen) == sorted(refs)
    assert [dict(step.query)["start_at_run_id"] for step in steps] == ["31", "21", "11"]


@each_row(
    "last",
    [
        listing(entry(100), hasmore=False),
        listing(hasmore=True),
        listing(entry(200), hasmore=True),
        listing(entry(40), hasmore=True),
    ],
)
def test_paging_stops_at_the_last_useful_page(last):
    refs = [str(number) for number in range(50, 90)]
    steps, seen = play(AUTOMIC.observe_many("A-*", refs), listing(entry(200), hasmore=True), last)
    assert (len(steps), seen) == (2, {})


def test_paging_costs_less_than_single_reads():
    pages = [listing(entry(number), hasmore=True) for number in (300, 299)]
    steps, _ = play(AUTOMIC.observe_many("A-*", [str(n) for n in range(20)]), *pages)
    assert len(steps) == 2


# --- cancel, find, follow


@each_row("answer, effect", EFFECTS)
def test_a_cancel_of_an_ended_execution_is_no_error(answer, effect):
    steps, done = play(AUTOMIC.cancel("7"), answer)
    assert done is effect
    assert targets(steps) == ["POST /0100/executions/7/status"]
    assert steps[0].json() == {"action": "cancel", "cancel": {"recursive": True}}


def test_the_children_of_a_cancelled_execution_keep_running_on_request():
    steps, _ = play(AUTOMIC.cancel("7", {"cancel_children": False}), reply(200, {}))
    assert [step.json() for step in steps] == [{"action": "cancel"}]


@each_row("answer, effect", EFFECTS)
def test_an_engine_that_knows_no_recursive_cancel_gets_the_plain_one(answer, effect):
    steps, done = play(AUTOMIC.cancel("7", {}), reply(400, {"code": 3704}), answer)
    assert done is effect
    assert [step.json() for step in steps] == [
        {"action": "cancel", "cancel": {"recursive": True}},
        {"action": "cancel"},
    ]


def test_a_plain_cancel_that_is_malformed_too_is_an_error():
    with pytest.raises(RemoteError):
        play(AUTOMIC.cancel("7"), reply(400), reply(400))


def test_find_asks_for_the_alias_among_all_executions():
    marker = f"A-{START_ID}"
    found = listing(entry(9, alias=marker), entry(8, 1900, alias=marker.upper()), entry(7, alias="A"))
    steps, ref = play(AUTOMIC.find(marker), found)
    assert targets(steps) == [f"GET /0100/executions?include_deactivated=true&alias={marker}&max_results=500"]
    assert ref == "8"


def test_find_accepts_a_list_without_aliases():
    assert result_of(AUTOMIC.find("A"), listing(entry(7))) == "7"


def test_find_asks_for_the_end_of_an_alias_that_filters_cannot_match():
    steps, ref = play(AUTOMIC.find(f"A#B#C-{START_ID}"), listing())
    assert f"alias=%2AC-{START_ID}" in targets(steps)[0]
    assert ref is None


@pytest.mark.parametrize("content", [{}, {"data": None}, {"total": 0}])
def test_a_reply_without_a_list_is_no_empty_list(content):
    with pytest.raises(ReplyError, match="holds no list of executions"):
        play(AUTOMIC.find("A"), reply(200, content))


def test_a_restart_is_followed_when_asked():
    restarts = listing(
        entry(9, reference_run_id=7), entry(8), entry(20, reference_run_id=0), entry(7, reference_run_id=6)
    )
    steps, ref = play(AUTOMIC.successor(seen_as(1800), {"follow_restarts": True}), restarts)
    assert "reference_run_id=7" in targets(steps)[0]
    assert ref == "9"


def test_an_execution_is_not_its_own_successor():
    flow = AUTOMIC.successor(seen_as(1800), {"follow_restarts": True})
    assert result_of(flow, listing(entry(7))) is None


def test_a_restart_is_not_followed_by_default():
    assert play(AUTOMIC.successor(seen_as(1800), {})) == ([], None)


# --- explain


def report(*pages: str, total: int = 1, hasmore: bool = False):
    data = [{"page": number, "content": text} for number, text in enumerate(pages, 1)]
    return reply(200, {"total": total, "data": data, "hasmore": hasmore})


def test_a_failure_is_explained_by_its_children_and_its_last_messages():
    children = listing(entry(30, 1802), entry(31, 1900), entry(32, 1800, status_text="ENDED_NOT_OK"), entry(33, 1700))
    messages = report("one\r\ntwo &lt;2&gt;\r\n\r\nthree\r\nfour\r\nfive\r\nsix\r\n")
    steps, message = play(AUTOMIC.explain(seen_as(1800), {}), children, messages)
    assert targets(steps) == [
        "GET /0100/executions/7/children?max_results=500",
        "GET /0100/executions/7/reports/ACT",
    ]
    assert message.splitlines() == [
        "failed or blocked children:",
        "  JOBS.32 (32): 1800 ENDED_NOT_OK",
        "  JOBS.30 (30): 1802 not run, the workflow was aborted",
        "last messages:",
        "  two <2>",
        "  three",
        "  four",
        "  five",
        "  six",
    ]


def test_the_children_of_a_nested_workflow_are_shown_below_it():
    children = listing(entry(30, 1560, type="JOBP"), entry(31, 1800))
    nested = listing(*[entry(number, 1800) for number in range(40, 50)])
    _, message = play(AUTOMIC.explain(seen_as(1560), {}), children, nested, report())
    assert [line.split(":")[0] for line in message.splitlines()[1:]] == [
        "  JOBS.30 (30)",
        "    JOBS.40 (40)",
        "    JOBS.41 (41)",
        "    JOBS.42 (42)",
        "    JOBS.43 (43)",
    ]


def test_nested_children_that_cannot_be_read_hide_nothing():
    children = listing(entry(30, 1800, type="JOBP"))
    _, message = play(AUTOMIC.explain(seen_as(1800), {}), children, reply(500), reply(500))
    assert message == "failed or blocked children:\n  JOBS.30 (30): 1800 ended not ok, aborted"


def test_the_last_pages_of_a_long_report_are_read():
    first = report("old\r\n", total=40, hasmore=True)
    steps, message = play(AUTOMIC.explain(seen_as(1800), {}), listing(), first, report("new\r\n", "newer"))
    assert targets(steps)[-1] == "GET /0100/executions/7/reports/ACT?start_at=39&max_results=2"
    assert message == "last messages:\n  new\n  newer"


def test_the_first_page_is_better_than_none():
    first = report("old\r\n", total=2, hasmore=True)
    _, message = play(AUTOMIC.explain(seen_as(1800), {}), listing(), first, report())
    assert message == "last messages:\n  old"


def test_the_reports_tail_comes_on_request():
    flow = AUTOMIC.explain(seen_as(1800), {"report_tail": 2})
    steps, message = play(flow, listing(), report(), report("a\r\nb\r\nc\r\n"))
    assert targets(steps)[-1] == "GET /0100/executions/7/reports/REP"
    assert message == "report:\n  b\n  c"


def test_a_log_stands_in_for_a_missing_report():
    flow = AUTOMIC.explain(seen_as(1800), {"report_tail": "1"})
    steps, message = play(flow, listing(), report(), reply(404), report("a\r\nb\r\n"))
    assert targets(steps)[-1] == "GET /0100/executions/7/reports/LOG"
    assert message == "report:\n  b"


@pytest.mark.parametrize("content", [{}, {"data": "x"}, {"data": ["x", {}]}])
def test_an_odd_report_has_no_lines(content):
    assert result_of(AUTOMIC.explain(seen_as(1800), {}), listing(), reply(200, content)) == ""


# --- the connection


def test_the_probe_asks_for_reachability_then_for_the_client():
    steps, message = play(AUTOMIC.probe(), reply(200), listing())
    assert targets(steps) == ["GET /ping", "GET /0100/executions?max_results=1"]
    assert "can be listed" in message


def test_an_engine_without_a_ping_is_a_wrong_address():
    for message, remedy in (
        ("not found", "not found; check host, port and base path of the connection"),
        ("no such base path", "no such base path"),
    ):
        with pytest.raises(NotFoundError) as missing:
            play(AUTOMIC.probe(), reply(404, {"error": message}))
        assert missing.value.message == remedy


def test_executions_are_listed_by_filters_page_by_page():
    pages = [listing(entry(9), entry(8), hasmore=True), listing(entry(7), entry(6), hasmore=True)]
    steps, found = play(AUTOMIC.executions(3, {"type": "JOBS"}), *pages)
    assert [one["run_id"] for one in found] == [9, 8, 7]
    assert targets(steps) == [
        "GET /0100/executions?type=JOBS&max_results=500",
        "GET /0100/executions?type=JOBS&start_at_run_id=8&max_results=500",
    ]


@pytest.mark.parametrize("last", [listing(entry(9), hasmore=True), listing()])
def test_listing_stops_at_a_repeated_or_empty_page(last):
    steps, found = play(AUTOMIC.executions(5, {}), listing(entry(9), hasmore=True), last)
    assert (len(steps), [one["run_id"] for one in found]) == (2, [9])


def test_the_page_of_an_execution_knows_its_client():
    assert AUTOMIC.page("7") == {"ref": "7", "run_id": "7", "client": "0100"}


def settings_of(**extra: str) -> Settings:
    raw = RawConnection(
        conn_id="c",
        conn_type="automic",
        host="http://ae:8088",
        login="100/U/D",
        password="p",
        extra=json.dumps(extra),
    )
    return read_connection(FORM, raw)


def test_a_connection_gives_base_url_charset_and_client():
    settings = settings_of(client="0100")
    assert (settings.base_url, settings.charset) == ("http://ae:8088/ae/api/v1", "latin-1")
    assert (settings.login, settings.auth) == ("100/U/D", "basic")
    assert automic.from_settings(settings).page("7")["client"] == "0100"


@each_row("client, named", [("0100", " client 100"), ("100", " client 100"), ("0", " client 0"), ("", "")])
def test_run_ids_belong_to_an_address_and_a_client(client, named):
    settings = settings_of(client=client)
    assert automic.from_settings(settings).id_space(settings) == f"http://ae:8088/ae/api/v1{named}"


@each_row(
    "seen_alias, alias, is_own",
    [
        ("DAILY-0123456789ab", "DAILY-0123456789ab", True),
        ("daily-0123456789AB", "OTHER-0123456789ab", True),
        ("DAILY-ba9876543210", "DAILY-0123456789ab", False),
        ("SOMETHING", "DAILY-0123456789ab", False),
        ("#5 of 7-0123456789ab", "#5 of 7-0123456789ab", True),
        ("SOMETHING", "DAILY-", True),
        ("", "DAILY-0123456789ab", True),
        (None, "DAILY-0123456789ab", True),
    ],
)
def test_an_execution_is_known_by_the_end_of_its_alias_where_it_has_one(seen_alias, alias, is_own):
    seen = result_of(AUTOMIC.observe("7"), reply(200, {"run_id": 7, "status": 1550, "alias": seen_alias}))
    assert AUTOMIC.is_own(seen, {"alias": alias}) is is_own
    assert AUTOMIC.is_own(absent("7"), {"alias": alias})


def test_a_connection_without_a_client_is_allowed():
    assert automic.from_settings(settings_of()).page("7")["client"] == ""


@each_row(
    "given, options",
    [
        ({}, {}),
        ({"success_statuses": "1900"}, {"success_statuses": ["1900"]}),
        ({"skip_statuses": []}, {"skip_statuses": []}),
        ({"follow_restarts": True, "report_tail": 5}, {"follow_restarts": True, "report_tail": 5}),
    ],
)
def test_arguments_of_a_task_are_options_of_a_watch(given, options):
    unset = {"success_statuses": None, "skip_statuses": None, "follow_restarts": False, "report_tail": 0}
    assert reading_options(SimpleNamespace(**{**unset, **given})) == options
