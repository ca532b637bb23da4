from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.wire import get
from airflow_provider_taskwatch.systems.rest.document import Document
from airflow_provider_taskwatch.systems.rest.expression import Expression
from tests.play import reply


@pytest.mark.parametrize("text", ["!body.status", "body && !body.status", "!(body).status", "body[?!done.at] | [0]"])
def test_a_negation_of_only_the_first_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"write !\(a\.b\)"):
        Expression(text)


@pytest.mark.parametrize("text", ["!(body.status)", "!body && body.status || !(body.status)", "!body[0]"])
def test_any_other_negation_is_read(text: str) -> None:
    assert Expression(text).of(Document(get("/"), reply(200, {"n": 1}), {})) is True
