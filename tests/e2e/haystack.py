"""Every text that an Airflow and a sandbox leave behind, by the place where it was found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from cryptography.fernet import Fernet

from airflow_provider_taskwatch.core.mask import spellings
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from demo.airflow import PrivateAirflow

ENCRYPTED = {"connection": ("password", "extra"), "trigger": ("kwargs",)}
"""Columns that Airflow encrypts, by table."""


def everything(airflow: PrivateAirflow, sandbox: Sandbox) -> dict[str, bytes]:
    """Each file below AIRFLOW_HOME, each table of the metadata database, and the sandbox's log."""
    found = dict(_files(airflow.home))
    found |= {f"table {name}": content for name, content in _tables(airflow)}
    return found | {"sandbox": json.dumps(sandbox.log()).encode()}


def decrypted(airflow: PrivateAirflow, table: str) -> bytes:
    """The decrypted contents of a table's encrypted columns."""
    fernet = Fernet(airflow.env["AIRFLOW__CORE__FERNET_KEY"].encode())
    with _database(airflow) as database:
        rows = database.execute(sqlalchemy.text(f"SELECT {', '.join(ENCRYPTED[table])} FROM {table}")).fetchall()
    stored = [one.encode() for row in rows for one in row if one]
    return b"\n".join(one if one.startswith(b"{") else fernet.decrypt(one) for one in stored)


def places(found: Mapping[str, bytes], secrets: set[str]) -> dict[str, set[str]]:
    """The places that hold any of the secrets, in any spelling, with the secrets found there."""
    spelt = {secret: spellings(secret) for secret in secrets}
    hits = {
        place: {secret for secret, ways in spelt.items() if any(way in content for way in ways)}
        for place, content in found.items()
    }
    return {place: secrets for place, secrets in hits.items() if secrets}


def _files(home: Path) -> Iterator[tuple[str, bytes]]:
    return ((str(path.relative_to(home)), path.read_bytes()) for path in home.rglob("*") if path.is_file())


def _tables(airflow: PrivateAirflow) -> Iterator[tuple[str, bytes]]:
    with _database(airflow) as database:
        for name in sqlalchemy.inspect(database).get_table_names():
            rows = database.execute(sqlalchemy.text(f'SELECT * FROM "{name}"')).fetchall()
            yield name, b"\n".join(_bytes(value) for row in rows for value in row)


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@contextmanager
def _database(airflow: PrivateAirflow) -> Iterator[sqlalchemy.Connection]:
    engine = sqlalchemy.create_engine(airflow.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    with engine.connect() as connection:
        yield connection
    engine.dispose()
