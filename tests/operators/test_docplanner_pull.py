"""The operator that pulls Docplanner's notifications: through the inbox, each once, and without the patients."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.config.inbox import open_inbox, open_seal
from airflow_provider_taskwatch.core.error import ConfigurationError, LossError, ReplyError
from airflow_provider_taskwatch.inbox.seal import fresh_key
from airflow_provider_taskwatch.operators.docplanner import DocplannerPullNotificationsOperator
from airflow_provider_taskwatch.sandbox.server import Running
from tests.task.life import Life

SINCE = "2026-01-01T00:00:00Z"
CONNECTION = "AIRFLOW_CONN_DOCPLANNER_DEFAULT"


@pytest.fixture(autouse=True)
def _inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_URL", f"sqlite:///{tmp_path}/inbox.db")
    monkeypatch.setenv("AIRFLOW__TASKWATCH__INBOX_KEYS", fresh_key())


def emit(box: Running, **event: Any) -> None:
    box.sandbox.emit({"docplanner": [event]}, time.time())


def pulls(box: Running) -> int:
    return len([one for one in box.sandbox.log() if one["path"].endswith("/notifications/multiple")])


def life(run: str = "a", **arguments: Any) -> Life:
    made = Life(DocplannerPullNotificationsOperator, **{"since": SINCE, "reader": "r", **arguments})
    made.run_id = run
    return made


def test_the_queue_is_drained_in_its_order_and_each_event_is_returned_once(box: Running) -> None:
    emit(box, count=250)
    result = life().execute()
    assert [int(one["subject"]) for one in result] == list(range(700_001, 700_251))
    assert life("b").execute() == []
    assert pulls(box) == 5  # the last one of each run finds nothing


def test_patients_stay_out_unless_the_connection_lets_them_in(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    emit(box)
    [result] = life().execute()
    assert set(result["content"]) == {"facility", "doctor", "address", "visit_booking"}
    assert "patient" not in json.dumps(result)
    change_connection(monkeypatch, box, store_payload="full")
    emit(box)
    [result] = life("b").execute()
    assert result["content"]["visit_booking"]["patient"]["email"].endswith("@sandbox.invalid")


def test_a_lost_reply_is_logged_as_a_possible_loss_and_a_retry_pulls_what_follows(box: Running) -> None:
    emit(box, name="break-created")
    box.sandbox.add_fault("lost_reply", path="notifications", times=1)
    task = life()
    with pytest.raises(LossError, match="up to 100 notifications may be gone"):
        task.execute()
    assert pulls(box) == 1
    emit(box, name="break-removed")
    assert [one["name"] for one in task.retry()] == ["break-removed"]


def test_an_unreadable_notification_is_kept_sealed(box: Running) -> None:
    emit(box)
    box.sandbox.change({"docplanner": {"pull_member": "_items"}}, time.time())
    run = life()
    with pytest.raises(ReplyError, match=r"_items.*inbox show --raw"):
        run.execute()
    [kept] = open_inbox().sealed(run.task.feed.key)
    assert (b"patient" in kept.content, b"patient" in open_seal().open(kept.content)) == (False, True)


def test_nothing_is_pulled_without_a_key_to_seal_it(box: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__TASKWATCH__INBOX_KEYS")
    with pytest.raises(ConfigurationError, match="inbox_keys"):
        life().execute()
    assert pulls(box) == 0


def test_notifications_that_were_nearly_deleted_are_warned_of(box: Running, caplog: pytest.LogCaptureFixture) -> None:
    emit(box, created_at=(datetime.now(UTC) - timedelta(hours=61, minutes=30)).isoformat())
    life().execute()
    assert "its oldest notification was made 61 h ago; Docplanner deletes what was not pulled for 72 h" in caplog.text


def test_where_docplanner_pushes_no_key_is_needed_and_a_missing_receiver_is_logged(
    box: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change_connection(monkeypatch, box, delivery="push")
    monkeypatch.delenv("AIRFLOW__TASKWATCH__INBOX_KEYS")
    emit(box)
    assert life().execute() == []
    assert pulls(box) == 0
    assert capsys.readouterr().out.count("no receiver has been heard of") == 1


def change_connection(monkeypatch: pytest.MonkeyPatch, box: Running, **extra: str) -> None:
    connection = json.loads(box.environment()[CONNECTION])
    monkeypatch.setenv(CONNECTION, json.dumps({**connection, "extra": {**connection["extra"], **extra}}))
