"""The kinds of values in a profile: expressions, templates, paths, words, codes and durations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

from airflow_provider_taskwatch.core.error import ConfigurationError
from airflow_provider_taskwatch.core.mask import is_secret_name
from airflow_provider_taskwatch.core.wire import canonical_target

from .expression import ROOTS, Expression
from .template import Placeholder, Template, parsed, sources, with_templates


def _expression(value: object) -> Expression:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be a JMESPath expression, not {value!r:.80}")
    try:
        return Expression(value.strip())
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


def _over_reply(value: object) -> Expression:
    made = _expression(value)
    if unknown := sorted(made.roots - set(ROOTS)):
        raise ValueError(f"{made.text[:80]!r} begins with {unknown[0]!r}; a reply has {', '.join(ROOTS)}")
    return made


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _template(value: object) -> Template:
    if not isinstance(value, (str, int, float)):
        raise ValueError(f"must be a text, a number, true or false, not {value!r:.80}")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    try:
        return parsed(text)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


def _content(value: object) -> Any:
    try:
        return with_templates(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


def _path(value: object) -> Template:
    if not isinstance(value, str):
        raise ValueError(f"must be a path, not {value!r:.80}")
    if "://" in value.partition("?")[0] or not value.startswith(("/", "{+")):
        raise ValueError(
            f"{value[:80]!r} must begin with '/' or a placeholder such as {{+ref}}: it is below the connection's host"
        )
    made = _template(value)
    if any(one.root == "secret" for one in made.placeholders):
        raise ValueError("a path must not hold a {secret...}, as paths are logged; use headers, query or body")
    _check_literal_path(value, made)
    return made


def _check_literal_path(path: str, made: Template) -> None:
    """Check what would be refused when the request is sent, and a secret in the query."""
    filled_in = "".join("x" if isinstance(one, Placeholder) else one for one in made.parts)
    if brace := next((one for one in "{}" if one in filled_in), None):
        raise ValueError(f"{path[:80]!r} has {brace!r} outside of a placeholder; write it as %{ord(brace):X}")
    try:
        canonical_target(filled_in if filled_in.startswith("/") else f"/{filled_in}")
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    for pair in filled_in.partition("?")[2].split("&"):
        name, _, literal = pair.partition("=")
        if literal and literal != "x" and is_secret_name(name):
            raise ValueError(f"{name} in the path looks like a secret; give it in query, as {{secret.NAME}}")


_RESERVED_HEADERS = frozenset(("authorization", "cookie", "host"))


def _headers(value: Mapping[str, Template]) -> Mapping[str, Template]:
    for name in value:
        if name.lower() in _RESERVED_HEADERS or name.lower().startswith("proxy-"):
            raise ValueError(f"{name} is not the profile's to set; credentials come from the connection")
    return _no_literal_secrets(value)


def _no_literal_secrets(value: Mapping[str, Template]) -> Mapping[str, Template]:
    for name, template in value.items():
        if is_secret_name(name) and not list(template.placeholders):
            raise ValueError(
                f"{name} looks like a secret and has a literal value; write {{secret.NAME}}, and put the value into "
                "the extra 'secrets' of the connection"
            )
    return value


_HOST_PATTERN = re.compile(r"[a-z0-9_-][a-z0-9_.-]*|[a-z0-9_*.-]*\*[a-z0-9_*.-]*\.[a-z0-9_-]+\.[a-z0-9_-]+")


def _host_pattern(value: str) -> str:
    pattern = value.lower()
    if not _HOST_PATTERN.fullmatch(pattern):
        raise ValueError(
            f"{value[:80]!r} is no host and no pattern such as *.blob.example.com, whose last two parts are given"
        )
    return pattern


def _word(value: object) -> str:
    if not isinstance(value, (str, int, float)) or value == "":
        raise ValueError(f"must be a word or a number, not {value!r:.80}")
    return as_word(value)


def as_word(value: str | int | float | bool) -> str:
    """A status as text, in the form in which phases are compared: without case."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.strip().casefold()


MAX_SECONDS = 1e9
"""Of a duration: thirty years."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])", re.ASCII)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _duration(value: object) -> float:
    """Seconds of a number, or of a text such as ``24h``."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < MAX_SECONDS:
        return float(value)
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < seconds < MAX_SECONDS:
        raise ValueError(f"must be seconds, or a text such as '30s', '15m', '24h' or '7d', not {value!r:.80}")
    return seconds


_TEXT = WithJsonSchema({"type": "string"})
_AS_TEXT = PlainSerializer(lambda expression: expression.text)
_AS_SOURCE = PlainSerializer(sources)
_SCALAR = WithJsonSchema({"type": ["string", "number", "boolean"]})

ReplyExpression = Annotated[Expression, PlainValidator(_over_reply), _AS_TEXT, _TEXT]
ReplyExpressions = Annotated[list[ReplyExpression], BeforeValidator(_listed)]
"""One expression, or several of which the first that has a value counts."""
ItemExpression = Annotated[Expression, PlainValidator(_expression), _AS_TEXT, _TEXT]
Path = Annotated[Template, PlainValidator(_path), _AS_SOURCE, _TEXT]
Text = Annotated[Template, PlainValidator(_template), _AS_SOURCE, _SCALAR]
HostPattern = Annotated[str, AfterValidator(_host_pattern)]
Content = Annotated[Any, PlainValidator(_content), _AS_SOURCE, WithJsonSchema({})]
Headers = Annotated[dict[str, Text], AfterValidator(_headers)]
Query = Annotated[dict[str, Text], AfterValidator(_no_literal_secrets)]
Word = Annotated[str, PlainValidator(_word), _SCALAR]
Words = Annotated[list[Word], BeforeValidator(_listed)]
Duration = Annotated[float, PlainValidator(_duration), WithJsonSchema({"type": ["string", "number"]})]
