"""The receiver as Airflow's users meet it: mounted by the plugin, and from the command line."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from fastapi import FastAPI

from airflow_provider_taskwatch.cli import get_commands
from airflow_provider_taskwatch.command.adopt import _no_record
from airflow_provider_taskwatch.config.inbox import open_inbox
from airflow_provider_taskwatch.core.cancel import Cancel
from airflow_provider_taskwatch.core.feed import Unreadable
from airflow_provider_taskwatch.hub.canceller import SETTLED, message_of, write_down
from airflow_provider_taskwatch.inbox.aside import set_aside
from airflow_provider_taskwatch.inbox.message import Message
from airflow_provider_taskwatch.inbox.seal import Seal, fresh_key
from airflow_provider_taskwatch.inbox.task_state import TaskKey
from airflow_provider_taskwatch.plugin import TaskWatchPlugin, receiver_apps
from airflow_provider_taskwatch.receiver.server import listen
from airflow_provider_taskwatch.receiver.token import Keys
from airflow_provider_taskwatch.sandbox.server import Running
from tests.airflow.conftest import TASKWATCH, Airflow
from tests.receiver.visitor import SECRET

MODULE = "airflow_provider_taskwatch"
Variables = dict[str, str]
Configure = Callable[..., None]
Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def variables(tmp_path: Path) -> Variables:
    """Settings for a receiver of the test's own."""
    return {
        "AIRFLOW__TASKWATCH__CALLBACK_SECRETS": SECRET,
        "AIRFLOW__TASKWATCH__CALLBACK_BASE_URL": "https://airflow.test/taskwatch",
        "AIRFLOW__TASKWATCH__INBOX_URL": f"sqlite:///{tmp_path}/inbox.db",
    }


# --- mounted


@pytest.fixture
def configure(variables: Variables, monkeypatch: pytest.MonkeyPatch) -> Configure:
    def put(**changes: str) -> None:
        for name, value in {**variables, **changes}.items():
            monkeypatch.setenv(name, value)

    return put


def test_without_a_secret_nothing_is_mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__TASKWATCH__CALLBACK_SECRETS", raising=False)
    assert receiver_apps() == []


def test_with_a_secret_the_receiver_is_mounted(configure: Configure) -> None:
    configure()
    (mount,) = receiver_apps()
    assert (type(mount["app"]), mount["url_prefix"], mount["name"]) == (FastAPI, "/taskwatch", "Task Watch receiver")


@pytest.mark.parametrize(
    "name, value, text",
    [
        ("CALLBACK_SECRETS", "hush-hush", "1 of 1 have fewer than 32 characters"),
        ("INBOX_URL", "mysql://me:hush-hush@db/x", "an inbox is in SQLite or PostgreSQL, not in 'mysql'"),
        ("INBOX_RETENTION_DAYS", "-1", "inbox_retention_days must be a number of days greater than 0"),
    ],
)
def test_wrong_settings_are_logged_and_the_api_server_starts(
    configure: Configure, caplog: pytest.LogCaptureFixture, name: str, value: str, text: str
) -> None:
    configure(**{f"AIRFLOW__TASKWATCH__{name}": value})
    assert receiver_apps() == []
    assert "the receiver of callbacks is not mounted: " in caplog.text
    assert text in caplog.text
    assert "hush-hush" not in caplog.text


def test_the_plugin_makes_its_apps_once() -> None:
    assert TaskWatchPlugin.fastapi_apps is TaskWatchPlugin().fastapi_apps


@pytest.mark.process
def test_no_process_imports_fastapi_or_a_database_because_of_the_plugin(variables: Variables) -> None:
    script = f"""if True:
        import sys
        import airflow.plugins_manager
        before = set(sys.modules)
        from {MODULE}.plugin import TaskWatchPlugin
        TaskWatchPlugin()
        print(*{{name.partition(".")[0] for name in set(sys.modules) - before}})
    """
    assert python("-c", script, variables=variables).split() == [MODULE]


@pytest.mark.since("3.2", reason="the API server of 3.1 writes its access log by uvicorn")
@pytest.mark.process
def test_on_airflow_s_api_server_two_routes_are_open_and_callbacks_and_pushes_arrive(variables: Variables) -> None:
    shown = json.loads(python("-m", "tests.airflow.mounted", variables=variables).splitlines()[-1])
    refused = shown["counters"].pop("taskwatch.callback.refused")
    assert shown == {
        "pushed": 204,
        "open": [f"{method} /taskwatch/{name}" for method in ("GET", "HEAD") for name in ("health", "ready")],
        "count": 77,
        "kinds": ["APIRoute"],
        "accepted": 204,
        "stored": ["s", "7"],
        "receivers": ["https://airflow.test/taskwatch"],
        "counters": {"taskwatch.callback.received": 1, "taskwatch.push.received": 1},
        "logged": ["/taskwatch/callbacks/***", "/taskwatch/push/***"],
    }
    assert refused == 73


def python(*args: str, variables: Mapping[str, str]) -> str:
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, *args],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- on its own


@contextmanager
def receiver(variables: Mapping[str, str]) -> Iterator[str]:
    """``taskwatch receiver`` as a process, and its address."""
    with subprocess.Popen(
        [TASKWATCH, "receiver", "--port", "0"],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            lines = (re.search(r"listens on (\S+)", line) for line in process.stdout)
            yield next(found[1] for found in lines if found)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) in (0, -signal.SIGTERM)


def test_a_receiver_on_its_own_is_proved_from_the_command_line_without_airflow_s_database(
    taskwatch: Airflow, variables: Variables, tmp_path: Path
) -> None:
    metadata = tmp_path / "airflow.db"
    variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{metadata}"
    with receiver(variables) as url:
        assert requests.get(f"{url}/ready", timeout=5).status_code == 200
        variables["AIRFLOW__TASKWATCH__CALLBACK_BASE_URL"] = url
        shown = taskwatch("check", "--callbacks", variables=variables)
    assert (shown.returncode, [line.split()[1] for line in shown.stdout.splitlines()]) == (
        0,
        ["settings", "inbox", "delivered", "found"],
    )
    assert f"receivers: {socket.gethostname()} " in shown.stdout
    assert SECRET not in shown.stdout + shown.stderr
    assert not metadata.exists()


@pytest.fixture
def run(configure: Configure, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process; returns its exit code and the lines that it prints."""

    def call(name: str, **args: object) -> tuple[int, list[str]]:
        [command] = [one for one in get_commands()[0].subcommands if one.name == name]
        try:
            command.func(Namespace(**args))
        except SystemExit as end:
            return int(str(end.code)), capsys.readouterr().out.splitlines()
        return 0, capsys.readouterr().out.splitlines()

    configure()
    return call


def test_the_inbox_shows_its_receivers_without_its_password(run: Run, tmp_path: Path) -> None:
    open_inbox().beat("dmz-1", "https://calls.test")
    code, lines = run("inbox", action="status")
    assert (code, lines[0]) == (0, f"the inbox sqlite:///{tmp_path}/inbox.db")
    assert re.fullmatch(r"receiver on dmz-1, 0 s ago https://calls.test", lines[1])


def test_the_inbox_shows_who_reads_feeds(run: Run) -> None:
    open_inbox().lease("pump acronis tasks", "host-1 4711 some-uuid", 60.0)
    assert run("inbox", action="status")[1][1:] == ["pump acronis tasks: held by host-1 4711 some-uuid"]


def test_the_inbox_shows_how_many_starts_it_remembers(run: Run) -> None:
    """Below Airflow 3.3 it keeps their records."""
    task = TaskKey(airflow="a", dag_id="d", run_id="r", task_id="t")
    for key in ("taskwatch_start", "other"):
        open_inbox().replace_task_state(task, key, None, "{}")
    shown = ["records of starts: 1, kept until their Airflow tasks are over; `prune` leaves them"]
    assert run("inbox", action="status")[1][1:] == shown
    assert run("inbox", action="prune", older_than_days=0.001, sealed=True)[0] == 0
    assert run("inbox", action="status")[1][1:] == shown


def test_the_inbox_shows_the_kills_that_have_not_reached_their_remote(run: Run) -> None:
    cancel = Cancel(cancel_id="c", conn_id="automic_default", ref="7", dag_id="d", run_id="r", task_id="t")
    write_down(open_inbox(), cancel, time.time())
    assert run("inbox", action="status")[1][1:] == [
        "7 of automic_default is still to be cancelled: a user has ended d.t of r"
    ]
    open_inbox().append(SETTLED, [message_of(SETTLED, "c", {"words": "done"}, time.time())])
    assert len(run("inbox", action="status")[1]) == 1


def test_replies_that_could_not_be_read_are_shown_as_they_came_when_asked(run: Run, configure: Configure) -> None:
    key = fresh_key()
    configure(AIRFLOW__TASKWATCH__INBOX_KEYS=key)
    inbox = open_inbox()
    inbox.set_problem(inbox.keep_sealed("docplanner queue", Seal([key]).close(b"[]"), time.time()), "is no object")
    _, [line] = run("inbox", action="show", raw=False)
    _, lines = run("inbox", action="show", raw=True)
    assert re.fullmatch(r"docplanner queue at \S+: is no object", line)
    assert lines == [line, "[]"]


@pytest.mark.parametrize("keys", [[], [fresh_key()]])
def test_events_that_were_set_aside_are_counted_listed_and_shown_when_asked(
    run: Run, configure: Configure, keys: list[str]
) -> None:
    configure(AIRFLOW__TASKWATCH__INBOX_KEYS="".join(keys))
    odd = [Unreadable(content=f"[{number}]".encode(), problem="it has no time") for number in range(2)]
    seal = Seal(keys) if keys else None
    open_inbox().append("acronis tasks", [set_aside("acronis tasks", one, time.time(), seal) for one in odd])
    [*_, counted] = run("inbox", action="status")[1]
    _, lines = run("inbox", action="show", raw=True)
    assert counted == "acronis tasks: 2 of its events cannot be read and are set aside; see `inbox show`"
    assert lines[1::2] == ["[0]", "[1]"]
    assert all(re.fullmatch(r"acronis tasks at \S+: it has no time", line) for line in lines[::2])


def test_a_fresh_key_opens_what_it_has_closed(run: Run) -> None:
    _, [line] = run("inbox", action="key")
    seal = Seal([line.partition("INBOX_KEYS=")[2]])
    assert seal.open(seal.close(b"reply")) == b"reply"


@pytest.mark.parametrize("days, pruned", [(2.5, 1200), (None, 0)])
def test_what_is_old_is_pruned_however_much_it_is(run: Run, days: float | None, pruned: int) -> None:
    at = time.time() - 3 * 86_400
    open_inbox().add(
        [Message(channel="c", subject="s", delivery=str(n), content=None, received_at=at) for n in range(1200)]
    )
    text = f"{pruned} messages older than {days or 14:g} days are deleted"
    assert run("inbox", action="prune", older_than_days=days, sealed=False) == (0, [text])


def test_sealed_replies_that_were_not_read_are_pruned_only_where_that_is_asked_for(run: Run) -> None:
    inbox = open_inbox()
    inbox.keep_sealed("docplanner queue", b"unread", time.time() - 3 * 86_400)
    _, [_, kept] = run("inbox", action="prune", older_than_days=1.0, sealed=False)
    _, [_, deleted] = run("inbox", action="prune", older_than_days=1.0, sealed=True)

    assert kept == "1 unread sealed replies are kept; --sealed deletes them, too"
    assert deleted == "1 sealed replies older than 1 days are deleted"
    assert inbox.sealed() == []


def test_an_inbox_in_which_nothing_is_set_aside_says_so(run: Run) -> None:
    code, lines = run("inbox", action="show", raw=False)
    assert (code, lines) == (0, ["nothing is set aside, and all replies are stored"])


@pytest.mark.parametrize(
    "secrets, text", [("", "callback_secrets is not set"), ("short", "callback_secrets: 1 of 1 have fewer than")]
)
def test_a_fresh_secret_is_printed_where_there_is_none_that_is_good(
    run: Run, configure: Configure, secrets: str, text: str
) -> None:
    configure(AIRFLOW__TASKWATCH__CALLBACK_SECRETS=secrets)
    code, (secret, problem) = run("check", conn_id=None, callbacks=True)
    assert code == 1
    assert repr(Keys([secret.rpartition("CALLBACK_SECRETS=")[2]])) == "Keys(1 secrets)"
    assert problem.startswith(f"FAILED  settings    [taskwatch] {text}")
    assert problem.endswith("; set the fresh secret above wherever tasks and receivers run")


def test_a_connection_and_callbacks_are_checked_in_one_go(run: Run, connected: Running) -> None:
    code, lines = run("check", conn_id="acquia_default", callbacks=True)
    assert code == 1
    assert [line.split()[1] for line in lines[:5]] == ["settings", "token", "read", "settings", "inbox"]
    assert lines[5].startswith("FAILED  delivered   ")


def test_the_check_names_the_inbox_and_warns_of_a_file_where_workers_have_other_hosts(
    run: Run, configure: Configure, tmp_path: Path
) -> None:
    configure(AIRFLOW__CORE__EXECUTOR="CeleryExecutor")
    _, (_, inbox, warning, _) = run("check", conn_id=None, callbacks=True)
    assert f"the inbox sqlite:///{tmp_path}/inbox.db, a file of the host {socket.gethostname()}; receivers: " in inbox
    assert warning.startswith("!!  warning     triggerers and receivers on other hosts do not see this file")


def test_a_check_of_nothing_says_what_could_be_checked(run: Run) -> None:
    assert run("check", conn_id=None, callbacks=False) == (
        1,
        ["nothing to check; name a connection, or --callbacks"],
    )


def pushing(monkeypatch: pytest.MonkeyPatch, **extra: object) -> None:
    """A connection to Docplanner, which pushes where nothing else is said."""
    given = {"conn_type": "docplanner", "host": "doctoralia.es", "login": "us", "password": "hush-hush"}
    content = {**given, "extra": {"delivery": "push", **extra}}
    monkeypatch.setenv("AIRFLOW_CONN_OUR_CLINIC", json.dumps(content))


@pytest.mark.parametrize("needs_key", [False, True])
def test_the_address_for_pushes_is_printed_and_the_key_where_it_is_asked_for(
    run: Run, monkeypatch: pytest.MonkeyPatch, needs_key: bool
) -> None:
    pushing(monkeypatch, denial_code=7)
    code, (url, *headers) = run("push-url", conn_id="our_clinic", api_key=needs_key)
    token = url.removeprefix("https://airflow.test/taskwatch/push/")
    ticket = Keys([SECRET]).read_push(token)
    assert ticket is not None
    assert (code, ticket.needs_key) == (0, needs_key)
    assert ticket.channel.startswith("docplanner www.doctoralia.es ")
    assert ticket.options == {"store_payload": "ids", "denial_code": 7}
    assert headers == ([f"X-Api-Key: {Keys([SECRET]).push_key(token)}"] if needs_key else [])


def test_what_cannot_be_pushed_to_us_is_refused_with_the_reason(
    run: Run, configure: Configure, connected: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(conn_id: str) -> str:
        code, [line] = run("push-url", conn_id=conn_id, api_key=False)
        assert code == 1
        return line

    assert "'acquia' push no events; types whose remotes do are docplanner" in refusal("acquia_default")
    assert "set its 'delivery' to 'push'" in refusal("docplanner_default")
    assert "cannot be read" in refusal("nowhere")
    pushing(monkeypatch)
    configure(AIRFLOW__TASKWATCH__CALLBACK_SECRETS="", AIRFLOW__TASKWATCH__CALLBACK_BASE_URL="http://airflow.test")
    problems = refusal("our_clinic")
    assert "callback_secrets is not set" in problems
    assert "over which anybody can read the secrets" in problems


def test_a_receiver_needs_a_secret_an_inbox_and_a_port(run: Run, configure: Configure) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        code, lines = run("receiver", host="127.0.0.1", port=port)
    assert code == 1
    assert lines[0].startswith(f"the receiver cannot listen on 127.0.0.1:{port}: Address already in use")
    configure(AIRFLOW__TASKWATCH__INBOX_URL="nonsense")
    assert run("inbox", action="status")[1][0].startswith("the inbox's address is none; ")
    configure(AIRFLOW__TASKWATCH__CALLBACK_SECRETS="")
    assert run("receiver", host="127.0.0.1", port=0)[0] == 1


def test_without_a_terminal_a_watch_prints_a_line_for_each_change(run: Run, connected: Running) -> None:
    connected.sandbox.add_rule(duration=0.0)
    url, auth = f"{connected.url}/automic/ae/api/v1/100/executions", ("100/AIRFLOW/AIRFLOW", "sandbox-secret")
    ref = str(requests.post(url, json={"object_name": "JOBS.A"}, auth=auth, timeout=20).json()["run_id"])
    code, lines = run("watch", conn_id="automic_default", ref=ref, timeout=60.0)
    assert (code, len(lines)) == (0, 1)
    assert f"execution {ref}: succeeded" in lines[0]


def test_a_watch_of_a_port_that_is_refused_says_so_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {"conn_type": "automic", "host": "http://127.0.0.1:9/ae/api/v1", "login": "u", "password": "p"}
    monkeypatch.setenv("AIRFLOW_CONN_NOWHERE", json.dumps({**content, "extra": {"client": 100}}))
    code, lines = run("watch", conn_id="nowhere", ref="7", timeout=1.0)
    assert code == 1
    assert lines[0].startswith("still waiting: http://127.0.0.1:9/ae/api/v1 refuses connections")


@pytest.mark.parametrize("is_known, text", [(True, "has not tried to start anything"), (False, "there is no task")])
def test_an_adoption_without_a_record_names_the_task(is_known: bool, text: str) -> None:
    args = Namespace(dag_id="d", run_id="r", task_id="t", map_index=3)
    said = _no_record(args, is_known=is_known)
    assert "task 't' of DAG 'd' in run 'r' with map index 3" in said
    assert text in said
