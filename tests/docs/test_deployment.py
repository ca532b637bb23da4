"""The page on deployment: each name on it exists, its figures are measured ones, and its database works."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
import yaml
from airflow.configuration import conf
from airflow.jobs import triggerer_job_runner

from airflow_provider_taskwatch import cli
from airflow_provider_taskwatch.core.error import InboxError
from airflow_provider_taskwatch.inbox import engine, schema
from airflow_provider_taskwatch.inbox.message import RETENTION_DAYS
from airflow_provider_taskwatch.inbox.protocol import Inbox
from airflow_provider_taskwatch.inbox.store import SqlInbox
from benchmarks import feeds, watch_cost
from demo.postgres import PrivatePostgres
from docs.make_reference import COUNTERS, INFO, TIMINGS
from tests.inbox import test_contract as contract
from tests.inbox.conftest import NOW
from tests.until import wait_until

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "deployment.md").read_text()
PROSE = re.sub(r"^```\w+\n.*?^```$", "", TEXT, flags=re.DOTALL | re.MULTILINE)
NAMES = set(re.findall(r"`([^`\n]+)`", PROSE))

OPTIONS = set(INFO["config"]["taskwatch"]["options"])
METRICS = {f"taskwatch.{name}" for name in COUNTERS | TIMINGS}
AIRFLOWS_METRICS = {
    "triggers.running",
    "triggers.blocked_main_thread",
    "triggerer.capacity_left",
    "triggerer_heartbeat",
}
ROLES = {"taskwatch_owner", "taskwatch"}
MESSAGES = {"deferred by another version", "install the newest one everywhere"}
ARGUMENTS = {"durable=True", "poll_interval", "retries", "rate_limit", "concurrency"}
OF_OTHERS = {"env", "secret", "postgres", "max_connections", "pg_dump", "..._CMD", "..._SECRET", "AIRFLOW__..."}
"""Names of Airflow's chart, of PostgreSQL and of Airflow's environment variables."""


def is_command(name: str) -> bool:
    """Whether the command line of the package accepts it."""
    if not name.startswith("taskwatch "):
        return False
    return cli.parser().parse_args(shlex.split(name)[1:]).run is not None


def is_option_of_airflow(name: str) -> bool:
    """Whether it is ``[section] option`` of Airflow."""
    found = re.fullmatch(r"\[(\w+)\] (\w+)", name)
    return found is not None and conf.has_option(*found.groups())


def is_variable(name: str) -> bool:
    """Whether it sets an option of the package, or a secret one by a command or a secrets backend."""
    option = name.removeprefix("AIRFLOW__TASKWATCH__").removesuffix("_SECRET").lower()
    return name.startswith("AIRFLOW__TASKWATCH__") and INFO["config"]["taskwatch"]["options"][option]["sensitive"]


def is_benchmark(name: str) -> bool:
    """Whether it measures something that there is."""
    if name.startswith("make bench ONLY="):
        return name.partition("=")[2] in {case.name for case in watch_cost.CASES}
    found = re.fullmatch(r"python -m benchmarks\.(\w+) --only (\w+)", name)
    return found is not None and found[2] in {"callbacks": {"receiver", "wake"}, "feeds": set(feeds.MEASURES)}[found[1]]


def is_of_the_receiver(name: str) -> bool:
    """Whether it is one of its paths, or what one of them answers."""
    texts = {"/taskwatch/", "/health", "/ready", "/taskwatch/ready", '{"service": "taskwatch receiver"}'}
    return name in texts or name == "curl https://.../taskwatch/health"


def is_of_postgresql(name: str) -> bool:
    """Whether a test below runs it, or it is an address of an inbox."""
    return name.startswith(("SELECT ", "postgresql://")) or name == "pg_restore --clean --single-transaction"


RECOGNIZERS: list[Callable[[str], bool]] = [
    (OPTIONS | METRICS | AIRFLOWS_METRICS | ROLES | MESSAGES | ARGUMENTS | OF_OTHERS).__contains__,
    {
        "[taskwatch]",
        "taskwatch_inbox",
        "airflow_provider_taskwatch",
        "permission denied for schema public",
    }.__contains__,
    lambda name: name == "pip install 'airflow-provider-taskwatch[postgres]'",
    is_command,
    is_option_of_airflow,
    is_variable,
    is_benchmark,
    is_of_the_receiver,
    is_of_postgresql,
]


def test_each_name_on_the_page_is_one_of_something_that_there_is() -> None:
    assert [name for name in sorted(NAMES) if not any(known(name) for known in RECOGNIZERS)] == []


def test_each_option_is_on_the_page_but_the_one_for_tests() -> None:
    assert [name for name in sorted(OPTIONS) if name not in NAMES] == ["require_https"]


def test_airflow_counts_what_the_page_says() -> None:
    source = Path(triggerer_job_runner.__file__).read_text()
    assert [name for name in sorted(AIRFLOWS_METRICS) if f'"{name}' not in source] == []


def test_the_messages_on_the_page_are_those_of_the_code() -> None:
    code = "".join(path.read_text() for path in (ROOT / "airflow_provider_taskwatch").rglob("*.py"))
    assert [message for message in sorted(MESSAGES) if message not in code] == []


def test_the_values_of_the_chart_name_options() -> None:
    [block] = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    values = yaml.safe_load(block)
    given = [one["name"] for one in values["env"]] + [one["envName"] for one in values["secret"]]
    assert {name.removeprefix("AIRFLOW__TASKWATCH__").lower() for name in given} <= OPTIONS


@pytest.mark.parametrize("row", re.findall(r"^\|(.*(?:make bench|python -m).*)\|$", TEXT, re.MULTILINE))
def test_each_figure_is_on_the_page_that_measures_it(row: str) -> None:
    what, figure, _, link = row.split("|")
    file, _, _ = re.findall(r"\]\(([^)]+)\)", link)[0].partition("#")
    measured = (ROOT / "docs" / file).read_text()
    figures = re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", figure)
    assert figures
    assert [one for one in figures if one not in measured] == [], what


def test_the_limits_are_those_of_the_code() -> None:
    assert f"| {engine.CONNECTIONS} | {2 * engine.CONNECTIONS} |" in TEXT
    assert f"`max_connections` >= {2 * engine.CONNECTIONS} x" in TEXT
    assert f"older than `inbox_retention_days` ({RETENTION_DAYS:g})" in TEXT
    assert f"`[triggerer] capacity` ({conf.getint('triggerer', 'capacity'):,})" in TEXT


# --- the database


def run(connection: psycopg.Connection[tuple[object, ...]], script: str) -> None:
    for statement in re.sub(r"--.*", "", script).split(";"):
        if statement.strip():
            connection.execute(statement.encode())


@pytest.fixture(scope="module")
def database(server: PrivatePostgres) -> Iterator[str]:
    """The database of the page, made by an administrator who is no superuser."""
    make, grant = re.findall(r"^```sql\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    place = server.url.rpartition("/")[0].replace("postgresql+psycopg", "postgresql")
    with server.connect() as root:
        root.execute("CREATE ROLE administrator LOGIN CREATEROLE CREATEDB")
        administrators = place.replace("airflow@", "administrator@")
        with psycopg.connect(f"{administrators}/postgres", autocommit=True) as connection:
            run(connection, make)
        with psycopg.connect(f"{administrators}/taskwatch", autocommit=True) as connection:
            run(connection, grant)
        yield f"{place}/taskwatch"
        root.execute("DROP DATABASE taskwatch WITH (FORCE)")
        for role in ("taskwatch", "taskwatch_owner", "administrator"):
            root.execute(f"DROP ROLE {role}".encode())


def of(role: str, database: str) -> str:
    return database.replace("airflow@", f"{role}@")


@pytest.fixture
def tables(database: str) -> str:
    """The same with empty tables, which the owner has made."""
    owner = SqlInbox(of("taskwatch_owner", database))
    owner.heartbeats()
    owner.close()
    with psycopg.connect(of("taskwatch_owner", database), autocommit=True) as connection:
        connection.execute(f"TRUNCATE {', '.join(schema.tables.tables)} RESTART IDENTITY".encode())
        connection.execute("INSERT INTO taskwatch_version VALUES (%s)", [schema.VERSION])
    return database


@pytest.fixture
def inbox(tables: str) -> Iterator[Inbox]:
    """The inbox as Airflow's processes open it."""
    inbox = SqlInbox(of("taskwatch", tables), clock=lambda: NOW)
    yield inbox
    inbox.close()


globals().update({name: test for name, test in vars(contract).items() if name.startswith("test_")})


def test_the_role_of_airflow_changes_no_table(inbox: Inbox, tables: str) -> None:
    inbox.heartbeats()
    allowed = []
    with psycopg.connect(of("taskwatch", tables), autocommit=True) as connection:
        for statement in (
            "CREATE TABLE another (number INTEGER)",
            "CREATE SCHEMA another",
            "CREATE TEMPORARY TABLE another (number INTEGER)",
            "ALTER TABLE taskwatch_message ADD another INTEGER",
            "DROP TABLE taskwatch_message",
            "TRUNCATE taskwatch_message",
        ):
            try:
                connection.execute(statement.encode())
            except psycopg.errors.InsufficientPrivilege:
                continue
            allowed.append(statement)
    assert allowed == []


def test_a_missing_table_is_named_until_the_owner_has_made_it(tables: str) -> None:
    with psycopg.connect(of("taskwatch_owner", tables), autocommit=True) as connection:
        connection.execute("DROP TABLE taskwatch_receiver")
    newer, owner = SqlInbox(of("taskwatch", tables)), SqlInbox(of("taskwatch_owner", tables))
    with pytest.raises(InboxError, match="permission denied for schema public"):
        newer.heartbeats()
    owner.heartbeats()
    assert newer.heartbeats() == []
    for one in (newer, owner):
        one.close()


def test_a_process_has_the_connections_that_the_page_counts(inbox: SqlInbox, tables: str) -> None:
    [query] = [name for name in NAMES if name.startswith("SELECT count(*)")]
    with psycopg.connect(of("taskwatch_owner", tables), autocommit=True) as connection:

        def counted() -> object:
            [[number]] = connection.execute(query.encode()).fetchall()
            return number

        with ExitStack() as held:
            for _ in range(2 * engine.CONNECTIONS):
                held.enter_context(inbox.database.engine.connect())
            assert counted() == 2 * engine.CONNECTIONS
        wait_until(lambda: counted() == engine.CONNECTIONS)
        with closing(SqlInbox(of("taskwatch", tables), keeps=False)) as brief:
            brief.heartbeats()
            wait_until(lambda: counted() == engine.CONNECTIONS)


def test_the_page_asks_for_the_size_of_the_database(tables: str) -> None:
    [query] = [name for name in NAMES if name.startswith("SELECT pg_size_pretty")]
    with psycopg.connect(of("taskwatch", tables), autocommit=True) as connection:
        assert connection.execute(query.encode()).fetchone() is not None
