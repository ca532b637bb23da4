from __future__ import annotations

import os
from pathlib import Path

from tests.chaos.ledger import Ledger, is_airflow


def test_entries_are_read_in_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.note("JOBS.A", "execute", 1)
    ledger.note("JOBS.A", "kill", 1)
    assert [(one.what, one.process) for one in ledger.read()] == [("execute", os.getpid()), ("kill", os.getpid())]


def test_a_new_ledger_is_empty(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "ledger").read() == []


def test_a_name_is_claimed_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    assert [ledger.claim("JOBS.A"), ledger.claim("JOBS.A"), ledger.claim("JOBS.B")] == [True, False, True]


def test_the_parent_of_an_orphan_is_not_airflow() -> None:
    assert not is_airflow(1)
    assert not is_airflow(2**22 + 1)
