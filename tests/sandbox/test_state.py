"""A sandbox that is stopped and started again, with a file for its state."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.state import kept, load, opened, save
from tests.sandbox.visitor import NOW, Visitor
from tests.until import wait_until


def again(sandbox: Sandbox, path: Path) -> Sandbox:
    save(sandbox, path)
    return load(path)


def test_a_restart_loses_no_state(sandbox: Sandbox, acquia: Visitor, automic: Visitor, tmp_path: Path) -> None:
    sandbox.add_rule("JOBS.*", times=2, outcome="failure", duration=9)
    sandbox.add_fault("hang", path="/never", times=3)
    sandbox.change({"acquia": {"list_lag": 2.0}}, NOW)
    acquia.post("/x")
    callback = {"type": "http", "http": {"url": "http://127.0.0.1:9/cb"}}
    automic.post("/100/executions", {"object_name": "JOBS.A", "callback": callback})
    restarted = again(sandbox, tmp_path / "state")
    assert restarted.tasks(NOW + 5) == sandbox.tasks(NOW + 5)
    assert restarted.counts() == sandbox.counts()
    assert restarted.faults.view() == sandbox.faults.view()
    assert [post.url for post in restarted.due(NOW + 20)] == [post.url for post in sandbox.due(NOW + 20)] != []
    assert restarted.remotes["acquia"].settings.list_lag == 2.0


def test_a_restart_keeps_tokens_and_the_remaining_uses_of_rules(
    sandbox: Sandbox, acquia: Visitor, tmp_path: Path
) -> None:
    sandbox.add_rule(times=2, outcome="failure", duration=0.0)
    acquia.post("/x")
    acquia.sandbox = again(sandbox, tmp_path / "state")
    acquia.post("/y")
    acquia.post("/z")
    assert [one["phase"] for one in acquia.sandbox.tasks(NOW + 60)] == ["failed", "failed", "succeeded"]


def test_a_restart_keeps_feeds_and_subscriptions(sandbox: Sandbox, docplanner: Visitor, tmp_path: Path) -> None:
    sandbox.emit({"docplanner": [{"name": "break-created"}], "acronis": [{"type": "a.p.tenant.created"}]}, NOW)
    docplanner.sandbox = again(sandbox, tmp_path / "state")
    content: Any = docplanner.read("/notifications/multiple", {"limit": 100})
    assert len(content["notifications"]) == 1


def test_the_state_is_saved_during_use_and_at_the_end(sandbox: Sandbox, acquia: Visitor, tmp_path: Path) -> None:
    path = tmp_path / "state"
    with kept(sandbox, path, every=0.01):
        acquia.post("/x")
        wait_until(lambda: len(load(path).tasks(NOW)) == 1)
        acquia.post("/y")
    assert len(load(path).tasks(NOW)) == 2
    assert path.stat().st_mode & 0o077 == 0


def test_without_a_file_a_sandbox_is_new(tmp_path: Path) -> None:
    assert load(tmp_path / "none").tasks(NOW) == []


@pytest.mark.parametrize("content", [b"", b"x", pickle.dumps({"a": 1}), b"\x80\x05garbage"])
def test_a_file_that_is_not_a_state_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="holds no state of"):
        load(path)


def test_a_file_that_other_accounts_may_write_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "state"
    save(sandbox, path)
    path.chmod(0o666)
    with pytest.raises(ConfigurationError, match="is not only yours to write"):
        load(path)


def test_one_sandbox_at_a_time_uses_a_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with opened(path), pytest.raises(ConfigurationError, match=f"another sandbox keeps its state in {path}"):
        opened(path).__enter__()
    with opened(path) as sandbox:
        assert sandbox.tasks(NOW) == []


def test_the_error_for_a_missing_directory_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"there is no directory {tmp_path}/none; make it"):
        opened(tmp_path / "none" / "state").__enter__()


def test_the_error_for_an_unwritable_file_names_it(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with pytest.raises(ConfigurationError, match=r"state cannot be (read|written): Is a directory; name another"):
        save(sandbox, tmp_path / "state")
