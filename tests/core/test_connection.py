from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.connection import RawConnection, invisible_in, read_connection
from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.form import Field, Form
from tests.rows import each_row

SECRET = "s3cret-of-mine"
FORM = Form(
    connection_type="demo",
    title="Demo",
    auths=("oauth2", "basic", "bearer"),
    host="https://demo.example.com",
    base_path="/api",
    token_url="https://id.example.com/token",
    scope="tenant:{tenant}",
    charset="latin-1",
    fields=(Field(name="tenant", label="Tenant"), Field(name="size", label="Size", kind="integer")),
)
STRICT = Form(connection_type="demo", title="Demo", auths=("oauth2",))
DOMAIN = Form(
    connection_type="demo",
    title="Demo",
    auths=("oauth2",),
    host_prefix="www.",
    base_path="/api",
    token_url="https://{host}/oauth/token",
)


def read(form=FORM, *, extra=None, **columns):
    given = {"conn_type": "demo", "login": "me", "password": SECRET, **columns}
    text = extra if isinstance(extra, str) else json.dumps(extra or {})
    return read_connection(form, RawConnection(conn_id="my_conn", extra=text, **given))


def problems(form=FORM, **given):
    """The one error of a connection; whatever is wrong with it, the password is not in there."""
    with pytest.raises(ConfigurationError) as caught:
        read(form, **given)
    assert SECRET not in f"{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}"
    return str(caught.value)


def test_login_and_password_are_enough_if_the_form_has_the_rest():
    settings = read(extra=None)
    assert (settings.base_url, settings.token_url) == ("https://demo.example.com/api", "https://id.example.com/token")
    assert (settings.auth, settings.login, settings.password) == ("oauth2", "me", SECRET)
    assert (settings.scope, settings.own) == ("", {"tenant": None, "size": None})
    assert (settings.concurrency, settings.rate_limit, settings.verify, settings.reject_403) == (16, None, True, False)
    assert (settings.connect_timeout, settings.read_timeout, settings.client_auth) == (10.0, 30.0, "form")
    assert (settings.conn_id, settings.connection_type) == ("my_conn", "demo")


def test_an_extra_field_is_read_from_any_stored_type():
    settings = read(
        extra={
            "tenant": " t-1 ",
            "size": "5",
            "concurrency": 4.0,
            "rate_limit": "2.5",
            "reject_403": "Yes",
            "client_auth": "basic",
            "audience": "them",
            "token_params": '{"resource": "r", "n": 5, "deep": {"a": true}, "none": null}',
        }
    )
    assert (settings.own, settings.scope) == ({"tenant": "t-1", "size": 5}, "tenant:t-1")
    assert (settings.concurrency, settings.rate_limit, settings.reject_403) == (4, 2.5, True)
    assert (settings.client_auth, settings.audience) == ("basic", "them")
    assert settings.token_params == {"resource": "r", "n": "5", "deep": '{"a": true}'}


def test_a_scope_is_made_from_other_fields_only_if_all_are_given():
    form = Form(**{**{name: getattr(FORM, name) for name in FORM.__slots__}, "fields": FORM.fields[:1]})
    assert read(form, extra={"tenant": "t-1"}).scope == "tenant:t-1"
    assert read(form).scope == ""
    assert read(form, extra={"tenant": "t-1", "scope": "mine"}).scope == "mine"
    assert read(form, extra={"tenant": "{tenant.__class__}"}).scope == "tenant:{tenant.__class__}"


def test_a_scope_ignores_fields_that_its_template_does_not_name():
    assert read(extra={"tenant": "t-1"}).scope == "tenant:t-1"


@each_row("text, value", [("true", True), ("YES", True), ("1", True), ("no", False), ("false", False)])
def test_a_boolean_may_be_stored_as_a_word(text, value):
    assert read(extra={"reject_403": text}).reject_403 is value


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_field_means_its_default(empty):
    settings = read(extra={"auth": empty, "verify": empty, "concurrency": empty, "rate_limit": empty, "proxy": empty})
    assert settings == read()


@each_row(
    "extra, verify",
    [
        ({"verify": False}, False),
        ({"verify": "0", "ca_bundle": "/ca.pem"}, False),
        ({"ca_bundle": "/ca.pem"}, "/ca.pem"),
        ({"verify": " TRUE "}, True),
    ],
)
def test_tls_is_verified_with_the_bundle_of_the_connection(extra, verify):
    assert read(extra=extra).verify == verify


@each_row(
    "columns, base_url",
    [
        ({"host": "h.example.com"}, "https://h.example.com/api"),
        ({"host": " h.example.com// "}, "https://h.example.com/api"),
        ({"host": "h.example.com/v2/"}, "https://h.example.com/v2"),
        ({"host": "h.example.com", "schema": "http", "port": 8080}, "http://h.example.com:8080/api"),
        ({"host": "http://h.example.com", "schema": "https"}, "http://h.example.com/api"),
        ({"host": "HTTPS://H.example.com"}, "https://h.example.com/api"),
        ({"host": "https://h.example.com/v2", "port": 8443}, "https://h.example.com:8443/v2"),
        ({"host": "h.example.com:9000", "port": 8443}, "https://h.example.com:9000/api"),
        ({"host": "h.example.com:", "port": 8443}, "https://h.example.com:8443/api"),
        ({"host": "localhost", "port": 1}, "https://localhost:1/api"),
        ({"host": "::1", "port": 8443}, "https://[::1]:8443/api"),
        ({"host": "[::1]", "port": 8443}, "https://[::1]:8443/api"),
        ({"host": "http://[fe80::1]:80/v2", "port": 8443}, "http://[fe80::1]:80/v2"),
        ({"host": "10.0.0.1"}, "https://10.0.0.1/api"),
        ({"host": "mu\u0308ller.example"}, "https://mu\u0308ller.example/api"),
        ({"host": "http://日本。example"}, "http://日本。example/api"),
        ({"host": "http://ไทย.example"}, "http://ไทย.example/api"),
        ({"host": "my_host-1.intern"}, "https://my_host-1.intern/api"),
        ({"host": "   "}, "https://demo.example.com/api"),
        ({"port": 8443}, "https://demo.example.com:8443/api"),
    ],
)
def test_a_base_url_is_built_from_any_form_of_a_host(columns, base_url):
    assert read(**columns).base_url == base_url


@each_row(
    "host",
    [
        f"https://me:{SECRET}@h.example.com",
        f"me:{SECRET}@h.example.com",
        "ftp://h.example.com",
        "https://",
        "https:///path",
        "//h.example.com",
        "https:/h.example.com",
        "http:h.example.com",
        "h.example.com:port",
        "h.example.com:99999",
        "h.example.com:0",
        "https://[broken",
        "1:2:3",
        "h example.com",
        "h.example.com/a b",
        "h.example.com\\@evil.example",
        "h.example.com\nevil.example",
        "<h.example.com>",
        "%68.example.com",
        "https://[fe80::1%25eth0]",
        "https://h.example.com,https://i.example.com",
    ],
)
def test_a_malformed_host_is_refused_without_being_shown(host):
    message = problems(host=host)
    assert "the host must be a name or an http(s) URL without credentials" in message
    assert "evil" not in message


@pytest.mark.parametrize("host", ["h.example.com?a=1", "https://h.example.com/v2#top"])
def test_a_host_ends_before_its_query(host):
    assert "the host must not contain '?' or '#'" in problems(host=host)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_out_of_range_is_refused(port):
    assert "the port must be a number from 1 to 65535" in problems(host="h.example.com", port=port)


def test_a_connection_of_another_type_is_refused_before_it_is_read():
    message = problems(conn_type="http", extra="[")
    assert message == "connection 'my_conn' has the type 'http'; it must be 'demo'"


def test_everything_that_is_missing_is_named_in_one_error():
    message = problems(STRICT, login="", password=None)
    assert message == (
        "connection 'my_conn' (demo): the host is missing (for example api.example.com); "
        "the login (client id) is missing; the password (client secret) is missing; extra 'token_url' is missing"
    )


def test_a_token_url_may_follow_the_host():
    assert read(DOMAIN, host="www.example.com:8443/x").token_url == "https://www.example.com:8443/oauth/token"
    assert read(DOMAIN, host="http://localhost:1/x", extra={"token_url": "http://t/"}).token_url == "http://t/"
    assert problems(DOMAIN).endswith("(demo): the host is missing (for example api.example.com)")


@each_row(
    "host, base",
    [
        ("example.com", "https://www.example.com/api"),
        ("example.com.br/v2", "https://www.example.com.br/v2"),
        ("www.example.com", "https://www.example.com/api"),
        ("https://example.com", "https://example.com/api"),
        ("example.com:8443", "https://example.com:8443/api"),
        ("localhost", "https://localhost/api"),
        ("127.0.0.1", "https://127.0.0.1/api"),
        ("::1", "https://[::1]/api"),
    ],
)
def test_a_bare_domain_gets_the_prefix_of_the_remotes_hosts(host, base):
    assert read(DOMAIN, host=host).base_url == base


def test_everything_that_is_malformed_is_named_in_one_error():
    message = problems(
        host="https://",
        extra={
            "auth": "magic",
            "verify": "perhaps",
            "reject_403": 1,
            "concurrency": 1.5,
            "rate_limit": 0,
            "read_timeout": "long",
            "tenant": [5],
            "token_params": "a=b",
            "proxy": "not a URL",
            "tokn_url": SECRET,
        },
    )
    for name in ("auth", "verify", "reject_403", "concurrency", "rate_limit", "read_timeout", "tenant", "token_params"):
        assert f"extra {name!r} must be " in message
    assert "the host must be" in message
    assert "extra 'proxy' must be an http(s) URL" in message
    assert "unknown extra 'tokn_url'; known are audience, auth, ca_bundle," in message


@each_row(
    "name, value, message",
    [
        ("auth", "magic", "one of oauth2, basic, bearer"),
        ("client_auth", "Form", "one of form, basic"),
        ("token_url", 5, "a string"),
        ("verify", [], "true or false"),
        ("concurrency", True, "a whole number"),
        ("concurrency", "1e400", "a whole number"),
        ("concurrency", "many", "a whole number"),
        ("rate_limit", "NaN", "a number"),
        ("rate_limit", False, "a number"),
        ("connect_timeout", 10**400, "a number"),
        ("connect_timeout", {}, "a number"),
        ("token_params", "[1]", "a JSON object"),
        ("token_params", ["a"], "a JSON object"),
        ("token_params", "[" * 100_000, "a JSON object"),
        ("connect_timeout", -1, "greater than 0"),
        ("read_timeout", 0, "greater than 0"),
        ("concurrency", 0, "greater than 0"),
        ("connect_timeout", 1e308, "greater than 0: from 0.001 to 86400"),
        ("read_timeout", 1e308, "greater than 0: from 0.001 to 86400"),
        ("read_timeout", 1e-300, "greater than 0: from 0.001 to 86400"),
        ("concurrency", 1e9, "greater than 0: from 1 to 10000"),
        ("rate_limit", 1e-300, "greater than 0: from 0.0001 to 1e+06"),
        ("rate_limit", 1e308, "greater than 0: from 0.0001 to 1e+06"),
    ],
)
def test_a_malformed_extra_is_named_with_what_it_must_be(name, value, message):
    assert f"extra {name!r} must be {message}" in problems(extra={name: value})


@each_row("extra", ["{", "[]", "null", '"text"', "[" * 100_000, f"password={SECRET}"])
def test_an_extra_that_is_not_a_json_object_is_refused_without_being_shown(extra):
    assert "the extra must be a JSON object" in problems(extra=extra)


@each_row(
    "auth, columns, message",
    [
        ("basic", {"login": None}, "the login (user) is missing"),
        ("basic", {"password": ""}, "the password (password) is missing"),
        ("bearer", {"password": None}, "the password (token) is missing"),
        ("bearer", {"password": " \n"}, "the password (token) contains spaces"),
        ("bearer", {"password": f"{SECRET}\r\nX-Evil: {SECRET}"}, "the password (token) contains spaces"),
        ("bearer", {"password": f"{SECRET}ä"}, "characters that are not ASCII"),
        ("basic", {"login": "me:you"}, "the login (user) must not contain ':'"),
        ("basic", {"password": f"{SECRET}\N{EURO SIGN}"}, "contains a character that latin-1 does not have"),
    ],
)
def test_credentials_that_cannot_be_sent_are_refused_without_being_shown(auth, columns, message):
    assert message in problems(extra={"auth": auth}, **columns)


def test_spaces_around_a_token_are_removed_and_those_of_a_password_stay():
    assert read(password=f" {SECRET}\n", extra={"auth": "bearer"}).password == SECRET
    assert read(password=" a ", extra={"auth": "basic"}).password == " a "


def test_each_authentication_needs_only_its_own_credentials():
    assert read(STRICT, host="h", extra={"token_url": "http://h/token"}).token_url == "http://h/token"
    assert read(login=None, extra={"auth": "bearer"}).token_url == ""
    assert read(password="pässwörd", extra={"auth": "basic"}).charset == "latin-1"


@each_row("url", [f"https://me:{SECRET}@id.example.com/token", "id.example.com/token", "https://[x", "https://", "a b"])
def test_a_token_url_must_be_a_url_without_credentials(url):
    assert "extra 'token_url' must be an http(s) URL without credentials" in problems(extra={"token_url": url})


def test_no_repr_of_a_connection_shows_a_secret():
    extra = {"proxy": f"http://me:{SECRET}@proxy.example.com:3128", "token_params": {"pin": SECRET}}
    settings = read(extra=extra)
    assert settings.proxy == extra["proxy"]
    raw = RawConnection(conn_id="c", conn_type="demo", password=SECRET, extra=json.dumps(extra))
    assert SECRET not in repr(settings) + repr(raw)


def test_the_page_of_a_task_is_made_from_the_connections_template():
    settings = read(extra={"ui_url": "https://ui.example.com/{client}/?id={ref}"})
    assert settings.page({"ref": "a&b c", "client": "0100"}) == "https://ui.example.com/0100/?id=a%26b%20c"
    assert read().page({"ref": "1"}) == ""


@each_row("template", ["{id}", "{}", "{0}", "{ref", "{ref.x}", "{ref[x]}", "{ref!z}", "{ref:9d}"])
def test_a_template_that_cannot_be_filled_names_what_it_may_use(template):
    with pytest.raises(ConfigurationError, match=r"ui_url .* may only use \{ref\}, \{client\}"):
        read(extra={"ui_url": template}).page({"ref": "1", "client": "100"})


def test_tokens_may_come_from_a_path_below_the_host():
    form = Form(connection_type="demo", title="Demo", auths=("oauth2", "bearer"), token_url="/idp/token")
    assert read(form, host="eu2.demo.test/dc/").token_url == "https://eu2.demo.test/dc/idp/token"
    assert read(form, host="h", extra={"token_url": "https://id.test/t"}).token_url == "https://id.test/t"
    assert read(form, host="h", extra={"auth": "bearer"}).token_url == ""


def test_without_a_host_a_path_gives_no_token_url():
    form = Form(connection_type="demo", title="Demo", auths=("oauth2",), token_url="/idp/token")
    assert problems(form).endswith("(demo): the host is missing (for example api.example.com)")


@each_row("number, text", [(100, "100"), (100.0, "100"), (0, "0"), (1.5, "1.5"), (10**20, str(10**20))])
def test_a_string_may_be_stored_as_a_number(number, text):
    assert read(extra={"tenant": number, "audience": number}).own["tenant"] == text


@each_row("value", [True, False, [], {}, float("inf")])
def test_a_value_that_is_neither_a_string_nor_a_number_is_refused(value):
    assert "extra 'tenant' must be a string" in problems(extra={"tenant": value})


def test_a_list_among_the_token_parameters_repeats_its_field():
    params = {"resource": ["https://a", "https://b"], "n": [1, True], "empty": [], "claims": {"a": 1}}
    settings = read(extra={"token_params": params})
    assert settings.token_params["resource"] == ("https://a", "https://b")
    assert settings.token_params["n"] == ("1", "true")
    assert settings.token_params["claims"] == '{"a": 1}'


@each_row(
    "params, message",
    [
        ({"resource": [["a"]]}, "'resource' must be a string"),
        ({"resource": [{"a": 1}]}, "'resource' must be a string"),
        ({"resource": [None]}, "'resource' must be a string"),
        ({"n": float("nan")}, "'n' must be a string"),
        ({"grant_type": ["a", "b"]}, "'grant_type' must be one string"),
        ({"password": f"{SECRET}\n"}, "'password' ends in a line break; remove it"),
        ({"client_assertion": [f"\ufeff{SECRET}"]}, "'client_assertion' contains a byte order mark; remove it"),
    ],
)
def test_a_token_parameter_that_cannot_be_sent_is_named(params, message):
    assert f"extra 'token_params': {message}" in problems(extra={"token_params": params})


@each_row(
    "columns, auth, message",
    [
        ({"password": f"{SECRET}\n"}, "oauth2", "the password (client secret) ends in a line break; remove it"),
        ({"password": f"{SECRET}\r\n"}, "basic", "the password (password) ends in a line break; remove it"),
        ({"password": f" {SECRET}"}, "oauth2", "the password (client secret) begins or ends with a space; remove it"),
        ({"password": f"{SECRET}\u200b"}, "oauth2", "the password (client secret) contains an invisible character"),
        ({"password": f"\ufeff{SECRET}"}, "bearer", "the password (token) contains a byte order mark; remove it"),
        ({"login": "me\n"}, "oauth2", "the login (client id) ends in a line break; remove it"),
        ({"login": "m\x00e"}, "basic", "the login (user) contains a control character"),
    ],
)
def test_an_invisible_character_in_a_credential_is_named(columns, auth, message):
    assert message in problems(extra={"auth": auth}, **columns)


def test_a_client_id_with_a_colon_cannot_be_sent_in_a_raw_basic_header():
    message = problems(login="urn:me", extra={"client_auth": "basic"})
    assert "the login (client id) must not contain ':'; set 'client_auth'" in message
    for way in ("form", "basic_encoded"):
        assert read(login="urn:me", extra={"client_auth": way}).client_auth == way


@each_row("url", ["javascript:alert('{ref}')", "https://me:x@ui/{ref}", "ui/{ref}", "https://{ref}/"])
def test_the_page_of_a_task_must_be_an_http_address(url):
    assert "extra 'ui_url' must be an http(s) URL without credentials" in problems(extra={"ui_url": url})


def test_unverified_tls_is_a_warning():
    warning = read(extra={"verify": False, "token_url": "https://id.test/t"}).tls_warning
    assert "the certificate of demo.example.com and id.test is not checked" in warning
    assert read(extra={"verify": False, "auth": "bearer"}).tls_warning
    assert read(host="http://h", extra={"verify": False, "auth": "bearer"}).tls_warning == ""
    assert read().tls_warning == ""


def test_an_unusual_base_path_is_named():
    assert read().base_path_doubt == ""
    assert "is '/v2', and usually '/api'" in read(host="h.example.com/v2").base_path_doubt


@each_row(
    "text, message",
    [
        ("secret\n", "ends in a line break"),
        ("secret\r\n", "ends in a line break"),
        ("\nsecret", "contains a control character, such as a line break or a tab"),
        ("se\ncret", "contains a control character, such as a line break or a tab"),
        ("se\tcret", "contains a control character, such as a line break or a tab"),
        ("se\x00cret", "contains a control character, such as a line break or a tab"),
        ("se\x7fcret", "contains a control character, such as a line break or a tab"),
        ("se\x85cret", "contains a control character, such as a line break or a tab"),
        ("\ufeffsecret", "contains a byte order mark"),
        ("sec\u200bret", "contains an invisible character"),
        ("secret\u200d", "contains an invisible character"),
        ("sec\u2028ret", "contains a line separator"),
        ("sec\u2029ret", "contains a paragraph separator"),
        ("sec\ud83dret", "contains half a surrogate pair"),
        (" secret", "begins or ends with a space"),
        ("secret\u00a0", "begins or ends with a space"),
        ("se cret-pässwörd/+=%:", ""),
        ("", ""),
    ],
)
def test_an_invisible_character_is_named(text, message):
    assert invisible_in(text) == message


@given(text=st.text(max_size=20))
def test_an_invisible_character_is_named_without_the_text(text):
    assert len(text) < 4 or text not in invisible_in(text)


def test_a_base_path_with_two_meanings_is_refused():
    assert "the host: the path '/a/../b' must not contain the segment '..'" in problems(
        host="https://api.example.com/a/../b"
    )


KEYED = Form(
    connection_type="demo",
    title="Demo",
    auths=("api_key", "basic"),
    host="https://demo.example.com",
    fields=(
        Field(name="api_key_in", label="In", default="header", choices=("header", "query", "cookie")),
        Field(name="api_key_name", label="Name", default="X-Api-Key"),
        Field(name="api_key_prefix", label="Prefix"),
        Field(name="profile", label="Profile", kind="content"),
    ),
)


@each_row(
    "extra, found",
    [
        ({}, ("header", "X-Api-Key", None)),
        ({"api_key_in": "query", "api_key_name": "key"}, ("query", "key", None)),
        ({"api_key_name": "Authorization", "api_key_prefix": "Token"}, ("header", "Authorization", "Token")),
        ({"api_key_in": "cookie", "api_key_name": "session"}, ("cookie", "session", None)),
    ],
)
def test_an_api_key_has_a_place_a_name_and_a_prefix(extra, found):
    settings = read(KEYED, extra={"auth": "api_key", **extra})
    assert settings.auth == "api_key"
    assert tuple(settings.own.get(f"api_key_{one}") or None for one in ("in", "name", "prefix")) == found


@each_row(
    "extra, problem",
    [
        ({"api_key_in": "body"}, "api_key_in"),
        ({"api_key_name": "X Key"}, "'api_key_name' must be the name of a header"),
        ({"api_key_name": "Host"}, "'api_key_name' must be the name of a header"),
        ({"api_key_name": "Content-Type"}, "'api_key_name' must be the name of a header"),
        ({"api_key_name": "a;b", "api_key_in": "cookie"}, "'api_key_name' must be the name of a cookie"),
        ({"api_key_name": "k\r\nX: y"}, "api_key_name"),
        ({"api_key_prefix": "T\u00f6ken"}, "'api_key_prefix' must be ASCII"),
        (
            {"api_key_prefix": "Token", "api_key_in": "query"},
            "'api_key_prefix' must be ASCII, and is for a key in a header",
        ),
    ],
)
def test_an_api_key_that_cannot_be_sent_is_refused(extra, problem):
    with pytest.raises(ConfigurationError) as caught:
        read(KEYED, extra={"auth": "api_key", **extra})
    assert problem in str(caught.value)
    assert SECRET not in str(caught.value)


@each_row(
    "profile, found",
    [(" jenkins ", "jenkins"), ({"profile": 1}, {"profile": 1}), (' {"profile": 1}', {"profile": 1}), ("", None)],
)
def test_a_field_may_be_a_name_or_an_object(profile, found):
    assert (read(KEYED, extra={"auth": "basic", "profile": profile}).own.get("profile") or None) == found


@each_row("profile", ["{", 5, ["a"], '{"a": }'])
def test_a_field_that_is_neither_is_refused(profile):
    with pytest.raises(ConfigurationError, match="profile"):
        read(KEYED, extra={"auth": "basic", "profile": profile})
