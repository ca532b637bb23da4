"""A page of a task is an http(s) address, whatever the template and the ref hold."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.settings import Settings, filled_page, is_page_template
from tests.rows import each_row

GOOD = "https://ui.example.com/tasks/{ref}"


@each_row(
    "template",
    [
        GOOD,
        "http://ui:8080/{ref}",
        "https://ui/?id={ref}",
        "https://ui/#/{ref}",
        "https://ui",
        "HTTPS://ui/{ref}",
        "{ref}",
    ],
)
def test_a_url_can_be_a_template(template):
    assert is_page_template(template)


@each_row(
    "template",
    [
        "javascript:alert({ref})",
        "JavaScript:alert(1)//{ref}",
        "java\nscript:alert({ref})",
        "data:text/html,{ref}",
        "vbscript:{ref}",
        "file:///etc/{ref}",
        "ftp://ui/{ref}",
        "//ui/{ref}",
        "/tasks/{ref}",
        "ui.example.com/{ref}",
        "https://me:secret@ui/{ref}",
        "https://me@ui/{ref}",
        "https://{ref}",
        "https://{ref}.example.com/",
        "https://ui.example.com{ref}/",
        "https://ui\\@evil/{ref}",
        "https:///{ref}",
        "https://[ui/{ref}",
        "https://u i/{ref}",
    ],
)
def test_another_text_cannot_be_a_template(template):
    assert not is_page_template(template)


@pytest.mark.parametrize("template", ["{ref}", "{ref}://ui/", "{{{ref}}}"])
def test_a_template_that_makes_no_url_is_refused_when_it_is_filled(template):
    with pytest.raises(ConfigurationError, match=r"must be an http\(s\) URL without credentials"):
        filled_page(template, {"ref": "javascript:alert(1)"})


@pytest.mark.parametrize(
    "template", ["https://ui/{ref:>1000000000}", "https://ui/{ref!r}", "https://ui/{ref.__class__}"]
)
def test_a_template_contains_names_without_formats(template):
    with pytest.raises(ConfigurationError, match=r"may only use \{ref\}"):
        filled_page(template, {"ref": "1"})


@given(ref=st.text())
def test_any_ref_stays_one_part_of_the_url(ref):
    link = urlsplit(filled_page(GOOD, {"ref": ref}))
    assert (link.scheme, link.netloc, link.query, link.fragment) == ("https", "ui.example.com", "", "")
    assert link.path.count("/") == 2


@each_row(
    "auth, header, access",
    [
        ("basic", "", "login and password of the connection 'c'"),
        ("oauth1", "", "login and password of the connection 'c'"),
        ("bearer", "", "the token (its password) of the connection 'c'"),
        ("header", "X-Token", "the token (its password) of the connection 'c'"),
        ("oauth2", "", ""),
    ],
)
def test_refused_credentials_name_what_to_check(auth, header, access):
    settings = Settings(
        conn_id="c", connection_type="t", base_url="", auth=auth, login="", password="", token_header=header
    )
    assert settings.access == access
