from __future__ import annotations

import json

from airflow_provider_taskwatch.core.form import Field, Form
from airflow_provider_taskwatch.get_provider_info import connection_type

FORM = Form(
    connection_type="demo",
    title="Demo",
    auths=("oauth2", "bearer"),
    fields=(Field(name="tenant", label="Tenant", description="Yours."),),
    placeholders={"host": "https://demo.example.com"},
)


def test_a_form_has_airflows_names():
    info = connection_type(FORM, "demo.DemoHook")
    assert (info["connection-type"], info["hook-name"], info["hook-class-name"]) == ("demo", "Demo", "demo.DemoHook")
    assert info["ui-field-behaviour"] == {
        "hidden-fields": [],
        "relabeling": {"login": "Client id", "password": "Client secret"},
        "placeholders": {"host": "https://demo.example.com"},
    }


def test_each_field_may_be_empty_and_has_a_schema():
    fields = connection_type(FORM, "demo.DemoHook")["conn-fields"]
    assert fields["tenant"] == {"label": "Tenant", "description": "Yours.", "schema": {"type": ["string", "null"]}}
    assert fields["concurrency"]["schema"] == {"type": ["integer", "null"], "default": 16}
    assert fields["verify"]["schema"] == {"type": ["boolean", "null"], "default": True}
    assert fields["reject_403"]["schema"]["default"] is False
    assert fields["auth"]["schema"]["enum"] == ["oauth2", "bearer"]


def test_each_field_has_a_label_and_a_description():
    fields = connection_type(FORM, "demo.DemoHook")["conn-fields"]
    assert all(field["label"] and field["description"] for field in fields.values())


def test_fields_that_may_hold_a_secret_are_hidden_by_the_form():
    fields = connection_type(FORM, "demo.DemoHook")["conn-fields"]
    hidden = {name for name, field in fields.items() if field["schema"].get("format") == "password"}
    assert hidden == {"proxy", "token_params"}
    assert fields["token_params"]["schema"]["type"] == ["string", "null"]


def test_the_fields_of_oauth2_are_shown_only_where_the_remote_offers_it():
    basic = connection_type(Form(connection_type="b", title="B", auths=("basic",)), "b.Hook")
    assert not {"token_url", "client_auth", "scope", "audience", "token_params"} & set(basic["conn-fields"])
    assert basic["ui-field-behaviour"]["relabeling"] == {}
    assert "token_url" in connection_type(FORM, "demo.DemoHook")["conn-fields"]


def test_a_form_may_send_its_client_in_a_basic_header():
    assert connection_type(FORM, "d.Hook")["conn-fields"]["client_auth"]["schema"]["default"] == "form"
    basic = Form(connection_type="b", title="B", auths=("oauth2",), client_auth="basic")
    assert connection_type(basic, "b.Hook")["conn-fields"]["client_auth"]["schema"]["default"] == "basic"


def test_login_and_password_keep_their_labels_for_basic_authentication():
    both = connection_type(Form(connection_type="b", title="B", auths=("basic", "oauth2")), "b.Hook")
    assert both["ui-field-behaviour"]["relabeling"] == {}
    assert "token_url" in both["conn-fields"]


def test_an_authentication_method_names_its_own_header():
    form = Form(connection_type="b", title="B", auths=("oauth1", "own"), token_headers={"own": "Own-Token"})
    info = connection_type(form, "b.Hook")
    assert "own: the password is the token, sent in the header Own-Token." in info["conn-fields"]["auth"]["description"]
    assert info["ui-field-behaviour"]["relabeling"] == {"login": "Consumer key", "password": "Consumer secret"}


def test_a_form_is_plain_json():
    info = connection_type(FORM, "demo.DemoHook")
    assert json.loads(json.dumps(info)) == info
