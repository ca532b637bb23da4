"""The protocol of a remote with tasks: how to start, observe, cancel and find one. Pure code, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from ipaddress import ip_address
from typing import Any, Protocol, cast
from urllib.parse import quote, unquote, urlsplit

from .callback import Callback
from .error import ConfigurationError, RemoteError, TaskWatchError, TokenError, TransportError
from .flow import Flow, nothing
from .phase import Observation
from .settings import Settings

Options = Mapping[str, Any]
"""Plain JSON: how one watch interprets its observations. Each system documents its keys."""


class Effect(StrEnum):
    """The effect of a cancel. The value completes a sentence that begins with the ref."""

    CANCELLED = "was cancelled"
    ENDED = "had ended already"
    UNKNOWN = "is not known to the remote any more, so nothing was cancelled"


class System(Protocol):
    """One remote. An instance belongs to a connection and holds no state of a task."""

    name: str
    noun: str
    """The remote's term for a task, for messages: ``notification``, ``execution``."""
    can_cancel: bool
    keeps_marker: bool
    """Whether a start can carry a marker by which :meth:`find` finds the task."""
    reads_alone: bool
    """Whether a read of one ref costs less than a read of many. If not, the hub waits for more refs before a read."""

    def check_ref(self, ref: str) -> str:
        """The ref in the form that is sent.

        :raises ConfigurationError: it cannot be a ref. No request was sent.
        """

    def doubt(self, ref: str) -> str:
        """A warning about a ref of an unusual form, which the remote may still know; empty for the usual form."""

    def id_space(self, settings: Settings) -> str:
        """The scope in which a ref or marker is unique, as text for people: an address, and a client if there is one.

        Connections with different credentials may share an id space. A task is rejoined and cancelled in its own id
        space only, because the same ref may name another task elsewhere.
        """

    def for_wait(self, options: Options) -> System:
        """The remote as one wait sees it. A system whose requests depend on the options returns another one."""

    def is_own(self, seen: Observation, options: Options) -> bool:
        """Whether an observation can belong to our start; False if it carries another marker."""

    def observe(self, ref: str) -> Flow[Observation]:
        """Read one ref. The observation of an unknown ref is :func:`~.phase.absent`, not an error."""

    def selector(self, options: Options) -> str:
        """The filter of a request that reads many refs. Watches with equal selectors are read together.

        Empty if this watch needs single reads.
        """

    def observe_many(self, selector: str, refs: Sequence[str]) -> Flow[Mapping[str, Observation]]:
        """Read many refs in few requests. A ref that is missing in the result needs a single read."""

    def understand(self, seen: Observation, options: Options) -> Observation:
        """The observation by the options of one watch (its own success statuses, for example)."""

    def cancel(self, ref: str, options: Options | None = None) -> Flow[Effect]:
        """Cancel the task at the remote. A task that has ended, or is unknown, is no error.

        :param options: of the watch. They may say what else is cancelled with the task.
        """

    def find(self, marker: str) -> Flow[str | None]:
        """The ref of the task that was started with a marker; None if there is none."""

    def successor(self, seen: Observation, options: Options) -> Flow[str | None]:
        """The ref that replaces an ended one (a restart), if the options ask to follow it; else None."""

    def complete(self, seen: Observation, options: Options) -> Flow[Observation]:
        """The observation of a success with what takes a further request, such as its result."""

    def explain(self, seen: Observation, options: Options) -> Flow[str]:
        """Details of a failure from the remote; empty if there are none."""

    def read_callback(self, content: object, names: Mapping[str, str]) -> Callback:
        """The content of a callback's payload. No payload is an error.

        :param names: the names of this system, each with the name that the user's template has for it.
        """

    def page(self, ref: str) -> Mapping[str, str]:
        """The values that a connection's ``ui_url`` template may use for this ref."""

    def was_refused(self, error: TaskWatchError) -> bool:
        """Whether a start that failed with this error did nothing for certain, so that it may be repeated.

        False for an interim reply (1xx), as the final reply is still to come.
        """

    def probe(self) -> Flow[str]:
        """A cheap authenticated read for the connection test. The result is a sentence about what it proved."""


_MAY_BE_DONE = (303, 408)
"""A redirect to a result, and the server's own timeout: the start may have been done."""


class SystemDefaults:
    """Defaults: no cancel, no marker, one ref per request, no details of a failure."""

    name = ""
    noun = "task"
    can_cancel = False
    keeps_marker = False
    reads_alone = True

    def check_ref(self, ref: str) -> str:
        return safe_ref(ref, self.noun)

    def doubt(self, ref: str) -> str:
        return ""

    def id_space(self, settings: Settings) -> str:
        return address(settings.base_url)

    def for_wait(self, options: Options) -> System:
        return cast("System", self)

    def is_own(self, seen: Observation, options: Options) -> bool:
        return True

    def selector(self, options: Options) -> str:
        return ""

    def observe_many(self, selector: str, refs: Sequence[str]) -> Flow[Mapping[str, Observation]]:
        raise NotImplementedError(f"{self.name} reads one {self.noun} per request")

    def understand(self, seen: Observation, options: Options) -> Observation:
        return seen

    def cancel(self, ref: str, options: Options | None = None) -> Flow[Effect]:
        raise NotImplementedError(f"{self.name} cannot cancel a {self.noun}")

    def find(self, marker: str) -> Flow[str | None]:
        raise NotImplementedError(f"{self.name} keeps no marker of a start")

    def successor(self, seen: Observation, options: Options) -> Flow[str | None]:
        return nothing(None)

    def complete(self, seen: Observation, options: Options) -> Flow[Observation]:
        return nothing(seen)

    def explain(self, seen: Observation, options: Options) -> Flow[str]:
        return nothing("")

    def read_callback(self, content: object, names: Mapping[str, str]) -> Callback:
        return Callback()

    def page(self, ref: str) -> Mapping[str, str]:
        return {"ref": ref}

    def was_refused(self, error: TaskWatchError) -> bool:
        if isinstance(error, RemoteError):
            return 200 <= error.status < 500 and error.status not in _MAY_BE_DONE
        if isinstance(error, TransportError):
            return not error.sent
        return isinstance(error, (TokenError, ConfigurationError))


_LIKE_A_UUID = re.compile(r"[0-9A-Za-z]+(-[0-9A-Za-z]+){4}")


def has_moved(started_at: str, is_at: str) -> bool:
    """Whether two id spaces are known and differ."""
    return "" not in (started_at, is_at) and started_at != is_at


def doubt_unless_uuid(ref: str, noun: str) -> str:
    """:meth:`System.doubt` for remotes whose ids usually are UUIDs. Groups of any length count as a UUID."""
    if _LIKE_A_UUID.fullmatch(ref):
        return ""
    return f"{ref} does not look like a {noun} id, which is a UUID such as 6992a41d-a953-4ded-ae99-41d2f4d32ecb"


_PORTS = {"http": 80, "https": 443}


def address(url: str) -> str:
    """The canonical form of a base URL: no default port, the host in lower case, one encoding of the path."""
    parts = urlsplit(url)
    host = _host((parts.hostname or "").rstrip("."))
    port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    path = "/".join(quote(unquote(one), safe="") for one in parts.path.rstrip("/").split("/"))
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{path}"


def _host(name: str) -> str:
    """The canonical form of a host: an IPv6 address compressed, a name in ASCII."""
    try:
        return ip_address(name).compressed
    except ValueError:
        pass
    try:
        return name if _DEVIATIONS & set(name) else name.encode("idna").decode()
    except UnicodeError:
        return name


_DEVIATIONS = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")
"""Letters that Python's codec (IDNA 2003) maps to other letters, which would name another host."""


REF_CHARACTERS = 500

_QUOTES = ('"', "'")
_UNSAFE = frozenset("/?#\\%\"'`“”„‘’‚«»")  # noqa: RUF001 - typographic quotation marks


def unquoted(text: str) -> str:
    """``text`` without surrounding blanks and quotation marks, which the template filter ``tojson`` adds."""
    text = text.strip()
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES
    return text[1:-1].strip() if is_quoted else text


def safe_ref(ref: object, noun: str) -> str:
    """``ref`` after :func:`unquoted`.

    :raises ConfigurationError: it could change the path of a request.
    """
    text = unquoted(ref) if isinstance(ref, str) else ""
    if not text:
        found = "empty" if ref is None or isinstance(ref, str) else f"{ref!r:.80}, which is no string"
        raise ConfigurationError(f"the {noun} id is {found}; give the id that the start returned")
    if len(text) > REF_CHARACTERS:
        raise ConfigurationError(f"{text[:80]!r}... is not a {noun} id: it has {len(text)} characters")
    if _UNSAFE & set(text) or text == "." or ".." in text or not text.isprintable() or any(c.isspace() for c in text):
        raise ConfigurationError(
            f"{text[:80]!r} is not a {noun} id: it must not be '.' or hold blanks, '/', '?', '#', '%', '\\', '..' "
            "or quotation marks"
        )
    return text
