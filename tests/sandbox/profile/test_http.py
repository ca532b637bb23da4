"""A played profile over HTTP, through the connection that the sandbox prints."""

from __future__ import annotations

import json
import time
from typing import Any

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.drive.blocking import BlockingDriver
from airflow_provider_taskwatch.sandbox.sandbox import Sandbox
from airflow_provider_taskwatch.sandbox.server import Running, running
from airflow_provider_taskwatch.systems.rest.form import FORM
from airflow_provider_taskwatch.systems.rest.reader import read_profile
from airflow_provider_taskwatch.systems.rest.rules import input_names
from airflow_provider_taskwatch.systems.rest.system import RestRemote
from tests.sandbox.profile.inputs import inputs_of
from tests.sandbox.profile.profiles import ALL


def test_each_profile_is_started_and_read_with_the_credentials_that_it_names() -> None:
    sandbox = Sandbox()
    sandbox.add_rule(duration=0.0)
    for content in ALL:
        sandbox.play(content)
    sandbox.change({name: {"auth": auth} for name, auth in AUTHS.items()}, time.time())
    with running(sandbox) as box:
        ended = {content["name"]: ended_over_http(box, content) for content in ALL}
    assert ended == dict.fromkeys(AUTHS, "succeeded")


AUTHS = {"workflow": "bearer", "monitor": "api_key", "queue": "basic", "chosen": "oauth2", "replayed": "any"}


def ended_over_http(box: Running, content: dict[str, Any]) -> str:
    """The phase of a task that has been started over HTTP, and followed to its last stage."""
    given = box.connections()[f"{content['name']}_default"]
    raw = RawConnection(
        conn_id="played",
        conn_type=given["conn_type"],
        host=given["host"],
        login=given.get("login", ""),
        password=given["password"],
        extra=json.dumps(given["extra"]),
    )
    settings, profile = read_connection(FORM, raw), read_profile(content, "the test")
    tasks = RestRemote(settings).tasks(profile, inputs_of(content, input_names(profile)))
    driver = BlockingDriver(settings)
    try:
        ref = driver.run(tasks.start("s1", "m-1")).ref
        assert ref is not None
        seen = driver.run(tasks.observe(ref))
        while seen.moved_to:
            seen = driver.run(tasks.observe(seen.moved_to))
        driver.run(tasks.complete(seen, {}))
    finally:
        driver.close()
    return str(seen.phase)
