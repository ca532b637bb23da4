from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.connection import RawConnection, read_connection
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.systems.rest.form import FORM


def read(**columns):
    return read_connection(FORM, RawConnection(conn_id="any", conn_type="taskwatch", **columns))


def test_any_rest_api_behind_a_token_is_reached_by_its_host_and_token_url():
    settings = read(
        host="https://api.example.com/v1",
        login="id",
        password="s3cret",
        extra='{"token_url": "https://id.example.com/token", "scope": "read"}',
    )
    assert (settings.auth, settings.base_url, settings.scope) == ("oauth2", "https://api.example.com/v1", "read")
    assert settings.token_url == "https://id.example.com/token"


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_basic_and_a_ready_token_need_no_token_url(auth):
    settings = read(host="api.example.com", login="me", password="s3cret", extra=f'{{"auth": "{auth}"}}')
    assert (settings.auth, settings.token_url) == (auth, "")


def test_there_is_no_host_to_fall_back_to():
    with pytest.raises(ConfigurationError, match=r"host is missing .*; .* login .* password .* 'token_url' is missing"):
        read()
