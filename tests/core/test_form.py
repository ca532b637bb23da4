from __future__ import annotations

from airflow_provider_taskwatch.core.form import Form


def test_each_authentication_is_described_in_the_form():
    form = Form(connection_type="a", title="A", auths=("own", "bearer"), token_headers={"own": "X-Token"})
    auth = next(one for one in form.all_fields if one.name == "auth")
    assert auth.description == (
        "own: the password is the token, sent in the header X-Token. bearer: the password is the token."
    )
    assert (auth.default, auth.choices) == ("own", ("own", "bearer"))
