"""Examples of a profile as replies, and the places in them that expressions read."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_taskwatch.core.wire import Reply

_DOTTED = re.compile(r"(body|headers|request)((?:\.[A-Za-z_]\w*)+)", re.ASCII)


@dataclass(slots=True, kw_only=True)
class Example:
    """One reply that a profile shows.

    :param headers: with names in lower case.
    """

    status_code: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None

    @classmethod
    def of(cls, content: Mapping[str, Any], status_code: int = 200) -> Example:
        """The example in plain data.

        :param status_code: where it names none.
        """
        return cls(
            status_code=int(content.get("status_code", status_code)),
            headers={name.lower(): str(value) for name, value in (content.get("headers") or {}).items()},
            body=copy.deepcopy(content.get("body")),
        )

    def copy(self) -> Example:
        return copy.deepcopy(self)

    def find(self, expressions: Iterable[str]) -> Any:
        """The first value that one of the expressions has."""
        headers = {name.replace("-", "_"): value for name, value in self.headers.items()}
        return first_value(expressions, {"status_code": self.status_code, "headers": headers, "body": self.body})

    def put(self, expressions: Iterable[str], value: Any) -> bool:
        """Write a value where one of the expressions reads it: the one that has a value, or the first plain one.

        :return: whether there is such a place.
        """
        plain = [found for found in map(_DOTTED.fullmatch, expressions) if found and found[1] != "request"]
        place = next((one for one in plain if self.find([one[0]]) is not None), plain[0] if plain else None)
        if place is None:
            return False
        names = place[2].split(".")[1:]
        if place[1] == "headers":
            self.headers[names[0].replace("_", "-")] = str(value)
        else:
            self.body = with_member(self.body, names, value)
        return True

    def reply(self) -> Reply:
        """The example as it is sent."""
        if self.body is None:
            return Reply(status=self.status_code, headers=self.headers)
        is_text = isinstance(self.body, str)
        kind = {} if is_text else {"content-type": "application/json"}
        body = self.body if is_text else json.dumps(self.body)
        return Reply(status=self.status_code, headers={**kind, **self.headers}, body=body.encode())


def with_member(content: Any, names: list[str], value: Any) -> Any:
    """A JSON value with one member set; what is no object on the way becomes one."""
    if not names:
        return value
    made = dict(content) if isinstance(content, Mapping) else {}
    made[names[0]] = with_member(made.get(names[0]), names[1:], value)
    return made


def member(content: Any, dotted: str) -> Any:
    """The value of a dotted name; None where there is none."""
    for name in dotted.split("."):
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def first_value(expressions: Iterable[str], document: Mapping[str, Any]) -> Any:
    """The first value of some expressions that is neither null nor empty."""
    import jmespath

    for one in expressions:
        try:
            value = jmespath.search(one, document)
        except jmespath.exceptions.JMESPathError:
            value = None
        if value is not None and value != "":
            return value
    return None


def listed(value: Any) -> list[Any]:
    """A list as it is, nothing as an empty list, and another value as a list of one."""
    return value if isinstance(value, list) else [] if value is None else [value]
